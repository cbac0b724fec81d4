/** What one family of caches offers, by its documentation, to whoever watches it and gives back for it. Stateless: the cache is handed in each time. */
export interface CacheDriver<C extends object = object> {
  /** As messages and `stats` name it. */
  readonly family: string;
  /** What the cache itself takes for an entry, beside key and value, heap bytes. */
  readonly entryBytes: number;
  /** The most to ask `dropOldest` for at once. `Infinity` where a call costs a walk however many go. */
  readonly batch: number;
  /** Entries that can never be dropped. */
  readonly keeps: number;
  /** True when `entryCount` costs a walk: then it is asked for only at each look. */
  readonly countsSlowly: boolean;
  /** True when a walk may be left and gone on with later, though the cache changed meanwhile, and keeps nothing alive that the cache has let go. */
  readonly resumes: boolean;
  /** By shape. Calls nothing. */
  recognises(cache: object): cache is C;
  entryCount(cache: C): number;
  /** What the cache says it holds, when it counts by itself. */
  byteCount?(cache: C): number | undefined;
  /** Entries in an order of the cache's own, without changing what is oldest; undefined when there is no way. */
  walk(cache: C): Iterator<Entry> | undefined;
  /** Drops up to `count` of those used longest ago, and tells of each what is known, after it has gone. May throw what callbacks of the cache throw. */
  dropOldest(cache: C, count: number, onDropped: OnDropped): void;
}

export type Entry = readonly [key: unknown, value: unknown];

/** Told of one that went: its value, undefined when that is not known, and its key where that is. */
export type OnDropped = (value?: unknown, key?: unknown) => void;

/** Whether `value` has all of `methods` as functions and all of `counts` as numbers. */
export function hasShape(value: object, methods: readonly string[], counts: readonly string[]): boolean {
  const members = value as Record<string, unknown>;
  return (
    methods.every((name) => typeof members[name] === 'function') &&
    counts.every((name) => typeof members[name] === 'number')
  );
}
