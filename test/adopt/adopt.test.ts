import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createLRU } from 'lru.min';
import { LRUCache } from 'lru-cache';
import { adopt } from 'plimsoll/adopt';
import QuickLRU from 'quick-lru';
import { afterEach, describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';
import { Random } from '../simulation/random.ts';
import { catchReclaimers } from './catch-reclaimers.ts';

type Cache = LRUCache<string, Buffer>;

const KIB = 1_024;
const WIDE = { kind: 'external', maxBytes: Number.POSITIVE_INFINITY } as const;

function pictures(count: number, bytes = 16 * KIB) {
  const cache = new LRUCache<string, Buffer>({ max: 100_000 });
  for (let i = 0; i < count; i++) cache.set(`key ${i}`, Buffer.alloc(bytes));
  return cache;
}

describe('what it is kept by', () => {
  it('a share of the limit, that follows when the limit changes', () => {
    const { governor, clock } = setUp();
    const cache = pictures(2_000);
    using adopted = adopt(governor, cache, { name: 'pictures', clock, maxShare: 0.2 });
    expect(adopted.stats.bytes).toBeLessThanOrEqual(20 * MIB);
    expect(adopted.stats.bytes).toBeGreaterThan(19.5 * MIB);
    governor.tune({ limitBytes: 50 * MIB });
    clock.advance(1_000);
    expect(adopted.stats.bytes).toBeLessThanOrEqual(10 * MIB);
    expect(adopted.stats.bytes).toBeGreaterThan(9.5 * MIB);
  });

  it('the line: over it the oldest go with the next train', async () => {
    const { governor, clock, rss } = setUp();
    const cache = pictures(3_000);
    using adopted = adopt(governor, cache, { name: 'pictures', clock });
    rss.bytes = 96 * MIB;
    governor.sample();
    for (let i = 0; i < 20; i++) await Promise.resolve();
    expect(adopted.stats.dropped).toBeGreaterThan(0);
    expect(cache.has('key 0')).toBe(false);
    expect(cache.has('key 2999')).toBe(true);
  });

  it('importance: the one that matters less gives first', () => {
    const { governor, clock } = setUp();
    const [first, second] = [pictures(2_000), pictures(2_000)];
    using dear = adopt(governor, first, { name: 'dear', clock, importance: 5 });
    using cheap = adopt(governor, second, { name: 'cheap', clock });
    governor.consumer({ ...WIDE, name: 'feed' }).reserve(60 * MIB);
    expect(dear.stats.dropped).toBe(0);
    expect(cheap.stats.dropped).toBeGreaterThan(1_000);
  });

  it('nothing in `observe` and `off`', async () => {
    for (const mode of ['observe', 'off'] as const) {
      const { governor, clock, rss } = setUp({ mode });
      const cache = pictures(2_000);
      using adopted = adopt(governor, cache, { name: 'pictures', clock, maxBytes: MIB });
      rss.bytes = 99 * MIB;
      governor.sample();
      await governor.reclaim();
      clock.advance(10_000);
      expect([cache.size, adopted.stats.dropped]).toEqual([2_000, 0]);
      expect(governor.heldBytes).toBe(adopted.stats.bytes);
    }
  });
});

describe('what it knows of the cache', () => {
  it('holds objects and buffers apart, and drops none of many buffers for the few bytes of their handles', () => {
    const { governor, clock } = setUp();
    const cache = pictures(2_000);
    using _adopted = adopt(governor, cache, { name: 'pictures', clock });
    const rows = governor.snapshot().consumers.filter(({ name }) => name.startsWith('pictures'));
    expect(rows.map(({ name, kind }) => [name, kind])).toEqual([
      ['pictures', 'heap'],
      ['pictures (buffers)', 'external'],
    ]);
    expect(rows[1]!.heldBytes).toBe(2_000 * 16 * KIB);
    const texts = new LRUCache<string, string>({ max: 100 });
    texts.set('a', 'text');
    using _other = adopt(governor, texts, { name: 'texts', clock });
    expect(governor.snapshot().consumers.filter(({ name }) => name.startsWith('texts'))).toHaveLength(1);
  });

  it('offers of buffers what they hold, of their handles nothing, of both where both are much', () => {
    const { governor, clock } = setUp();
    const { governor: spied, reclaimers } = catchReclaimers(governor);
    const cache = pictures(500);
    using _adopted = adopt(spied, cache, { name: 'pictures', clock });
    expect(reclaimers.get('pictures')!.reclaimableBytes()).toBe(0);
    expect(reclaimers.get('pictures (buffers)')!.reclaimableBytes()).toBe(500 * 16 * KIB);
    for (let i = 0; i < 500; i++) cache.set(`later ${i}`, Buffer.alloc(16 * KIB));
    expect(reclaimers.get('pictures (buffers)')!.reclaimableBytes()).toBe(1_000 * 16 * KIB);
    const mixed = new Map(
      Array.from({ length: 100 }, (_, i) => [i, { text: 'x'.repeat(5_000), bytes: Buffer.alloc(5_000) }]),
    );
    using _mixed = adopt(spied, mixed, { name: 'mixed', clock });
    for (const name of ['mixed', 'mixed (buffers)'])
      expect(reclaimers.get(name)!.reclaimableBytes()).toBeGreaterThan(0);
  });

  it('believes a cache that counts bytes, and not one that counts something else', () => {
    const { governor, clock } = setUp();
    const make = (sizeCalculation: (value: Buffer) => number) => {
      const cache = new LRUCache<string, Buffer>({ max: 1_000, maxSize: 1e9, sizeCalculation });
      for (let i = 0; i < 500; i++) cache.set(`key ${i}`, Buffer.alloc(10_000 + i));
      return cache;
    };
    const [inBytes, inEntries, inTenths] = [
      (value: Buffer) => value.length,
      () => 1,
      (value: Buffer) => value.length * 10,
    ].map(make) as [Cache, Cache, Cache];
    using tenths = adopt(governor, inTenths, { name: 'in tenths', clock });
    expect(tenths.stats).toMatchObject({ counted: 'by sample' });
    tenths[Symbol.dispose]();
    using exact = adopt(governor, inBytes, { name: 'in bytes', clock });
    using sampled = adopt(governor, inEntries, { name: 'in entries', clock });
    expect(exact.stats).toMatchObject({ counted: 'exact', errorShare: 0, bytes: inBytes.calculatedSize });
    expect(sampled.stats).toMatchObject({ counted: 'by sample' });
    expect(sampled.stats.bytes / inBytes.calculatedSize).toBeCloseTo(1, 1);
    const before = exact.stats.bytes;
    inBytes.pop();
    expect(before - exact.stats.bytes).toBe(10_000);
    clock.advance(1_000);
    expect(governor.heldBytes).toBe(exact.stats.bytes + sampled.stats.bytes);
  });

  it('says how far the estimate may be off, and converges', () => {
    const { governor, clock } = setUp({ limitBytes: 1_000 * MIB });
    const random = new Random(7);
    const cache = new LRUCache<string, string>({ max: 10_000 });
    let truth = 0;
    for (let i = 0; i < 10_000; i++) {
      const bytes = Math.round(200 - 2_000 * Math.log(1 - random.next()));
      truth += bytes;
      cache.set(`key ${i}`, 'x'.repeat(bytes - 4) + String(i).padStart(4).slice(0, 4));
    }
    using adopted = adopt(governor, cache, { name: 'texts', clock, random: () => random.next() });
    const first = adopted.stats;
    expect(Math.abs(first.bytes - truth) / truth).toBeLessThan(first.errorShare + 0.1);
    clock.advance(30_000);
    const last = adopted.stats;
    expect(last.errorShare).toBeLessThan(first.errorShare / 2);
    expect(last.sampled).toBe(1_024);
    // The cache's own 72 bytes, a header and the key come on top.
    expect(Math.abs(last.bytes / (truth + 10_000 * 120) - 1)).toBeLessThan(last.errorShare + 0.01);
  });

  it('follows when entries become heavier', () => {
    const { governor, clock } = setUp({ limitBytes: 1_000 * MIB });
    const cache = pictures(1_000, KIB);
    using adopted = adopt(governor, cache, { name: 'pictures', clock });
    clock.advance(20_000);
    for (let i = 0; i < 1_000; i++) cache.set(`key ${i}`, Buffer.alloc(20 * KIB));
    clock.advance(20_000);
    expect(adopted.stats.externalBytes / 1_000 / 20 / KIB).toBeCloseTo(1, 1);
  });

  it('charges what all entries share to none', () => {
    const { governor, clock } = setUp();
    const shared = { table: Buffer.alloc(MIB) };
    const cache = new Map(Array.from({ length: 500 }, (_, i) => [i, { i, shared }]));
    using adopted = adopt(governor, cache, { name: 'rows', clock });
    expect(adopted.stats.bytes).toBeLessThan(200 * 500);
  });

  it('counts what came since the last look when somebody needs room', () => {
    const { governor, clock } = setUp();
    const cache = pictures(500);
    using adopted = adopt(governor, cache, { name: 'pictures', clock });
    for (let i = 0; i < 4_000; i++) cache.set(`later ${i}`, Buffer.alloc(16 * KIB));
    using room = governor.consumer({ ...WIDE, name: 'feed' }).tryReserve(95 * MIB);
    expect(room).toBeDefined();
    expect(adopted.stats.bytes).toBeLessThanOrEqual(5 * MIB);
    expect(governor.heldBytes).toBe(95 * MIB + adopted.stats.bytes);
  });

  it('reads the count ten times a second while it changes, and looks when it doubles', () => {
    const { governor, clock } = setUp();
    const cache = pictures(100);
    using adopted = adopt(governor, cache, { name: 'pictures', clock });
    clock.advance(500);
    let seen = 0;
    for (let i = 0; i < 20; i++) {
      for (let j = 0; j < 10; j++) cache.set(`later ${i} ${j}`, Buffer.alloc(16 * KIB));
      clock.advance(100);
      if (governor.heldBytes === adopted.stats.bytes) seen++;
    }
    expect(seen).toBeGreaterThan(12);
    const small = pictures(10, KIB);
    using later = adopt(governor, small, { name: 'small', clock, lookEveryMs: 60_000 });
    for (let i = 0; i < 40; i++) small.set(`later ${i}`, Buffer.alloc(16 * KIB));
    clock.advance(100);
    expect(later.stats.externalBytes).toBe(40 * 16 * KIB + 10 * KIB);
  });

  it('notices growth after rest the sooner the smaller the line is: it could be full before the next look', () => {
    const { governor, clock } = setUp();
    const cache = pictures(10);
    using adopted = adopt(governor, cache, { name: 'pictures', clock, lookEveryMs: 60_000 });
    clock.advance(5_050);
    for (let i = 0; i < 1_000; i++) cache.set(`later ${i}`, Buffer.alloc(16 * KIB));
    clock.advance(100);
    expect(governor.heldBytes).toBeGreaterThan(15 * MIB);
    expect(governor.heldBytes).toBe(adopted.stats.bytes);
  });

  it('looks at once when the level changes, and four times a second from `high` on', () => {
    const { governor, clock, rss } = setUp();
    const cache = pictures(100);
    using adopted = adopt(governor, cache, { name: 'pictures', clock, lookEveryMs: 10_000, maxBytes: 3 * MIB });
    for (let i = 0; i < 200; i++) cache.set(`key ${i}`, Buffer.alloc(16 * KIB));
    expect(cache.size).toBe(200);
    rss.bytes = 75 * MIB;
    governor.sample();
    expect(governor.level).toBe('high');
    expect(adopted.stats.bytes).toBeLessThanOrEqual(3 * MIB);
    clock.advance(10_000);
    for (let i = 0; i < 200; i++) cache.set(`key ${i}`, Buffer.alloc(16 * KIB));
    clock.advance(250);
    expect(adopted.stats.bytes).toBeLessThanOrEqual(3 * MIB);
  });

  it('weighs by the user, and by itself where the user’s weighing fails', () => {
    const { governor, clock } = setUp();
    const cache = new Map(Array.from({ length: 200 }, (_, i) => [`key ${i}`, { i }]));
    const keys = new Set<string>();
    using byKey = adopt(governor, cache, {
      name: 'a',
      clock,
      weigh(_value, key) {
        keys.add(key);
        return { heapBytes: 10, externalBytes: 1_000 };
      },
    });
    expect(byKey.stats).toMatchObject({ heapBytes: 2_000, externalBytes: 200_000, faults: 0 });
    expect(keys.size).toBeGreaterThan(50);
    using plain = adopt(governor, cache, { name: 'b', clock, weigh: () => 50 });
    expect(plain.stats).toMatchObject({ heapBytes: 10_000, externalBytes: 0 });
    using wrong = adopt(governor, cache, { name: 'c', clock, weigh: () => Number.NaN });
    expect(wrong.stats.faults).toBeGreaterThan(50);
    expect(wrong.stats.bytes).toBeGreaterThan(200 * 60);
  });

  it('takes no more than a part of the time for dropping to weigh what goes', () => {
    const { governor, clock } = setUp();
    const slow = { now: () => (now += 0.2), wall: () => 0, after: clock.after.bind(clock) };
    let now = 0;
    let weighed = 0;
    const cache = new Map(Array.from({ length: 1_000 }, (_, i) => [i, i]));
    using adopted = adopt(governor, cache, { name: 'a', clock: slow, weigh: () => 80 * KIB * Math.sign(++weighed) });
    weighed = 0;
    governor.consumer({ ...WIDE, name: 'feed' }).tryReserve(30 * MIB);
    expect(adopted.stats.dropped).toBeGreaterThanOrEqual(64);
    expect(weighed).toBeLessThan(6);
  });

  it('corrects the estimate by what the dropped ones weighed', () => {
    const { governor, clock } = setUp();
    const cache = new LRUCache<string, Buffer>({ max: 100_000 });
    for (let i = 0; i < 500; i++) cache.set(`old ${i}`, Buffer.alloc(64 * KIB));
    for (let i = 0; i < 1_500; i++) cache.set(`new ${i}`, Buffer.alloc(4 * KIB));
    using adopted = adopt(governor, cache, { name: 'pictures', clock });
    clock.advance(30_000);
    const truth = () => [...cache.values()].reduce((sum, value) => sum + value.length, 0);
    expect(adopted.stats.externalBytes / truth()).toBeGreaterThan(0.85);
    expect(adopted.stats.externalBytes / truth()).toBeLessThan(1.15);
    const before = truth();
    governor.consumer({ ...WIDE, name: 'feed' }).reserve(80 * MIB);
    // About 17 MiB were missing: 270 of the old, and not the thousand and more that the mean would have taken.
    expect(before - truth()).toBeGreaterThan(10 * MIB);
    expect(before - truth()).toBeLessThan(25 * MIB);
    expect(adopted.stats.externalBytes / truth()).toBeGreaterThan(0.7);
    expect(adopted.stats.externalBytes / truth()).toBeLessThan(1.4);
  });
});

describe('what it leaves alone', () => {
  it('recency, and values', () => {
    const { governor, clock } = setUp();
    const cache = pictures(300);
    const order = [...cache.keys()];
    using _adopted = adopt(governor, cache, { name: 'pictures', clock });
    clock.advance(5_000);
    expect([...cache.keys()]).toEqual(order);
  });

  it('what is disposed of by the cache is told to it', () => {
    const { governor, clock } = setUp();
    const gone: unknown[] = [];
    const first = new LRUCache<number, Buffer>({
      max: 1_000,
      dispose: (_value, key, why) => gone.push(`${key} ${why}`),
    });
    const second = new QuickLRU<number, Buffer>({ maxSize: 1_000, onEviction: (key) => gone.push(key) });
    const third = createLRU<number, Buffer>({ max: 1_000, onEviction: (key) => gone.push(key) });
    for (const cache of [first, second, third]) {
      for (let i = 0; i < 3; i++) cache.set(i, Buffer.alloc(100 * KIB));
      adopt(governor, cache, { name: 'pictures', clock, maxBytes: 250 * KIB })[Symbol.dispose]();
    }
    expect(gone).toEqual(['0 evict', 0, 0]);
  });

  it('a cache that its program has let go of', async () => {
    const { governor, clock } = setUp();
    const held = (() => {
      const cache = pictures(200);
      adopt(governor, cache, { name: 'pictures', clock });
      return new WeakRef(cache);
    })();
    clock.advance(2_000);
    expect(governor.heldBytes).toBeGreaterThan(3 * MIB);
    await new Promise(setImmediate);
    globalThis.gc!();
    expect(held.deref()).toBeUndefined();
    await new Promise(setImmediate);
    clock.advance(1_000);
    expect(governor.heldBytes).toBe(0);
    expect(governor.snapshot().consumers.filter(({ name }) => name.startsWith('pictures'))).toEqual([]);
  });

  it('a governor that has ended', () => {
    const { governor, clock } = setUp();
    const adopted = adopt(governor, pictures(10), { name: 'pictures', clock });
    governor[Symbol.dispose]();
    clock.advance(1_000);
    expect([adopted.disposed, clock.pending, adopted.stats.faults]).toEqual([true, 0, 0]);
  });
});

describe('fails open', () => {
  const faults: unknown[] = [];
  const hear = (message: unknown) => void faults.push(message);
  afterEach(() => {
    unsubscribe('plimsoll:fault', hear);
    faults.length = 0;
  });

  it.each(['from the start', 'later'])('with a governor that is broken %s: the cache works on', (when) => {
    const { governor, clock } = setUp();
    const broken = breakable(governor);
    if (when === 'from the start') broken.breakIt();
    const cache = pictures(100);
    const adopted = adopt(broken.governor, cache, { name: 'pictures', clock, maxBytes: 8 * MIB });
    broken.breakIt();
    subscribe('plimsoll:fault', hear);
    clock.advance(5_000);
    cache.set('more', Buffer.alloc(10));
    adopted.look();
    expect(cache.size).toBe(101);
    expect(adopted.stats.entryCount).toBe(101);
    expect(adopted.stats.faults).toBeGreaterThan(5);
    expect(faults[0]).toEqual({ part: 'adopt pictures', message: 'broken on purpose', off: false });
    adopted[Symbol.dispose]();
    expect(clock.pending).toBeLessThanOrEqual(1);
  });

  it('when callbacks of the cache throw: nobody hears of it but the faults', () => {
    const { governor, clock } = setUp();
    const throwing = () => {
      throw new Error('by the cache');
    };
    const first = new LRUCache<number, Buffer>({ max: 1_000, dispose: throwing });
    const second = new QuickLRU<number, Buffer>({ maxSize: 1_000, onEviction: throwing });
    const third = createLRU<number, Buffer>({ max: 1_000, onEviction: throwing });
    for (const cache of [first, second, third]) {
      for (let i = 0; i < 100; i++) cache.set(i, Buffer.alloc(16 * KIB));
      using adopted = adopt(governor, cache, { name: 'pictures', clock, maxBytes: MIB });
      const feed = governor.consumer({ ...WIDE, name: 'feed' });
      expect(feed.tryReserve(99 * MIB)).toBeUndefined();
      expect(feed.tryReserve(50 * MIB)?.bytes).toBe(50 * MIB);
      feed[Symbol.dispose]();
      expect(adopted.stats.faults).toBeGreaterThan(0);
      expect(adopted.stats.entryCount).toBe(cache.size);
    }
  });

  it('when a source fails, lies, or has nothing to drop', () => {
    const { governor, clock } = setUp();
    const source = { size: () => 10, dropOldest: () => false, byteCount: () => 5 * MIB };
    using stubborn = adopt(governor, source, { name: 'stubborn', clock, maxBytes: 1 });
    expect(stubborn.stats).toMatchObject({ bytes: 5 * MIB, counted: 'exact', dropped: 0 });
    const lying = { size: () => Number.NaN, dropOldest: () => true, byteCount: () => -1 };
    using liar = adopt(governor, lying, { name: 'liar', clock, maxBytes: 1 });
    expect(liar.stats.bytes).toBe(0);
    expect(liar.stats.faults).toBeGreaterThan(0);
    const endless = { size: () => 1_000, dropOldest: () => true, byteCount: () => 1_000 };
    using _endless = adopt(governor, endless, { name: 'endless', clock, maxBytes: 1 });
    clock.advance(1_000);
  });

  it('when a callback of the cache uses the adoption', () => {
    const { governor, clock } = setUp();
    const cache = new LRUCache<number, Buffer>({
      max: 1_000,
      dispose() {
        adopted?.look();
        if (cache.size < 50) adopted?.[Symbol.dispose]();
      },
    });
    for (let i = 0; i < 100; i++) cache.set(i, Buffer.alloc(16 * KIB));
    const adopted = adopt(governor, cache, { name: 'pictures', clock });
    governor.consumer({ ...WIDE, name: 'feed' }).tryReserve(99.5 * MIB);
    expect(adopted.disposed).toBe(true);
    expect(cache.size).toBeGreaterThan(30);
    expect(adopted.stats.bytes).toBe(0);
    expect(governor.snapshot().consumers.filter(({ name }) => name.startsWith('pictures'))).toEqual([]);
  });
});

describe('refuses', () => {
  const { governor, clock } = setUp();
  const name = 'pictures';
  it.each<[string, unknown, object, string]>([
    ['no cache', undefined, {}, 'Expected `cache` to be'],
    ['a set', new Set(), {}, 'got `Set`'],
    ['an object', { size: 5 }, {}, '`{ size(), dropOldest(), entries() }`'],
    ['a source of unknown weight', { size: () => 1, dropOldest: () => true }, {}, 'with `entries()` or `byteCount()`'],
    ['an old lru-cache', { itemCount: 1, length: 2, prune() {}, reset() {} }, {}, '`lru-cache` (7 to 11)'],
    ['no name', new Map(), { name: '' }, 'Expected `name`'],
    ['two bounds', new Map(), { maxBytes: 5, maxShare: 0.5 }, 'Expected `maxShare` to be left out beside `maxBytes`'],
    ['a share above 1', new Map(), { maxShare: 10 }, 'a number above 0 and up to 1'],
    ['no bytes', new Map(), { maxBytes: 0 }, 'a whole number from 1 up'],
    ['looks without a pause', new Map(), { lookEveryMs: 0 }, 'a whole number from 20 to 60000'],
    ['a misspelt option', new Map(), { maxbytes: 5 }, 'did you mean `maxBytes`?'],
    ['a weight for a function', new Map(), { weigh: 5 }, 'Expected `weigh` to be a function'],
  ])('%s', (_what, cache, options, message) => {
    const before = clock.pending;
    expect(() => adopt(governor, cache as Map<string, string>, { name, clock, ...options })).toThrow(message);
    expect(clock.pending).toBe(before);
  });
});
