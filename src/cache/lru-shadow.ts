import { SlotLists } from './slot-lists.ts';
import { SlotTable } from './slot-table.ts';

/** About so many entries are followed, of a larger cache a sample of its keys. */
const FOLLOWED = 1_024;
const MOST_FOLLOWED = 2 * FOLLOWED;
const ALL = 0;

/**
 * What an LRU of the same size would have answered, without the values: followed for all keys of a small cache, for a sample by hash of those of a large one. Sampling a cache and its
 * requests alike keeps its hit rate (C. Waldspurger and others, "Cache modeling and optimization using miniature simulations", 2017). 75 KB at most.
 */
export class LruShadow {
  #weights = new SlotTable<number, number>({ maxSlots: MOST_FOLLOWED });
  #order = new SlotLists(1);
  #weight = 0;
  #sampledMask = 0;
  /** Requests that were followed, and how many the cache and the LRU answered. */
  seen = 0;
  hits = 0;
  lruHits = 0;

  /** How much more of the requests the cache answered than the LRU, -1 to 1; 0 when none was followed. */
  get advantage(): number {
    return this.seen === 0 ? 0 : (this.hits - this.lruHits) / this.seen;
  }

  /** How many more of those that were followed the LRU answered. */
  get lead(): number {
    return this.lruHits - this.hits;
  }

  /** Begins a new count. */
  count(): void {
    this.seen = this.hits = this.lruHits = 0;
  }

  /** Follows a part of the keys that is fit for so many entries. */
  resize(entries: number): void {
    let mask = 0;
    while (entries / (mask + 1) > FOLLOWED) mask = 2 * mask + 1;
    if (mask === this.#sampledMask) return;
    this.#sampledMask = mask;
    this.clear();
  }

  clear(): void {
    this.#weights = new SlotTable({ maxSlots: MOST_FOLLOWED });
    this.#order = new SlotLists(1);
    this.#weight = 0;
    this.count();
  }

  /** A request for a key of this hash and weight, in a cache that holds `heldWeight` and answered it or did not. Keys of one hash are taken for one. */
  follow(hash: number, weight: number, heldWeight: number, isHit: boolean): void {
    if (!this.#isFollowed(hash)) return;
    this.seen++;
    if (isHit) this.hits++;
    const weights = this.#weights;
    const hashed = weights.hash(hash);
    const slot = weights.find(hash, hashed);
    if (slot >= 0) {
      this.lruHits++;
      this.#order.moveToEnd(ALL, slot);
      return;
    }
    const bound = heldWeight / (this.#sampledMask + 1);
    while (weights.size > 0 && (this.#weight + weight > bound || weights.size >= MOST_FOLLOWED)) {
      this.#drop(this.#order.first(ALL));
    }
    if (weights.full) {
      weights.grow();
      this.#order.resize(weights.capacity);
    }
    this.#order.add(ALL, weights.add(hash, weight, hashed));
    this.#weight += weight;
  }

  /** A key that is not wanted any more: an LRU would not have it either. */
  forget(hash: number): void {
    if (!this.#isFollowed(hash)) return;
    const slot = this.#weights.find(hash, this.#weights.hash(hash));
    if (slot >= 0) this.#drop(slot);
  }

  /** Not by the bits that other tables choose by. */
  #isFollowed(hash: number): boolean {
    return ((hash >>> 12) & this.#sampledMask) === 0;
  }

  #drop(slot: number): void {
    this.#weight -= this.#weights.valueAt(slot);
    this.#order.remove(slot);
    this.#weights.remove(slot);
  }
}
