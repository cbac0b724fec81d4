import { type CacheDriver, hasShape } from './cache-driver.ts';

/** What is used of `lru.min`. */
interface LruMin {
  readonly size: number;
  entries(): Iterator<[unknown, unknown]>;
  evict(count: number): void;
}

/**
 * Documented and used: `size`, `entries()` (newest first), `evict(count)` (drops the oldest; calls `onEviction`). What goes is not said, and there is no way to look
 * at the oldest without walking past all others: what is dropped counts by the mean.
 */
export const lruMinDriver: CacheDriver<LruMin> = {
  family: 'lru.min',
  entryBytes: 48,
  batch: 16,
  keeps: 0,
  countsSlowly: false,
  resumes: true,
  recognises: (cache): cache is LruMin => hasShape(cache, ['entries', 'evict', 'resize'], ['size', 'available', 'max']),
  entryCount: (cache) => cache.size,
  walk: (cache) => cache.entries(),
  dropOldest(cache, count, onDropped) {
    const before = cache.size;
    try {
      cache.evict(count);
    } finally {
      for (let gone = before - cache.size; gone > 0; gone--) onDropped();
    }
  },
};
