import { compareTails, isWhole, keyNumber } from './key-order.ts';
import type { RecordChunk } from './record-chunk.ts';

/** Sorted by insertion, at first. */
const RUN = 8;
/** For each record: number and place, twice. */
const BYTES_EACH = 24;
const HEADER_WORDS = 2;

/**
 * Sorts the places of a chunk by key, equal keys as they came: insertion, then merges from below upwards, over the keys' numbers and places beside each other. Allocates
 * its room once, 24 bytes for each record.
 */
export class ChunkSorter {
  #numbers: Float64Array<ArrayBuffer>;
  #places: Uint32Array<ArrayBuffer>;
  #otherNumbers: Float64Array<ArrayBuffer>;
  #otherPlaces: Uint32Array<ArrayBuffer>;
  #chunk: RecordChunk | undefined;

  constructor(maxCount: number) {
    this.#numbers = new Float64Array(maxCount);
    this.#places = new Uint32Array(maxCount);
    this.#otherNumbers = new Float64Array(maxCount);
    this.#otherPlaces = new Uint32Array(maxCount);
  }

  static bytesFor(maxCount: number): number {
    return BYTES_EACH * maxCount;
  }

  sort(chunk: RecordChunk): void {
    const { count, words, bytes } = chunk;
    if (count < 2) return;
    this.#chunk = chunk;
    const numbers = this.#numbers;
    const places = this.#places;
    const top = words.length - 1;
    for (let index = 0; index < count; index++) {
      const place = words[top - index]!;
      const start = (place + HEADER_WORDS) * 4;
      places[index] = place;
      numbers[index] = keyNumber(bytes, start, start + words[place]!);
    }
    for (let from = 0; from < count; from += RUN) this.#insert(from, Math.min(from + RUN, count));
    for (let width = RUN; width < count; width *= 2) {
      for (let from = 0; from < count; from += 2 * width) {
        this.#merge(from, Math.min(from + width, count), Math.min(from + 2 * width, count));
      }
      this.#swap();
    }
    const sorted = this.#places;
    for (let index = 0; index < count; index++) words[top - index] = sorted[index]!;
    this.#chunk = undefined;
  }

  #swap(): void {
    [this.#numbers, this.#otherNumbers] = [this.#otherNumbers, this.#numbers];
    [this.#places, this.#otherPlaces] = [this.#otherPlaces, this.#places];
  }

  #insert(from: number, to: number): void {
    const numbers = this.#numbers;
    const places = this.#places;
    for (let index = from + 1; index < to; index++) {
      const number = numbers[index]!;
      const place = places[index]!;
      let at = index;
      for (; at > from; at--) {
        const before = numbers[at - 1]!;
        if (before < number || (before === number && this.#tails(number, places[at - 1]!, place) <= 0)) break;
        numbers[at] = before;
        places[at] = places[at - 1]!;
      }
      numbers[at] = number;
      places[at] = place;
    }
  }

  /** Two neighbours in order, into the other arrays. */
  #merge(from: number, middle: number, to: number): void {
    const numbers = this.#numbers;
    const places = this.#places;
    const intoNumbers = this.#otherNumbers;
    const intoPlaces = this.#otherPlaces;
    let left = from;
    let right = middle;
    let at = from;
    const isSorted =
      middle === to || this.#isInOrder(numbers[middle - 1]!, places[middle - 1]!, numbers[middle]!, places[middle]!);
    while (!isSorted && left < middle && right < to) {
      const a = numbers[left]!;
      const b = numbers[right]!;
      if (a < b || (a === b && this.#tails(a, places[left]!, places[right]!) <= 0)) {
        intoNumbers[at] = a;
        intoPlaces[at++] = places[left++]!;
      } else {
        intoNumbers[at] = b;
        intoPlaces[at++] = places[right++]!;
      }
    }
    for (; left < middle; at++, left++) {
      intoNumbers[at] = numbers[left]!;
      intoPlaces[at] = places[left]!;
    }
    for (; right < to; at++, right++) {
      intoNumbers[at] = numbers[right]!;
      intoPlaces[at] = places[right]!;
    }
  }

  #isInOrder(a: number, aPlace: number, b: number, bPlace: number): boolean {
    return a < b || (a === b && this.#tails(a, aPlace, bPlace) <= 0);
  }

  #tails(number: number, a: number, b: number): number {
    if (isWhole(number)) return 0;
    const { bytes, words } = this.#chunk!;
    const aStart = (a + HEADER_WORDS) * 4;
    const bStart = (b + HEADER_WORDS) * 4;
    return compareTails(bytes, aStart, aStart + words[a]!, bytes, bStart, bStart + words[b]!);
  }
}
