import { ManualClock } from 'plimsoll';
import { Cache, type CacheOptions, type RemovalReason } from 'plimsoll/cache';
import { describe, expect, it } from 'vitest';
import { MIB, setUp } from '../governor/fake-meter.ts';

type Told = [value: number, key: string, reason: RemovalReason];

function open(options: Partial<CacheOptions<string, number>> = {}, clock = new ManualClock()) {
  const told: Told[] = [];
  const onRemoval = (value: number, key: string, reason: RemovalReason) => void told.push([value, key, reason]);
  const cache = new Cache<string, number>({ maxEntries: 100, clock, onRemoval, ...options });
  return { cache, clock, told };
}

describe('a cache with times', () => {
  it('never returns what is past its time to live, whether the wheel has run or not', () => {
    const { cache, clock, told } = open({ ttlMs: 1_000 });
    cache.set('a', 1);
    clock.advance(999);
    expect([cache.get('a'), cache.peek('a'), cache.has('a')]).toEqual([1, 1, true]);
    clock.advance(1);
    expect(cache.size).toBe(1);
    expect([...cache.entries()]).toEqual([]);
    expect(cache.peekTier('a')).toBeUndefined();
    expect([cache.get('a'), cache.peek('a'), cache.has('a')]).toEqual([undefined, undefined, false]);
    expect(told).toEqual([[1, 'a', 'expired']]);
    expect(cache.stats).toMatchObject({ entryCount: 0, removals: { expired: 1 } });
    expect(cache.faults()).toEqual([]);
  });

  it('lets go what is past its time by itself, and tells of it', () => {
    const { cache, clock, told } = open({ ttlMs: 1_000 });
    for (let i = 0; i < 50; i++) cache.set(`key ${i}`, i);
    clock.advance(1_100);
    expect(cache.size).toBe(0);
    expect(told).toHaveLength(50);
    expect(clock.pending).toBe(0);
  });

  it('has times for single entries, in a cache without any too, and none for the others', () => {
    const { cache, clock } = open();
    cache.set('stays', 1);
    expect(clock.pending).toBe(0);
    cache.set('goes', 2, { ttlMs: 500 });
    cache.set('idle', 3, { idleMs: 500 });
    for (let i = 0; i < 4; i++) {
      clock.advance(300);
      cache.get('idle');
    }
    expect([...cache.keys()].sort()).toEqual(['idle', 'stays']);
    clock.advance(600);
    expect([...cache.keys()]).toEqual(['stays']);
    // What is set again without a time has none.
    cache.set('goes', 2, { ttlMs: 500 });
    cache.set('goes', 2);
    clock.advance(1e9);
    expect(cache.get('goes')).toBe(2);
    expect(clock.pending).toBe(0);
  });

  it('does not store what has passed already, and has nothing older under the key then', () => {
    const { cache } = open();
    for (const ttlMs of [0, -1, Number.NaN]) {
      cache.set('a', 1);
      expect(cache.set('a', 2, { ttlMs })).toBe(false);
      expect(cache.set('a', 2, { idleMs: ttlMs })).toBe(false);
      expect(cache.has('a')).toBe(false);
    }
    expect(cache.set('a', 3, { ttlMs: Number.POSITIVE_INFINITY })).toBe(true);
  });

  it('gives a slot that is used again nothing of the times of the entry before', () => {
    const { cache, clock } = open({ maxEntries: 1 });
    cache.set('a', 1, { ttlMs: 1_000 });
    cache.set('b', 2);
    clock.advance(5_000);
    expect(cache.get('b')).toBe(2);
  });

  it('changes its times while running', () => {
    const { cache, clock } = open();
    cache.set('before', 1);
    cache.tune({ ttlMs: 1_000, idleMs: 600 });
    cache.set('after', 2);
    clock.advance(700);
    expect(cache.has('after')).toBe(false);
    cache.tune({ idleMs: Number.POSITIVE_INFINITY });
    cache.set('after', 2);
    clock.advance(900);
    expect(cache.has('after')).toBe(true);
    clock.advance(1_000);
    expect([...cache.keys()]).toEqual(['before']);
    expect(() => cache.tune({ ttlMs: 0 })).toThrow('Expected `ttlMs` to be a number of milliseconds above 0');
  });

  it('leaves no timer behind when it is disposed', () => {
    const { cache, clock } = open({ ttlMs: 1_000 });
    cache.set('a', 1);
    expect(clock.pending).toBe(1);
    cache[Symbol.dispose]();
    expect(clock.pending).toBe(0);
  });

  it('may be written to by its listener while entries expire', () => {
    const clock = new ManualClock();
    const cache: Cache<string, number> = new Cache({
      maxEntries: 10,
      ttlMs: 1_000,
      clock,
      onRemoval: (value, key, reason) => {
        if (reason === 'expired' && value < 3) cache.set(key, value + 1);
      },
    });
    cache.set('a', 0);
    clock.advance(10_000);
    expect(cache.size).toBe(0);
    expect(cache.stats.removals.expired).toBe(4);
    expect(cache.faults()).toEqual([]);
  });

  it('gives back first what is past its time', () => {
    const { governor } = setUp();
    // As in a synchronous loop: no timer fires.
    class BusyClock extends ManualClock {
      override after(): Disposable {
        return { [Symbol.dispose]() {} };
      }
    }
    const clock = new BusyClock();
    const cache = new Cache<number, Buffer>({ maxBytes: 50 * MIB, ttlMs: 1_000, governor, clock });
    for (let i = 0; i < 8; i++) cache.set(i, Buffer.alloc(MIB), i < 4 ? { ttlMs: 100 } : {});
    clock.advance(200);
    using _room = governor
      .consumer({ name: 'others', kind: 'external', maxBytes: 100 * MIB })
      .reserve(governor.availableBytes + 2 * MIB);
    expect(cache.size).toBe(4);
    expect(cache.stats.removals).toMatchObject({ expired: 4, reclaimed: 0 });
  });

  it('names what is wrong with its options', () => {
    const wrong = (options: object) => () => new Cache({ maxEntries: 1, ...options });
    expect(wrong({ ttlMs: -1 })).toThrow('`ttlMs`');
    expect(wrong({ idleMs: '5' })).toThrow('`idleMs`');
    expect(wrong({ staleMs: -1 })).toThrow('`staleMs`');
    expect(wrong({ maxLoads: 0 })).toThrow('`maxLoads`');
    expect(wrong({ loader: 5 })).toThrow('`loader`');
    expect(wrong({ loadTimeoutMs: 0 })).toThrow('`loadTimeoutMs`');
    expect(wrong({ calibrate: true })).toThrow('`calibrate`');
    expect(wrong({ ttlms: 5 })).toThrow('did you mean `ttlMs`');
  });
});
