/**
 * Reproducible numbers: the same seed and index give the same content on every machine.
 * The step is `mulberry32` (Tommy Ettinger, public domain); the seeding is the finaliser of MurmurHash3 (Austin Appleby, public domain).
 */
export class SeededRandom {
  #state = 0;

  /** Starts the stream that belongs to `(seed, index)`. Whole numbers from 0 below 2^32. */
  restart(seed: number, index: number): this {
    let mixed = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35);
    mixed ^= mixed >>> 16;
    mixed = Math.imul(mixed, 0x85ebca6b);
    mixed ^= mixed >>> 13;
    mixed = Math.imul(mixed, 0xc2b2ae35);
    this.#state = (mixed ^ (mixed >>> 16)) | 0;
    return this;
  }

  /** Next 32 bits, unsigned. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** Whole number from 0 below `bound` (at most 2^32). */
  below(bound: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * bound);
  }

  /** True `percent` times in a hundred. */
  chance(percent: number): boolean {
    return this.next() < percent * 42_949_672.96;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}
