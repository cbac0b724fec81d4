import { catchRejection } from '../catch-rejection.ts';
import { FailOpen } from '../fail-open.ts';
import type { HolderReport, Reclaimer, ReclaimRequest } from '../governor/index.ts';
import { invalidOption } from '../invalid-option.ts';
import type { Weight } from '../weigh.ts';
import { CacheBooks, type CacheKind, MOST_MS } from './cache-books.ts';
import {
  type CacheOptions,
  type CacheTuning,
  type ResolvedCacheOptions,
  resolveCacheOptions,
  resolveCacheTuning,
} from './cache-options.ts';
import { CacheCounters, type CacheStats } from './cache-stats.ts';
import type { EntrySpan } from './demoted-entry.ts';
import { EntryLife, isAlive } from './entry-life.ts';
import type { LoadOptions, SetOptions } from './entry-options.ts';
import { EntrySampler } from './entry-sampler.ts';
import { EntryStore } from './entry-store.ts';
import type { Loader } from './load-table.ts';
import { RemovalQueue } from './removal-queue.ts';
import type { Tier } from './tier-options.ts';
import { reportedTiers } from './tier-stats.ts';

const LOOK_AT_CLOCK_EVERY = 64;

/**
 * Keeps values by key within a number of entries or bytes. Keys are compared as a `Map` does. Under a governor what entries weigh is reserved before they are kept; where there
 * is no room, colder ones go, and where that does not help the value is not stored: a cache may always say no.
 *
 * Values are kept as they are, not copied. After its construction only `tune` throws, and `set` whose third argument is no object. Whoever made it disposes it.
 * @example
 * import { Cache } from 'plimsoll/cache';
 * const pages = new Cache<string, string>({ maxEntries: 10_000 });
 * pages.set('/about', html);
 * pages.get('/about');
 */
export class Cache<K, V> implements Disposable, Iterable<[K, V]> {
  readonly name: string;
  readonly #options: ResolvedCacheOptions<K, V>;
  readonly #counters = new CacheCounters();
  readonly #policyFaults: FailOpen;
  readonly #governorFaults: FailOpen;
  readonly #removals: RemovalQueue<K, V> | undefined;
  readonly #store: EntryStore<K, V>;
  readonly #life: EntryLife<K, V>;
  readonly #sampler: EntrySampler<K, V> | undefined;
  /** A plain `set` has nothing to look at but the entries themselves. */
  #plain = true;
  #disposed = false;

  /** Throws `RangeError` for unsound options. */
  constructor(options: CacheOptions<K, V>) {
    const sound = resolveCacheOptions(options);
    this.name = sound.name;
    this.#options = sound;
    this.#policyFaults = new FailOpen(`cache ${sound.name}: policy`);
    this.#governorFaults = new FailOpen(`cache ${sound.name}`);
    const { onRemoval } = sound;
    this.#removals = onRemoval && new RemovalQueue(onRemoval, `cache ${sound.name}: onRemoval`);
    this.#store = new EntryStore({
      maxEntries: sound.maxEntries,
      maxBytes: sound.maxBytes,
      policy: sound.policy,
      weighs: sound.weigh !== undefined,
      removals: this.#removals,
      counters: this.#counters,
      failOpen: this.#policyFaults,
    });
    const { entries, governor, importance, clock } = sound;
    this.#sampler = entries.calibrate && new EntrySampler(this.#store, entries.calibrate);
    if (sound.weigh !== undefined || onRemoval !== undefined) this.#plain = false;
    this.#life = new EntryLife({
      name: sound.name,
      store: this.#store,
      counters: this.#counters,
      entries,
      governor,
      importance,
      clock,
      keep: (key, value, times, span) => void this.#set(key, value, times, span),
      onUsed: () => {
        this.#plain = false;
      },
    });
    if (sound.governor === undefined) return;
    this.#store.books = new CacheBooks(sound.governor, {
      name: sound.name,
      importance: sound.importance,
      reclaimer: (kind) => this.#reclaimer(kind),
      report: () => this.#report(),
      failOpen: this.#governorFaults,
    });
  }

  /** Entries that are there. */
  get size(): number {
    return this.#store.entryCount;
  }

  /** What they weigh, bytes; 0 where nothing is weighed. */
  get bytes(): number {
    return this.#store.weights?.bytes ?? 0;
  }

  /** The value of a key, undefined when it is not there. Counts as use. */
  get(key: K): V | undefined {
    const store = this.#store;
    const slot = store.find(key);
    if (slot < 0 || (store.times !== undefined && !this.#life.isFresh(slot, true))) return this.#life.fromBelow(key);
    this.#counters.hits++;
    store.touch(slot);
    return store.table.valueAt(slot);
  }

  /** The value of a key, from the disk tier too, which `get` cannot read. Counts as use. Never rejects: what cannot be read is a miss. */
  async getAsync(key: K): Promise<V | undefined> {
    return (await this.#life.fromDisk(key)) ?? this.get(key);
  }

  /**
   * The value of a key, or what the loader gives: once for all who ask meanwhile. A `set`, `delete` or `clear` that comes in between wins. Within `staleMs` past its time to live the old
   * value is served, and loaded anew in the background. Rejects with the loader's failure, with the reason of `signal`, and with `PLIMSOLL_LOADS_FULL`,
   * `PLIMSOLL_LOAD_TIMEOUT` and `PLIMSOLL_DISPOSED`. A loader that asks for its own key waits for itself.
   */
  getOrLoad(key: K, loader?: Loader<K, V>, options?: LoadOptions): Promise<V> {
    return this.#life.getOrLoad(key, loader, options ?? {});
  }

  /** The value, without counting as use. */
  peek(key: K): V | undefined {
    const slot = this.#store.find(key);
    return slot < 0 || !this.#life.isFresh(slot, false) ? undefined : this.#store.table.valueAt(slot);
  }

  /** Whether a key is there, without counting as use. Lower tiers left out: see `peekTier`. */
  has(key: K): boolean {
    const slot = this.#store.find(key);
    return slot >= 0 && this.#life.isFresh(slot, false);
  }

  /** Where a key is, undefined when it is nowhere. Does not count as use. */
  peekTier(key: K): Tier | undefined {
    return this.has(key) ? 'strong' : this.#life.tierOf(key);
  }

  /** Stores a value and says whether it did. What stood under the key is gone in any case. Throws `RangeError` for options that are no object. */
  set(key: K, value: V, options?: SetOptions): boolean {
    if (!this.#plain || options !== undefined) return this.#change(key, value, options);
    this.#store.put(key, value);
    return true;
  }

  /** Whether there was one. */
  delete(key: K): boolean {
    const wasBelow = this.#life.overtake(key);
    const slot = this.#store.find(key);
    if (slot < 0 || !this.#life.isFresh(slot, false)) {
      // Past its time to live, and still served while it is loaded anew.
      if (slot >= 0 && this.#store.find(key) === slot) this.#store.remove(slot, 'removed');
      this.#store.settle();
      return wasBelow;
    }
    this.#store.remove(slot, 'removed');
    this.#store.settle();
    return true;
  }

  /** Removes all entries. */
  clear(): void {
    this.#life.overtakeAll();
    this.#removeAll();
    this.#store.settle();
  }

  /** Changes bounds and policy while running. Entries beyond a smaller bound are evicted at once. Throws `RangeError` for unsound values, and has changed nothing then. */
  tune(tuning: CacheTuning): void {
    const sound = resolveCacheTuning(tuning);
    const { maxEntries, maxBytes, policy } = sound;
    const store = this.#store;
    if (maxBytes !== undefined && store.weights === undefined) {
      throw invalidOption(
        'maxBytes',
        'left out where entries are not weighed: for that, construct it with `weigh`',
        maxBytes,
      );
    }
    // First what may throw.
    if (policy !== undefined) store.changePolicy(policy);
    this.#life.tune(sound);
    if (maxEntries !== undefined || maxBytes !== undefined) {
      store.bound(maxEntries ?? store.maxEntries, maxBytes ?? store.maxBytes);
    }
    store.settle();
  }

  /** The entries in no particular order, without counting as use. The cache may change meanwhile: what is there from beginning to end comes once. */
  *entries(): Generator<[K, V], void, undefined> {
    const { table } = this.#store;
    const cursor = table.openCursor();
    while (cursor.slot < table.usedSlots) {
      const slot = cursor.slot++;
      if (!table.isUsed(slot) || (this.#store.times?.look(slot, false) ?? 'fresh') !== 'fresh') continue;
      yield [table.keyAt(slot), table.valueAt(slot)];
    }
  }

  *keys(): Generator<K, void, undefined> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): Generator<V, void, undefined> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): Generator<[K, V], void, undefined> {
    return this.entries();
  }

  get stats(): CacheStats {
    const { weights, entryCount } = this.#store;
    const { removals, ...counts } = this.#counters;
    const tiers = this.#life.tierStats;
    return {
      entryCount,
      bytes: this.bytes,
      heapBytes: weights?.heapBytes ?? 0,
      externalBytes: weights?.externalBytes ?? 0,
      ...counts,
      ...this.#life.loadStats,
      removals: { ...removals },
      ...(tiers && { tiers }),
      ...(this.#sampler && { weightCorrection: this.#sampler.correction }),
      listenerFaults: this.#removals?.faults ?? 0,
      policyFaults: this.#policyFaults.count,
      governorFaults: this.#governorFaults.count,
    };
  }

  /** For tests: what does not fit together inside, in words; nothing when all is well. Looks at everything. */
  faults(): string[] {
    return [...this.#store.faults()];
  }

  /** Removes all entries and closes the consumers. From then on nothing is stored. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#plain = false;
    this.clear();
    this.#life[Symbol.dispose]();
    this.#store.books?.[Symbol.dispose]();
  }

  #change(key: K, value: V, options: SetOptions | undefined): boolean {
    if (options !== undefined && typeof options !== 'object') {
      throw invalidOption('options of set', 'an object such as { ttlMs }', options);
    }
    this.#life.overtake(key);
    return this.#set(key, value, options, undefined);
  }

  #set(key: K, value: V, options: SetOptions | undefined, span: EntrySpan | undefined): boolean {
    const store = this.#store;
    if (this.#disposed) return false;
    let slot = -1;
    if (this.#removals?.isCircling) this.#counters.refused++;
    else if (!isAlive(options)) slot = -1;
    else if (this.#options.weigh === undefined) slot = store.put(key, value);
    else slot = this.#setWeighed(key, value, this.#options.weigh);
    // What is not stored leaves nothing older behind; a cache that was disposed in the middle leaves nothing at all.
    if (slot < 0 || this.#disposed) {
      slot = -1;
      const old = store.find(key);
      if (old >= 0) store.remove(old, 'replaced');
    } else {
      this.#life.noteStored(slot, options, span);
      this.#sampler?.noteSet();
    }
    // An older value may have gone down while room was asked for, or come there while this one was loaded.
    this.#life.dropBelow(key);
    store.settle();
    return slot >= 0;
  }

  #setWeighed(key: K, value: V, weigh: NonNullable<ResolvedCacheOptions<K, V>['weigh']>): number {
    let heapBytes: number;
    let externalBytes = 0;
    let weight: number | Weight | undefined;
    try {
      weight = weigh(value, key);
      if (typeof weight === 'number') heapBytes = Math.ceil(weight);
      else {
        heapBytes = Math.ceil(weight.heapBytes);
        externalBytes = Math.ceil(weight.externalBytes);
      }
    } catch {
      heapBytes = Number.NaN;
    }
    if (this.#sampler !== undefined) {
      heapBytes = Math.ceil(heapBytes * this.#sampler.appliedRatio);
      externalBytes = Math.ceil(externalBytes * this.#sampler.appliedRatio);
    }
    if (!(heapBytes >= 0 && externalBytes >= 0) || this.#disposed) {
      this.#counters.unweighed++;
      // A promise is no weight, and may reject.
      catchRejection(weight, () => {});
      return -1;
    }
    if (this.#store.isTooHeavy(heapBytes, externalBytes)) {
      this.#counters.tooHeavy++;
      return -1;
    }
    return this.#store.putWeighed(key, value, heapBytes, externalBytes);
  }

  #removeAll(): void {
    const { table } = this.#store;
    for (let slot = table.usedSlots - 1; slot >= 0; slot--) if (table.isUsed(slot)) this.#store.remove(slot, 'removed');
  }

  #reclaimer(kind: CacheKind): Reclaimer {
    const waiting = this.#life.giveBackWaiting;
    return {
      reclaimableBytes: () => this.#store.heldBytes(kind),
      reclaimNow: (request) => this.#giveBack(kind, request),
      ...(waiting && { reclaim: (request, { signal }) => waiting(kind, request, signal) }),
    };
  }

  /**
   * By the policy, until there is enough, or it has taken long enough. Entries that go for what they hold on the heap take their buffers along: those count as given back too, or a
   * cache of buffers would go whole for what its tables take.
   */
  #giveBack(kind: CacheKind, { targetBytes, level }: ReclaimRequest): number {
    const store = this.#store;
    const { clock } = this.#options;
    const held = () => store.heldWith(kind);
    const before = store.heldBytes(kind);
    const until = held() - targetBytes + this.#life.giveBack(kind, targetBytes, level);
    const started = clock.now();
    for (let seen = 1; this.#life.drops(level) && held() > until && store.heldBytes(kind) > 0; seen++) {
      if (!store.evictOne('reclaimed')) break;
      if (seen % LOOK_AT_CLOCK_EVERY > 0 && this.#removals === undefined) continue;
      store.settle();
      if (clock.now() - started > MOST_MS) break;
    }
    store.settle();
    return before - store.heldBytes(kind);
  }

  #report(): HolderReport {
    const { removals, policyFaults, listenerFaults, governorFaults, tiers, weightCorrection, ...counts } = this.stats;
    const faults = policyFaults + governorFaults;
    const trouble = [
      ...(faults > 0 ? [`${faults} faults of policy or governor`] : []),
      ...(tiers?.spillPaused === true ? ['nothing can be written to the spill folder'] : []),
    ];
    return {
      type: 'cache',
      health: trouble.length > 0 ? 'degraded' : 'ok',
      ...(trouble.length > 0 && { why: trouble.join('; ') }),
      counts: {
        ...counts,
        ...removals,
        policyFaults,
        listenerFaults,
        governorFaults,
        ...(tiers && reportedTiers(tiers)),
        ...(weightCorrection && { weightRatio: weightCorrection.ratio }),
      },
    };
  }
}
