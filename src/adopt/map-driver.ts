import type { CacheDriver, Entry } from './cache-driver.ts';

/**
 * A `Map` drops what was inserted first: least recently used only when whoever reads takes entries out and puts them in again. A walk that is left keeps the table that
 * it began in alive, with what was dropped since; it is left only in maps of more than some thousand entries, until the next look.
 */
export const mapDriver: CacheDriver<Map<unknown, unknown>> = {
  family: 'Map',
  entryBytes: 40,
  batch: 16,
  keeps: 0,
  countsSlowly: false,
  resumes: true,
  recognises: (cache): cache is Map<unknown, unknown> => cache instanceof Map,
  entryCount: (cache) => cache.size,
  walk: (cache) => cache.entries(),
  dropOldest(cache, count, onDropped) {
    // One walk for all: each that begins anew passes the holes of those that went before.
    const walk: Iterator<Entry> = cache.entries();
    for (let i = 0; i < count; i++) {
      const step = walk.next();
      if (step.done === true) return;
      const [key, value] = step.value;
      if (cache.delete(key)) onDropped(value, key);
    }
  },
};
