/**
 * Keys that have been seen, without an object for each: their bytes in chunks, and a table of 32-bit slots that says where. A slot has the place of a key, counted from 1,
 * in its low bits, and as much of the hash as there is room for above, so that few keys are looked at for nothing. Probing is linear; the table grows by half.
 *
 * Whoever chooses keys on purpose finds some that collide, whatever the seed: who has another way can say how far to look, and is told to take it.
 */
import type { Consumer, Reservation } from '../governor/index.ts';
import { KeyChunks, type KeyWindow } from './key-chunks.ts';
import type { KeyWriter } from './key-writer.ts';

export interface KeySetOptions {
  readonly memory: Consumer;
  /** Taken at once for keys, bytes: a power of two. */
  readonly chunkBytes: number;
  /** When all keys have so many bytes: then nothing is kept but they. */
  readonly keyBytes?: number;
  /** How many slots are looked at for one key before the set says that it is full. */
  readonly mostProbes: number;
  /** 32 bits that nobody can guess. */
  readonly seed: number;
}

/** What came of adding a key. */
export type KeyOutcome = 'added' | 'known' | 'full';

const FIRST_SLOTS = 1_024;
const SLOT_BYTES = 4;
const FULLEST = 0.75;
const GROWTH = 1.5;
const HASHES = 2 ** 32;
const FIRST_BITS = 12;
const MOST_BITS = 31;
const FOUND = -1;
const TOO_FAR = -2;

/** A set of keys. Whoever made it disposes it. 5 to 8 bytes for each key besides its own, where they have no fixed length 4 to 7 more. */
export class KeySet implements Disposable {
  readonly #options: KeySetOptions;
  readonly #reservation: Reservation;
  readonly #keys: KeyChunks;
  #table: Uint32Array<ArrayBuffer>;
  /** Of a slot, for the place. */
  #bits = FIRST_BITS;
  #count = 0;

  /** Its owner holds `floorBytes` for it. */
  constructor(options: KeySetOptions) {
    this.#options = options;
    this.#keys = new KeyChunks(options.chunkBytes, options.keyBytes);
    this.#table = new Uint32Array(FIRST_SLOTS);
    this.#reservation = options.memory.reserve(0);
  }

  static floorBytes(): number {
    return SLOT_BYTES * FIRST_SLOTS;
  }

  get count(): number {
    return this.#count;
  }

  /** Adds a key unless it is known. With `must` a refused reservation throws, else the set is full and stays as it was. */
  add({ buffer, length }: KeyWriter, must = false): KeyOutcome {
    const hash = hashOf(buffer, 0, length, this.#options.seed);
    const found = this.#find(hash, buffer, length);
    if (found < 0) return found === FOUND ? 'known' : 'full';
    if (this.#count + 1 > this.#table.length * FULLEST && !this.#grow(must)) return 'full';
    const place = this.#keys.append(buffer, length, (bytes) => this.#take(bytes, must));
    if (place < 0) return 'full';
    // Rebuilding finds the key among the others.
    if (place + 1 >= 2 ** this.#bits) this.#rebuild(this.#table);
    else this.#insert(this.#table, hash, place);
    this.#count++;
    return 'added';
  }

  /** Gives all keys in the order in which they came, and lets go of them as it goes: the set is of no use any more. */
  drain(): Generator<KeyWindow, void, undefined> {
    const slots = this.#table.length;
    this.#table = NO_SLOTS;
    this.#reservation.shrink(SLOT_BYTES * (slots - FIRST_SLOTS));
    return this.#keys.drain((bytes) => this.#reservation.shrink(bytes));
  }

  [Symbol.dispose](): void {
    this.#keys.clear();
    this.#table = NO_SLOTS;
    this.#reservation[Symbol.dispose]();
  }

  /** The free slot for a key, or why there is none. */
  #find(hash: number, key: Buffer, length: number): number {
    const table = this.#table;
    const bits = this.#bits;
    const { mostProbes } = this.#options;
    const mask = 2 ** bits - 1;
    const slots = table.length;
    let at = slotOf(hash, slots);
    for (let probes = 0; probes < mostProbes; probes++) {
      const slot = table[at]!;
      if (slot === 0) return at;
      if ((slot ^ (hash << bits)) >>> bits === 0 && this.#keys.is((slot & mask) - 1, key, length)) return FOUND;
      if (++at === slots) at = 0;
    }
    return TOO_FAR;
  }

  #insert(table: Uint32Array, hash: number, place: number): void {
    const slots = table.length;
    let at = slotOf(hash, slots);
    while (table[at] !== 0) if (++at === slots) at = 0;
    table[at] = (hash << this.#bits) | (place + 1);
  }

  #grow(must: boolean): boolean {
    const slots = Math.ceil(this.#table.length * GROWTH);
    if (!this.#take(SLOT_BYTES * slots, must)) return false;
    const before = this.#table.length;
    this.#rebuild(new Uint32Array(slots));
    this.#reservation.shrink(SLOT_BYTES * before);
    return true;
  }

  /** Fills a table, which may be the one there is, from the keys. */
  #rebuild(table: Uint32Array<ArrayBuffer>): void {
    const { seed } = this.#options;
    while (this.#keys.places + 1 >= 2 ** this.#bits && this.#bits < MOST_BITS) this.#bits++;
    table.fill(0);
    this.#keys.forEach((place, bytes, start, end) => {
      this.#insert(table, hashOf(bytes, start, end, seed), place);
    });
    this.#table = table;
  }

  #take(bytes: number, must: boolean): boolean {
    if (!must) return this.#reservation.tryGrow(bytes);
    this.#reservation.grow(bytes);
    return true;
  }
}

const NO_SLOTS = new Uint32Array(0);

const slotOf = (hash: number, slots: number): number => Math.floor((hash >>> 0) * (slots / HASHES));

/** With the mixing steps of MurmurHash3 (Appleby, public domain), four bytes at a time. */
function hashOf(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed;
  let at = start;
  for (const whole = end - 3; at < whole; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash = Math.imul(hash ^ Math.imul(word, 0xcc9e2d51), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  let rest = 0;
  for (let shift = 0; at < end; at++, shift += 8) rest |= bytes[at]! << shift;
  hash = Math.imul(hash ^ rest ^ (end - start), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
