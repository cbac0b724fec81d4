/**
 * The entries of a cache within its bounds, and all that has to change together when one comes or goes. Invariants:
 * - An entry is in the table, in the policy, in the weights and in the books, or in none of them.
 * - Code of others runs in three places: in `weigh`, before anything has been looked up; in asking the governor for room, after which everything is looked up anew; and in
 *   `settle`, when all is done.
 * - Slots stay the same from one `settle` to the next.
 * - Room is made before an entry comes: the bounds hold at every moment.
 */
import type { FailOpen } from '../fail-open.ts';
import type { CacheBooks, CacheKind } from './cache-books.ts';
import type { CachePolicyName } from './cache-options.ts';
import type { CacheCounters } from './cache-stats.ts';
import type { EntryTimes } from './entry-times.ts';
import { EntryWeights, MOST_ENTRY_BYTES } from './entry-weights.ts';
import type { EvictionPolicy, EvictionPolicyFactory, EvictionView } from './eviction-policy.ts';
import { GuardedPolicy } from './guarded-policy.ts';
import { LfuPolicy } from './lfu-policy.ts';
import { ALL_USES, LruPolicy } from './lru-policy.ts';
import type { RemovalQueue, RemovalReason } from './removal-queue.ts';
import type { SlotLists } from './slot-lists.ts';
import { SlotTable } from './slot-table.ts';
import { TinyLfuPolicy } from './tiny-lfu-policy.ts';

/** What an entry costs besides key and value: slot, links, weights, its part of the tables. Booked with the governor, in no bound. */
const SLOT_BYTES = 64;

export interface EntryStoreOptions<K, V> {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly policy: CachePolicyName | EvictionPolicyFactory;
  readonly weighs: boolean;
  readonly removals: RemovalQueue<K, V> | undefined;
  readonly counters: CacheCounters;
  /** For policies that were handed in. */
  readonly failOpen: FailOpen;
}

export class EntryStore<K, V> implements EvictionView {
  readonly table: SlotTable<K, V>;
  readonly weights: EntryWeights | undefined;
  /** Set once an entry has an end. */
  times: EntryTimes | undefined;
  /** Set once there is a governor to ask. */
  books: CacheBooks | undefined;
  readonly #removals: RemovalQueue<K, V> | undefined;
  readonly #counters: CacheCounters;
  readonly #failOpen: FailOpen;
  #maxEntries: number;
  #maxBytes: number;
  #policy: EvictionPolicy;
  /** What the policy has, when it is the plainest: short calls that V8 can inline. */
  #uses: SlotLists | undefined;

  constructor(options: EntryStoreOptions<K, V>) {
    this.table = new SlotTable({ maxSlots: options.maxEntries });
    this.weights = options.weighs ? new EntryWeights() : undefined;
    this.#removals = options.removals;
    this.#counters = options.counters;
    this.#failOpen = options.failOpen;
    this.#maxEntries = options.maxEntries;
    this.#maxBytes = options.maxBytes;
    this.#policy = this.#makePolicy(options.policy);
    this.#uses = usesOf(this.#policy);
  }

  get slotCount(): number {
    return this.table.capacity;
  }

  get entryCount(): number {
    return this.table.size;
  }

  get weight(): number {
    return this.#maxBytes === Number.POSITIVE_INFINITY ? this.table.size : this.weights!.bytes;
  }

  get maxWeight(): number {
    return this.#maxBytes === Number.POSITIVE_INFINITY ? this.#maxEntries : this.#maxBytes;
  }

  get maxEntries(): number {
    return this.#maxEntries;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  get policyName(): string {
    return this.#policy.name;
  }

  weightOf(slot: number): number {
    return this.#maxBytes === Number.POSITIVE_INFINITY ? 1 : this.weights!.at(slot);
  }

  keyOf(slot: number): unknown {
    return this.table.keyAt(slot);
  }

  hashOf(slot: number): number {
    return this.table.hashAt(slot);
  }

  find(key: K): number {
    const { table } = this;
    return table.find(key, table.hash(key));
  }

  touch(slot: number): void {
    if (this.#uses !== undefined) this.#uses.moveToEnd(ALL_USES, slot);
    else this.#policy.onAccess(slot);
  }

  /** Whether something could be stored at all, were the cache empty. */
  isTooHeavy(heapBytes: number, externalBytes: number): boolean {
    const most = Math.max(heapBytes, externalBytes);
    return most > MOST_ENTRY_BYTES || heapBytes + externalBytes > this.#maxBytes;
  }

  /** Stores without weighing. The caller settles. Returns the slot, -1 when it is not stored. */
  put(key: K, value: V): number {
    const { table } = this;
    const hash = table.hash(key);
    const slot = table.find(key, hash);
    if (slot >= 0) {
      this.#replace(slot, value, 1);
      return slot;
    }
    if (table.size >= this.#maxEntries) {
      if (this.#uses !== undefined && this.#removals === undefined && this.times === undefined) {
        return this.#changeOldest(this.#uses, key, value, hash);
      }
      this.#evict(1, 'evicted');
    }
    return this.#insert(key, value, hash);
  }

  /** Stores what is not too heavy. The caller settles. Returns the slot, -1 when the governor has no room: then what stood there is gone. */
  putWeighed(key: K, value: V, heapBytes: number, externalBytes: number): number {
    const slot = this.find(key);
    if (slot >= 0) {
      if (this.#reweigh(key, value, slot, heapBytes, externalBytes)) return slot;
      this.#drop(key);
    }
    if (!this.#makeRoom(heapBytes, externalBytes, SLOT_BYTES, -1)) {
      this.#drop(key);
      this.#counters.refused++;
      return -1;
    }
    // Code of others may have run: what stands under the key, how many there are, even the bounds may be new.
    this.#drop(key);
    while (this.#isOver(heapBytes + externalBytes, true) && this.#evict(heapBytes + externalBytes, 'evicted'));
    if (this.#isOver(heapBytes + externalBytes, true)) {
      this.books?.give(heapBytes + SLOT_BYTES, externalBytes);
      return -1;
    }
    const { table } = this;
    if (table.full) this.#grow();
    const hash = table.hash(key);
    const added = table.add(key, value, hash);
    this.weights!.set(added, heapBytes, externalBytes);
    this.#policy.onInsert(added);
    this.#counters.stored++;
    return added;
  }

  /** Removes an entry. The caller settles. */
  remove(slot: number, reason: RemovalReason): void {
    // By name, for what is hot: a property by a name that varies is looked up.
    if (reason === 'evicted') this.#counters.removals.evicted++;
    else this.#counters.removals[reason]++;
    if (this.#removals !== undefined) this.#removals.add(this.table.keyAt(slot), this.table.valueAt(slot), reason);
    this.takeOut(slot);
  }

  /** Takes out an entry that is kept elsewhere: nobody is told. The caller settles. */
  takeOut(slot: number): void {
    const { table, weights } = this;
    if (this.#uses !== undefined) this.#uses.remove(slot);
    else this.#policy.onRemove(slot);
    if (this.times !== undefined) this.times.remove(slot);
    if (weights !== undefined) {
      this.books?.give(weights.heapAt(slot) + SLOT_BYTES, weights.externalAt(slot));
      weights.set(slot, 0, 0);
    }
    table.remove(slot);
  }

  /** Gives back what was let go of, and tells of it. Code of others runs; entries may stand in other slots after it. */
  settle(): void {
    this.books?.settle();
    if (this.table.isSparse && this.#policy.onMove !== undefined) this.#shrink(this.#policy);
    this.#removals?.tell();
  }

  /** Evicts one more, by the policy. The caller settles. False when there is none. */
  evictOne(reason: RemovalReason): boolean {
    return this.#evict(0, reason);
  }

  /** The entry that would go next, by the policy; -1 when there is none. */
  nextVictim(): number {
    const { table } = this;
    if (table.size === 0) return -1;
    const slot = this.#policy.victim(0);
    return table.isUsed(slot) ? slot : table.anyUsed();
  }

  /** What could be given back of a kind, bytes. */
  heldBytes(kind: CacheKind): number {
    const { weights } = this;
    if (weights === undefined) return 0;
    return kind === 'heap' ? weights.heapBytes + this.table.size * SLOT_BYTES : weights.externalBytes;
  }

  /** What goes with entries that go for a kind: their buffers go along, whatever they go for. */
  heldWith(kind: CacheKind): number {
    return this.heldBytes(kind) + (kind === 'heap' ? this.heldBytes('external') : 0);
  }

  /** New bounds hold at once; entries beyond them are evicted. The caller settles. */
  bound(maxEntries: number, maxBytes: number): void {
    this.#maxEntries = this.table.maxSlots = maxEntries;
    this.#maxBytes = maxBytes;
    this.#policy.onBound?.();
    while (this.table.size > maxEntries || (this.weights !== undefined && this.weights.bytes > maxBytes)) {
      this.#evict(0, 'evicted');
    }
  }

  /** All entries weigh something else now: a policy that adds weights up would go on with sums that are wrong. */
  noteReweighed(): void {
    this.#policy.onBound?.();
  }

  /** Another policy takes over: it is told of the entries in the order in which the old one would have let them go. */
  changePolicy(policy: CachePolicyName | EvictionPolicyFactory): void {
    const old = this.#policy;
    const next = this.#makePolicy(policy);
    next.resize(this.table.capacity);
    const moved = new Uint8Array(this.table.capacity);
    // No slot below it is left.
    let unmoved = 0;
    for (let left = this.table.size; left > 0; left--) {
      let slot = old.victim(0);
      if (!this.table.isUsed(slot) || moved[slot] === 1) {
        while (!this.table.isUsed(unmoved) || moved[unmoved] === 1) unmoved++;
        slot = unmoved;
      }
      moved[slot] = 1;
      old.onRemove(slot);
      next.onInsert(slot);
    }
    this.#policy = next;
    this.#uses = usesOf(next);
  }

  /** Says what does not fit together, for tests; looks at everything. */
  *faults(): Generator<string> {
    yield* this.table.faults();
    if (this.table.size > this.#maxEntries) yield `${this.table.size} entries, more than ${this.#maxEntries}`;
    const { weights } = this;
    if (weights === undefined) return;
    let heap = 0;
    let external = 0;
    for (let slot = 0; slot < this.table.usedSlots; slot++) {
      heap += weights.heapAt(slot);
      external += weights.externalAt(slot);
      if (!this.table.isUsed(slot) && weights.at(slot) !== 0) yield `free slot ${slot} weighs ${weights.at(slot)}`;
    }
    if (heap !== weights.heapBytes || external !== weights.externalBytes) yield 'weights do not add up';
    if (weights.bytes > this.#maxBytes) yield `${weights.bytes} bytes, more than ${this.#maxBytes}`;
  }

  #replace(slot: number, value: V, weightBefore: number): void {
    const { table } = this;
    const old = table.valueAt(slot);
    table.setValue(slot, value);
    if (this.#uses !== undefined) this.#uses.moveToEnd(ALL_USES, slot);
    else if (this.#policy.onUpdate === undefined) this.#policy.onAccess(slot);
    else this.#policy.onUpdate(slot, weightBefore);
    this.#counters.stored++;
    if (Object.is(old, value)) return;
    this.#counters.removals.replaced++;
    if (this.#removals !== undefined) this.#removals.add(table.keyAt(slot), old, 'replaced');
  }

  /** What evicting and inserting come to, where nobody else has to know. */
  #changeOldest(uses: SlotLists, key: K, value: V, hash: number): number {
    const slot = uses.first(ALL_USES);
    this.table.change(slot, key, value, hash);
    uses.moveToEnd(ALL_USES, slot);
    this.#counters.removals.evicted++;
    this.#counters.stored++;
    return slot;
  }

  #insert(key: K, value: V, hash: number): number {
    const { table } = this;
    if (table.full) this.#grow();
    const slot = table.add(key, value, hash);
    if (this.#uses !== undefined) this.#uses.add(ALL_USES, slot);
    else this.#policy.onInsert(slot);
    this.#counters.stored++;
    return slot;
  }

  /** Another value where there is one already. False when that one has to go first, or has gone meanwhile. */
  #reweigh(key: K, value: V, slot: number, heapBytes: number, externalBytes: number): boolean {
    const weights = this.weights!;
    const moreHeap = heapBytes - weights.heapAt(slot);
    const moreExternal = externalBytes - weights.externalAt(slot);
    if (moreHeap > 0 || moreExternal > 0) {
      const [heap, external] = [Math.max(0, moreHeap), Math.max(0, moreExternal)];
      if (!this.#makeRoom(heap, external, 0, slot)) return false;
      // Code of others may have run.
      const isSame =
        this.find(key) === slot &&
        heapBytes - weights.heapAt(slot) === moreHeap &&
        externalBytes - weights.externalAt(slot) === moreExternal;
      if (!isSame || weights.bytes + moreHeap + moreExternal > this.#maxBytes) {
        this.books?.give(heap, external);
        return false;
      }
    }
    this.books?.give(Math.max(0, -moreHeap), Math.max(0, -moreExternal));
    const before = this.weightOf(slot);
    weights.set(slot, heapBytes, externalBytes);
    this.#replace(slot, value, before);
    return true;
  }

  /** Evicts until so much more would be within the bounds, and takes it from the books; false when they have no room, or when `kept` would have to go. */
  #makeRoom(heapBytes: number, externalBytes: number, overhead: number, kept: number): boolean {
    const bytes = heapBytes + externalBytes;
    while (this.#isOver(bytes, kept < 0)) if (!this.#evict(bytes, 'evicted', kept)) return false;
    if (this.books === undefined || this.books.tryTake(heapBytes + overhead, externalBytes)) return true;
    // No room: the entries make it for each other, coldest first.
    const heapUntil = this.heldBytes('heap') - heapBytes - overhead;
    const externalUntil = this.heldBytes('external') - externalBytes;
    while (this.heldBytes('heap') > heapUntil || this.heldBytes('external') > externalUntil) {
      if (!this.#evict(bytes, 'evicted', kept)) break;
    }
    return this.books.tryTake(heapBytes + overhead, externalBytes);
  }

  /** Whether so many bytes more, in an entry more or in one that is there, would be beyond a bound. */
  #isOver(bytes: number, isNew: boolean): boolean {
    return (isNew && this.table.size >= this.#maxEntries) || this.weights!.bytes + bytes > this.#maxBytes;
  }

  #drop(key: K): void {
    const slot = this.find(key);
    if (slot >= 0) this.remove(slot, 'replaced');
  }

  /** False when there is nothing to evict, or it would be `kept`. */
  #evict(incomingWeight: number, reason: RemovalReason, kept = -1): boolean {
    const { table } = this;
    if (table.size === 0) return false;
    let slot = this.#uses !== undefined ? this.#uses.first(ALL_USES) : this.#policy.victim(incomingWeight);
    if (!table.isUsed(slot)) {
      this.#failOpen.note(new Error(`the policy ${this.policyName} named ${slot}, where no entry is`));
      slot = table.anyUsed();
    }
    if (slot === kept) return false;
    this.remove(slot, reason);
    return true;
  }

  #grow(): void {
    this.table.grow();
    this.weights?.resize(this.table.capacity);
    this.times?.grow(this.table.capacity);
    this.#policy.resize(this.table.capacity);
  }

  /** What was let go of is freed: arrays become as small as is fit for what is left. */
  #shrink(policy: EvictionPolicy): void {
    const { table, weights, times } = this;
    table.shrink((from, to) => {
      policy.onMove!(from, to);
      weights?.move(from, to);
      times?.move(from, to);
    });
    weights?.resize(table.capacity);
    times?.shrink(table.capacity);
    policy.resize(table.capacity);
  }

  #makePolicy(policy: CachePolicyName | EvictionPolicyFactory): EvictionPolicy {
    if (policy === 'lru') return new LruPolicy();
    if (policy === 'lfu') return new LfuPolicy(this);
    if (policy === 'tiny-lfu') return new TinyLfuPolicy(this);
    return new GuardedPolicy(policy(this), this.#failOpen);
  }
}

function usesOf(policy: EvictionPolicy): SlotLists | undefined {
  return policy instanceof LruPolicy ? policy.uses : undefined;
}
