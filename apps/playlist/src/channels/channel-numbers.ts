/**
 * Channel numbers in use, and the next free one from any point, in flat memory and in a few steps whatever is asked.
 *
 * Numbers below 2^24 stand in a bitmap under a tree of summaries (a summary bit says "these 32 are full"), so finding the next free
 * one climbs at most five levels however long the run of taken numbers is. Larger ones, which no remote control can type but some
 * list holds, stand in a hash table whose entries point past the run they are in (union-find with path halving).
 */
import type { Consumer, Reservation } from 'plimsoll';

const DENSE_BITS = 24;
const DENSE_END = 2 ** DENSE_BITS;
/** The largest number that is read from a list or a rule; clashes may move a channel a little above it. */
export const LARGEST_NUMBER = 999_999_999;

export class ChannelNumbers implements Disposable {
  readonly #consumer: Consumer;
  readonly #reservation: Reservation;
  #levels: Uint32Array<ArrayBuffer>[] = [];
  #far: FarNumbers | undefined;

  /** Reserves about 0.13 bytes per number up to the largest below 2^24, and 8 to 21 bytes for each number above. */
  constructor(consumer: Consumer) {
    this.#consumer = consumer;
    this.#reservation = consumer.reserve(0);
    this.#growDense(4096);
  }

  /** Takes `wanted` or, when it is taken, the next free number above; returns the number taken. */
  take(wanted: number): number {
    const number = this.nextFree(wanted);
    if (number >= DENSE_END) this.#farNumbers().take(number);
    else this.#mark(number);
    return number;
  }

  /** The lowest free number from `from` up. It always exists. */
  nextFree(from: number): number {
    if (from < DENSE_END) {
      const found = this.#nextDense(from);
      if (found >= 0) return found;
      from = DENSE_END;
    }
    return this.#far === undefined ? from : this.#far.nextFree(from);
  }

  /** The numbers in use from `from` up: those below 2^24 in order, then the rest in none. It must not be added to meanwhile. */
  *taken(from: number): Generator<number, void, undefined> {
    const words = this.#levels[0]!;
    const end = words.length * 32;
    for (let number = from; number < end; number++) {
      const word = words[number >>> 5]!;
      if (word === 0) number |= 31;
      else if (((word >>> (number & 31)) & 1) !== 0) yield number;
    }
    if (this.#far !== undefined) yield* this.#far.taken(from);
  }

  [Symbol.dispose](): void {
    this.#levels = [];
    this.#far?.[Symbol.dispose]();
    this.#reservation[Symbol.dispose]();
  }

  #farNumbers(): FarNumbers {
    this.#far ??= new FarNumbers(this.#consumer);
    return this.#far;
  }

  #mark(number: number): void {
    if (number >= this.#levels[0]!.length * 32) this.#growDense(number + 1);
    let at = number;
    for (const words of this.#levels) {
      const index = at >>> 5;
      const word = (words[index]! | (1 << (at & 31))) >>> 0;
      words[index] = word;
      if (word !== 0xffff_ffff) return;
      at = index;
    }
  }

  /** -1 when everything from `from` to 2^24 is taken. */
  #nextDense(from: number): number {
    const end = this.#levels[0]!.length * 32;
    if (from >= end) return from;
    let level = 0;
    let at = from;
    for (;;) {
      const words = this.#levels[level]!;
      const free = at >>> 5 < words.length ? (~words[at >>> 5]! >>> (at & 31)) << (at & 31) : 0;
      if (free !== 0) {
        at = (at & ~31) + (31 - Math.clz32(free & -free));
        if (level === 0) return at;
        level--;
        at *= 32;
        continue;
      }
      // Nothing free in the rest of this word: look at the following word, one summary up.
      at = (at >>> 5) + 1;
      level++;
      if (level === this.#levels.length) return end < DENSE_END ? end : -1;
    }
  }

  #growDense(count: number): void {
    let bits = 4096;
    while (bits < count) bits *= 2;
    const levels: Uint32Array<ArrayBuffer>[] = [];
    let bytes = 0;
    for (let words = bits / 32; ; words = Math.ceil(words / 32)) {
      bytes += words * 4;
      levels.push(new Uint32Array(words));
      if (words === 1) break;
    }
    const before = this.#reservation.bytes;
    this.#reservation.grow(bytes);
    const old = this.#levels;
    this.#levels = levels;
    const first = old[0];
    if (first !== undefined) levels[0]!.set(first);
    for (let level = 1; level < levels.length; level++) this.#summarise(level);
    for (const words of old) words.buffer.transfer(0);
    this.#reservation.shrink(before);
  }

  #summarise(level: number): void {
    const below = this.#levels[level - 1]!;
    const here = this.#levels[level]!;
    for (let i = 0; i < below.length; i++) {
      if (below[i] === 0xffff_ffff) here[i >>> 5] = (here[i >>> 5]! | (1 << (i & 31))) >>> 0;
    }
    // Bits past the end of the level below stand for numbers outside the bitmap: never free.
    for (let i = below.length; i < here.length * 32; i++) here[i >>> 5] = (here[i >>> 5]! | (1 << (i & 31))) >>> 0;
  }
}

/** Numbers from 2^24 up: an open-addressing table of (number, somewhere at or below the next free one). */
class FarNumbers implements Disposable {
  readonly #reservation: Reservation;
  #slots: Uint32Array<ArrayBuffer>;
  #count = 0;

  constructor(consumer: Consumer) {
    this.#reservation = consumer.reserve(2048);
    this.#slots = new Uint32Array(512);
  }

  take(number: number): void {
    if ((this.#count + 1) * 3 > this.#slots.length) this.#grow();
    const at = this.#seek(this.#slots, number);
    this.#slots[at] = number;
    this.#slots[at + 1] = number + 1;
    this.#count++;
  }

  nextFree(from: number): number {
    const slots = this.#slots;
    let at = this.#seek(slots, from);
    let number = from;
    while (slots[at] !== 0) {
      const next = slots[at + 1]!;
      const beyond = this.#seek(slots, next);
      // Path halving: whoever asks again takes half as many steps.
      if (slots[beyond] !== 0) slots[at + 1] = slots[beyond + 1]!;
      number = next;
      at = beyond;
    }
    return number;
  }

  *taken(from: number): Generator<number, void, undefined> {
    for (let at = 0; at < this.#slots.length; at += 2) {
      const number = this.#slots[at]!;
      if (number !== 0 && number >= from) yield number;
    }
  }

  [Symbol.dispose](): void {
    this.#slots = new Uint32Array(0);
    this.#reservation[Symbol.dispose]();
  }

  #seek(slots: Uint32Array<ArrayBuffer>, number: number): number {
    const mask = slots.length - 1;
    let at = ((Math.imul(number, 0x9e3779b1) >>> 7) * 2) & mask;
    while (slots[at] !== 0 && slots[at] !== number) at = (at + 2) & mask;
    return at;
  }

  #grow(): void {
    const old = this.#slots;
    this.#reservation.grow(old.byteLength * 2);
    const grown = new Uint32Array(old.length * 2);
    for (let i = 0; i < old.length; i += 2) {
      if (old[i] === 0) continue;
      const at = this.#seek(grown, old[i]!);
      grown[at] = old[i]!;
      grown[at + 1] = old[i + 1]!;
    }
    this.#slots = grown;
    const freed = old.byteLength;
    old.buffer.transfer(0);
    this.#reservation.shrink(freed);
  }
}

/** Reads a channel number: a whole number from 1 to `LARGEST_NUMBER` with white space around it, else 0 (no number; `0` means none too). */
export function readChannelNumber(bytes: Uint8Array, start: number, end: number): number {
  while (start < end && bytes[start]! <= 0x20) start++;
  while (end > start && bytes[end - 1]! <= 0x20) end--;
  while (start < end && bytes[start] === 0x30) start++;
  if (start === end || end - start > 9) return 0;
  let number = 0;
  for (let at = start; at < end; at++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) return 0;
    number = number * 10 + digit;
  }
  return number;
}
