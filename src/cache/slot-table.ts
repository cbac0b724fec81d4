/**
 * Entries by key, in numbered slots.
 *
 * - Whole numbers of 32 bits and texts of up to 48 characters stand in a chained hash table of our own: two integers a slot and one a bucket. Removing leaves nothing behind,
 *   where a `Map` doubles its table under churn: 39 bytes an entry, all arrays counted, against 98 with a `Map` from key to slot.
 * - All other keys stand in a `Map` from key to slot. V8 keeps the hash of a text inside the text: for a text that is asked for again and again as the same object, a loop over its
 *   characters costs 1 ns each more, which the smaller table makes good for those that are not long. For a text that was just made the loop is the faster one.
 * - A hash only says where to look. What is found is compared with the key itself, as a `Map` does (SameValueZero).
 * - The hash is seeded anew for each table. Should a chain grow beyond what chance explains, somebody chooses the keys: then all of them move to the `Map`, for good.
 * - Arrays of keys and values are filled with a marker, so that V8 keeps one sort of elements for all tables: an array of fractional numbers would make each read allocate.
 */
import { type SlotCursor, SlotCursors } from './slot-cursors.ts';

/** What `hash` says of a key that stands in the `Map`. */
const NOT_HASHED = -1;
/** Set in the hash of a slot whose key stands in the `Map`. */
const MAPPED = 1 << 31;
const HASH_BITS = 0x7fffffff;
/** Longer ones stand in the `Map`. */
const LONGEST_HASHED_TEXT = 48;
/** Of 16 million keys with a random hash the longest chain has 12. */
const LONGEST_CHAIN = 48;
const FIRST_SLOTS = 16;
/** Smaller ones stay as large as they were. */
const LEAST_SHRUNK = 1_024;
/** V8 makes a dictionary of a larger array, and a `Map` holds no more. */
export const MOST_SLOTS = 2 ** 24 - 1;

/** Of 32 bits. */
const FNV_PRIME = 0x01000193;

const FREE: unique symbol = Symbol('free slot');

export interface SlotTableOptions {
  /** Slots there may ever be, 1 to 16,777,215. */
  readonly maxSlots: number;
  /** For tests of what happens when keys collide. Default: drawn anew. */
  readonly seed?: number;
}

/**
 * A hash table whose entries have numbers: `hash`, then `find`, then `add` or what the slot is good for. Slots are dense from 0; one that was freed is used again
 * first. An entry keeps its slot until it is removed, or `shrink` moves it.
 */
export class SlotTable<K, V> {
  #maxSlots: number;
  readonly #seed: number;
  /** At `2 * slot` the key, behind it the value; or `FREE`, and the next of the free slots as slot + 1. */
  #pairs: unknown[] = [];
  /**
   * At `2 * slot` the hash: of a key in the `Map` below 0, and -1 while nobody asked for it. Behind it the next of the chain as slot + 1. Empty until there is a hash to keep.
   */
  #nodes = new Int32Array(0);
  /** The first of each chain as slot + 1. Of one chain until a key is hashed: a table of long texts needs none. */
  #buckets = new Int32Array(1);
  #mask = 0;
  #map: Map<K, number> | undefined;
  #hashes = true;
  #ids: WeakMap<object, number> | undefined;
  #lastId = 0;
  #capacity = 0;
  /** Slots from here on have never been used. */
  #fresh = 0;
  #firstFree = 0;
  #looked = 0;
  #size = 0;
  readonly #cursors = new SlotCursors();

  constructor({ maxSlots, seed = Math.floor(Math.random() * 2 ** 32) }: SlotTableOptions) {
    this.#maxSlots = maxSlots;
    this.#seed = seed | 0;
  }

  get size(): number {
    return this.#size;
  }

  /** Slots that there is room for. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Slots in use are below it. */
  get usedSlots(): number {
    return this.#fresh;
  }

  /** False once keys have been found to collide on purpose. */
  get hashes(): boolean {
    return this.#hashes;
  }

  /** What is there stays where it is. */
  set maxSlots(slots: number) {
    this.#maxSlots = slots;
  }

  /** What `find` and `add` want with the key. */
  hash(key: K): number {
    const seed = this.#seed;
    if (typeof key === 'number') return (key | 0) === key && this.#hashes ? mix(key ^ seed) : NOT_HASHED;
    if (typeof key !== 'string' || key.length > LONGEST_HASHED_TEXT || !this.#hashes) return NOT_HASHED;
    return hashText(key, seed);
  }

  /** The slot of a key, -1 when it is not there. */
  find(key: K, hash: number): number {
    if (hash === NOT_HASHED) return this.#map === undefined ? -1 : (this.#map.get(key) ?? -1);
    const nodes = this.#nodes;
    const pairs = this.#pairs;
    let node = this.#buckets[hash & this.#mask]!;
    while (node !== 0) {
      const at = 2 * node - 2;
      if (nodes[at] === hash && pairs[at] === key) return node - 1;
      node = nodes[at + 1]!;
    }
    return -1;
  }

  /** Whether there has to be a `grow` before the next `add`. */
  get full(): boolean {
    return this.#firstFree === 0 && this.#fresh === this.#capacity;
  }

  /** Adds a key that is not there, where it is not `full`. Returns its slot. */
  add(key: K, value: V, hash: number): number {
    if (hash !== NOT_HASHED && this.#mask === 0) this.#rechain();
    let slot: number;
    if (this.#firstFree === 0) slot = this.#fresh++;
    else {
      slot = this.#firstFree - 1;
      this.#firstFree = this.#pairs[2 * slot + 1] as number;
    }
    const at = 2 * slot;
    // A `Map` makes no difference between 0 and -0 either, and hands out the first.
    this.#pairs[at] = (key as unknown) === 0 ? 0 : key;
    this.#pairs[at + 1] = value;
    this.#size++;
    if (hash !== NOT_HASHED) this.#chain(slot, hash);
    else {
      if (this.#nodes.length > 0) this.#nodes[at] = NOT_HASHED;
      (this.#map ??= new Map()).set(key, slot);
    }
    return slot;
  }

  /** A key that is not there takes the slot of one that goes. */
  change(slot: number, key: K, value: V, hash: number): void {
    const at = 2 * slot;
    if (hash === NOT_HASHED || !this.#isChained(slot)) {
      this.remove(slot);
      this.add(key, value, hash);
      return;
    }
    this.#unchain(slot);
    this.#pairs[at] = (key as unknown) === 0 ? 0 : key;
    this.#pairs[at + 1] = value;
    this.#chain(slot, hash);
  }

  /** Frees a slot that is in use. */
  remove(slot: number): void {
    const at = 2 * slot;
    if (this.#isChained(slot)) this.#unchain(slot);
    else this.#map!.delete(this.#pairs[at] as K);
    this.#pairs[at] = FREE;
    this.#pairs[at + 1] = this.#firstFree;
    this.#firstFree = slot + 1;
    this.#size--;
  }

  /** Makes room for twice as many, up to `maxSlots`. */
  grow(): void {
    const capacity = Math.min(this.#maxSlots, Math.max(FIRST_SLOTS, 2 * this.#capacity));
    const pairs = new Array<unknown>(2 * capacity).fill(FREE);
    for (let i = 0; i < 2 * this.#fresh; i++) pairs[i] = this.#pairs[i];
    this.#pairs = pairs;
    this.#capacity = capacity;
    if (this.#nodes.length > 0) this.#makeNodes(this.#nodes);
    if (this.#hashes && this.#mask !== 0) this.#rechain();
  }

  /** Whether three quarters of the arrays are for nothing, and `shrink` is worth while. */
  get isSparse(): boolean {
    return this.#capacity > LEAST_SHRUNK && 4 * this.#size < this.#capacity;
  }

  /** Moves the entries together, in their order, into arrays for twice as many. `moved` is told of each that gets another slot, which had none by then. 0.15 µs an entry, 0.5 where its key is in the `Map`. */
  shrink(moved: (from: number, to: number) => void): void {
    this.#cursors.move((slot) => this.isUsed(slot));
    const [oldPairs, oldNodes, used] = [this.#pairs, this.#nodes, this.#fresh];
    const capacity = Math.min(this.#capacity, Math.max(FIRST_SLOTS, 2 * this.#size));
    this.#pairs = new Array<unknown>(2 * capacity).fill(FREE);
    this.#capacity = capacity;
    if (oldNodes.length > 0) this.#makeNodes([]);
    let to = 0;
    for (let from = 0; from < used; from++) {
      const key = oldPairs[2 * from];
      if (key === FREE) continue;
      this.#pairs[2 * to] = key;
      this.#pairs[2 * to + 1] = oldPairs[2 * from + 1];
      const hash = oldNodes.length > 0 ? oldNodes[2 * from]! : NOT_HASHED;
      if (oldNodes.length > 0) this.#nodes[2 * to] = hash;
      if (from !== to) {
        if (hash < 0) this.#map!.set(key as K, to);
        moved(from, to);
      }
      to++;
    }
    this.#fresh = to;
    this.#firstFree = 0;
    if (this.#hashes && this.#mask !== 0) this.#rechain();
  }

  /** For a walk over the slots: what the walk has yet to see stays behind the cursor, whatever `shrink` moves. */
  openCursor(): SlotCursor {
    return this.#cursors.open();
  }

  isUsed(slot: number): boolean {
    return slot >= 0 && slot < this.#fresh && this.#pairs[2 * slot] !== FREE;
  }

  /** A slot that is in use, -1 when none is. Looks on from where it found the last one, so that taking them all out looks at each once. */
  anyUsed(): number {
    if (this.#size === 0) return -1;
    for (; ; this.#looked++) {
      if (this.#looked >= this.#fresh) this.#looked = 0;
      if (this.isUsed(this.#looked)) return this.#looked;
    }
  }

  keyAt(slot: number): K {
    return this.#pairs[2 * slot] as K;
  }

  valueAt(slot: number): V {
    return this.#pairs[2 * slot + 1] as V;
  }

  setValue(slot: number, value: V): void {
    this.#pairs[2 * slot + 1] = value;
  }

  /** 31 bits that are the same whenever the same key comes, for sketches: never to tell keys apart. */
  hashAt(slot: number): number {
    if (this.#nodes.length === 0) this.#makeNodes([]);
    const known = this.#nodes[2 * slot]!;
    if (known !== NOT_HASHED) return known & HASH_BITS;
    const hash = this.#hashAny(this.keyAt(slot));
    this.#nodes[2 * slot] = hash | MAPPED;
    return hash;
  }

  /** Says what is wrong in it, for tests; looks at every slot. */
  *faults(): Generator<string> {
    let used = 0;
    for (let slot = 0; slot < this.#fresh; slot++) {
      if (!this.isUsed(slot)) continue;
      used++;
      const key = this.keyAt(slot);
      if (this.find(key, this.hash(key)) !== slot) yield `the key of slot ${slot} is not found there`;
    }
    if (used !== this.#size) yield `${used} slots are in use, not ${this.#size}`;
    let free = 0;
    for (let node = this.#firstFree; node !== 0 && free <= this.#fresh; node = this.#pairs[2 * node - 1] as number) {
      free++;
      if (this.isUsed(node - 1)) yield `slot ${node - 1} is free and in use`;
    }
    if (used + free !== this.#fresh) yield `${this.#fresh - used - free} slots are lost`;
    let chained = 0;
    for (const first of this.#buckets) {
      for (let node = first; node !== 0 && chained <= used; node = this.#nodes[2 * node - 1]!) chained++;
    }
    const mapped = this.#map?.size ?? 0;
    if (chained + mapped !== used) yield `${chained} chained and ${mapped} mapped of ${used}`;
  }

  #isChained(slot: number): boolean {
    return this.#nodes.length > 0 && this.#nodes[2 * slot]! >= 0;
  }

  #chain(slot: number, hash: number): void {
    const bucket = hash & this.#mask;
    const first = this.#buckets[bucket]!;
    this.#nodes[2 * slot] = hash;
    this.#nodes[2 * slot + 1] = first;
    this.#buckets[bucket] = slot + 1;
    if (first !== 0 && this.#isTooLong(bucket)) this.#giveUpHashing();
  }

  #unchain(slot: number): void {
    const nodes = this.#nodes;
    const bucket = nodes[2 * slot]! & this.#mask;
    const next = nodes[2 * slot + 1]!;
    let node = this.#buckets[bucket]!;
    if (node === slot + 1) {
      this.#buckets[bucket] = next;
      return;
    }
    for (; nodes[2 * node - 1] !== slot + 1; node = nodes[2 * node - 1]!);
    nodes[2 * node - 1] = next;
  }

  #isTooLong(bucket: number): boolean {
    let length = 0;
    for (let node = this.#buckets[bucket]!; node !== 0; node = this.#nodes[2 * node - 1]!) length++;
    return length > LONGEST_CHAIN;
  }

  #giveUpHashing(): void {
    this.#hashes = false;
    this.#map ??= new Map();
    for (let slot = 0; slot < this.#fresh; slot++) {
      if (!this.isUsed(slot)) continue;
      this.#map.set(this.keyAt(slot), slot);
      this.#nodes[2 * slot] = this.#nodes[2 * slot]! | MAPPED;
    }
    this.#buckets = new Int32Array(0);
  }

  /** For all slots; those beyond what is given have no hash yet. */
  #makeNodes(known: ArrayLike<number>): void {
    this.#nodes = new Int32Array(2 * this.#capacity).fill(NOT_HASHED, known.length);
    this.#nodes.set(known);
  }

  #rechain(): void {
    if (this.#nodes.length === 0) this.#makeNodes([]);
    const size = bucketsFor(this.#capacity);
    this.#mask = size - 1;
    this.#buckets = new Int32Array(size);
    for (let slot = 0; slot < this.#fresh; slot++) {
      const at = 2 * slot;
      if (this.#nodes[at]! < 0 || this.#pairs[at] === FREE) continue;
      const bucket = this.#nodes[at]! & this.#mask;
      this.#nodes[at + 1] = this.#buckets[bucket]!;
      this.#buckets[bucket] = slot + 1;
    }
  }

  #hashAny(key: K): number {
    if (typeof key === 'string') return hashText(key, this.#seed);
    if (typeof key === 'number' && (key | 0) === key) return mix(key ^ this.#seed);
    if ((typeof key === 'object' && key !== null) || typeof key === 'function') {
      this.#ids ??= new WeakMap();
      let id = this.#ids.get(key);
      if (id === undefined) this.#ids.set(key, (id = ++this.#lastId));
      return mix(id ^ this.#seed);
    }
    return hashText(String(key), this.#seed);
  }
}

function bucketsFor(slots: number): number {
  let size = 1;
  while (size < slots) size *= 2;
  return size;
}

/** The finaliser of MurmurHash3 (Austin Appleby, public domain): each bit of the number moves half of the others. Of its 32 bits one is dropped, so that V8 needs no box. */
function mix(number: number): number {
  let hash = Math.imul(number ^ (number >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) & 0x7fffffff;
}

/** FNV-1a by UTF-16 units, from a seed, and mixed in the end. */
function hashText(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
  return mix(hash);
}
