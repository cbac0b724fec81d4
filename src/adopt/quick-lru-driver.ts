import { type CacheDriver, type Entry, hasShape } from './cache-driver.ts';

/** What is used of `quick-lru` 5 to 7. */
interface QuickLru extends Iterable<Entry> {
  readonly size: number;
  readonly maxSize: number;
  entriesAscending(): IterableIterator<Entry>;
  delete(key: unknown): boolean;
  evict?(count: number): void;
}

/** Steps of a walk that counts. */
const MAX_COUNTED = 32_768;
/** From so many entries on a sixteenth of them goes at least, so that the copying pays. */
const MANY = 4_096;

/**
 * Documented and used: `size`, `maxSize`, `entriesAscending()` (oldest first), `evict(count)` (calls `onEviction`, always keeps one), and `delete` in versions that have
 * no `evict`. Walking drops what has expired, as reading does.
 *
 * Documented as well: it holds up to twice `maxSize`, while `size` says `maxSize` at most. So at `maxSize` the entries are counted by a walk, up to 32,768 of them; of
 * more it is taken to hold one and a half times `maxSize`. `evict` copies all that stays, about 0.4 µs each, 40 ms for 100,000: so many are dropped at once as are
 * wanted, and a sixteenth of 4,096 and more. A walk would keep alive what the cache drops by whole generations, so none is left and gone on with: those that a look
 * does not come to, some thousand after the oldest, are not sampled.
 */
export const quickLruDriver: CacheDriver<QuickLru> = {
  family: 'quick-lru',
  entryBytes: 88,
  batch: Number.POSITIVE_INFINITY,
  keeps: 1,
  countsSlowly: true,
  resumes: false,
  recognises: (cache): cache is QuickLru =>
    hasShape(cache, ['entriesAscending', 'delete', 'peek'], ['size', 'maxSize']) && Symbol.iterator in cache,
  entryCount(cache) {
    const { size, maxSize } = cache;
    if (size < maxSize) return size;
    let count = 0;
    for (const _ of cache.entriesAscending())
      if (++count > MAX_COUNTED) return Math.max(count, Math.round(maxSize * 1.5));
    return count;
  },
  walk: (cache) => cache.entriesAscending(),
  dropOldest(cache, wanted, onDropped) {
    const { size } = cache;
    const count = size < MANY || cache.evict === undefined ? wanted : Math.max(wanted, size >> 4);
    const going: Entry[] = [];
    let left = 0;
    for (const entry of cache.entriesAscending()) {
      if (going.length < count) going.push(entry);
      else {
        left++;
        break;
      }
    }
    if (left === 0) going.pop();
    if (going.length === 0) return;
    if (cache.evict !== undefined) cache.evict(going.length);
    else for (const [key] of going) cache.delete(key);
    for (const [key, value] of going) onDropped(value, key);
  },
};
