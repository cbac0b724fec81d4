import { compareTails, isWhole } from './key-order.ts';
import type { RunCursor } from './run-cursor.ts';

/**
 * Which of several cursors is at the least key; of equal ones the first, so that a merge of runs in the order of their records keeps it. A tree of losers (Knuth, The Art of
 * Computer Programming, volume 3, 5.4.1): one comparison for each doubling of the number of cursors, most of them of two numbers.
 */
export class MergeTree {
  readonly #cursors: readonly RunCursor[];
  /** Who lost at each inner node, 1 up; at 0 who won all. */
  readonly #losers: Int32Array;
  /** Those of the keys at hand: most comparisons touch nothing else. */
  readonly #numbers: Float64Array;

  /** Of cursors that stand at their first record. */
  constructor(cursors: readonly RunCursor[]) {
    const count = cursors.length;
    this.#cursors = cursors;
    this.#losers = new Int32Array(Math.max(1, count));
    this.#numbers = Float64Array.from(cursors, (cursor) => cursor.number);
    const winners = new Int32Array(2 * count);
    for (let index = 0; index < count; index++) winners[count + index] = index;
    for (let node = count - 1; node > 0; node--) {
      const a = winners[2 * node]!;
      const b = winners[2 * node + 1]!;
      const first = this.#isBefore(a, b);
      winners[node] = first ? a : b;
      this.#losers[node] = first ? b : a;
    }
    this.#losers[0] = count > 1 ? winners[1]! : 0;
  }

  /** The cursor at the next record; undefined when all have ended. Move it on and call `replay` before it is asked for again. */
  get first(): RunCursor | undefined {
    const cursor = this.#cursors[this.#losers[0]!];
    return cursor === undefined || cursor.ended ? undefined : cursor;
  }

  /** After the first has moved on. */
  replay(): void {
    const losers = this.#losers;
    let winner = losers[0]!;
    const cursor = this.#cursors[winner];
    if (cursor !== undefined) this.#numbers[winner] = cursor.number;
    for (let node = (winner + this.#cursors.length) >> 1; node > 0; node >>= 1) {
      const other = losers[node]!;
      if (!this.#isBefore(other, winner)) continue;
      losers[node] = winner;
      winner = other;
    }
    losers[0] = winner;
  }

  #isBefore(a: number, b: number): boolean {
    const number = this.#numbers[a]!;
    const otherNumber = this.#numbers[b]!;
    if (number !== otherNumber) return number < otherNumber;
    if (isWhole(number) || number === Number.POSITIVE_INFINITY) return a < b;
    const one = this.#cursors[a]!;
    const other = this.#cursors[b]!;
    const order = compareTails(one.bytes, one.keyStart, one.keyEnd, other.bytes, other.keyStart, other.keyEnd);
    return order === 0 ? a < b : order < 0;
  }
}
