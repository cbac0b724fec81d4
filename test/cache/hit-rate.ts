import { Cache, type CacheOptions } from 'plimsoll/cache';

/** Percent of requests that are answered by a cache of so many entries, when each miss is stored. */
export function hitRate(
  keys: Int32Array,
  maxEntries: number,
  policy: NonNullable<CacheOptions<number, true>['policy']>,
): number {
  const cache = new Cache<number, true>({ maxEntries, policy });
  for (const key of keys) if (cache.get(key) === undefined) cache.set(key, true);
  return (100 * cache.stats.hits) / keys.length;
}
