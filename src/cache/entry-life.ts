/**
 * What entries go through besides being set and asked for: times, loads, tiers. Nothing of it is there before it is used: a plain cache has this object and no more. What is
 * looked at in a hit is `store.times` alone.
 */
import type { Clock } from '../clock.ts';
import { DisposedError } from '../errors.ts';
import type { Governor, PressureLevel, ReclaimRequest } from '../governor/index.ts';
import { invalidOption } from '../invalid-option.ts';
import { type CacheKind, MOST_MS } from './cache-books.ts';
import type { CacheCounters } from './cache-stats.ts';
import type { EntrySpan } from './demoted-entry.ts';
import type { EntryTuning, LoadOptions, ResolvedEntryOptions, SetOptions } from './entry-options.ts';
import type { EntryStore } from './entry-store.ts';
import { EntryTimes, type TimeSettings } from './entry-times.ts';
import { type Loader, type LoadRequest, type LoadStats, LoadTable, NO_LOADS } from './load-table.ts';
import { LowerTiers, type Promoted } from './lower-tiers.ts';
import type { Tier } from './tier-options.ts';
import type { TierStats } from './tier-stats.ts';

const NEVER = Number.POSITIVE_INFINITY;

export interface EntryLifeOptions<K, V> {
  readonly name: string;
  readonly store: EntryStore<K, V>;
  readonly counters: CacheCounters;
  readonly entries: ResolvedEntryOptions<K, V>;
  readonly governor: Governor | undefined;
  readonly importance: number;
  readonly clock: Clock;
  /** Stores what was loaded or came up again, with times of its own or with what is left of its life. */
  readonly keep: (key: K, value: V, options: SetOptions | undefined, span: EntrySpan | undefined) => void;
  /** From now on a change of an entry has more to look at than the entry. */
  readonly onUsed: () => void;
}

/** Whether times that were given are times; what is no number above 0 has passed already. */
export function isAlive(options: SetOptions | undefined): boolean {
  const { ttlMs = NEVER, idleMs = NEVER } = options ?? {};
  return typeof ttlMs === 'number' && ttlMs > 0 && typeof idleMs === 'number' && idleMs > 0;
}

export class EntryLife<K, V> implements Disposable {
  readonly #options: EntryLifeOptions<K, V>;
  readonly #store: EntryStore<K, V>;
  readonly #tiers: LowerTiers<K, V> | undefined;
  /** From the first `getOrLoad` that misses on. */
  #loads: LoadTable<K, V> | undefined;
  #times: TimeSettings;
  #maxLoads: number;
  #disposed = false;

  constructor(options: EntryLifeOptions<K, V>) {
    const { name, entries, governor, importance, clock } = options;
    this.#options = options;
    this.#store = options.store;
    this.#times = entries.times;
    this.#maxLoads = entries.maxLoads;
    this.#tiers = entries.tiers && new LowerTiers({ name, settings: entries.tiers, governor, importance, clock });
    if (this.#tiers !== undefined) options.onUsed();
    if (this.#isMortal) this.#openTimes();
  }

  get loadStats(): LoadStats {
    return this.#loads?.stats ?? NO_LOADS;
  }

  get tierStats(): TierStats | undefined {
    return this.#tiers?.stats;
  }

  /** Somebody sets or deletes the entry: what is being loaded for it, and what stands below, is out of date. True when there was something below. */
  overtake(key: K): boolean {
    if (this.#loads !== undefined && this.#loads.size > 0) this.#loads.overtake(key);
    return this.#tiers?.delete(key) === true;
  }

  /** What stands below a key that was set is older. */
  dropBelow(key: K): void {
    this.#tiers?.delete(key);
  }

  overtakeAll(): void {
    this.#loads?.overtakeAll();
    this.#tiers?.clear();
  }

  /** Whether what stands in a slot may be had. What is past its end goes. */
  isFresh(slot: number, use: boolean): boolean {
    const state = this.#store.times?.look(slot, use) ?? 'fresh';
    if (state === 'gone') this.#expire(slot);
    return state === 'fresh';
  }

  /** The entry in a slot was stored. */
  noteStored(slot: number, options: SetOptions | undefined, span: EntrySpan | undefined): void {
    const { times } = this.#store;
    if (span === undefined) {
      if (times !== undefined || options !== undefined) this.#openTimes().set(slot, options?.ttlMs, options?.idleMs);
    } else if (times !== undefined || Math.min(span.freshUntil, span.idleMs) < NEVER) {
      this.#openTimes().restore(slot, span.freshUntil, span.idleMs);
    }
  }

  /** The strong tier does not have it: what a tier below has that can be read at once. */
  fromBelow(key: K): V | undefined {
    const found = this.#tiers?.take(key);
    if (found === undefined) {
      this.#options.counters.misses++;
      return undefined;
    }
    this.#promote(key, found);
    return found.value;
  }

  /** What stands on the disk; undefined when `get` knows as much. */
  async fromDisk(key: K): Promise<V | undefined> {
    let isPromoted = false;
    const found = await this.#tiers?.takeFromDisk(key, (promoted) => {
      isPromoted = true;
      this.#promote(key, promoted);
    });
    // Who shared the reading has a hit too.
    if (found !== undefined && !isPromoted) this.#options.counters.hits++;
    return found?.value;
  }

  tierOf(key: K): Tier | undefined {
    return this.#tiers?.tierOf(key);
  }

  getOrLoad(key: K, given: Loader<K, V> | undefined, options: LoadOptions): Promise<V> {
    const { name, entries, counters } = this.#options;
    if (this.#disposed) return Promise.reject(new DisposedError(`cache ${name}`));
    const loader = given ?? entries.loader;
    if (typeof loader !== 'function') return Promise.reject(invalidOption('loader', 'a function', loader));
    const store = this.#store;
    const slot = store.find(key);
    const state = slot < 0 ? 'gone' : (store.times?.look(slot, true) ?? 'fresh');
    if (state !== 'gone') {
      counters.hits++;
      store.touch(slot);
      const value = store.table.valueAt(slot);
      if (state === 'stale') this.#openLoads().refresh(this.#request(key, loader, options, value));
      return Promise.resolve(value);
    }
    if (slot >= 0) this.#expire(slot);
    const found = this.#tiers?.take(key);
    if (found !== undefined) {
      this.#promote(key, found);
      return Promise.resolve(found.value);
    }
    // What stands on the disk is a hit or a miss when it has been read.
    if (this.#tiers?.isOnDisk(key) !== true) counters.misses++;
    return this.#openLoads().load(this.#request(key, loader, options, undefined), options.signal);
  }

  tune({ ttlMs, idleMs, staleMs, maxLoads }: EntryTuning): void {
    const before = this.#times;
    this.#times = {
      ttlMs: ttlMs ?? before.ttlMs,
      idleMs: idleMs ?? before.idleMs,
      staleMs: staleMs ?? before.staleMs,
    };
    if (this.#isMortal) this.#openTimes();
    this.#store.times?.tune(this.#times);
    this.#maxLoads = maxLoads ?? this.#maxLoads;
    if (this.#loads !== undefined) this.#loads.maxLoads = this.#maxLoads;
  }

  /**
   * Before others are evicted for the governor: what is past its end goes, and the coldest go down until so much has been given, or it has taken long enough. What they take below
   * is given here in addition. Returns by how much lower the goal is because of that: 0 or less.
   */
  giveBack(kind: CacheKind, targetBytes: number, level: PressureLevel): number {
    const store = this.#store;
    const held = () => store.heldWith(kind);
    const until = held() - targetBytes;
    store.times?.run();
    const tiers = this.#tiers;
    if (tiers === undefined) return 0;
    const { clock } = this.#options;
    const started = clock.now();
    const below = tiers.heldBytes;
    const taken = () => below - tiers.heldBytes;
    while (held() > Math.max(0, until + taken()) && clock.now() - started < MOST_MS) {
      const slot = store.nextVictim();
      if (slot < 0) break;
      this.#demote(tiers, slot, level);
    }
    store.settle();
    return Math.min(0, taken());
  }

  /**
   * Whether what has not gone down in that time is to be dropped. At `high` and `critical` it is left for `giveBackWaiting`: there trains run, which ask for that next. In calmer times only a
   * reservation of somebody else asks, who is not to be refused for want of milliseconds.
   */
  drops(level: PressureLevel): boolean {
    return this.#tiers === undefined || (level !== 'high' && level !== 'critical');
  }

  /** The same with pauses, where there are tiers: the process waits no longer than for one portion. Resolves to bytes of the kind. */
  get giveBackWaiting():
    | ((kind: CacheKind, request: ReclaimRequest, signal: AbortSignal) => Promise<number>)
    | undefined {
    if (this.#tiers === undefined) return undefined;
    return async (kind, { targetBytes, level }, signal) => {
      const store = this.#store;
      const before = store.heldBytes(kind);
      const heldBefore = store.heldWith(kind);
      for (let gone = 0; gone < targetBytes && !signal.aborted && !this.#disposed; ) {
        this.giveBack(kind, targetBytes - gone, level);
        const now = heldBefore - store.heldWith(kind);
        // Nothing is left, or others put in as much as goes.
        if (now <= gone) break;
        gone = now;
        await new Promise((resolve) => setImmediate(resolve));
      }
      return Math.max(0, before - store.heldBytes(kind));
    };
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#options.onUsed();
    this.#loads?.[Symbol.dispose]();
    this.#tiers?.[Symbol.dispose]();
    this.#store.times?.[Symbol.dispose]();
  }

  get #isMortal(): boolean {
    return Math.min(this.#times.ttlMs, this.#times.idleMs) < NEVER;
  }

  #expire(slot: number): void {
    this.#store.remove(slot, 'expired');
    this.#store.settle();
  }

  /** From then on each entry has times, if only that it has no end. */
  #openTimes(): EntryTimes {
    const store = this.#store;
    if (store.times !== undefined) return store.times;
    store.times = new EntryTimes({
      ...this.#times,
      clock: this.#options.clock,
      capacity: store.table.capacity,
      onExpired: (slot) => store.remove(slot, 'expired'),
      onGone: () => store.settle(),
    });
    if (this.#disposed) store.times[Symbol.dispose]();
    this.#options.onUsed();
    return store.times;
  }

  #openLoads(): LoadTable<K, V> {
    const { name, entries, clock, onUsed } = this.#options;
    if (this.#loads !== undefined) return this.#loads;
    onUsed();
    this.#loads = new LoadTable({
      name,
      maxLoads: this.#maxLoads,
      loadTimeoutMs: entries.loadTimeoutMs,
      clock,
      current: (key) => this.#current(key),
    });
    return this.#loads;
  }

  #current(key: K): V | undefined {
    const slot = this.#store.find(key);
    return slot >= 0 && this.isFresh(slot, false) ? this.#store.table.valueAt(slot) : undefined;
  }

  #request(key: K, loader: Loader<K, V>, options: SetOptions, staleValue: V | undefined): LoadRequest<K, V> {
    let isFromDisk = false;
    const diskFirst: Loader<K, V> = async (_, help) => {
      const found = await this.fromDisk(key);
      isFromDisk = found !== undefined;
      if (found === undefined) this.#options.counters.misses++;
      return found === undefined ? loader(key, help) : found;
    };
    return {
      key,
      loader: this.#tiers?.isOnDisk(key) === true ? diskFirst : loader,
      staleValue,
      store: (value) => {
        if (!isFromDisk) this.#options.keep(key, value, options, undefined);
      },
    };
  }

  /** Up again, with what is left of its life. Where there is no room, who asked has it all the same. */
  #promote(key: K, { value, span }: Promoted<V>): void {
    this.#options.counters.hits++;
    this.#options.keep(key, value, undefined, span);
  }

  #demote(tiers: LowerTiers<K, V>, slot: number, level: PressureLevel): void {
    const store = this.#store;
    const { table, times } = store;
    const key = table.keyAt(slot);
    const value = table.valueAt(slot);
    const span = { freshUntil: times?.freshUntil(slot) ?? NEVER, idleMs: times?.idleMs(slot) ?? NEVER };
    const isKept = tiers.demote(key, value, span, level);
    // Code of others may have run while room was asked for: then what it left here is newer.
    if (!table.isUsed(slot) || store.find(key) !== slot || !Object.is(table.valueAt(slot), value)) tiers.delete(key);
    else if (isKept) store.takeOut(slot);
    else store.remove(slot, 'reclaimed');
  }
}
