/**
 * - Whatever somebody else's code could see is in order before the governor is asked: the bytes of a buffer that is being made are counted already.
 * - Every pooled buffer has a store of its own: no neighbours. What is behind the length that was asked for belongs to nobody, and is zeroed with the rest.
 * - Giving back takes the largest that are no larger than what is wanted, the oldest of each class first; one that is larger only for want of others.
 * - The consumer is closed when the last buffer is gone, not when the pool is disposed: what is still lent is still there.
 */

import type { Clock } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import { DisposedError } from '../errors.ts';
import { FailOpen } from '../fail-open.ts';
import { HolderBook, type HolderReport } from '../governor/index.ts';
import { checkSignal, checkWhole, copyOptions } from '../invalid-option.ts';
import type { LeakTracker } from '../leak-tracker.ts';
import { budgetRefusal } from './budget-refusal.ts';
import { type BufferPoolOptions, checkMaxBytes, resolveBufferPoolOptions } from './buffer-pool-options.ts';
import { BufferSlot } from './buffer-slot.ts';
import { ClassSizes } from './class-sizes.ts';
import { Farewell } from './farewell.ts';
import { IdleTicks } from './idle-ticks.ts';
import { Lease } from './lease.ts';
import { CreateFailedError, DoubleReleaseError, ForeignObjectError, PoolExhaustedError } from './pool-errors.ts';
import type { LeaseHome } from './pooled-slot.ts';
import { type BufferClassStats, SizeClass } from './size-class.ts';

/**
 * Why a pool let a buffer go: `evicted` for its bounds, `expired` after `idleMs`, `reclaimed` for the governor, `oversized` because it is larger than what is
 * kept, `taken` because the borrower has transferred its memory elsewhere, `cleared` by `clear`, `closed` because the pool is.
 */
export type BufferDropReason = 'evicted' | 'expired' | 'reclaimed' | 'oversized' | 'taken' | 'cleared' | 'closed';

export interface BufferLeaseOptions {
  /** Whether the loan begins with zeros. Default: as the pool was told. */
  readonly zero?: boolean;
}

export interface BufferPoolStats {
  /** Loans of a buffer that was there, and of one that had to be made: sums over all classes. */
  readonly hits: number;
  readonly misses: number;
  /** Loans that were refused, by what refused them. */
  readonly refused: { readonly max: number; readonly budget: number };
  readonly leased: number;
  /** At most so far at a time. */
  readonly peakLeased: number;
  readonly idle: number;
  /** By their classes, not by what was asked for. */
  readonly leasedBytes: number;
  readonly idleBytes: number;
  /** All there are; and at most so far. */
  readonly bytes: number;
  readonly peakBytes: number;
  readonly maxBytes: number;
  readonly dropped: Readonly<Record<BufferDropReason, number>>;
  /** Smallest first, and last, with `classBytes` of `Infinity`, those that are too large to be kept. */
  readonly classes: readonly BufferClassStats[];
  /** Calls of the governor that failed; the pool went on by its own bound. */
  readonly faults: number;
}

const MOST_MS = 4;
const LOOK_AT_CLOCK_EVERY = 256;

type Refusal = 'max' | 'budget';

/**
 * Buffers, lent and used again; never more than `maxBytes`. One of 64 KiB, zeroed, is lent and taken back in about 0.9 µs, where `Buffer.alloc` takes 5 to 10,
 * on a busy machine 20; `docs/pool.md` has the figures. Pays from about 1 KiB up.
 *
 * A loan begins with zeros in all of its memory unless told otherwise, so nothing of an earlier one can be read; and where `detach` is on, what a borrower keeps of a buffer
 * is empty once it has been given back, so he neither reads nor writes the next one's. Give back only what nobody reads or writes any more: a write that the system
 * has not finished goes on with the memory as it is then.
 *
 * With a governor every buffer is booked as `external` before it is made, by its class, lent or at rest; those at rest are what the governor gets back. A released buffer is
 * freed by the collector, and one of 16 KiB goes back to the system only with a trim: both are the governor's business. Besides its bytes a buffer costs about 0.5 KB
 * of heap, which is not booked. Whoever made the pool disposes it.
 * @example
 * import { BufferPool } from 'plimsoll/pool';
 * using pool = new BufferPool({ name: 'reads', maxBytes: 16 * 2 ** 20 });
 * using lease = pool.lease(65_536);
 * const { bytesRead } = await file.read(lease.value);
 */
export class BufferPool implements Disposable {
  readonly name: string;
  /** Whether buffers are taken out of their borrowers' hands on return. */
  readonly detach: boolean;
  readonly #leaseName: string;
  readonly #zero: boolean;
  readonly #maxIdleBytes: number;
  readonly #clock: Clock;
  readonly #leakTracker: LeakTracker | undefined;
  readonly #failOpen: FailOpen;
  readonly #book: HolderBook;
  readonly #ticks: IdleTicks;
  readonly #home: LeaseHome<Buffer>;
  readonly #farewell = new Farewell();
  readonly #sizes: ClassSizes;
  readonly #classes: readonly SizeClass[];
  readonly #oversized = new SizeClass(Number.POSITIVE_INFINITY);
  readonly #dropped = { evicted: 0, expired: 0, reclaimed: 0, oversized: 0, taken: 0, cleared: 0, closed: 0 };
  readonly #refused = { max: 0, budget: 0 };
  #maxBytes: number;
  /** All there are and are being made. */
  #bytes = 0;
  #peakBytes = 0;
  #idleBytes = 0;
  #leased = 0;
  #leasedBytes = 0;
  #peakLeased = 0;
  /** Why the last allocation failed, when it did. */
  #trouble: string | undefined;
  #closed = false;

  /** Throws `RangeError` for unsound options. */
  constructor(options: BufferPoolOptions) {
    const sound = resolveBufferPoolOptions(options);
    this.name = sound.name;
    this.detach = sound.detach;
    this.#leaseName = `lease of ${sound.name}`;
    this.#zero = sound.zero;
    this.#maxBytes = sound.maxBytes;
    this.#maxIdleBytes = sound.maxIdleBytes ?? Number.POSITIVE_INFINITY;
    this.#clock = sound.clock;
    this.#leakTracker = sound.leakTracker;
    this.#sizes = new ClassSizes(sound.minClassBytes, sound.maxPooledBytes, sound.halfSteps);
    this.#classes = this.#sizes.sizes.map((bytes) => new SizeClass(bytes));
    this.#home = { name: sound.name, takeBack: (slot) => this.#takeBack(slot as BufferSlot) };
    this.#failOpen = new FailOpen(`pool ${sound.name}`);
    this.#ticks = new IdleTicks(sound.clock, sound.idleMs, (before) => this.#expire(before));
    this.#book = new HolderBook(sound.governor, {
      name: sound.name,
      kind: 'external',
      // The pool's own bound may be moved while it runs, that of a consumer may not.
      maxBytes: Number.POSITIVE_INFINITY,
      importance: sound.importance,
      failOpen: this.#failOpen,
      reclaimer: {
        reclaimableBytes: () => this.#idleBytes,
        reclaimNow: ({ targetBytes }) => this.#giveBack(targetBytes, 'reclaimed'),
      },
      report: () => this.#report(),
    });
    for (const { bytes, count } of sound.preallocate) this.preallocate(bytes, count);
  }

  /**
   * Lends a buffer of exactly `bytes`, a whole number, 1 up. Throws `PLIMSOLL_POOL_EXHAUSTED` when `maxBytes` has no room for it beside what is lent,
   * `PLIMSOLL_BUDGET_EXCEEDED` when the governor has none, `PLIMSOLL_CREATE_FAILED` when V8 cannot allocate it, and `PLIMSOLL_DISPOSED` when the pool has been disposed
   * or is being drained.
   */
  lease(bytes: number, options?: BufferLeaseOptions): Lease<Buffer> {
    const zero = this.#zeroes(options);
    let slot = this.#obtain(bytes);
    if (slot === 'budget') {
      const refusal = budgetRefusal(this.#book, this.#bytesFor(bytes));
      if (refusal !== undefined) {
        this.#refused.budget++;
        throw refusal;
      }
      slot = this.#obtain(bytes);
    }
    if (typeof slot === 'string') throw this.#exhausted(slot, bytes);
    return this.#hand(slot, bytes, zero);
  }

  /** Lends a buffer, or says that there is none: undefined where `lease` throws for want of room. */
  tryLease(bytes: number, options?: BufferLeaseOptions): Lease<Buffer> | undefined {
    const zero = this.#zeroes(options);
    const slot = this.#obtain(bytes);
    if (typeof slot !== 'string') return this.#hand(slot, bytes, zero);
    this.#refused[slot]++;
    return undefined;
  }

  /**
   * Gives back by the buffer that `lease.value` was, and no part of it. `PLIMSOLL_DOUBLE_RELEASE` when it is not lent now, `PLIMSOLL_FOREIGN_OBJECT` when it is none of
   * this pool's.
   */
  release(buffer: Uint8Array): void {
    const slot = buffer instanceof Uint8Array ? BufferSlot.of(buffer) : undefined;
    if (slot === undefined || slot.home !== this.#home) throw new ForeignObjectError(this.name);
    if (slot.value !== buffer || (slot.generation & 1) === 0) throw new DoubleReleaseError(this.name);
    this.#takeBack(slot);
  }

  /**
   * Makes buffers of the class for `bytes` (1 up to `maxPooledBytes`) ahead of need until `count` are at rest, within the bounds and while the governor has room, without letting others
   * go for them. Makes `count` at most, whatever the governor has the pool give back meanwhile. Returns how many it made. `PLIMSOLL_CREATE_FAILED`.
   */
  preallocate(bytes: number, count: number): number {
    const sizes = this.#sizes.sizes;
    checkWhole('bytes', bytes, 1, sizes.at(-1));
    checkWhole('count', count, 0);
    const row = this.#classes[this.#sizes.indexFor(bytes)]!;
    const room = (): boolean =>
      this.#bytes + row.classBytes <= this.#maxBytes && this.#idleBytes + row.classBytes <= this.#maxIdleBytes;
    let made = 0;
    while (!this.#closed && made < count && row.idle.size < count && room()) {
      const slot = this.#make(row, row.classBytes, false);
      if (typeof slot === 'string') break;
      made++;
      this.#rest(slot);
    }
    return made;
  }

  /** Moves the bound: a whole number, 1,024 up. What is at rest goes at once as far as needed; what is lent beyond it goes when it comes back. */
  resize(maxBytes: number): void {
    this.#maxBytes = checkMaxBytes(maxBytes);
    const over = this.#bytes - maxBytes;
    if (over > 0) this.#giveBack(over, 'evicted');
  }

  /** Lets all go that are at rest. */
  clear(): void {
    this.#dropAll('cleared');
  }

  /**
   * Lends nothing from now on, and resolves when everything has come back. Rejects with the signal's reason when that is aborted; the pool stays
   * closed.
   */
  drain(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = copyOptions('BufferPool.drain', options, ['signal']);
    checkSignal(signal);
    this[Symbol.dispose]();
    return this.#farewell.wait(signal);
  }

  get stats(): BufferPoolStats {
    const classes = [...this.#classes, this.#oversized].map((row) => row.stats);
    const sum = (name: 'hits' | 'misses' | 'idle'): number => classes.reduce((total, row) => total + row[name], 0);
    return {
      hits: sum('hits'),
      misses: sum('misses'),
      refused: { ...this.#refused },
      leased: this.#leased,
      peakLeased: this.#peakLeased,
      idle: sum('idle'),
      leasedBytes: this.#leasedBytes,
      idleBytes: this.#idleBytes,
      bytes: this.#bytes,
      peakBytes: this.#peakBytes,
      maxBytes: this.#maxBytes,
      dropped: { ...this.#dropped },
      classes,
      faults: this.#failOpen.count,
    };
  }

  /** Lends nothing from now on. What is at rest goes at once, what is lent when it comes back; then the consumer is closed. Twice is safe. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ticks[Symbol.dispose]();
    this.#dropAll('closed');
    this.#endIfEmpty();
  }

  /** One that is neither lent nor at rest, or why not. */
  #obtain(bytes: number): BufferSlot | Refusal {
    if (this.#closed) throw this.#gone();
    checkWhole('bytes', bytes, 1);
    const index = this.#sizes.indexFor(bytes);
    const row = index < 0 ? this.#oversized : this.#classes[index]!;
    for (let slot = row.idle.pop(); slot !== undefined; slot = row.idle.pop()) {
      this.#idleBytes -= slot.bytes;
      if (slot.isThere) {
        row.hits++;
        return slot;
      }
      this.#drop(slot, 'taken');
    }
    const made = this.#make(row, index < 0 ? bytes : row.classBytes);
    if (typeof made !== 'string') row.misses++;
    return made;
  }

  #make(row: SizeClass, bytes: number, mayEvict = true): BufferSlot | Refusal {
    if (!this.#makeRoom(bytes)) return 'max';
    this.#bytes += bytes;
    const isTaken = this.#book.tryTake(bytes) || (mayEvict && this.#retryTake(bytes));
    if (!isTaken) {
      this.#forget(bytes);
      return 'budget';
    }
    if (this.#bytes > this.#peakBytes) this.#peakBytes = this.#bytes;
    try {
      if (this.#closed) throw this.#gone();
      const slot = new BufferSlot(this.#home, row, bytes);
      this.#trouble = undefined;
      return slot;
    } catch (cause) {
      this.#book.give(bytes);
      this.#forget(bytes);
      if (cause instanceof DisposedError) throw cause;
      this.#trouble = describeCause(cause);
      throw new CreateFailedError(this.name, this.#trouble, cause);
    }
  }

  /** At the cost of what is at rest, when there is any. */
  #retryTake(bytes: number): boolean {
    return this.#giveBack(bytes, 'evicted') > 0 && this.#book.tryTake(bytes);
  }

  /** Within the pool's own bound, at the cost of what is at rest; that is left alone when it would not do. */
  #makeRoom(bytes: number): boolean {
    const over = this.#bytes + bytes - this.#maxBytes;
    if (over <= 0) return true;
    if (over > this.#idleBytes) return false;
    this.#giveBack(over, 'evicted');
    return this.#bytes + bytes <= this.#maxBytes;
  }

  /** Asked first: reading it may run code of others. */
  #zeroes(options: BufferLeaseOptions | undefined): boolean {
    const zero = options?.zero;
    return zero === undefined ? this.#zero : zero !== false;
  }

  #hand(slot: BufferSlot, bytes: number, zero: boolean): Lease<Buffer> {
    slot.generation++;
    slot.row.leased++;
    this.#leasedBytes += slot.bytes;
    if (++this.#leased > this.#peakLeased) this.#peakLeased = this.#leased;
    slot.open(bytes, zero);
    const lease = new Lease<Buffer>(slot);
    if (this.#leakTracker !== undefined) slot.trace = this.#leakTracker.track(this.#leaseName, lease);
    return lease;
  }

  #takeBack(slot: BufferSlot): void {
    slot.generation++;
    slot.row.leased--;
    this.#leased--;
    this.#leasedBytes -= slot.bytes;
    if (slot.trace !== undefined) {
      slot.trace.close();
      slot.trace = undefined;
    }
    if (!slot.close(this.detach)) this.#drop(slot, 'taken');
    else if (slot.row === this.#oversized) this.#drop(slot, 'oversized');
    else this.#rest(slot);
  }

  #rest(slot: BufferSlot): void {
    if (this.#closed) {
      this.#drop(slot, 'closed');
      return;
    }
    const over = this.#idleBytes + slot.bytes - this.#maxIdleBytes;
    if (over > 0) this.#giveBack(over, 'evicted');
    if (this.#bytes > this.#maxBytes || this.#idleBytes + slot.bytes > this.#maxIdleBytes) {
      this.#drop(slot, 'evicted');
      return;
    }
    slot.idleSince = this.#ticks.stamp();
    slot.row.idle.push(slot);
    this.#idleBytes += slot.bytes;
  }

  #drop(slot: BufferSlot, reason: BufferDropReason): void {
    slot.row.dropped++;
    this.#dropped[reason]++;
    this.#book.give(slot.bytes);
    this.#forget(slot.bytes);
  }

  #dropOldest(row: SizeClass, reason: BufferDropReason): boolean {
    const slot = row.idle.shift();
    if (slot === undefined) return false;
    this.#idleBytes -= slot.bytes;
    this.#drop(slot, reason);
    return true;
  }

  #dropAll(reason: BufferDropReason): void {
    for (const row of this.#classes) while (this.#dropOldest(row, reason));
  }

  /** Returns how many bytes it let go. For the governor no longer than a while; the pool's own bounds are kept whatever that takes. */
  #giveBack(targetBytes: number, reason: BufferDropReason): number {
    const started = this.#clock.now();
    let left = targetBytes;
    let seen = 0;
    for (let i = this.#classes.length - 1; i >= 0 && left > 0; i--) {
      const row = this.#classes[i]!;
      while (row.classBytes <= left && this.#dropOldest(row, reason)) {
        left -= row.classBytes;
        if (reason !== 'reclaimed' || ++seen % LOOK_AT_CLOCK_EVERY !== 0) continue;
        if (this.#clock.now() - started > MOST_MS) return targetBytes - left;
      }
    }
    // What is left is less than any that is at rest.
    for (let i = 0; i < this.#classes.length && left > 0; i++) {
      const row = this.#classes[i]!;
      if (this.#dropOldest(row, reason)) left -= row.classBytes;
    }
    return targetBytes - left;
  }

  #expire(before: number): boolean {
    for (const row of this.#classes) {
      for (let { oldest } = row.idle; oldest !== undefined && oldest.idleSince < before; { oldest } = row.idle) {
        this.#dropOldest(row, 'expired');
      }
    }
    return this.#idleBytes > 0;
  }

  #forget(bytes: number): void {
    this.#bytes -= bytes;
    this.#endIfEmpty();
  }

  #endIfEmpty(): void {
    if (!this.#closed || this.#bytes > 0) return;
    this.#book[Symbol.dispose]();
    this.#farewell.end();
  }

  #bytesFor(bytes: number): number {
    const index = this.#sizes.indexFor(bytes);
    return index < 0 ? bytes : this.#classes[index]!.classBytes;
  }

  #gone(): DisposedError {
    return new DisposedError(`The pool ${this.name}`);
  }

  #exhausted(reason: Refusal, bytes: number): PoolExhaustedError {
    this.#refused[reason]++;
    const [leased, max] = [this.#leasedBytes, this.#maxBytes];
    return new PoolExhaustedError(
      { pool: this.name, reason, leased, max, requestedBytes: this.#bytesFor(bytes) },
      true,
    );
  }

  #report(): HolderReport {
    const { classes: _, dropped, refused, ...counts } = this.stats;
    const why = this.#trouble;
    return {
      type: 'buffer pool',
      ...(why === undefined ? { health: 'ok' } : { health: 'failing', why: `the last one could not be made: ${why}` }),
      counts: { ...counts, refused: refused.max + refused.budget, ...dropped },
    };
  }
}
