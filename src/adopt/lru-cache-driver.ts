import { type CacheDriver, type Entry, hasShape, type OnDropped } from './cache-driver.ts';

/** What is used of `lru-cache` 7 to 11. */
interface LruCache {
  readonly size: number;
  /** Version 7 has none unless it counts. */
  readonly calculatedSize?: number;
  /** Absent where it makes nothing by itself. */
  readonly fetchMethod?: unknown;
  allowStale: boolean;
  entries(): Iterator<Entry>;
  rentries(): Iterator<Entry>;
  delete(key: unknown): unknown;
  pop(): unknown;
}

/**
 * Documented and used: `size`, `calculatedSize` (0 unless the cache was given `maxSize` or `sizeCalculation`), `entries()` and `rentries()` (newest and oldest first, leave
 * recency alone, pass over what is stale), `pop()` (drops the least recently used and returns its value; calls `dispose` with `evict`), `delete`, `fetchMethod`,
 * `allowStale`. A walk that is left for a while goes by positions: it may meet an entry twice, or end early when the one where it stands has gone.
 *
 * `pop()` aborts a `fetch` that is under way, and whoever waits for it gets an error. So a cache that fetches has its oldest entries dropped by `delete` instead (calls
 * `dispose` with `delete`), and what is under way stays.
 */
export const lruCacheDriver: CacheDriver<LruCache> = {
  family: 'lru-cache',
  entryBytes: 72,
  batch: 16,
  keeps: 0,
  countsSlowly: false,
  resumes: true,
  recognises: (cache): cache is LruCache =>
    hasShape(cache, ['entries', 'rentries', 'pop', 'purgeStale'], ['size', 'max']),
  entryCount: (cache) => cache.size,
  byteCount: (cache) => cache.calculatedSize || undefined,
  walk: (cache) => walkAll(cache, cache.entries()),
  dropOldest(cache, count, onDropped) {
    if (cache.fetchMethod) return dropBesideFetches(cache, count, onDropped);
    for (let i = 0; i < count && cache.size > 0; i++) onDropped(cache.pop());
  },
};

function dropBesideFetches(cache: LruCache, count: number, onDropped: OnDropped): void {
  const oldest: Entry[] = [];
  for (const entry of walkAll(cache, cache.rentries())) if (oldest.push(entry) >= count) break;
  for (const [key, value] of oldest) if (cache.delete(key)) onDropped(value, key);
}

/** Stale entries as well: they hold memory, and a walk past a million of them is one step of over a second. Whether they count is asked once, at the first step. */
function* walkAll(cache: LruCache, walk: Iterator<Entry>): Generator<Entry, void> {
  const { allowStale } = cache;
  let step: IteratorResult<Entry>;
  cache.allowStale = true;
  try {
    step = walk.next();
  } finally {
    cache.allowStale = allowStale;
  }
  for (; step.done !== true; step = walk.next()) yield step.value;
}
