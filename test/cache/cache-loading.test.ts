import { ManualClock } from 'plimsoll';
import { Cache, type CacheOptions } from 'plimsoll/cache';
import { describe, expect, it } from 'vitest';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function open(options: Partial<CacheOptions<string, string>> = {}) {
  const clock = new ManualClock();
  const waiting: {
    key: string;
    staleValue: string | undefined;
    answer: (v: string) => void;
    fail: (c: unknown) => void;
  }[] = [];
  const cache = new Cache<string, string>({
    maxEntries: 100,
    clock,
    loader: (key, { staleValue }) =>
      new Promise((answer, fail) => void waiting.push({ key, staleValue, answer, fail })),
    ...options,
  });
  return { cache, clock, waiting };
}

describe('a cache that loads', () => {
  it('loads once for all who ask, and not again while it has the value', async () => {
    const { cache, waiting } = open();
    const asked = [cache.getOrLoad('a'), cache.getOrLoad('a')];
    waiting[0]!.answer('1');
    expect(await Promise.all(asked)).toEqual(['1', '1']);
    expect(await cache.getOrLoad('a')).toBe('1');
    expect(cache.get('a')).toBe('1');
    expect(waiting).toHaveLength(1);
    expect(cache.stats).toMatchObject({ loads: 1, loadsShared: 1, hits: 2, misses: 2 });
  });

  it('stale after change: a `set`, `delete` or `clear` during a load wins over what is loaded', async () => {
    const { cache, waiting } = open();
    const set = cache.getOrLoad('set');
    const deleted = cache.getOrLoad('deleted');
    const cleared = cache.getOrLoad('cleared');
    cache.clear();
    cache.set('set', 'new');
    cache.delete('deleted');
    for (const each of waiting) each.answer('old');
    expect(await Promise.all([set, deleted, cleared])).toEqual(['new', 'old', 'old']);
    expect([...cache.entries()]).toEqual([['set', 'new']]);
    // A value with a time of its own that is set in between keeps it.
    const again = cache.getOrLoad('timed');
    cache.set('timed', 'mine', { ttlMs: 5 });
    waiting.at(-1)!.answer('old');
    expect(await again).toBe('mine');
  });

  it('serves what is stale while one refresh runs, and what was refreshed from then on', async () => {
    const { cache, clock, waiting } = open({ ttlMs: 1_000, staleMs: 5_000 });
    cache.set('a', 'old');
    clock.advance(1_000);
    // Only who reloads it may have it.
    expect(cache.get('a')).toBeUndefined();
    expect(await Promise.all([cache.getOrLoad('a'), cache.getOrLoad('a')])).toEqual(['old', 'old']);
    expect(waiting).toMatchObject([{ key: 'a', staleValue: 'old' }]);
    waiting[0]!.answer('new');
    await turn();
    expect(cache.get('a')).toBe('new');
    expect(cache.stats).toMatchObject({ refreshes: 1, refreshFailures: 0 });
  });

  it('keeps a stale value until its time is over when the refresh fails, and tries again with each call', async () => {
    const { cache, clock, waiting } = open({ ttlMs: 1_000, staleMs: 5_000 });
    cache.set('a', 'old');
    clock.advance(2_000);
    for (let i = 0; i < 3; i++) {
      expect(await cache.getOrLoad('a')).toBe('old');
      waiting[i]!.fail(new Error('down'));
      await turn();
    }
    expect(cache.stats).toMatchObject({ refreshes: 3, refreshFailures: 3 });
    clock.advance(4_000);
    const asked = cache.getOrLoad('a');
    waiting[3]!.fail(new Error('still down'));
    await expect(asked).rejects.toThrow('still down');
  });

  it('has times for what is loaded, of the cache or of the call', async () => {
    const { cache, clock, waiting } = open({ ttlMs: 1_000 });
    const [one, two] = [cache.getOrLoad('a'), cache.getOrLoad('b', undefined, { ttlMs: 50 })];
    for (const each of waiting) each.answer('x');
    await Promise.all([one, two]);
    clock.advance(100);
    expect([...cache.keys()]).toEqual(['a']);
  });

  it('hands out what it cannot keep', async () => {
    const { cache } = open({ maxBytes: 100 });
    expect(await cache.getOrLoad('a', () => 'x'.repeat(1_000))).toHaveLength(1_000);
    expect(cache.size).toBe(0);
    expect(cache.stats.tooHeavy).toBe(1);
  });

  it('is bounded in loads, and the bound may be changed', async () => {
    const { cache, waiting } = open({ maxLoads: 1 });
    const asked = cache.getOrLoad('a');
    await expect(cache.getOrLoad('b')).rejects.toMatchObject({ code: 'PLIMSOLL_LOADS_FULL' });
    cache.tune({ maxLoads: 2 });
    const other = cache.getOrLoad('b');
    for (const each of waiting) each.answer('x');
    expect(await Promise.all([asked, other])).toEqual(['x', 'x']);
  });

  it('says what is missing, and ends what waits when it is disposed', async () => {
    const { cache } = open();
    const bare = new Cache<string, string>({ maxEntries: 1 });
    await expect(bare.getOrLoad('a')).rejects.toThrow('Expected `loader` to be a function');
    const asked = cache.getOrLoad('a');
    cache[Symbol.dispose]();
    await expect(asked).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
    await expect(cache.getOrLoad('a')).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
  });
});
