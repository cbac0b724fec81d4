/** Blocks of 64 bytes, one line of the processor's cache: all four counters of a key are in one. */
const BLOCK_INTS = 16;
const COUNTERS = 4;
const ROW_INTS = BLOCK_INTS / COUNTERS;
const TOP = 15;
/** Counters are halved after so many increments for each entry that is expected. */
const SAMPLE_FACTOR = 10;
/** 4 KiB: in the sketch of a small cache keys would share counters too often. */
const LEAST_BLOCKS = 64;
const HALF = 0x77777777;
const ODD = 0x11111111;

/**
 * About how often a key came lately, in 8 bytes an entry whatever the number of keys: a count-min sketch of 4-bit counters that are halved now and then, so that the past
 * fades. Never too low but for the halving and the limit of 15; seldom too high.
 *
 * After G. Einziger, R. Friedman, B. Manes, "TinyLFU: a highly efficient cache admission policy" (2017), blocked as Caffeine's.
 */
export class FrequencySketch {
  #table = new Int32Array(0);
  #blockMask = 0;
  /** Increments between two halvings. */
  #sampleSize = 0;
  #added = 0;

  /** Makes it fit for so many entries. What was counted stays: a table twice as large begins as two copies. */
  resize(entries: number): void {
    let blocks = Math.max(LEAST_BLOCKS, this.#blockMask + 1);
    while (blocks * (BLOCK_INTS / 2) < entries) blocks *= 2;
    this.#sampleSize = SAMPLE_FACTOR * Math.max(1, entries);
    const length = blocks * BLOCK_INTS;
    const old = this.#table;
    if (length <= old.length) return;
    this.#table = new Int32Array(length);
    for (let at = 0; at < length && old.length > 0; at += old.length) this.#table.set(old, at);
    this.#blockMask = blocks - 1;
  }

  /** 0 to 15. `hash` is 31 mixed bits. */
  frequency(hash: number): number {
    const table = this.#table;
    const spread = respread(hash);
    let at = (hash & this.#blockMask) * BLOCK_INTS;
    let least = TOP;
    for (let row = 0; row < COUNTERS; row++) {
      const bits = spread >>> (row * 8);
      const count = (table[at + (bits & 3)]! >>> (bits & 28)) & TOP;
      if (count < least) least = count;
      at += ROW_INTS;
    }
    return least;
  }

  increment(hash: number): void {
    const table = this.#table;
    const spread = respread(hash);
    let at = (hash & this.#blockMask) * BLOCK_INTS;
    let isAdded = false;
    for (let row = 0; row < COUNTERS; row++) {
      const bits = spread >>> (row * 8);
      const index = at + (bits & 3);
      const shift = bits & 28;
      const ints = table[index]!;
      if (((ints >>> shift) & TOP) !== TOP) {
        table[index] = ints + (1 << shift);
        isAdded = true;
      }
      at += ROW_INTS;
    }
    if (isAdded && ++this.#added >= this.#sampleSize) this.#halve();
  }

  #halve(): void {
    const table = this.#table;
    let odd = 0;
    for (let i = 0; i < table.length; i++) {
      const ints = table[i]!;
      odd += ones(ints & ODD);
      table[i] = (ints >>> 1) & HALF;
    }
    this.#added = (this.#added - (odd >>> 2)) >>> 1;
  }
}

/** Other bits than those that choose the block. */
function respread(hash: number): number {
  const spread = Math.imul(hash ^ (hash >>> 15), 0x31848bab);
  return spread ^ (spread >>> 14);
}

/** Of the lowest bits of each nibble. */
function ones(bits: number): number {
  return Math.imul((bits & 0x01010101) + ((bits >>> 4) & 0x01010101), 0x01010101) >>> 24;
}
