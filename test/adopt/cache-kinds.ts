import { createRequire } from 'node:module';
import { createLRU } from 'lru.min';
import { LRUCache } from 'lru-cache';
import { LRUCache as LRUCache10 } from 'lru-cache-10';
import type { AdoptableCache } from 'plimsoll/adopt';
import QuickLRU from 'quick-lru';

const require = createRequire(import.meta.url);
const LRUCache7 = require('lru-cache-7') as new (options: { max: number }) => LRUCache<string, object>;
const LRUCache8 = require('lru-cache-8') as new (options: { max: number }) => LRUCache<string, object>;
const { LRUCache: LRUCache9 } = require('lru-cache-9') as {
  LRUCache: new (options: { max: number }) => LRUCache<string, object>;
};
const mnemonist = require('mnemonist') as Record<string, new (capacity: number) => Filled>;

/** What the suites need of each: its own way to be filled and read. */
interface Filled {
  readonly size: number;
  set(key: string, value: unknown): unknown;
  get(key: string): unknown;
  has(key: string): boolean;
}

/** A family and version of caches, as the suites use it. */
export interface CacheKind {
  readonly name: string;
  readonly make: (max: number) => { readonly cache: AdoptableCache; readonly own: Filled };
  /** True when it drops by use and not by age. Default true. */
  readonly byUse?: boolean;
  /** True when all go at once. Default false. */
  readonly allAtOnce?: boolean;
  /** Entries that it never drops. Default 0. */
  readonly keeps?: number;
}

const same = (cache: unknown) => ({ cache: cache as AdoptableCache, own: cache as Filled });

export const CACHE_KINDS: readonly CacheKind[] = [
  { name: 'lru-cache 11', make: (max) => same(new LRUCache({ max })) },
  { name: 'lru-cache 10', make: (max) => same(new LRUCache10({ max })) },
  { name: 'lru-cache 9', make: (max) => same(new LRUCache9({ max })) },
  { name: 'lru-cache 8', make: (max) => same(new LRUCache8({ max })) },
  { name: 'lru-cache 7', make: (max) => same(new LRUCache7({ max })) },
  { name: 'lru.min', make: (max) => same(createLRU({ max })) },
  // By use from one generation to the next, by age within one.
  { name: 'quick-lru', make: (max) => same(new QuickLRU({ maxSize: max })), byUse: false, keeps: 1 },
  { name: 'mnemonist LRUCacheWithDelete', make: (max) => same(new mnemonist.LRUCacheWithDelete!(max)) },
  { name: 'mnemonist LRUMapWithDelete', make: (max) => same(new mnemonist.LRUMapWithDelete!(max)) },
  { name: 'mnemonist LRUCache', make: (max) => same(new mnemonist.LRUCache!(max)), allAtOnce: true },
  { name: 'mnemonist LRUMap', make: (max) => same(new mnemonist.LRUMap!(max)), allAtOnce: true },
  { name: 'Map', make: () => same(new Map()), byUse: false },
  {
    name: 'a source',
    byUse: false,
    make() {
      const own = new Map<string, unknown>();
      const dropOldest = () => own.size > 0 && own.delete(own.keys().next().value!);
      return { own, cache: { size: () => own.size, dropOldest, entries: () => own.entries() } };
    },
  },
];
