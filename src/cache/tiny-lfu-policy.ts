import type { EvictionPolicy, EvictionView } from './eviction-policy.ts';
import { FrequencySketch } from './frequency-sketch.ts';
import { LatelyGone } from './lately-gone.ts';
import { LruShadow } from './lru-shadow.ts';
import { SlotLists } from './slot-lists.ts';

/** Lists, and in which of them a slot is. */
const WINDOW = 0;
const PROBATION = 1;
const PROTECTED = 2;
const LISTS = 3;

const FIRST_WINDOW_SHARE = 0.01;
const PROTECTED_SHARE = 0.8;
/** A candidate that came as often as this gets in now and then although it did not come more often: nobody can shut others out by guessing hashes. */
const WARM = 6;
const LUCK = 128;

/** The window is moved after so many requests for each slot, by this much of the whole at most. */
const REQUESTS_A_SLOT = 2.5;
const STEP_SHARE = 0.04;
/** Of what went from each part this much of the whole is remembered. */
const REACH_SHARE = 0.0625;
/** Where fewer of the misses than this were for what went lately, they do not tell: the window grows where an LRU would answer more, and shrinks slowly where there are misses at all. */
const TELLING = 0.01;
const DRY_STEP = 0.25;
/** Where a plain LRU would answer this much more of the requests, the window goes a quarter of the way towards being all there is. */
const BEHIND = 0.003;
const CATCH_UP = 0.25;
/** An LRU that has answered so many more of those requests that were followed is ahead by more than chance: that need not wait. */
const CLEAR_LEAD = 64;

/**
 * New entries first stand in a small window, by recency. What falls out of it stays only if it came more often than what would have to go for it. How large the window is follows
 * what is asked for again soon after it went: from the window, which was too small then, or from the rest, which was. Both are counted in the same requests, so that nothing is
 * concluded from a load that changes. A shadow tells what a plain LRU would have answered besides, and where that is more, the window grows fast. 9 bytes a slot, 8 to 16 of the sketch, and up to 175 KB.
 *
 * After G. Einziger, O. Eytan, R. Friedman, B. Manes, "Adaptive software cache management" (2018), as in Caffeine.
 */
export class TinyLfuPolicy implements EvictionPolicy {
  readonly name = 'tiny-lfu';
  readonly #view: EvictionView;
  readonly #lists = new SlotLists(LISTS);
  readonly #sketch = new FrequencySketch();
  readonly #shadow = new LruShadow();
  readonly #goneFromWindow = new LatelyGone();
  readonly #goneFromRest = new LatelyGone();
  #listOf = new Uint8Array(0);
  #maxWeight = 0;
  #windowMax = 0;
  #protectedMax = 0;
  #windowWeight = 0;
  #probationWeight = 0;
  #protectedWeight = 0;
  #slots = 0;
  #requests = 0;
  #misses = 0;
  /** Of keys that are followed when they go. */
  #followedMisses = 0;
  /** Of those, the ones that a larger window, or a larger rest, would have answered. */
  #windowMisses = 0;
  #restMisses = 0;
  /** What `victim` named last: it goes for the sake of room, as it would in an LRU. */
  #named = -1;
  #random = (Math.random() * 2 ** 32) | 1;

  constructor(view: EvictionView) {
    this.#view = view;
    this.onBound();
  }

  onInsert(slot: number): void {
    this.#noteMiss(this.#view.hashOf(slot));
    this.#note(slot, false);
    this.#put(WINDOW, slot);
    // As long as the cache fills.
    while (this.#windowWeight > this.#windowMax) this.#move(this.#lists.first(WINDOW), PROBATION);
    this.#adapt();
  }

  onAccess(slot: number): void {
    this.#note(slot, true);
    this.#touch(slot);
    this.#adapt();
  }

  onUpdate(slot: number, weightBefore: number): void {
    this.#sketch.increment(this.#view.hashOf(slot));
    this.#weigh(this.#listOf[slot]!, this.#view.weightOf(slot) - weightBefore);
    this.#touch(slot);
  }

  onRemove(slot: number): void {
    if (slot !== this.#named) this.#shadow.forget(this.#view.hashOf(slot));
    this.#named = -1;
    this.#weigh(this.#listOf[slot]!, -this.#view.weightOf(slot));
    this.#lists.remove(slot);
  }

  victim(incomingWeight: number): number {
    const slot = this.#choose(incomingWeight);
    if (slot >= 0) {
      const gone = this.#listOf[slot] === WINDOW ? this.#goneFromWindow : this.#goneFromRest;
      gone.add(this.#view.hashOf(slot), this.#view.weightOf(slot));
    }
    this.#named = slot;
    return slot;
  }

  #choose(incomingWeight: number): number {
    const lists = this.#lists;
    for (;;) {
      const candidate = this.#windowWeight + incomingWeight > this.#windowMax ? lists.first(WINDOW) : -1;
      let coldest = lists.first(PROBATION);
      if (coldest < 0) coldest = lists.first(PROTECTED);
      if (candidate < 0) return coldest < 0 ? lists.first(WINDOW) : coldest;
      if (coldest < 0) return candidate;
      // The window has become smaller than what it holds: there is room beyond it.
      const isContested = this.#windowWeight <= this.#windowMax;
      if (isContested && !this.#isAdmitted(candidate, coldest)) return candidate;
      this.#move(candidate, PROBATION);
      if (isContested) return coldest;
    }
  }

  resize(slotCount: number): void {
    this.#lists.resize(slotCount);
    this.#sketch.resize(slotCount);
    this.#shadow.resize(slotCount);
    this.#goneFromWindow.resize(REACH_SHARE * slotCount);
    this.#goneFromRest.resize(REACH_SHARE * slotCount);
    this.#slots = slotCount;
    const listOf = new Uint8Array(slotCount);
    listOf.set(this.#listOf.subarray(0, slotCount));
    this.#listOf = listOf;
  }

  onMove(from: number, to: number): void {
    this.#listOf[to] = this.#listOf[from]!;
    this.#lists.rename(from, to);
  }

  onBound(): void {
    this.#shadow.clear();
    this.#goneFromWindow.clear();
    this.#goneFromRest.clear();
    this.#windowWeight = this.#weightOf(WINDOW);
    this.#probationWeight = this.#weightOf(PROBATION);
    this.#protectedWeight = this.#weightOf(PROTECTED);
    if (this.#view.maxWeight === this.#maxWeight) return;
    this.#maxWeight = this.#view.maxWeight;
    this.#windowMax = Math.max(1, Math.floor(this.#maxWeight * FIRST_WINDOW_SHARE));
    this.#protectedMax = Math.floor((this.#maxWeight - this.#windowMax) * PROTECTED_SHARE);
  }

  #isAdmitted(candidate: number, coldest: number): boolean {
    const mine = this.#sketch.frequency(this.#view.hashOf(candidate));
    const other = this.#sketch.frequency(this.#view.hashOf(coldest));
    if (mine > other) return true;
    if (mine < WARM) return false;
    // Marsaglia's xorshift.
    this.#random ^= this.#random << 13;
    this.#random ^= this.#random >>> 17;
    this.#random ^= this.#random << 5;
    return (this.#random & (LUCK - 1)) === 0;
  }

  #noteMiss(hash: number): void {
    this.#misses++;
    if (!this.#goneFromWindow.follows(hash)) return;
    this.#followedMisses++;
    const reach = Math.max(1, REACH_SHARE * this.#maxWeight);
    if (this.#goneFromWindow.take(hash, reach)) this.#windowMisses++;
    if (this.#goneFromRest.take(hash, reach)) this.#restMisses++;
  }

  #note(slot: number, isHit: boolean): void {
    this.#requests++;
    const hash = this.#view.hashOf(slot);
    this.#sketch.increment(hash);
    this.#shadow.follow(hash, this.#view.weightOf(slot), this.#view.weight, isHit);
  }

  #touch(slot: number): void {
    const list = this.#listOf[slot]!;
    if (list !== PROBATION) {
      this.#lists.moveToEnd(list, slot);
      return;
    }
    if (this.#view.weightOf(slot) > this.#protectedMax) {
      this.#lists.moveToEnd(PROBATION, slot);
      return;
    }
    this.#move(slot, PROTECTED);
    this.#demote();
  }

  #demote(): void {
    while (this.#protectedWeight > this.#protectedMax) this.#move(this.#lists.first(PROTECTED), PROBATION);
  }

  #put(list: number, slot: number): void {
    this.#listOf[slot] = list;
    this.#lists.add(list, slot);
    this.#weigh(list, this.#view.weightOf(slot));
  }

  #move(slot: number, list: number): void {
    const weight = this.#view.weightOf(slot);
    this.#weigh(this.#listOf[slot]!, -weight);
    this.#weigh(list, weight);
    this.#listOf[slot] = list;
    this.#lists.moveToEnd(list, slot);
  }

  #weigh(list: number, weight: number): void {
    if (list === WINDOW) this.#windowWeight += weight;
    else if (list === PROBATION) this.#probationWeight += weight;
    else this.#protectedWeight += weight;
  }

  #weightOf(list: number): number {
    let weight = 0;
    for (let slot = this.#lists.first(list); slot >= 0; slot = this.#lists.after(slot))
      weight += this.#view.weightOf(slot);
    return weight;
  }

  /** One step of the window, once there were requests enough. */
  #adapt(): void {
    if (this.#requests < REQUESTS_A_SLOT * this.#slots && this.#shadow.lead < CLEAR_LEAD) return;
    const longest = Math.max(1, STEP_SHARE * this.#maxWeight);
    let amount = this.#shareOfStep() * longest;
    if (this.#shadow.advantage < -BEHIND) amount = CATCH_UP * (this.#maxWeight - this.#windowMax);
    this.#requests = this.#misses = this.#followedMisses = this.#windowMisses = this.#restMisses = 0;
    this.#shadow.count();
    this.#moveWindow(Math.round(amount));
  }

  /** -1 to 1: where misses came from. */
  #shareOfStep(): number {
    const told = this.#windowMisses + this.#restMisses;
    if (told >= Math.max(1, TELLING * this.#followedMisses)) return (this.#windowMisses - this.#restMisses) / told;
    if (this.#shadow.advantage < 0) return 1;
    return this.#misses > TELLING * this.#requests ? -DRY_STEP : 0;
  }

  /** The window may become all there is: then this is an LRU. */
  #moveWindow(amount: number): void {
    this.#windowMax = Math.min(this.#maxWeight, Math.max(1, this.#windowMax + amount));
    this.#protectedMax = Math.floor((this.#maxWeight - this.#windowMax) * PROTECTED_SHARE);
    this.#demote();
    if (amount <= 0) return;
    for (;;) {
      const slot = this.#lists.first(PROBATION);
      if (slot < 0 || this.#windowWeight + this.#view.weightOf(slot) > this.#windowMax) return;
      this.#move(slot, WINDOW);
    }
  }
}
