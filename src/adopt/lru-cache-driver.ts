import { type CacheDriver, hasShape } from './cache-driver.ts';

/** What is used of `lru-cache` 7 to 11. */
interface LruCache {
  readonly size: number;
  /** Version 7 has none unless it counts. */
  readonly calculatedSize?: number;
  entries(): Iterator<[unknown, unknown]>;
  pop(): unknown;
}

/**
 * Documented and used: `size`, `calculatedSize` (0 unless the cache was given `maxSize` or `sizeCalculation`), `entries()` (newest first, leaves recency alone, passes
 * over what is stale), `pop()` (drops the least recently used and returns its value; calls `dispose` with `evict`). A walk that is left for a while goes by positions:
 * it may meet an entry twice, or end early when the one where it stands has gone.
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
  walk: (cache) => cache.entries(),
  dropOldest(cache, count, onDropped) {
    for (let i = 0; i < count && cache.size > 0; i++) {
      // Undefined: a fetch that was under way.
      onDropped(cache.pop());
    }
  },
};
