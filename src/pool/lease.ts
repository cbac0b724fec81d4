import { DisposedError } from '../errors.ts';
import { DoubleReleaseError } from './pool-errors.ts';
import type { PooledSlot } from './pooled-slot.ts';

/**
 * Something borrowed from a pool. Whoever has it gives it back: `using`, or `release`. One is made for each loan, so that one of earlier can never give
 * back what somebody else has now; about 40 bytes.
 *
 * Keep the lease for as long as the value is used: a `LeakTracker` looks at the lease.
 * @example
 * import { ObjectPool } from 'plimsoll/pool';
 * using pool = new ObjectPool({ name: 'rows', maxSize: 64, create: () => [] as number[], reset: (row) => void (row.length = 0) });
 * using lease = pool.lease();
 * lease.value.push(1);
 */
export class Lease<T> implements Disposable {
  readonly #slot: PooledSlot<T>;
  readonly #generation: number;

  /** For pools: `slot` has just been marked as lent. */
  constructor(slot: PooledSlot<T>) {
    this.#slot = slot;
    this.#generation = slot.generation;
  }

  /** What is borrowed. `PLIMSOLL_DISPOSED` once it has been given back. */
  get value(): T {
    const slot = this.#slot;
    if (slot.generation !== this.#generation) throw new DisposedError(`A lease of ${slot.home.name}`);
    if (slot.trace !== undefined) slot.trace.touch();
    return slot.value;
  }

  /** Whether it has been given back, through this lease or by value. */
  get released(): boolean {
    return this.#slot.generation !== this.#generation;
  }

  /** Gives it back. `PLIMSOLL_DOUBLE_RELEASE` when that has been done: two parts of a program think that they own it. */
  release(): void {
    const slot = this.#slot;
    if (slot.generation !== this.#generation) throw new DoubleReleaseError(slot.home.name);
    slot.home.takeBack(slot);
  }

  /** Gives it back unless that has been done: safe behind an early `release`, and any number of times. */
  [Symbol.dispose](): void {
    const slot = this.#slot;
    if (slot.generation === this.#generation) slot.home.takeBack(slot);
  }
}
