/**
 * `LRUCache`, `LRUMap` and their variants `WithDelete` of mnemonist. Documented and used: `size`, `entries()` and `keys()` (newest first), `peek`, `set`, `clear`, and
 * `delete` of the variants.
 *
 * Two things about it (0.40): `delete` and `clear` leave the value in its slot until the slot is used again, so that nothing would be given back; it is overwritten
 * by `set(key, undefined)` first, in the same turn, so that nobody meets it. And nothing tells the oldest without a walk past all others: so many are dropped at once
 * as are wanted, about 30 ns for each entry that stays.
 */
import { type CacheDriver, type Entry, hasShape } from './cache-driver.ts';

interface Mnemonist {
  readonly size: number;
  readonly capacity: number;
  keys(): Iterator<unknown>;
  entries(): Iterator<Entry>;
  peek(key: unknown): unknown;
  set(key: unknown, value: unknown): unknown;
  clear(): void;
}

interface MnemonistWithDelete extends Mnemonist {
  delete(key: unknown): boolean;
}

const METHODS = ['keys', 'entries', 'peek', 'set', 'setpop', 'clear'];
const COUNTS = ['size', 'capacity'];

/** With `delete`: the oldest go. */
export const mnemonistDeleteDriver: CacheDriver<MnemonistWithDelete> = {
  family: 'mnemonist',
  entryBytes: 64,
  batch: Number.POSITIVE_INFINITY,
  keeps: 0,
  countsSlowly: false,
  resumes: true,
  recognises: (cache): cache is MnemonistWithDelete => hasShape(cache, [...METHODS, 'delete'], COUNTS),
  entryCount: (cache) => cache.size,
  walk: (cache) => cache.entries(),
  dropOldest(cache, count, onDropped) {
    const keys = oldestKeys(cache, count);
    for (let i = keys.length - 1; i >= 0; i--) {
      const key = keys[i];
      const value = cache.peek(key);
      cache.set(key, undefined);
      if (cache.delete(key)) onDropped(value, key);
    }
  },
};

/** Without: all of them or none. */
export const mnemonistClearDriver: CacheDriver<Mnemonist> = {
  ...(mnemonistDeleteDriver as CacheDriver<Mnemonist>),
  family: 'mnemonist without delete',
  recognises: (cache): cache is Mnemonist => hasShape(cache, METHODS, COUNTS) && !('delete' in cache),
  dropOldest(cache, _count, onDropped) {
    const gone = cache.size;
    for (const key of oldestKeys(cache, gone)) cache.set(key, undefined);
    cache.clear();
    for (let i = 0; i < gone; i++) onDropped();
  },
};

/** The last `count` in the order of use, newest first. */
function oldestKeys(cache: Mnemonist, count: number): unknown[] {
  const walk = cache.keys();
  let passed = Math.max(0, cache.size - count);
  const keys: unknown[] = [];
  for (let step = walk.next(); step.done !== true; step = walk.next()) {
    if (passed > 0) passed--;
    else keys.push(step.value);
  }
  return keys;
}
