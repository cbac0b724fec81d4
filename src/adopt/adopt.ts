import { type Clock, systemClock } from '../clock.ts';
import { FailOpen } from '../fail-open.ts';
import { checkGovernor, type Governor } from '../governor/index.ts';
import { checkName, checkNumber, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { AdoptedCache } from './adopted-cache.ts';
import type { CacheDriver } from './cache-driver.ts';
import type { WeighFunction } from './entry-weigher.ts';
import { lruCacheDriver } from './lru-cache-driver.ts';
import { lruMinDriver } from './lru-min-driver.ts';
import { mapDriver } from './map-driver.ts';
import { mnemonistClearDriver, mnemonistDeleteDriver } from './mnemonist-driver.ts';
import { quickLruDriver } from './quick-lru-driver.ts';
import { type CacheSource, sourceDriver } from './source-driver.ts';

export interface AdoptOptions<K = unknown, V = unknown> {
  /** As the ledger names it; buffers are held under `NAME (buffers)`. 1 to 120 characters. */
  readonly name: string;
  /** The most that it may hold, bytes. Default: up to the line. Kept by dropping the oldest, at each look: it may be passed for as long as that is away. */
  readonly maxBytes?: number;
  /** The same as a part of the effective limit, above 0, up to 1; follows when the limit changes. */
  readonly maxShare?: number;
  /** How long the governor spares it: low gives back first. Default 0. */
  readonly importance?: number;
  /**
   * Bytes of an entry, key and cache's own included, instead of the built-in weighing: a number counts as the kind that the value is. What it throws is counted, and the
   * entry weighed as usual.
   */
  readonly weigh?: (value: V, key: K) => ReturnType<WeighFunction>;
  /** Between two looks, 20 to 60,000 ms. Default 1,000; 250 at most from `high` on. */
  readonly lookEveryMs?: number;
  readonly clock?: Clock;
  /** 0 up to 1: chooses what is weighed. Default `Math.random`. */
  readonly random?: () => number;
}

/** What can be adopted, by shape: `lru-cache` 7 to 11, `lru.min`, mnemonist's, `quick-lru`, `Map`, or four functions. */
export type AdoptableCache<K = unknown, V = unknown> = CacheSource | Map<K, V> | KnownCache<K, V>;

/** What the known packages have in common. */
export interface KnownCache<K = unknown, V = unknown> {
  readonly size: number;
  /** Not called. What it takes says nothing of what it gives: `lru-cache` lets `undefined` be set. */
  set(key: K, value: never): unknown;
  peek(key: K): V | undefined;
}

const OPTIONS = ['name', 'maxBytes', 'maxShare', 'importance', 'weigh', 'lookEveryMs', 'clock', 'random'];
const DEFAULT_LOOK_MS = 1_000;

/** `quick-lru` is a `Map` as well: the special ones come first. */
const DRIVERS: readonly CacheDriver[] = [
  lruCacheDriver,
  lruMinDriver,
  quickLruDriver,
  mnemonistDeleteDriver,
  mnemonistClearDriver,
  mapDriver,
  sourceDriver,
] as unknown[] as readonly CacheDriver[];

/**
 * Brings a cache that exists under the line: what it holds stands in the books, its oldest entries go when the governor asks for bytes, and a bound in bytes, or as a
 * part of the limit, is kept. Nothing in it is patched; what its documentation offers is used. In `observe` and `off` nothing is dropped.
 *
 * - `lru-cache` 7 to 11, `lru.min`, `quick-lru`, mnemonist's `LRUCache` and `LRUMap` (without `delete` all entries go at once: take their variants `WithDelete`), `Map`
 *   (drops what was inserted first), or any object `{ size(), dropOldest(), entries?(), byteCount?() }`.
 * - Where the cache does not count bytes, entries are weighed by sample: `stats.errorShare` says how far the estimate may be off. A `calculatedSize` is believed when the
 *   sample bears it out within a factor of three.
 * - A look costs 0.03 to 0.6 ms, 1.5 at most, once a second; dropping about 4 ms at most at once, some thousand entries (`quick-lru` copies itself: 0.4 µs an entry).
 *   About 20 KiB each.
 * - Adopt a cache once: twice counts twice. It is held weakly, and the adoption ends with it; a source is held until the result is disposed, which leaves it as it is.
 * - It fails open: what goes wrong is counted in `stats.faults` and published as `plimsoll:fault`.
 *
 * Throws `RangeError` (`PLIMSOLL_INVALID_OPTION`) for unsound options and for what cannot be adopted; nothing afterwards.
 * @example
 * import { LRUCache } from 'lru-cache';
 * import { ensureProcessGovernor } from 'plimsoll';
 * import { adopt } from 'plimsoll/adopt';
 * const images = new LRUCache({ max: 50_000 });
 * adopt(ensureProcessGovernor(), images, { name: 'images', maxShare: 0.1 });
 */
export function adopt<K, V>(governor: Governor, cache: KnownCache<K, V>, options: AdoptOptions<K, V>): AdoptedCache;
export function adopt<K, V>(governor: Governor, cache: AdoptableCache<K, V>, options: AdoptOptions<K, V>): AdoptedCache;
export function adopt<K, V>(
  governor: Governor,
  cache: AdoptableCache<K, V>,
  options: AdoptOptions<K, V>,
): AdoptedCache {
  const {
    name,
    maxBytes,
    maxShare,
    importance = 0,
    weigh,
    lookEveryMs,
    clock,
    random,
  } = copyOptions('adopt', options, OPTIONS);
  checkName(name);
  checkGovernor(governor);
  if (maxBytes !== undefined && maxShare !== undefined)
    throw invalidOption('maxShare', 'left out beside `maxBytes`', maxShare);
  if (weigh !== undefined && typeof weigh !== 'function') throw invalidOption('weigh', 'a function', weigh);
  if (random !== undefined && typeof random !== 'function') throw invalidOption('random', 'a function', random);
  const driver = driverFor(cache);
  return new AdoptedCache(cache, {
    governor,
    driver,
    name,
    importance: checkWhole('importance', importance, Number.MIN_SAFE_INTEGER),
    maxBytes: maxBytes === undefined ? Number.POSITIVE_INFINITY : checkWhole('maxBytes', maxBytes, 1),
    maxShare: maxShare === undefined ? Number.POSITIVE_INFINITY : checkNumber('maxShare', maxShare, 0, 1),
    weigh: weigh as WeighFunction | undefined,
    lookMs: checkWhole('lookEveryMs', lookEveryMs ?? DEFAULT_LOOK_MS, 20, 60_000),
    clock: clock ?? systemClock,
    random: random ?? Math.random,
    failOpen: new FailOpen(`adopt ${name}`),
  });
}

function driverFor(cache: unknown): CacheDriver {
  const known =
    'an `lru-cache` (7 to 11), `lru.min`, `quick-lru`, mnemonist LRU, `Map`, or `{ size(), dropOldest(), entries() }`';
  if (typeof cache !== 'object' || cache === null) throw invalidOption('cache', known, cache);
  const driver = DRIVERS.find((each) => each.recognises(cache));
  if (driver === undefined) throw invalidOption('cache', known, cache.constructor?.name ?? 'object');
  if (driver.family === sourceDriver.family && !('entries' in cache) && !('byteCount' in cache)) {
    throw invalidOption('cache', 'a source with `entries()` or `byteCount()`, to know its bytes by', 'neither');
  }
  return driver;
}
