/**
 * - Whatever somebody else's code could see is in order before that code is called: a place is taken before the governor is asked and `create` runs, an object
 *   that is being reset, checked or destroyed is neither lent nor at rest.
 * - Those at rest lie on a stack: the youngest is used again, so that under a small load the rest grow old and are let go.
 * - The consumer is closed when the last object is gone, not when the pool is disposed: what is still lent is still there.
 */
import type { Clock } from '../clock.ts';
import { DisposedError } from '../errors.ts';
import { FailOpen } from '../fail-open.ts';
import { HolderBook, type HolderReport, type ReclaimRequest } from '../governor/index.ts';
import { checkSignal, checkWhole, copyOptions } from '../invalid-option.ts';
import type { LeakTracker } from '../leak-tracker.ts';
import { budgetRefusal } from './budget-refusal.ts';
import { Farewell } from './farewell.ts';
import { IdleStack } from './idle-stack.ts';
import { IdleTicks } from './idle-ticks.ts';
import { Lease } from './lease.ts';
import { type HookFailures, ObjectHooks } from './object-hooks.ts';
import { type ObjectPoolOptions, resolveObjectPoolOptions } from './object-pool-options.ts';
import { DoubleReleaseError, ForeignObjectError, PoolExhaustedError } from './pool-errors.ts';
import { type LeaseHome, PooledSlot } from './pooled-slot.ts';

/**
 * Why a pool let an object go: `evicted` for its bound, `expired` after `idleMs`, `reclaimed` for the governor, `invalid` by `validate`, `spoiled` when `reset`
 * failed, `cleared` by `clear`, `closed` because the pool is.
 */
export type ObjectDropReason = 'evicted' | 'expired' | 'reclaimed' | 'invalid' | 'spoiled' | 'cleared' | 'closed';

export interface ObjectPoolStats {
  /** Loans of an object that was there, and of one that had to be made. */
  readonly hits: number;
  readonly misses: number;
  /** Loans that were refused, by what refused them. */
  readonly refused: { readonly max: number; readonly budget: number };
  readonly leased: number;
  /** At most so far at a time. */
  readonly peakLeased: number;
  readonly idle: number;
  /** All there are, those included that are being reset, checked or destroyed at this moment. */
  readonly size: number;
  readonly maxSize: number;
  /** `size` times `objectBytes`. */
  readonly bytes: number;
  readonly dropped: Readonly<Record<ObjectDropReason, number>>;
  /** Calls of the user's functions that failed. */
  readonly failures: HookFailures;
  /** Calls of the governor that failed; the pool went on by its own bound. */
  readonly faults: number;
}

const MOST_MS = 4;
const LOOK_AT_CLOCK_EVERY = 16;

type Refusal = 'max' | 'budget';

/**
 * Objects that are dear to make, lent and used again; never more than `maxSize`. Each is made when it is first needed, reset when it comes back, checked
 * before it is lent again. What the functions it was given throw is held in and counted; only `create` is heard (`PLIMSOLL_CREATE_FAILED`).
 *
 * A lease and its return cost about 25 ns and 40 bytes; without `reset` nothing is taken out of an object between two borrowers. With a governor each object is
 * booked before it is made, and those at rest, oldest first, are what it gets back.
 *
 * Not for what is cheap to make: V8 allocates a small object in less time than a pool takes to lend one. Whoever made it disposes it.
 * @example
 * import { ObjectPool } from 'plimsoll/pool';
 * const pool = new ObjectPool({ name: 'parsers', maxSize: 8, create: () => new Parser(), reset: (parser) => parser.reset() });
 * using lease = pool.lease();
 * lease.value.parse(text);
 */
export class ObjectPool<T extends object> implements Disposable {
  readonly name: string;
  readonly #hooks: ObjectHooks<T>;
  readonly #leaseName: string;
  readonly #objectBytes: number;
  readonly #maxIdle: number;
  readonly #clock: Clock;
  readonly #leakTracker: LeakTracker | undefined;
  readonly #failOpen: FailOpen;
  readonly #book: HolderBook;
  readonly #ticks: IdleTicks;
  readonly #home: LeaseHome<T>;
  readonly #farewell = new Farewell();
  readonly #slots = new Map<T, PooledSlot<T>>();
  readonly #idle = new IdleStack<PooledSlot<T>>();
  readonly #dropped = { evicted: 0, expired: 0, reclaimed: 0, invalid: 0, spoiled: 0, cleared: 0, closed: 0 };
  readonly #refused = { max: 0, budget: 0 };
  #maxSize: number;
  #size = 0;
  #leased = 0;
  #peakLeased = 0;
  #hits = 0;
  #misses = 0;
  #closed = false;

  /** Throws `RangeError` for unsound options, and `PLIMSOLL_CREATE_FAILED` when one to be preallocated cannot be made. */
  constructor(options: ObjectPoolOptions<T>) {
    const sound = resolveObjectPoolOptions(options);
    this.name = sound.name;
    this.#home = { name: sound.name, takeBack: (slot) => this.#takeBack(slot) };
    this.#hooks = new ObjectHooks(sound.name, sound);
    this.#leaseName = `lease of ${sound.name}`;
    this.#objectBytes = sound.objectBytes;
    this.#maxSize = sound.maxSize;
    this.#maxIdle = sound.maxIdle ?? Number.POSITIVE_INFINITY;
    this.#clock = sound.clock;
    this.#leakTracker = sound.leakTracker;
    this.#failOpen = new FailOpen(`pool ${sound.name}`);
    this.#ticks = new IdleTicks(sound.clock, sound.idleMs, (before) => this.#expire(before));
    this.#book = new HolderBook(sound.governor, {
      name: sound.name,
      kind: sound.kind,
      // The pool's own bound may be moved while it runs, that of a consumer may not.
      maxBytes: Number.POSITIVE_INFINITY,
      importance: sound.importance,
      failOpen: this.#failOpen,
      reclaimer: {
        reclaimableBytes: () => this.#idle.size * this.#objectBytes,
        reclaimNow: (request) => this.#giveBack(request),
      },
      report: () => this.#report(),
    });
    try {
      this.preallocate(sound.preallocate);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Lends one. Throws `PLIMSOLL_POOL_EXHAUSTED` when all are lent, `PLIMSOLL_BUDGET_EXCEEDED` when the governor has no room for one more,
   * `PLIMSOLL_CREATE_FAILED`, and `PLIMSOLL_DISPOSED` when the pool has been disposed or is being drained.
   */
  lease(): Lease<T> {
    let slot = this.#obtain();
    if (slot === 'budget') {
      const refusal = budgetRefusal(this.#book, this.#objectBytes);
      if (refusal !== undefined) {
        this.#refused.budget++;
        throw refusal;
      }
      slot = this.#obtain();
    }
    if (typeof slot === 'string') throw this.#exhausted(slot);
    return this.#hand(slot);
  }

  /** Lends one, or says that there is none: undefined where `lease` throws for want of room. */
  tryLease(): Lease<T> | undefined {
    const slot = this.#obtain();
    if (typeof slot !== 'string') return this.#hand(slot);
    this.#refused[slot]++;
    return undefined;
  }

  /**
   * Gives back by the object itself. `PLIMSOLL_DOUBLE_RELEASE` when it is not lent, `PLIMSOLL_FOREIGN_OBJECT` when it is none of this pool's. An
   * object given back twice in this way may be somebody else's by the second time, and nobody can tell: a lease knows.
   */
  release(value: T): void {
    const slot = this.#slots.get(value);
    if (slot === undefined) throw new ForeignObjectError(this.name);
    if ((slot.generation & 1) === 0) throw new DoubleReleaseError(this.name);
    this.#takeBack(slot);
  }

  /** Makes objects ahead of need until `count` are at rest, within the bounds and while the governor has room. Returns how many it made. `PLIMSOLL_CREATE_FAILED`; `RangeError`. */
  preallocate(count: number): number {
    checkWhole('count', count, 0);
    let made = 0;
    while (!this.#closed && this.#idle.size < Math.min(count, this.#maxIdle)) {
      const slot = this.#make();
      if (typeof slot === 'string') break;
      made++;
      this.#rest(slot);
    }
    return made;
  }

  /** Moves the bound: a whole number, 1 up. Of those at rest the oldest go at once; what is lent beyond it goes when it comes back. */
  resize(maxSize: number): void {
    this.#maxSize = checkWhole('maxSize', maxSize, 1);
    while (this.#size > this.#maxSize && this.#dropOldest('evicted'));
  }

  /** Lets all go that are at rest. */
  clear(): void {
    this.#dropAll('cleared');
  }

  /**
   * Lends nothing from now on, and resolves when everything has come back and is destroyed. Rejects with the signal's reason when that is aborted; the pool
   * stays closed.
   */
  drain(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = copyOptions('ObjectPool.drain', options, ['signal']);
    checkSignal(signal);
    this[Symbol.dispose]();
    return this.#farewell.wait(signal);
  }

  get stats(): ObjectPoolStats {
    return {
      hits: this.#hits,
      misses: this.#misses,
      refused: { ...this.#refused },
      leased: this.#leased,
      peakLeased: this.#peakLeased,
      idle: this.#idle.size,
      size: this.#size,
      maxSize: this.#maxSize,
      bytes: this.#book.usedBytes,
      dropped: { ...this.#dropped },
      failures: this.#hooks.failures,
      faults: this.#failOpen.count,
    };
  }

  /** Lends nothing from now on. Those at rest go at once, what is lent when it comes back; then the consumer is closed. Twice is safe. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ticks[Symbol.dispose]();
    this.#dropAll('closed');
    this.#endIfEmpty();
  }

  /** One that is neither lent nor at rest, or why not. */
  #obtain(): PooledSlot<T> | Refusal {
    if (this.#closed) throw this.#gone();
    for (let tries = this.#idle.size; tries > 0; tries--) {
      const slot = this.#idle.pop();
      if (slot === undefined) break;
      if (!this.#hooks.isValid(slot.value)) {
        this.#drop(slot, 'invalid');
      } else if (this.#closed) {
        this.#drop(slot, 'closed');
      } else {
        this.#hits++;
        return slot;
      }
      if (this.#closed) throw this.#gone();
    }
    const slot = this.#make();
    if (typeof slot !== 'string') this.#misses++;
    return slot;
  }

  #make(): PooledSlot<T> | Refusal {
    if (this.#size >= this.#maxSize) return 'max';
    this.#size++;
    if (!this.#book.tryTake(this.#objectBytes)) {
      this.#unmake();
      return 'budget';
    }
    let slot: PooledSlot<T>;
    try {
      const value = this.#hooks.create();
      if (this.#slots.has(value)) throw this.#hooks.createFailed('`create` gave an object that the pool has already');
      slot = new PooledSlot(this.#home, value);
    } catch (error) {
      this.#book.give(this.#objectBytes);
      this.#unmake();
      throw error;
    }
    this.#slots.set(slot.value, slot);
    if (this.#closed) {
      this.#drop(slot, 'closed');
      throw this.#gone();
    }
    return slot;
  }

  #hand(slot: PooledSlot<T>): Lease<T> {
    slot.generation++;
    if (++this.#leased > this.#peakLeased) this.#peakLeased = this.#leased;
    const lease = new Lease(slot);
    if (this.#leakTracker !== undefined) slot.trace = this.#leakTracker.track(this.#leaseName, lease);
    return lease;
  }

  #takeBack(slot: PooledSlot<T>): void {
    slot.generation++;
    this.#leased--;
    if (slot.trace !== undefined) {
      slot.trace.close();
      slot.trace = undefined;
    }
    if (this.#closed) this.#drop(slot, 'closed');
    else if (!this.#hooks.reset(slot.value)) this.#drop(slot, 'spoiled');
    else this.#rest(slot);
  }

  #rest(slot: PooledSlot<T>): void {
    if (this.#closed) {
      this.#drop(slot, 'closed');
      return;
    }
    if (this.#size > this.#maxSize || this.#maxIdle === 0) {
      this.#drop(slot, 'evicted');
      return;
    }
    slot.idleSince = this.#ticks.stamp();
    this.#idle.push(slot);
    while (this.#idle.size > this.#maxIdle && this.#dropOldest('evicted'));
  }

  /** The books first: code of others may look at them. */
  #drop(slot: PooledSlot<T>, reason: ObjectDropReason): void {
    this.#slots.delete(slot.value);
    this.#size--;
    this.#dropped[reason]++;
    this.#book.give(this.#objectBytes);
    this.#hooks.destroy(slot.value);
    this.#endIfEmpty();
  }

  #dropOldest(reason: ObjectDropReason): boolean {
    const slot = this.#idle.shift();
    if (slot === undefined) return false;
    this.#drop(slot, reason);
    return true;
  }

  #dropAll(reason: ObjectDropReason): void {
    // Not what `destroy` puts there meanwhile.
    for (let left = this.#idle.size; left > 0 && this.#dropOldest(reason); left--);
  }

  #unmake(): void {
    this.#size--;
    this.#endIfEmpty();
  }

  #endIfEmpty(): void {
    if (!this.#closed || this.#size > 0) return;
    this.#book[Symbol.dispose]();
    this.#farewell.end();
  }

  #expire(before: number): boolean {
    for (let { oldest } = this.#idle; oldest !== undefined && oldest.idleSince < before; { oldest } = this.#idle) {
      this.#dropOldest('expired');
    }
    return this.#idle.size > 0;
  }

  #giveBack({ targetBytes }: ReclaimRequest): number {
    const started = this.#clock.now();
    let bytes = 0;
    for (let seen = 1; bytes < targetBytes && this.#dropOldest('reclaimed'); seen++) {
      bytes += this.#objectBytes;
      if (seen % LOOK_AT_CLOCK_EVERY === 0 && this.#clock.now() - started > MOST_MS) break;
    }
    return bytes;
  }

  #gone(): DisposedError {
    return new DisposedError(`The pool ${this.name}`);
  }

  #exhausted(reason: Refusal): PoolExhaustedError {
    this.#refused[reason]++;
    const { name: pool } = this;
    return new PoolExhaustedError({
      pool,
      reason,
      leased: this.#leased,
      max: this.#maxSize,
      requestedBytes: this.#objectBytes,
    });
  }

  #report(): HolderReport {
    const { hits, misses, leased, peakLeased, idle, size, maxSize, dropped, refused, failures, faults } = this.stats;
    return {
      type: 'object pool',
      ...this.#hooks.health,
      counts: {
        hits,
        misses,
        leased,
        peakLeased,
        idle,
        size,
        maxSize,
        refused: refused.max + refused.budget,
        ...dropped,
        failures: failures.create + failures.reset + failures.validate + failures.destroy,
        faults,
      },
    };
  }
}
