/**
 * What a registry promises, and its limits. Slots are kept in `ResourceSlots`, disposers are called by `CleanupQueue`.
 *
 * Registered is what is idle or held; on its way out is what waits for its disposer, is in it, or waits to be tried again. Each is within `maxCount` and `maxBytes` by itself, so
 * that a disposer that waits does not make `register` wait. Where disposers hang, the second bound is run into, and `register` says no.
 */

import { tell } from '../catch-rejection.ts';
import { LONGEST_MS } from '../clock.ts';
import { DisposedError } from '../errors.ts';
import { cleanupFailedEvents } from '../events.ts';
import { FailOpen } from '../fail-open.ts';
import { HolderBook, type HolderReport } from '../governor/index.ts';
import { checkName, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import type { LeakTrace } from '../leak-tracker.ts';
import { type RegistryBound, RegistryDrainingError, RegistryFullError } from './cleanup-errors.ts';
import { CleanupLine, type CleanupReason, type CleanupReport } from './cleanup-line.ts';
import { type CleanupOutcome, CleanupQueue, type CleanupWatcher } from './cleanup-queue.ts';
import { type CleanupFailure, FailureList } from './failure-list.ts';
import { IdleSweep } from './idle-sweep.ts';
import { KindNumbers } from './kind-numbers.ts';
import { type DrainReport, RegistryDrain } from './registry-drain.ts';
import { type RegistryHealth, registryHealth } from './registry-health.ts';
import {
  checkRegistryOptions,
  checkResource,
  type ResourceOptions,
  type ResourceRegistryOptions,
  type SoundRegistryOptions,
} from './registry-options.ts';
import { registryReclaimer } from './registry-reclaimer.ts';
import { RegistryRoom } from './registry-room.ts';
import { type HandleKeeper, ResourceHandle, ResourceHold } from './resource-handle.ts';
import { HELD, IDLE, NONE, type ResourceId, ResourceSlots, RUNNING } from './resource-slots.ts';
import { SlidingRate } from './sliding-rate.ts';

export interface RegistryDrainCall {
  /** When it ends, whatever is left, ms. Default 10,000. */
  readonly deadlineMs?: number;
  /** How long what is held is left to those who use it, ms. Default 0. */
  readonly graceMs?: number;
}

export interface CleanupCall {
  /** What was not used for so long, ms. Default 0: whatever is not held. */
  readonly idleMs?: number;
  /** Of this kind only. */
  readonly kind?: string;
  /** What is held, too, however lately it was used. Default false. */
  readonly force?: boolean;
}

export interface RegistryStats {
  /** Registered: idle and held. */
  readonly count: number;
  readonly bytes: number;
  readonly heldCount: number;
  readonly heldBytes: number;
  /** On their way out. */
  readonly leavingCount: number;
  readonly leavingBytes: number;
  /** So far. `refused` were not registered, `late` ended after they had been given up, `retries` are attempts. */
  readonly registered: number;
  readonly refused: number;
  readonly cleaned: number;
  readonly failed: number;
  readonly hung: number;
  readonly taken: number;
  readonly late: number;
  readonly retries: number;
  /** How many were put in line, by reason. */
  readonly reasons: Readonly<Record<CleanupReason, number>>;
  /** Calls of the governor that failed. */
  readonly faults: number;
}

const DRAIN_MS = 10_000;
/**
 * Owns resources and their disposers: cleans up what was not used for long, what is too much, and at the end everything, by priority, a few at a time, with a time limit and
 * further attempts. Nothing is forgotten: each that is registered is taken back, cleaned up, or reported as `failed` or `hung`.
 *
 * A registered one costs 66 to 80 bytes, 48 more where its handle is kept. Registering and releasing takes 1 to 3 µs by id, about as long as with an object in a `Map`, and up to twice
 * that with a handle; `touch` 0.3 µs by id, 0.7 µs with a handle. No timer runs while nothing is idle too long or at work.
 * After its construction nothing throws but `register` and `add` (`PLIMSOLL_REGISTRY_FULL`, `PLIMSOLL_REGISTRY_DRAINING`, `RangeError`) and `hold`
 * (`PLIMSOLL_DISPOSED`). Whoever made it drains it.
 * @example
 * import { ResourceRegistry } from 'plimsoll/lifetime';
 * await using files = new ResourceRegistry({ name: 'files', maxCount: 1_000, maxBytes: 2 ** 30, idleMs: 60_000 });
 * const handle = files.register({ name: path, bytes: 65_536, value: file, dispose: (file) => file.close() });
 */
export class ResourceRegistry implements AsyncDisposable, HandleKeeper {
  readonly name: string;
  readonly #options: SoundRegistryOptions;
  readonly #slots: ResourceSlots;
  readonly #queue: CleanupQueue;
  readonly #line: CleanupLine;
  readonly #room: RegistryRoom;
  readonly #sweep: IdleSweep;
  readonly #kinds = new KindNumbers();
  readonly #failOpen: FailOpen;
  readonly #book: HolderBook;
  readonly #rate: SlidingRate;
  readonly #failures: FailureList;
  readonly #ended = { cleaned: 0, failed: 0, hung: 0, taken: 0 };
  readonly #traces = new Map<number, LeakTrace>();
  /** Made once: a hold costs no closures. */
  readonly #onHoldEnd = (id: ResourceId): void => this.#letGo(id);
  readonly #trackHold: ((hold: ResourceHold, id: ResourceId) => LeakTrace | undefined) | undefined;
  #registered = 0;
  #refused = 0;
  #drain: RegistryDrain | undefined;

  /** Throws `RangeError` for unsound options. */
  constructor(given: ResourceRegistryOptions) {
    const options = checkRegistryOptions(given);
    const { name, maxCount, maxBytes, governor, leakTracker } = options;
    this.name = name;
    this.#options = options;
    this.#slots = new ResourceSlots(2 * maxCount);
    if (leakTracker !== undefined) {
      const nameOf = (id: ResourceId) => this.#slots.nameOf(this.#slots.slotOf(id));
      this.#trackHold = (hold, id) => leakTracker.track(`hold of ${nameOf(id)}`, hold);
    }
    this.#rate = new SlidingRate(options.healthWindowMs);
    this.#failures = new FailureList(options.maxFailures);
    this.#queue = new CleanupQueue({
      ...options,
      slots: this.#slots,
      kindName: (kind) => this.#kinds.nameOf(kind),
      onSettled: (slot, ...ended) => this.#onSettled(slot, ...ended),
    });
    this.#line = new CleanupLine({ ...options, slots: this.#slots, queue: this.#queue });
    this.#failOpen = new FailOpen(`registry ${name}`);
    this.#book = new HolderBook(governor, {
      name,
      kind: options.memoryKind,
      maxBytes: 2 * maxBytes,
      importance: options.importance,
      failOpen: this.#failOpen,
      report: () => this.#report(),
      reclaimer: registryReclaimer(this.#line),
    });
    const isDraining = () => this.draining;
    this.#room = new RegistryRoom({ line: this.#line, book: this.#book, maxCount, maxBytes, isDraining });
    const { idleMs, pressureIdleMs, sweepEveryMs } = options;
    const periods = { idleMs, pressureIdleMs, sweepEveryMs };
    this.#sweep = new IdleSweep({ line: this.#line, governor, failOpen: this.#failOpen, ...periods });
  }

  /** Registered: idle or held. */
  get count(): number {
    return this.#room.count;
  }

  get bytes(): number {
    return this.#room.bytes;
  }

  /** True from the moment that `drain` is called: nothing is taken in any more. */
  get draining(): boolean {
    return this.#drain !== undefined;
  }

  /**
   * Takes over a resource with its disposer. Those used longest ago are cleaned up where it is one too many, and no more of them than needed. Throws `PLIMSOLL_REGISTRY_FULL` where
   * that does not help, `PLIMSOLL_REGISTRY_DRAINING` once `drain` was called, `RangeError` for unsound options: then the resource is still the caller's.
   */
  register<T>(resource: ResourceOptions<T>): ResourceHandle<T> {
    return this.#handle(this.add(resource));
  }

  /** The same, or undefined where there is no room and while it is drained. */
  tryRegister<T>(resource: ResourceOptions<T>): ResourceHandle<T> | undefined {
    const id = this.tryAdd(resource);
    return id === undefined ? undefined : this.#handle(id);
  }

  /** `register` for who wants no handle: every verb of one is here too, and takes the id. Nothing of it is seen by the leak tracker. */
  add<T>(resource: ResourceOptions<T>): ResourceId {
    const id = this.#add(resource);
    if (typeof id === 'number') return id;
    if (id === 'draining') throw new RegistryDrainingError(this.name, resource.name);
    throw new RegistryFullError(this.name, resource.name, id);
  }

  tryAdd<T>(resource: ResourceOptions<T>): ResourceId | undefined {
    const id = this.#add(resource);
    return typeof id === 'number' ? id : undefined;
  }

  /** Whether it is registered, or on its way out. */
  has(id: ResourceId): boolean {
    return this.#slots.slotOf(id) !== NONE;
  }

  /** It was used. False when it has left, or is on its way out. */
  touch(id: ResourceId): boolean {
    const slot = this.#slots.slotOf(id);
    if (slot === NONE) return false;
    const where = this.#slots.whereIs(slot);
    if (where === IDLE) this.#slots.move(slot, IDLE, this.#options.clock.now());
    return where === IDLE || where === HELD;
  }

  /** Nothing but `release`, force and shutdown cleans it up until the result is disposed. Nests. `PLIMSOLL_DISPOSED` when it has left, or is on its way out. */
  hold(id: ResourceId): ResourceHold {
    const hold = this.tryHold(id);
    if (hold === undefined) throw new DisposedError(`The resource of registry ${this.name}`);
    return hold;
  }

  tryHold(id: ResourceId): ResourceHold | undefined {
    const slot = this.#slots.slotOf(id);
    if (slot === NONE) return undefined;
    const where = this.#slots.whereIs(slot);
    if (where !== IDLE && where !== HELD) return undefined;
    if (where === IDLE) this.#slots.move(slot, HELD, this.#options.clock.now());
    this.#slots.changeHolds(slot, 1);
    return new ResourceHold(id, this.#onHoldEnd, this.#trackHold);
  }

  /** Has it cleaned up now, in its turn, held or not. Resolves to how that ended; never rejects: a failure is reported as any other. */
  release(id: ResourceId): Promise<CleanupOutcome> {
    const slot = this.#slots.slotOf(id);
    if (slot === NONE) return Promise.resolve('gone');
    const where = this.#slots.whereIs(slot);
    const isRegistered = where === IDLE || where === HELD;
    if (isRegistered && this.#queue.isFree) {
      this.#line.reasons.released++;
      this.#queue.begin(slot);
      const ended = this.#slots.slotOf(id) === NONE ? this.#queue.lastOutcome : undefined;
      this.#queue.pump();
      if (ended !== undefined) return Promise.resolve(ended);
      return new Promise((resolve) => this.#queue.watch(slot, resolve));
    }
    return new Promise((resolve) => {
      this.#queue.watch(slot, resolve);
      if (isRegistered) this.#line.enqueue([slot], 'released');
      if (!this.#queue.stopped) this.#queue.pump();
      else if (this.#slots.whereIs(slot) !== RUNNING) this.#queue.start(slot);
    });
  }

  /** Takes it out, undisposed: from now on it is the caller's. Undefined when it has left, or its disposer has been called. */
  take(id: ResourceId): { readonly value: unknown } | undefined {
    const slot = this.#slots.slotOf(id);
    if (slot === NONE || this.#slots.attemptsOf(slot) > 0) return undefined;
    const value = this.#slots.valueOf(slot);
    this.#queue.take(slot);
    return { value };
  }

  /** Cleans up what is idle, or with `force` whatever there is. Resolves when it has ended with each; never rejects but for unsound options (`RangeError`). */
  async cleanup(call: CleanupCall = {}): Promise<CleanupReport> {
    const { idleMs = 0, kind, force = false } = copyOptions('cleanup', call, ['idleMs', 'kind', 'force']);
    checkWhole('idleMs', idleMs, 0, LONGEST_MS);
    if (typeof force !== 'boolean') throw invalidOption('force', 'true or false', force);
    const number = kind === undefined ? undefined : this.#kinds.find(checkName(kind, 'kind'));
    if (kind !== undefined && number === undefined) return this.#line.cleanUp([], 'asked');
    const slots = force ? this.#line.registered() : this.#line.idle(idleMs);
    const wanted = number === undefined ? slots : slots.filter((slot) => this.#slots.kindOf(slot) === number);
    return this.#line.cleanUp(wanted, 'asked');
  }

  /**
   * Cleans up everything, higher priority first, and takes nothing in from now on. Begins at once; resolves when nothing is left, at the deadline at the latest, to what came of
   * it. Never rejects but for unsound options (`RangeError`). Called again meanwhile it is the same run; afterwards it goes on with what was left.
   */
  async drain(call: RegistryDrainCall = {}): Promise<DrainReport> {
    const { deadlineMs = DRAIN_MS, graceMs = 0 } = copyOptions('drain', call, ['deadlineMs', 'graceMs']);
    checkWhole('deadlineMs', deadlineMs, 0, LONGEST_MS);
    checkWhole('graceMs', graceMs, 0, LONGEST_MS);
    if (this.#drain?.isOver === false) return this.#drain.done;
    const { clock, maxFailures } = this.#options;
    const kindName = (kind: number) => this.#kinds.nameOf(kind);
    const parts = { slots: this.#slots, queue: this.#queue };
    const drain = new RegistryDrain({ ...parts, clock, deadlineMs, graceMs, maxFailures, kindName });
    this.#drain = drain;
    this.#sweep[Symbol.dispose]();
    this.#queue.resume();
    drain.begin((held) => this.#line.drain(held));
    const report = await drain.done;
    if (report.complete) this.#close();
    return report;
  }

  /** The latest that could not be cleaned up, and how many there were before them. */
  get failures(): { readonly latest: readonly CleanupFailure[]; readonly leftOut: number } {
    return { latest: this.#failures.items, leftOut: this.#failures.leftOut };
  }

  get health(): RegistryHealth {
    const now = this.#options.clock.now();
    return registryHealth(this.#queue, this.#rate.read(now), now, this.#options.agingMs);
  }

  get stats(): RegistryStats {
    const slots = this.#slots;
    return {
      count: this.count,
      bytes: this.bytes,
      heldCount: slots.countIn(HELD),
      heldBytes: slots.bytesIn(HELD),
      leavingCount: slots.count - this.count,
      leavingBytes: slots.bytes - this.bytes,
      registered: this.#registered,
      refused: this.#refused,
      ...this.#ended,
      late: this.#queue.late,
      retries: this.#queue.retries,
      reasons: { ...this.#line.reasons },
      faults: this.#failOpen.count,
    };
  }

  /** Drains with the default deadline. What that could not clean up is in `failures`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
    this.#close();
  }

  #handle<T>(id: ResourceId): ResourceHandle<T> {
    const { leakTracker } = this.#options;
    if (leakTracker === undefined) return new ResourceHandle<T>(this, id, undefined);
    return new ResourceHandle<T>(this, id, (handle) => {
      const slot = this.#slots.slotOf(id);
      const trace = leakTracker.track(`handle of ${this.#slots.nameOf(slot)}`, handle);
      if (trace !== undefined) this.#traces.set(slot, trace);
      return trace;
    });
  }

  #add<T>(resource: ResourceOptions<T>): ResourceId | RegistryBound | 'draining' {
    const { name, kind, bytes, priority, value, dispose, sync } = checkResource(resource);
    const content = { name, kind: this.#kinds.numberOf(kind), bytes, value, dispose, sync, priority };
    const bound = this.#room.admit(bytes);
    if (bound !== undefined) {
      this.#refused++;
      return bound;
    }
    this.#registered++;
    const slot = this.#slots.add(content, this.#options.clock.now());
    this.#sweep.note();
    return this.#slots.idOf(slot);
  }

  #letGo(id: ResourceId): void {
    const slot = this.#slots.slotOf(id);
    if (slot === NONE || this.#slots.changeHolds(slot, -1) > 0 || this.#slots.whereIs(slot) !== HELD) return;
    this.#slots.move(slot, IDLE, this.#options.clock.now());
    if (!this.draining) this.#sweep.note();
    if (!this.draining || this.#queue.stopped) return;
    this.#line.enqueue([slot], 'drained');
    this.#queue.pump();
  }

  #onSettled(slot: number, ...[outcome, bytes, failure]: Parameters<CleanupWatcher>): void {
    this.#book.give(bytes);
    this.#ended[outcome]++;
    if (this.#traces.size > 0) {
      this.#traces.get(slot)?.close();
      this.#traces.delete(slot);
    }
    if (outcome !== 'taken') this.#rate.note(failure !== undefined, this.#options.clock.now());
    if (failure !== undefined) this.#tell(failure);
    if (this.#drain?.isOver === false) this.#drain.note(outcome, failure);
  }

  #tell(failure: CleanupFailure): void {
    this.#failures.add(failure);
    const { resource, kind, bytes, attempts, error } = failure;
    const { message } = error;
    if (cleanupFailedEvents.heard) {
      cleanupFailedEvents.publish({ registry: this.name, resource, kind, bytes, attempts, message });
    }
    tell(() => this.#options.onCleanupFailed?.(failure));
  }

  #report(): HolderReport {
    const { reasons, faults, ...counts } = this.stats;
    const { state, why, waiting, running, retrying, oldestWaitingMs, failureRate } = this.health;
    const own = { waiting, running, retrying, oldestWaitingMs, failureRate, faults };
    return { type: 'registry', health: state, ...(why === undefined ? {} : { why }), counts: { ...counts, ...own } };
  }

  #close(): void {
    this.#sweep[Symbol.dispose]();
    this.#book[Symbol.dispose]();
  }
}
