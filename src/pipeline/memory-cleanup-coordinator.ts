/**
 * Gives memory back between the stages of a pipeline and while they work.
 *
 * - It goes through the governor's train and keeps no second list of who holds what: a cleanable is a consumer with a reclaimer, below one of the coordinator's own. So there is one journal, and
 *   `train` of an operation says where in it.
 * - One cleanup at a time. Who wants the same joins the one under way; who wants more waits for it.
 * - It fails open: where the governor fails, cleanables are called from here, and what was freed is not known.
 */

import { DisposedError } from '../errors.ts';
import { cleanupEvents } from '../events.ts';
import { FailOpen } from '../fail-open.ts';
import {
  type Consumer,
  type GovernorMode,
  type HolderReport,
  MEMORY_KINDS,
  RECLAIM_STRATEGIES,
  type ReclaimStrategy,
} from '../governor/index.ts';
import { checkKnownOptions, checkName, checkOneOf, checkSignal, checkWhole, invalidOption } from '../invalid-option.ts';
import type { BetweenStages } from './between-stages.ts';
import { CleanableSeat } from './cleanable-seat.ts';
import { CleanupBooks } from './cleanup-books.ts';
import {
  type CleanupTuning,
  checkCleanupTuning,
  type MemoryCleanupOptions,
  type ResolvedCleanup,
  resolveCleanup,
} from './cleanup-options.ts';
import { CleanupPace, type PaceReading } from './cleanup-pace.ts';
import type { CleanupOperation, CleanupReason, CleanupReport } from './cleanup-report.ts';
import { type CleanupReading, observeCleanup, readMemory, runCleanup } from './cleanup-run.ts';
import type { MemoryCleanable } from './memory-cleanable.ts';

/** What `cleanup()` is after. */
export interface CleanupCallOptions {
  /** As reports have it. Default `Asked`. */
  readonly stage?: string;
  /** Default: the coordinator's. */
  readonly strategy?: ReclaimStrategy;
  /** Ends the waiting; the cleanup goes on. */
  readonly signal?: AbortSignal;
}

interface Running {
  readonly strategy: ReclaimStrategy;
  readonly done: Promise<CleanupOperation | undefined>;
}

const ASKED = 'Asked';
const GROWTH_SHARE = 1 / 16;
const DEFAULT_GROWTH_BYTES = 16_777_216;

/**
 * Registers what can be cleaned, and cleans when that is worth it. Hand it to a `Pipeline` as `cleanup`, or call it. Asked with nothing due it costs about 0.1 µs; a cleanup costs
 * what its strategy costs: `npm run bench -- cleanup`. Whoever made it disposes it; then nothing is cleaned and nothing is registered any more.
 * @example
 * import { MemoryCleanupCoordinator } from 'plimsoll/pipeline';
 * using cleanup = new MemoryCleanupCoordinator({ governor, strategy: 'basic' });
 * cleanup.register({ name: 'memo', estimate: () => memo.size * 200, clean: () => forget(memo) });
 * const pipeline = new Pipeline({ governor, probe: governor, cleanup });
 */
export class MemoryCleanupCoordinator implements BetweenStages, Disposable {
  readonly #options: ResolvedCleanup;
  readonly #failOpen: FailOpen;
  readonly #seats: CleanableSeat[] = [];
  readonly #books: CleanupBooks;
  readonly #pace: CleanupPace;
  #tuned: Required<CleanupTuning>;
  #consumer: Consumer | undefined;
  #running: Running | undefined;
  #dueBecause: CleanupReason | undefined;
  #disposed = false;

  /** Throws `RangeError` for unsound options. Opens its consumer and takes a sample. */
  constructor(options: MemoryCleanupOptions) {
    const resolved = (this.#options = resolveCleanup(options));
    const { governor, name, parent, clock } = resolved;
    this.#tuned = resolved;
    this.#failOpen = new FailOpen(`cleanup ${name}`);
    this.#books = new CleanupBooks(resolved.historyCount);
    this.#failOpen.run(() => {
      const above = parent === undefined ? {} : { parent };
      const report = () => this.#holderReport();
      this.#consumer = governor.consumer({ name, kind: 'heap', maxBytes: Number.POSITIVE_INFINITY, report, ...above });
    }, undefined);
    const reading = this.#read();
    const growthBytes =
      resolved.growthBytes ?? (Math.max(1, Math.floor(reading.limitBytes * GROWTH_SHARE)) || DEFAULT_GROWTH_BYTES);
    this.#pace = new CleanupPace({ ...resolved, growthBytes }, this.#paceOf(reading, clock.now()));
  }

  /** Faults that were passed over: of the governor, and of cleanables. */
  get faults(): number {
    return this.#failOpen.count;
  }

  /** Cleanables that are registered. */
  get size(): number {
    return this.#seats.length;
  }

  /**
   * Takes a cleanable in, until the result is disposed or it is unregistered. Throws `RangeError` for an unsound one, for one that is registered already and when there are `maxCleanables`;
   * `PLIMSOLL_DISPOSED` at the end.
   */
  register(cleanable: MemoryCleanable): Disposable {
    if (this.#disposed) throw new DisposedError(`the cleanup ${this.#options.name}`);
    checkCleanable(cleanable);
    const { maxCleanables, governor, clock, deadlineMs } = this.#options;
    if (this.#seats.length >= maxCleanables) {
      throw invalidOption(
        'maxCleanables',
        'enough for one more cleanable (unregister some, or raise it)',
        maxCleanables,
      );
    }
    if (this.#seatOf(cleanable) !== undefined) {
      throw invalidOption('cleanable', 'one that is not registered yet', cleanable.name);
    }
    const help = { governor, parent: this.#consumer, failOpen: this.#failOpen, clock, deadlineMs };
    const seat = new CleanableSeat(cleanable, help);
    this.#seats.push(seat);
    return { [Symbol.dispose]: () => void this.#drop(seat) };
  }

  /** Lets go of a cleanable; false when it was not registered. */
  unregister(cleanable: MemoryCleanable): boolean {
    const seat = this.#seatOf(cleanable);
    return seat !== undefined && this.#drop(seat);
  }

  /** Changes strategy and moments from now on. Throws `RangeError` for what cannot be tuned. */
  tune(tuning: CleanupTuning): void {
    this.#tuned = { ...this.#tuned, ...checkCleanupTuning(tuning) };
  }

  /**
   * Whether a cleanup is due by level, by growth since the last or by time. Looks every `checkEveryMs` and says the same in between: to be asked as often as one likes. Never throws.
   */
  shouldCleanup(): boolean {
    return this.#due() !== undefined;
  }

  /**
   * Cleans now. Resolves to what came of it; to undefined in modes `off` and `observe`, when it has been disposed, and when the signal ended the waiting. Never rejects but with `RangeError`
   * for unsound options.
   */
  async cleanup(options: CleanupCallOptions = {}): Promise<CleanupOperation | undefined> {
    checkKnownOptions('cleanup', options, ['stage', 'strategy', 'signal']);
    const { stage = ASKED, strategy = this.#tuned.strategy, signal } = options;
    checkName(stage, 'stage');
    checkOneOf('strategy', strategy, RECLAIM_STRATEGIES);
    return untilAborted(this.#ask(stage, strategy), checkSignal(signal));
  }

  stageEnded(stage: string, signal?: AbortSignal): Promise<void> | undefined {
    if (!this.#tuned.betweenStages || this.#disposed) return undefined;
    return settled(untilAborted(this.#between(stage), signal));
  }

  whileRunning(stage: string, signal?: AbortSignal): Promise<void> | undefined {
    if (this.#running !== undefined) return settled(untilAborted(this.#running.done, signal));
    if (!this.#tuned.withinStages) return undefined;
    const why = this.#due();
    if (why === undefined) return undefined;
    return settled(untilAborted(this.#start(why, stage, this.#tuned.strategy), signal));
  }

  cleanupWanted(stage: string, strategy: ReclaimStrategy, signal?: AbortSignal): Promise<void> {
    return settled(untilAborted(this.#ask(stage, strategy), signal));
  }

  /** What has been cleaned up to now. */
  report(): CleanupReport {
    return this.#books.report();
  }

  /** The last operations, oldest first; at most `historyCount`. */
  history(): readonly CleanupOperation[] {
    return this.#books.operations();
  }

  /** Lets go of all cleanables without cleaning them, and closes its consumer. One that is under way comes to its end. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const seat of this.#seats.splice(0)) seat[Symbol.dispose]();
    const consumer = this.#consumer;
    this.#consumer = undefined;
    if (consumer !== undefined) this.#failOpen.run(() => consumer[Symbol.dispose](), undefined);
  }

  #seatOf(cleanable: MemoryCleanable): CleanableSeat | undefined {
    return this.#seats.find((seat) => seat.cleanable === cleanable);
  }

  #drop(seat: CleanableSeat): boolean {
    const at = this.#seats.indexOf(seat);
    if (at < 0) return false;
    this.#seats.splice(at, 1);
    seat[Symbol.dispose]();
    return true;
  }

  #due(): CleanupReason | undefined {
    const nowMs = this.#options.clock.now();
    if (!this.#pace.isTime(nowMs)) return this.#dueBecause;
    if (this.#disposed || this.#running !== undefined) return undefined;
    this.#dueBecause = this.#mode === 'off' ? undefined : this.#pace.look(this.#paceOf(this.#read(), nowMs));
    return this.#dueBecause;
  }

  async #between(stage: string): Promise<CleanupOperation | undefined> {
    while (this.#running !== undefined) await this.#running.done;
    const { strategy } = this.#tuned;
    const reading = this.#paceOf(this.#read(), this.#options.clock.now());
    // What is only a matter of what has come since needs nothing of the cleanables when nothing has.
    let offered = 0;
    if (strategy !== 'smart') {
      for (const seat of this.#seats) {
        seat.refresh();
        offered += seat.bytes;
      }
    }
    if (this.#pace.isWorthAStage(reading, offered)) return this.#start('between', stage, strategy);
    this.#books.spared++;
    return undefined;
  }

  /** Joins what is under way when that does as much. */
  async #ask(stage: string, strategy: ReclaimStrategy): Promise<CleanupOperation | undefined> {
    for (let running = this.#running; running !== undefined; running = this.#running) {
      if (running.strategy === strategy || running.strategy === 'aggressive') return running.done;
      await running.done;
    }
    return this.#start('asked', stage, strategy);
  }

  #start(why: CleanupReason, stage: string, wanted: ReclaimStrategy): Promise<CleanupOperation | undefined> {
    const { governor } = this.#options;
    const strategy = this.#failOpen.run(() => governor.machineLevel, 'optimal') === 'emergency' ? 'aggressive' : wanted;
    const done = this.#run(why, stage, strategy).finally(() => {
      this.#running = undefined;
    });
    this.#running = { strategy, done };
    return done;
  }

  async #run(why: CleanupReason, stage: string, strategy: ReclaimStrategy): Promise<CleanupOperation | undefined> {
    // A turn later: what is called in here has to find that one is under way.
    await Promise.resolve();
    this.#dueBecause = undefined;
    if (this.#disposed) return undefined;
    const { governor, clock } = this.#options;
    const help = { governor, consumer: this.#consumer, seats: [...this.#seats], failOpen: this.#failOpen, clock };
    const grownBytes = (usedBytes: number) => this.#pace.grownBytes(usedBytes);
    const call = { why, stage, strategy, grownBytes };
    const mode = this.#mode;
    if (mode === 'observe') {
      this.#books.observed++;
      await observeCleanup(help, call);
    }
    if (mode !== 'on') return undefined;
    const done = await runCleanup(help, call);
    const operation = { number: this.#books.count + 1, takenAt: clock.wall(), ...done };
    this.#books.record(operation);
    const gained = Math.max(operation.freedBytes, operation.releasedBytes);
    const after = { ...this.#paceOf(this.#read(), clock.now()), usedBytes: operation.afterBytes };
    this.#pace.noteEnd(after, operation.elapsedMs, gained);
    if (cleanupEvents.heard) {
      const { takenAt, ...message } = operation;
      cleanupEvents.publish({ coordinator: this.#options.name, ...message });
    }
    return operation;
  }

  /** A governor that cannot say is broken, and then cleaning goes on without it. */
  get #mode(): GovernorMode {
    return this.#failOpen.run(() => this.#options.governor.mode, 'on');
  }

  #read(): CleanupReading {
    return readMemory({ governor: this.#options.governor, failOpen: this.#failOpen });
  }

  #paceOf({ bytes, heldBytes, level }: CleanupReading, nowMs: number): PaceReading {
    const cleanableBytes = this.#failOpen.run(() => this.#consumer?.heldBytes ?? 0, 0);
    return { nowMs, usedBytes: bytes, reservedBytes: heldBytes - cleanableBytes, level };
  }

  #holderReport(): HolderReport {
    const { operations, items, freedBytes, spared } = this.#books.report();
    const counts = { cleanables: this.#seats.length, operations, items, freedBytes, spared, faults: this.faults };
    return { type: 'cleanup', health: 'ok', counts };
  }
}

function checkCleanable(cleanable: MemoryCleanable): void {
  if (typeof cleanable !== 'object' || cleanable === null) throw invalidOption('cleanable', 'an object', cleanable);
  const { name, kind, importance, waits, isReserved, estimate, clean } = cleanable;
  checkName(name);
  if (kind !== undefined) checkOneOf('kind', kind, MEMORY_KINDS);
  if (importance !== undefined) checkWhole('importance', importance, Number.MIN_SAFE_INTEGER);
  for (const [option, value] of Object.entries({ waits, isReserved })) {
    if (value !== undefined && typeof value !== 'boolean') throw invalidOption(option, 'a boolean', value);
  }
  for (const [option, value] of Object.entries({ estimate, clean })) {
    if (typeof value !== 'function') throw invalidOption(option, 'a function', value);
  }
}

/** What `work` resolves to, or undefined as soon as the signal is aborted. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const stop = () => resolve(undefined);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    const leave = () => signal.removeEventListener('abort', stop);
    work.then(resolve, reject).finally(leave);
  });
}

async function settled(work: Promise<unknown>): Promise<void> {
  await work;
}
