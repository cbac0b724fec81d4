/**
 * Who gets which connection: first come first served. The machine behind `ConnectionPool`.
 *
 * - `ConnectionStock` makes and closes connections, `WaiterQueue` keeps those who wait, `ConnectionCare` looks after what lies idle.
 * - A connection is not made for somebody: whoever is first when it is ready gets it, so that one who leaves takes nothing along.
 * - `pump` matches, and runs after whatever may let somebody in. Managers may answer inside of it and call back in: then it goes round once more.
 * - Lending without waiting touches no timer and takes no stack.
 */

import type { Clock } from '../clock.ts';
import { slowAcquireEvents } from '../events.ts';
import { FailOpen } from '../fail-open.ts';
import { HolderBook } from '../governor/index.ts';
import { stackText } from '../stack-text.ts';
import { ConnectionCare } from './connection-care.ts';
import { ConnectionCounts } from './connection-counts.ts';
import { DeadlockWatch, LeaseHolder } from './connection-deadlocks.ts';
import {
  PoolClosedError,
  PoolDeadlockError,
  PoolQueueFullError,
  type PoolState,
  PoolTimeoutError,
} from './connection-errors.ts';
import { ConnectionLease } from './connection-lease.ts';
import type { ConnectionManager } from './connection-manager.ts';
import { OverdueLeases } from './connection-overdue.ts';
import type { SoundPoolOptions } from './connection-pool-options.ts';
import { ConnectionReclaimer } from './connection-reclaimer.ts';
import { poolReport, type ReportSource } from './connection-report.ts';
import { type ConnectionSlot, LEASED, type SlotHome } from './connection-slot.ts';
import { ConnectionStock } from './connection-stock.ts';
import { WaitTimes } from './connection-wait-times.ts';
import { type LeaveReason, Waiter, WaiterQueue } from './connection-waiters.ts';

/** Whoever asks, and for whom. */
export interface Asking<C> {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  readonly holding?: ConnectionLease<C> | undefined;
  /** The work that the lease will belong to. */
  readonly takes?: LeaseHolder | undefined;
  /** The function whose caller is the borrower, for stacks. */
  readonly below: (...args: never[]) => unknown;
}

const STACK_FRAMES = 12;
const MOST_STACKS = 8;

export class ConnectionDesk<C> {
  readonly name: string;
  readonly counts = new ConnectionCounts();
  readonly stock: ConnectionStock<C>;
  readonly care: ConnectionCare<C>;
  readonly watch: DeadlockWatch;
  readonly #options: SoundPoolOptions;
  readonly #clock: Clock;
  readonly #waitTimes = new WaitTimes();
  readonly #failOpen: FailOpen;
  readonly #book: HolderBook;
  readonly #reclaimer: ConnectionReclaimer<C>;
  readonly #waiters: WaiterQueue<C>;
  readonly #overdue: OverdueLeases;
  readonly #leaseName: string;
  readonly #home: SlotHome<C>;
  #untilStack = 0;
  #isPumping = false;
  #pumpAgain = false;
  /** No new borrowers; those who wait are served. */
  #isClosing = false;
  /** Nobody is served any more. */
  #isClosed = false;
  /** Hears that a closing pool has nothing left. */
  onEmpty: (() => void) | undefined;

  constructor(manager: ConnectionManager<C>, sound: SoundPoolOptions) {
    this.name = sound.name;
    this.#options = sound;
    this.#clock = sound.clock;
    this.#leaseName = `lease of ${sound.name}`;
    this.#home = { name: sound.name, takeBack: (slot, discard) => this.#takeBack(slot, discard) };
    this.#overdue = new OverdueLeases(sound.name, sound.onLeak);
    this.#waiters = new WaiterQueue(sound.clock, (waiter, why) => this.#onLeave(waiter, why));
    this.watch = new DeadlockWatch(
      sound.clock,
      sound.deadlockAfterMs,
      () => this.#isStuck(),
      () => this.#failYoungest(),
    );
    this.#failOpen = new FailOpen(`pool ${sound.name}`);
    const floor = () => this.#floor();
    this.#book = new HolderBook(sound.governor, {
      name: sound.name,
      kind: 'heap',
      maxBytes: Number.POSITIVE_INFINITY,
      stepBytes: 0,
      importance: sound.importance,
      failOpen: this.#failOpen,
      report: () => poolReport(this.source),
      reclaimer: {
        reclaimableBytes: () => this.#reclaimer.reclaimableBytes(),
        reclaim: (request, help) => this.#reclaimer.reclaim(request, help),
      },
    });
    this.stock = new ConnectionStock({
      manager,
      clock: sound.clock,
      random: sound.random,
      tuning: sound.tuning,
      book: this.#book,
      connectionBytes: sound.connectionBytes,
      counts: this.counts,
      home: this.#home,
      onReady: (slot, now, isSound) => this.#onReady(slot, now, isSound),
      onChange: () => this.pump(),
    });
    this.#reclaimer = new ConnectionReclaimer(this.stock, sound.connectionBytes, floor);
    this.care = new ConnectionCare({
      clock: sound.clock,
      stock: this.stock,
      floor,
      onOverdue: (slot, ageMs) => {
        this.counts.overdueLeases++;
        this.#overdue.report(slot, ageMs);
      },
      onLooked: () => this.pump(),
    });
    this.pump();
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** Whether it is a lease of this pool, be it given back. */
  isOwn(lease: ConnectionLease<C>): boolean {
    return ConnectionLease.homeOf(lease) === this.#home;
  }

  /** Without waiting, when nobody waits and the one at hand is sound. */
  quick(takes: LeaseHolder | undefined, below: (...args: never[]) => unknown): ConnectionLease<C> | undefined {
    const slot = this.stock.idle.newest;
    if (slot === undefined || this.#waiters.size > 0 || this.#isClosing) return undefined;
    const now = this.#clock.now();
    if (slot.expiresAt <= now || this.stock.needsCheck(slot, now)) return undefined;
    this.#waitTimes.recordNone();
    return this.#lend(slot, now, takes, this.#sampledStack(below));
  }

  /** In order of arrival. */
  wait({ signal, timeoutMs, holding, takes, below }: Asking<C>): Promise<ConnectionLease<C>> {
    const { acquireTimeoutMs, maxWaiting } = this.stock.tuning;
    if (this.#isClosing || this.#waiters.size >= maxWaiting) {
      this.counts.refused++;
      return Promise.reject(this.#isClosing ? new PoolClosedError(this.name) : new PoolQueueFullError(this.#state()));
    }
    const waits = holding === undefined ? this.watch.current : this.#holderOf(holding);
    const stack = this.#sampledStack(below);
    const waitStack = stack ?? (waits === undefined ? undefined : stackText(below, STACK_FRAMES));
    const now = this.#clock.now();
    const waiter = new Waiter<C>(now, now + (timeoutMs ?? acquireTimeoutMs), signal, waits, takes, stack, waitStack);
    const promise = new Promise<ConnectionLease<C>>((resolve, reject) => {
      waiter.resolve = resolve;
      waiter.reject = reject;
    });
    this.watch.waitBegan(waits);
    this.#waiters.push(waiter);
    this.pump();
    return promise;
  }

  /** The work that has a bare lease: it is made known to the watch when somebody names it. */
  #holderOf(lease: ConnectionLease<C>): LeaseHolder | undefined {
    const slot = ConnectionLease.slotOf(lease);
    if (slot === undefined || !this.watch.on || !this.stock.slots.has(slot)) return undefined;
    if (slot.holder === undefined) {
      slot.holder = new LeaseHolder(undefined);
      this.watch.leaseBegan(slot.holder);
    }
    return slot.holder;
  }

  #lend(
    slot: ConnectionSlot<C>,
    now: number,
    takes: LeaseHolder | undefined,
    stack: string | undefined,
  ): ConnectionLease<C> {
    this.stock.lend(slot, now);
    this.counts.acquired++;
    slot.holder = takes;
    slot.stack = stack;
    this.watch.leaseBegan(takes);
    const lease = new ConnectionLease(slot);
    const { leakTracker } = this.#options;
    if (leakTracker !== undefined) slot.trace = leakTracker.track(this.#leaseName, lease);
    return lease;
  }

  #serve(slot: ConnectionSlot<C>, now: number): void {
    const waiter = this.#waiters.shift()!;
    this.watch.waitEnded(waiter.waits);
    this.counts.waited++;
    this.#waitTimes.record(now - waiter.since);
    waiter.resolve(this.#lend(slot, now, waiter.takes, waiter.stack));
    // Last, because listeners are code of others.
    this.#noteWait(waiter, now);
  }

  #takeBack(slot: ConnectionSlot<C>, discard: boolean): void {
    const now = this.#clock.now();
    this.watch.leaseEnded(slot.holder);
    this.stock.endTurn(slot);
    if (discard) this.stock.end(slot, 'discarded');
    else if (slot.lost) this.stock.end(slot, 'lost');
    else if (slot.expiresAt <= now) this.stock.end(slot, 'lifetime');
    else if (this.#isClosed) this.stock.end(slot, 'closed');
    else this.stock.recycle(slot, now);
  }

  /** It may have changed while it was made ready, and so may the pool. One that was used goes to nobody who waits before it has been looked at, where it must be. */
  #onReady(slot: ConnectionSlot<C>, now: number, isSound: boolean): void {
    const { stock } = this;
    if (slot.lost) stock.end(slot, 'lost');
    else if (this.#isClosing && this.#waiters.size === 0) stock.end(slot, 'closed');
    else if (stock.size > stock.tuning.maxSize) stock.end(slot, 'surplus');
    else if (this.#waiters.size === 0) {
      stock.layBy(slot);
      this.care.wake();
    } else if (!isSound && stock.needsCheck(slot, now)) stock.check(slot);
    else {
      this.#serve(slot, now);
      if (this.watch.blocked > 0) this.watch.look();
    }
  }

  /** Matches those who wait with what there is, and makes what is missing. */
  pump(): void {
    if (this.#isPumping) {
      this.#pumpAgain = true;
      return;
    }
    this.#isPumping = true;
    do {
      this.#pumpAgain = false;
      if (this.#waiters.size > 0) this.#match();
      this.#grow();
      if (this.#isClosing) this.#closeIdle();
    } while (this.#pumpAgain);
    this.#isPumping = false;
    if (this.watch.blocked > 0) this.watch.look();
  }

  #match(): void {
    const stock = this.stock;
    for (let slot = stock.idle.newest; slot !== undefined; slot = stock.idle.newest) {
      if (this.#waiters.size === 0) return;
      const now = this.#clock.now();
      if (slot.expiresAt <= now) stock.end(slot, 'lifetime');
      else if (!stock.needsCheck(slot, now)) this.#serve(slot, now);
      else if (stock.checking - stock.lookedAt >= this.#waiters.size) return;
      else stock.check(slot);
    }
  }

  /** Makes what those who wait need beyond what is on its way, and what is missing to `minSize`. */
  #grow(): void {
    const stock = this.stock;
    while (stock.canCreate) {
      const wanted = this.#waiters.size - stock.creating - stock.checking + stock.lookedAt;
      if (wanted <= 0 && stock.size >= this.#floor()) return;
      stock.create();
      this.care.wake();
    }
  }

  /** How many are kept open: none when the pool ends, none against the governor's last need. */
  #floor(): number {
    if (this.#isClosing) return 0;
    const { minSize } = this.stock.tuning;
    const { governor } = this.#options;
    if (minSize === 0 || governor === undefined) return minSize;
    return this.#failOpen.run(() => governor.level === 'emergency', false) ? 0 : minSize;
  }

  #onLeave(waiter: Waiter<C>, why: LeaveReason): void {
    const now = this.#clock.now();
    this.watch.waitEnded(waiter.waits);
    if (why === 'aborted') {
      this.counts.aborted++;
      waiter.reject(waiter.signal!.reason);
    } else {
      this.counts.timeouts++;
      waiter.reject(new PoolTimeoutError(this.#state(), now - waiter.since, this.stock.backOff.cause));
    }
    this.#noteWait(waiter, now);
    if (this.#isClosing) this.pump();
  }

  #noteWait(waiter: Waiter<C>, now: number): void {
    const waitedMs = now - waiter.since;
    if (waitedMs <= this.stock.tuning.slowAcquireMs) return;
    this.counts.slowAcquires++;
    if (!slowAcquireEvents.heard) return;
    const { size } = this.stock;
    slowAcquireEvents.publish({ pool: this.name, waitedMs, waiting: this.#waiters.size, size });
  }

  #isStuck(): boolean {
    const { leased, slots, tuning } = this.stock;
    return leased >= tuning.maxSize && slots.size === leased && this.watch.blocked >= leased;
  }

  /** The one that came last has the least to lose; when it has let go, the others go on. */
  #failYoungest(): void {
    const waits: string[] = [];
    let youngest: Waiter<C> | undefined;
    for (let waiter = this.#waiters.youngest; waiter !== undefined; waiter = waiter.older) {
      if (!waiter.waits?.holds) continue;
      youngest ??= waiter;
      if (waits.length < MOST_STACKS) waits.push(waiter.waitStack ?? '');
    }
    if (youngest === undefined) return;
    const holds: string[] = [];
    for (const { stack, state } of this.stock.slots) {
      if (state === LEASED && stack !== undefined && holds.length < MOST_STACKS) holds.push(stack);
    }
    this.counts.deadlocks++;
    const error = new PoolDeadlockError(this.#state(), this.#clock.now() - youngest.since, waits, holds);
    this.#waiters.remove(youngest);
    this.watch.waitEnded(youngest.waits);
    youngest.reject(error);
  }

  #sampledStack(below: (...args: never[]) => unknown): string | undefined {
    const { leakDetectionMs, leakSampleEvery } = this.stock.tuning;
    if (leakDetectionMs === Number.POSITIVE_INFINITY || this.#untilStack-- > 0) return undefined;
    this.#untilStack = leakSampleEvery - 1;
    return stackText(below, STACK_FRAMES);
  }

  /** Lends to nobody new, and closes what is not needed for those who wait. */
  beginClosing(): void {
    this.#isClosing = true;
    this.care.stop();
    this.pump();
  }

  /** Serves nobody any more. What is out is closed when it comes back. */
  close(): void {
    this.#isClosing = this.#isClosed = true;
    this.care.stop();
    this.watch.stop();
    this.#rejectAll();
    this.pump();
  }

  /** Takes the connections of those who still have one. */
  force(): void {
    for (const slot of this.stock.slots) {
      if (slot.state !== LEASED) continue;
      this.counts.forced++;
      this.watch.leaseEnded(slot.holder);
      this.stock.endTurn(slot);
      this.stock.end(slot, 'closed');
    }
  }

  #rejectAll(): void {
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) {
      this.watch.waitEnded(waiter.waits);
      this.counts.refused++;
      waiter.reject(new PoolClosedError(this.name));
    }
  }

  #closeIdle(): void {
    if (this.#waiters.size > 0) return;
    const stock = this.stock;
    for (let { oldest } = stock.idle; oldest !== undefined; { oldest } = stock.idle) stock.end(oldest, 'closed');
    if (stock.creating > 0) stock.abortCreates(new PoolClosedError(this.name));
    if (stock.slots.size > 0) return;
    stock.backOff.stop();
    this.watch.stop();
    this.#book[Symbol.dispose]();
    this.onEmpty?.();
  }

  #state(): PoolState {
    const { size, leased, tuning } = this.stock;
    return { pool: this.name, size, leased, waiting: this.#waiters.size, maxSize: tuning.maxSize };
  }

  get source(): ReportSource {
    const { oldest, size } = this.#waiters;
    return {
      stock: this.stock,
      counts: this.counts,
      waiting: size,
      longestWaitMs: oldest === undefined ? 0 : this.#clock.now() - oldest.since,
      faults: this.#failOpen.count,
      acquireMs: this.#waitTimes.stats,
      floor: this.#floor(),
    };
  }
}
