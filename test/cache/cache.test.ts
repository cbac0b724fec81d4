import { ManualClock } from 'plimsoll';
import { Cache, type CacheOptions, type EvictionPolicy, type RemovalReason, type SetOptions } from 'plimsoll/cache';
import { describe, expect, it } from 'vitest';

const removalsOf = <K, V>(options: Omit<CacheOptions<K, V>, 'onRemoval'>) => {
  const removals: [K, V, RemovalReason][] = [];
  const cache = new Cache<K, V>({
    ...options,
    onRemoval: (value, key, reason) => void removals.push([key, value, reason]),
  });
  return { cache, removals };
};

const plainPolicy: EvictionPolicy = {
  name: 'plain',
  onInsert() {},
  onAccess() {},
  onRemove() {},
  victim: () => -1,
  resize() {},
};

describe('bounds', () => {
  it('no byte bound: never holds more than maxBytes, whatever comes', () => {
    const cache = new Cache<number, number>({ maxBytes: 1_000, weigh: (bytes) => bytes });
    for (let i = 0; i < 2_000; i++) {
      cache.set(i % 70, (i * 37) % 400);
      expect(cache.bytes).toBeLessThanOrEqual(1_000);
    }
    expect(cache.stats.removals.evicted).toBeGreaterThan(0);
  });

  it('needs a bound, and says so', () => {
    expect(() => new Cache({})).toThrow('Expected `maxEntries` to be given, or else `maxBytes`, or both');
    expect(() => new Cache({ maxEntries: 0 })).toThrow(RangeError);
    expect(() => new Cache({ maxBytes: Number.POSITIVE_INFINITY })).toThrow(RangeError);
    expect(() => new Cache({ maxEntries: 1, policy: 'fifo' as 'lru' })).toThrow('`tiny-lfu`');
    expect(() => new Cache({ maxEntries: 1, maxSize: 1 } as CacheOptions<number, number>)).toThrow(
      'Unknown option `maxSize`',
    );
    expect(() => new Cache({ maxEntries: 1, ttl: 1 } as CacheOptions<number, number>)).toThrow('did you mean `ttlMs`?');
    for (const policy of [() => ({}), () => undefined, () => ({ victim: () => 0 })]) {
      expect(() => new Cache({ maxEntries: 1, policy: policy as never })).toThrow('what it made has no `onInsert`');
    }
  });

  it('what is heavier than the bound is not stored, and leaves nothing older behind', () => {
    const { cache, removals } = removalsOf<string, number>({ maxBytes: 10, weigh: (bytes) => bytes });
    cache.set('b', 2);
    cache.set('a', 5);
    expect(cache.set('a', 11)).toBe(false);
    expect(cache.get('a')).toBeUndefined();
    expect(cache.get('b')).toBe(2);
    expect(removals).toEqual([['a', 5, 'replaced']]);
    expect(cache.stats.tooHeavy).toBe(1);
  });

  it('weighs buffers and objects by itself where it is bound by bytes', () => {
    const cache = new Cache<string, unknown>({ maxBytes: 100_000 });
    cache.set('buffer', Buffer.alloc(40_000));
    expect(cache.stats.externalBytes).toBe(40_000);
    cache.set('object', { text: 'x'.repeat(1_000) });
    expect(cache.stats.heapBytes).toBeGreaterThan(1_000);
    for (let i = 0; i < 10; i++) cache.set(`buffer ${i}`, Buffer.alloc(30_000));
    expect(cache.bytes).toBeLessThanOrEqual(100_000);
    expect(cache.size).toBe(3);
  });
});

it('stale after change: what was set last is what is read, and nothing after it was deleted', () => {
  const cache = new Cache<string, { version: number }>({ maxEntries: 10, policy: 'tiny-lfu' });
  for (let version = 0; version < 100; version++) {
    cache.set('settings', { version });
    expect(cache.get('settings')).toEqual({ version });
  }
  cache.delete('settings');
  expect(cache.has('settings')).toBe(false);
  expect(cache.get('settings')).toBeUndefined();
});

it('stale after change: a value that could not be stored does not leave the older one to be read', () => {
  let weight: number | undefined = 1;
  const weigh = () => {
    if (weight === undefined) throw new Error('on purpose');
    return weight;
  };
  for (const refused of [undefined, 100, Number.NaN, -1]) {
    weight = 1;
    const cache = new Cache<string, string>({ maxBytes: 10, weigh });
    cache.set('key', 'old');
    weight = refused;
    expect(cache.set('key', 'new')).toBe(false);
    expect(cache.get('key')).toBeUndefined();
    expect(cache.faults()).toEqual([]);
  }
});

describe('removal listener', () => {
  it('is told why each entry went', () => {
    const { cache, removals } = removalsOf<string, number>({ maxEntries: 2 });
    cache.set('a', 1);
    cache.set('a', 2);
    cache.set('a', 2);
    cache.set('b', 3);
    cache.set('c', 4);
    cache.delete('b');
    cache.clear();
    cache.set('d', 5);
    cache[Symbol.dispose]();
    cache[Symbol.dispose]();
    expect(removals).toEqual([
      ['a', 1, 'replaced'],
      ['a', 2, 'evicted'],
      ['b', 3, 'removed'],
      ['c', 4, 'removed'],
      ['d', 5, 'removed'],
    ]);
    expect(cache.set('e', 6)).toBe(false);
    expect(cache.size).toBe(0);
    const plain = new Cache<string, number>({ maxEntries: 2 });
    plain[Symbol.dispose]();
    expect(plain.set('e', 6)).toBe(false);
    expect(plain.get('e')).toBeUndefined();
  });

  it('that throws or rejects harms nobody, and is counted', async () => {
    const cache = new Cache<number, number>({
      maxEntries: 1,
      onRemoval: (value) => {
        if (value % 2 === 0) throw new Error('on purpose');
        return Promise.reject(new Error('on purpose')) as unknown as undefined;
      },
    });
    for (let i = 0; i < 5; i++) expect(cache.set(i, i)).toBe(true);
    await new Promise((resolve) => setImmediate(resolve));
    expect(cache.stats.listenerFaults).toBe(4);
    expect(cache.get(4)).toBe(4);
  });

  it('that puts back what was evicted comes to an end', () => {
    const cache: Cache<number, number> = new Cache({
      maxEntries: 10,
      onRemoval: (value, key) => void cache.set(key, value),
    });
    for (let i = 0; i < 20; i++) {
      cache.set(i, i);
      expect(cache.faults()).toEqual([]);
      expect(cache.size).toBeLessThanOrEqual(10);
    }
    expect(cache.stats.refused).toBeGreaterThan(0);
  });
});

describe('while running', () => {
  it('a smaller bound holds at once, a larger one from then on', () => {
    const { cache, removals } = removalsOf<number, number>({ maxEntries: 100 });
    for (let i = 0; i < 100; i++) cache.set(i, i);
    cache.tune({ maxEntries: 10 });
    expect([...cache.keys()].toSorted((a, b) => a - b)).toEqual([90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
    expect(removals).toHaveLength(90);
    cache.tune({ maxEntries: 200 });
    for (let i = 0; i < 300; i++) cache.set(i, i);
    expect(cache.size).toBe(200);
    expect(cache.faults()).toEqual([]);
    expect(() => cache.tune({ maxEntries: -1 })).toThrow(RangeError);
    expect(() => cache.tune({ maxBytes: 100 })).toThrow('`maxBytes`');
  });

  it('another policy goes on with the order of the old one', () => {
    const { cache, removals } = removalsOf<number, number>({ maxEntries: 4, policy: 'lru' });
    for (let i = 0; i < 4; i++) cache.set(i, i);
    cache.get(0);
    cache.tune({ policy: 'lfu' });
    for (let i = 10; i < 12; i++) cache.set(i, i);
    expect(removals.map(([key]) => key)).toEqual([1, 2]);
  });

  it('is iterated: what is there from beginning to end comes once', () => {
    const cache = new Cache<number, number>({ maxEntries: 50 });
    for (let i = 0; i < 50; i++) cache.set(i, i);
    const seen: number[] = [];
    for (const [key] of cache) {
      seen.push(key);
      cache.delete(key - 1);
      cache.set(key + 100, key);
    }
    const kept = seen.filter((key) => key < 50);
    expect(new Set(seen).size).toBe(seen.length);
    expect(kept.length).toBeGreaterThan(0);
    expect([...new Cache<number, string>({ maxEntries: 1 }).values()]).toEqual([]);
  });
});

it('counts what it evicts and replaces where nobody listens', () => {
  const cache = new Cache<number, number>({ maxEntries: 3 });
  for (let i = 0; i < 10; i++) cache.set(i, i);
  cache.get(7);
  cache.set(8, 80);
  cache.set(10, 10);
  expect([...cache.keys()].toSorted((a, b) => a - b)).toEqual([7, 8, 10]);
  expect(cache.stats).toMatchObject({ stored: 12, entryCount: 3, removals: { evicted: 8, replaced: 1 } });
});

it('hands out 0 for -0, as a Map does, in a full cache too', () => {
  const cache = new Cache<number, string>({ maxEntries: 1 });
  for (const key of [-0, 1, -0]) {
    cache.set(key, 'value');
    expect([...cache.keys()]).toEqual([key === 0 ? 0 : key]);
  }
});

it('peek and has do not count as use', () => {
  const { cache, removals } = removalsOf<string, number>({ maxEntries: 2 });
  cache.set('a', 1);
  cache.set('b', 2);
  expect([cache.peek('a'), cache.has('a'), cache.peek('z'), cache.has('z')]).toEqual([1, true, undefined, false]);
  cache.set('c', 3);
  expect(removals).toEqual([['a', 1, 'evicted']]);
  expect(cache.stats).toMatchObject({ hits: 0, misses: 0, stored: 3, entryCount: 2 });
});

it('a tune of times alone does not look at the bounds anew', () => {
  let looks = 0;
  const policy = () => ({ ...plainPolicy, onBound: () => void looks++ });
  const cache = new Cache<number, number>({ maxEntries: 10, policy });
  cache.tune({ ttlMs: 1_000 });
  expect(looks).toBe(0);
  cache.tune({ maxEntries: 5 });
  expect(looks).toBe(1);
});

it('a tune that fails changes nothing', () => {
  const clock = new ManualClock();
  const cache = new Cache<number, number>({ maxEntries: 10, clock });
  expect(() => cache.tune({ ttlMs: 5, maxEntries: 1, policy: () => ({}) as EvictionPolicy })).toThrow('`policy`');
  cache.set(1, 1);
  cache.set(2, 2);
  clock.advance(1_000);
  expect(cache.size).toBe(2);
  expect(cache.get(1)).toBe(1);
});

it('a third argument of `set` that is no object is refused before anything is changed', () => {
  const cache = new Cache<string, number>({ maxEntries: 10 });
  cache.set('a', 1);
  for (const third of [5_000, '5s', true]) {
    expect(() => cache.set('a', 2, third as SetOptions)).toThrow('an object such as { ttlMs }');
  }
  expect(cache.get('a')).toBe(1);
});
