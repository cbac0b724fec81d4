import { type CacheDriver, type Entry, hasShape } from './cache-driver.ts';

/** Any cache, told in four functions. The adoption holds it until it is disposed. */
export interface CacheSource {
  /** Entries now. Cheap: asked several times a second. */
  size(): number;
  /** Drops the entry used longest ago; false when there is none. */
  dropOldest(): boolean;
  /** What there is, in any order, without changing what is oldest: entries are weighed by it. */
  entries?(): Iterable<readonly [unknown, unknown]>;
  /** Bytes that it holds, when it counts them. Needed without `entries`. */
  byteCount?(): number;
}

export const sourceDriver: CacheDriver<CacheSource> = {
  family: 'source',
  entryBytes: 64,
  batch: 16,
  keeps: 0,
  countsSlowly: false,
  resumes: false,
  recognises: (cache): cache is CacheSource => hasShape(cache, ['size', 'dropOldest'], []),
  entryCount: (cache) => sound('size', cache.size()),
  byteCount: (cache) => (cache.byteCount === undefined ? undefined : sound('byteCount', cache.byteCount())),
  walk: (cache) => cache.entries?.()[Symbol.iterator]() as Iterator<Entry> | undefined,
  dropOldest(cache, count, onDropped) {
    for (let i = 0; i < count; i++) {
      if (cache.dropOldest() !== true) return;
      onDropped();
    }
  },
};

function sound(name: string, value: number): number {
  if (typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER) return Math.floor(value);
  throw new TypeError(`${name}() of the cache gave ${String(value)}: a number from 0 up is needed`);
}
