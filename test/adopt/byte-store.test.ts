import fc from 'fast-check';
import { type Governor, ManualClock, type Reclaimer } from 'plimsoll';
import { ByteStore, type ByteStoreOptions } from 'plimsoll/adopt';
import { afterEach, describe, expect, it } from 'vitest';
import { storedWeight } from '../../src/adopt/stored-weight.ts';
import { breakable } from '../contract/broken-governor.ts';
import { reclaimerContract } from '../contract/reclaimer.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';
import { settledMemory } from '../settled-memory.ts';

const KIB = 1024;

function open(options: Partial<ByteStoreOptions> = {}, mode: 'on' | 'observe' | 'off' = 'on') {
  const { governor, clock } = setUp({ mode });
  const bound = options.maxShare === undefined ? { maxBytes: MIB } : {};
  const store = new ByteStore(governor, { name: 'things', clock, ...bound, ...options });
  return { governor, clock, store };
}

const held = (governor: Governor, name = 'things') =>
  governor.snapshot().consumers.find((row) => row.name === name)?.heldBytes ?? 0;

/** What the books must say at any time. */
function agree(governor: Governor, store: ByteStore): void {
  expect(held(governor)).toBe(store.stats.heapBytes);
  expect(held(governor, 'things (buffers)')).toBe(store.stats.externalBytes);
  expect(store.bytes).toBeLessThanOrEqual(store.boundBytes);
}

describe('a store', () => {
  it('gives back what was set, until it is deleted, and holds in the ledger what it says', () => {
    const { governor, store } = open();
    expect(store.set('a', 'x'.repeat(1000))).toBe(true);
    expect(store.set('b', Buffer.alloc(64 * KIB))).toBe(true);
    expect(store.get('a')).toBe('x'.repeat(1000));
    expect(store.stats).toMatchObject({ entryCount: 2, externalBytes: 64 * KIB, hits: 1, stored: 2 });
    agree(governor, store);
    expect(store.delete('a')).toBe(true);
    expect(store.delete('a')).toBe(false);
    expect(store.get('a')).toBeUndefined();
    store.clear();
    expect(store.stats).toMatchObject({ entryCount: 0, bytes: 0 });
    agree(governor, store);
  });

  it('has replaced what stood under the key, also where the new value is not stored', () => {
    const { governor, store } = open({ maxEntryBytes: 10 * KIB });
    store.set('a', 'old');
    expect(store.set('a', 'x'.repeat(20 * KIB))).toBe(false);
    expect(store.get('a')).toBeUndefined();
    expect(store.stats).toMatchObject({ tooLarge: 1, bytes: 0 });
    agree(governor, store);
  });

  it('stays within its bound by dropping what was used longest ago', () => {
    const { governor, store } = open();
    for (let i = 0; i < 10; i++) store.set(`page ${i}`, Buffer.alloc(96 * KIB));
    expect(store.stats.evicted).toBe(0);
    store.get('page 0');
    store.set('page 10', Buffer.alloc(96 * KIB));
    expect(store.has('page 0')).toBe(true);
    expect(store.has('page 1')).toBe(false);
    expect(store.stats.evicted).toBe(1);
    agree(governor, store);
  });

  it('bounds one entry to an eighth unless told', () => {
    const { store } = open();
    expect(store.set('a', Buffer.alloc(129 * KIB))).toBe(false);
    expect(store.set('a', Buffer.alloc(126 * KIB))).toBe(true);
  });

  it('follows the share when the limit changes', () => {
    const { governor, store } = open({ maxShare: 0.1 });
    expect(store.boundBytes).toBe(10 * MIB);
    for (let i = 0; i < 10; i++) store.set(`page ${i}`, Buffer.alloc(MIB - KIB));
    governor.tune({ limitBytes: 50 * MIB });
    store.set('one more', Buffer.alloc(100));
    expect(store.boundBytes).toBe(5 * MIB);
    agree(governor, store);
  });

  it('lets go what is past its time, first of all', () => {
    const { governor, clock, store } = open();
    store.set('old', Buffer.alloc(100 * KIB));
    store.set('short', Buffer.alloc(100 * KIB), 1_000);
    clock.advance(999);
    expect(store.has('short')).toBe(true);
    clock.advance(1);
    expect(store.stats.entryCount).toBe(2);
    for (let i = 0; i < 8; i++) store.set(`page ${i}`, Buffer.alloc(100 * KIB));
    expect(store.set('last', Buffer.alloc(100 * KIB))).toBe(true);
    expect(store.stats).toMatchObject({ expired: 1, evicted: 0 });
    expect(store.has('old')).toBe(true);
    agree(governor, store);
  });

  it('does not serve what is past its time, and does not store what has none', () => {
    const { governor, clock, store } = open();
    store.set('a', 'x', 10);
    clock.advance(10);
    expect(store.get('a')).toBeUndefined();
    for (const ttl of [0, -1, Number.NaN]) expect(store.set('a', 'x', ttl)).toBe(false);
    agree(governor, store);
  });

  it('is no part of the request that it was first used in', async () => {
    const { governor, store } = open();
    await governor.scope({ name: 'GET /', maxBytes: 8 * KIB }, (scope) => {
      expect(store.set('a', Buffer.alloc(100 * KIB))).toBe(true);
      expect(scope.heldBytes).toBe(0);
    });
    agree(governor, store);
  });
});

describe('the governor', () => {
  it('refuses: the oldest go, and where that does not help nothing is stored', () => {
    const { governor, store } = open({ maxBytes: 100 * MIB, maxEntryBytes: 50 * MIB });
    const others = governor.consumer({ name: 'others', kind: 'external', maxBytes: 100 * MIB });
    store.set('a', Buffer.alloc(20 * MIB));
    store.set('b', Buffer.alloc(20 * MIB));
    const pinned = others.reserve(59 * MIB);
    expect(store.set('c', Buffer.alloc(20 * MIB))).toBe(true);
    expect([store.has('a'), store.has('b'), store.has('c')]).toEqual([false, true, true]);
    pinned.shrink(30 * MIB);
    pinned.grow(30 * MIB);
    expect(store.set('d', Buffer.alloc(45 * MIB))).toBe(false);
    expect(store.stats).toMatchObject({ refused: 1, entryCount: 0 });
    agree(governor, store);
  });

  it('has the oldest given back for others, of the kind that is asked for', () => {
    const { governor, store } = open({ maxBytes: 90 * MIB, maxEntryBytes: 20 * MIB });
    store.set('text', 'x'.repeat(MIB));
    for (let i = 0; i < 8; i++) store.set(`${i}`, Buffer.alloc(10 * MIB));
    const uploads = governor.consumer({ name: 'uploads', kind: 'external', maxBytes: 100 * MIB });
    const upload = uploads.tryReserve(35 * MIB);
    expect(upload?.bytes).toBe(35 * MIB);
    expect(store.has('text')).toBe(true);
    expect(store.has('0')).toBe(false);
    expect(store.has('7')).toBe(true);
    expect(store.stats.reclaimed).toBeGreaterThanOrEqual(2);
    agree(governor, store);
  });

  it.each(['observe', 'off'] as const)('changes nothing in %s, but the bound of the store holds', (mode) => {
    const { governor, store } = open({ maxBytes: 200 * MIB, maxEntryBytes: 50 * MIB }, mode);
    for (let i = 0; i < 5; i++) expect(store.set(`${i}`, Buffer.alloc(30 * MIB))).toBe(true);
    expect(store.stats).toMatchObject({ entryCount: 5, refused: 0, reclaimed: 0 });
    for (let i = 5; i < 10; i++) expect(store.set(`${i}`, Buffer.alloc(30 * MIB))).toBe(true);
    expect(store.bytes).toBeLessThanOrEqual(200 * MIB);
    agree(governor, store);
  });

  it('broken from the start or later: the store goes on within its own bound', () => {
    for (const when of ['start', 'later', 'no share']) {
      const { governor, breakIt } = breakable(setUp().governor);
      if (when === 'start') breakIt();
      const bound = when === 'no share' ? { maxShare: 0.01 } : { maxBytes: MIB };
      const store = new ByteStore(governor, { name: 'things', ...bound });
      expect(store.set('before', 'x')).toBe(true);
      breakIt();
      for (let i = 0; i < 20; i++) expect(store.set(`${i}`, Buffer.alloc(100 * KIB))).toBe(true);
      expect(store.get('19')).toHaveLength(100 * KIB);
      expect(store.bytes).toBeLessThanOrEqual(MIB);
      expect(store.stats.faults).toBeGreaterThan(0);
      store.delete('19');
      store[Symbol.dispose]();
      expect(store.stats.entryCount).toBe(0);
    }
  });

  it('broken before anything was set: a share of the limit is what it was', () => {
    const { governor, breakIt } = breakable(setUp().governor);
    const store = new ByteStore(governor, { name: 'things', maxShare: 0.01 });
    breakIt();
    expect([store.set('a', 'x'), store.boundBytes]).toEqual([true, MIB]);
  });

  it('broken while bytes are held: they are given up, and the store goes on within its own bound', () => {
    const { governor } = setUp();
    const open = governor.consumer.bind(governor);
    let broken = false;
    const guarded =
      <T>(act: (bytes: number) => T) =>
      (bytes: number) => {
        if (broken) throw new Error('broken on purpose');
        return act(bytes);
      };
    governor.consumer = (options) => {
      const consumer = open(options);
      const reserve = consumer.reserve.bind(consumer);
      consumer.reserve = (bytes) => {
        const reservation = reserve(bytes);
        reservation.tryGrow = guarded(reservation.tryGrow.bind(reservation));
        reservation.shrink = guarded(reservation.shrink.bind(reservation));
        return reservation;
      };
      return consumer;
    };
    const store = new ByteStore(governor, { name: 'things', maxBytes: MIB });
    for (let i = 0; i < 5; i++) store.set(`${i}`, Buffer.alloc(100 * KIB));
    agree(governor, store);
    expect(store.stats.faults).toBe(0);
    broken = true;
    for (let i = 5; i < 25; i++) expect(store.set(`${i}`, Buffer.alloc(100 * KIB))).toBe(true);
    expect(store.get('24')).toHaveLength(100 * KIB);
    expect(store.bytes).toBeLessThanOrEqual(MIB);
    broken = false;
    store.clear();
    expect(store.stats.bytes).toBe(0);
    store[Symbol.dispose]();
    expect(governor.heldBytes).toBe(0);
  });

  it('is disposed: the store goes on within its own bound', () => {
    const { governor, store } = open();
    store.set('a', 'x');
    governor[Symbol.dispose]();
    for (let i = 0; i < 20; i++) store.set(`${i}`, Buffer.alloc(100 * KIB));
    expect(store.bytes).toBeLessThanOrEqual(MIB);
    expect(store.size).toBeGreaterThan(0);
  });

  it('is left without a trace', () => {
    const { governor, clock, store } = open();
    const before = clock.pending;
    store.set('a', Buffer.alloc(100));
    store[Symbol.dispose]();
    store[Symbol.dispose]();
    expect(governor.snapshot().consumers.map((row) => row.name)).toEqual(['runtime']);
    expect(clock.pending).toBe(before);
    expect(store.set('a', 'x')).toBe(false);
    expect(store.get('a')).toBeUndefined();
  });
});

describe('whatever is done', () => {
  it('books, bound and values agree with a plain model', () => {
    const key = fc.integer({ min: 0, max: 12 }).map(String);
    const step = fc.oneof(
      fc.record({
        do: fc.constant('set'),
        key,
        size: fc.integer({ min: 0, max: 200 }),
        ttl: fc.integer({ min: -1, max: 50 }),
      }),
      fc.record({ do: fc.constantFrom('get', 'delete'), key }),
      fc.record({ do: fc.constantFrom('advance', 'reclaim'), size: fc.integer({ min: 1, max: 300 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { governor, clock, store } = open({ maxEntryBytes: 200 * KIB });
        const others = governor.consumer({ name: 'others', kind: 'external', maxBytes: 200 * MIB });
        const model = new Map<string, { value: Buffer; until: number }>();
        for (const at of steps as { do: string; key: string; size: number; ttl: number }[]) {
          if (at.do === 'advance') clock.advance(at.size / 10);
          if (at.do === 'reclaim') others.tryReserve(governor.availableBytes + at.size * KIB)?.[Symbol.dispose]();
          if (at.do === 'delete') store.delete(at.key);
          if (at.do === 'get') {
            const value = store.get(at.key);
            const expected = model.get(at.key);
            if (value !== undefined) expect(value).toBe(expected?.value);
            if (expected !== undefined && expected.until <= clock.now()) expect(value).toBeUndefined();
          }
          if (at.do === 'set') {
            const value = Buffer.alloc(at.size * KIB);
            const ttl = at.ttl === 50 ? undefined : at.ttl;
            const stored = store.set(at.key, value, ttl);
            model.delete(at.key);
            if (stored) model.set(at.key, { value, until: clock.now() + (ttl ?? Number.POSITIVE_INFINITY) });
          }
          if (at.do === 'delete') model.delete(at.key);
          agree(governor, store);
          const sum = store.keys().length;
          expect(sum).toBe(store.size);
        }
        store[Symbol.dispose]();
        expect(governor.heldBytes).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});

describe('unsound options', () => {
  const { governor } = setUp();
  it.each([
    [{ name: '', maxBytes: 1 }, /name/],
    [{ name: 'x'.repeat(111), maxBytes: 1 }, /110/],
    [{ name: 'a' }, /maxShare/],
    [{ name: 'a', maxBytes: 1, maxShare: 0.5 }, /not both/],
    [{ name: 'a', maxBytes: 0 }, /maxBytes/],
    [{ name: 'a', maxShare: 1.5 }, /maxShare/],
    [{ name: 'a', maxBytes: 1, maxEntryBytes: -1 }, /maxEntryBytes/],
    [{ name: 'a', maxBytes: 1, importance: 0.5 }, /importance/],
    [{ name: 'a', maxBytes: 1, weigh: 5 }, /weigh/],
    [{ name: 'a', maxbytes: 1 }, /did you mean `maxBytes`/],
  ])('%o', (options, message) => {
    expect(() => new ByteStore(governor, options as unknown as ByteStoreOptions)).toThrow(message);
    expect(governor.snapshot().consumers).toHaveLength(1);
  });
});

describe('a weight', () => {
  it.each([
    ['text', 'x'.repeat(1000), 1016, 0],
    ['wide text', 'я'.repeat(1000), 2016, 0],
    ['Latin text', 'é'.repeat(1000), 1016, 0],
    ['a plain object', { a: 1, b: 1, c: true, d: null, e: 3 }, 64, 0],
    ['an array', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 128, 0],
    ['an array of fractions', [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5], 128, 0],
    ['a buffer', Buffer.alloc(16_384), 200, 16_384],
    ['a slice of the pool', Buffer.from('y'.repeat(100)), 104, 100],
    ['a slice of something large', Buffer.alloc(MIB).subarray(0, 10), 200, MIB],
    ['nothing', null, 0, 0],
  ])('of %s', (_, value, heapBytes, externalBytes) => {
    expect(storedWeight(value)).toEqual({ heapBytes, externalBytes });
  });

  it('counts what is shared once, and ends in a circle', () => {
    const page = Buffer.alloc(1000);
    const one = storedWeight({ page })!;
    expect(storedWeight({ page, again: page, view: page.subarray(0, 4) })!.externalBytes).toBe(one.externalBytes);
    const circle: Record<string, unknown> = { page };
    circle.self = circle;
    expect(storedWeight(circle)!.externalBytes).toBe(1000);
  });

  it('is given for maps and sets and not for what is too large to look at', () => {
    expect(storedWeight(new Map([['a', Buffer.alloc(1000)]]))!.externalBytes).toBe(1000);
    expect(storedWeight(new Set(['x'.repeat(1000)]))!.heapBytes).toBeGreaterThan(1000);
    expect(storedWeight(Array.from({ length: 200_000 }, () => 1))).toBeUndefined();
    const { store } = open();
    expect(
      store.set(
        'a',
        Array.from({ length: 200_000 }, () => 1),
      ),
    ).toBe(false);
    expect(
      store.set('a', {
        get no() {
          throw new Error('never');
        },
      }),
    ).toBe(false);
    expect(store.stats.unweighed).toBe(2);
  });

  it('of a table counts its names, of records it does not', async () => {
    const names = Array.from({ length: 2_000 }, (_, i) => `visitor-${i}`);
    const table = (from: number) => Object.fromEntries(names.map((name, i) => [`${name}-${from}`, i]));
    const kept: object[] = [];
    const before = await settledMemory();
    for (let i = 0; i < 20; i++) kept.push(table(i));
    const seen = ((await settledMemory()).heapBytes - before.heapBytes) / kept.length;
    expect(storedWeight(kept[0])!.heapBytes / seen).toBeGreaterThan(0.75);
    expect(storedWeight(kept[0])!.heapBytes / seen).toBeLessThan(1.6);
    const record = () => Object.fromEntries(names.slice(0, 30).map((name, i) => [name, i]));
    expect(storedWeight([record(), record()])!.heapBytes - storedWeight([record()])!.heapBytes).toBeLessThan(300);
  });

  it('of 20,000 entries is what V8 says, within a tenth', async () => {
    const { store } = open({ maxBytes: 64 * MIB });
    const value = (i: number) => JSON.parse(`{"id":${i},"name":"${'n'.repeat(40)}","tags":["a","b"],"open":true}`);
    const before = await settledMemory();
    for (let i = 0; i < 20_000; i++) store.set(`/pages/${i}`, value(i));
    const seen = (await settledMemory()).heapBytes - before.heapBytes;
    expect(store.stats.heapBytes / seen).toBeGreaterThan(0.95);
    expect(store.stats.heapBytes / seen).toBeLessThan(1.1);
  });
});

describe('as a reclaimer', () => {
  const opened: ByteStore[] = [];
  afterEach(() =>
    opened.splice(0).forEach((store) => {
      store[Symbol.dispose]();
    }),
  );
  for (const kind of ['heap', 'external'] as const) {
    reclaimerContract({
      name: `byte store (${kind})`,
      fill(governor, bytes) {
        const reclaimers: Reclaimer[] = [];
        const spy = new Proxy(governor, {
          get(target, name) {
            const member = Reflect.get(target, name, target);
            if (typeof member !== 'function') return member;
            return (...args: [{ reclaimer: Reclaimer }]) => {
              if (name === 'consumer') reclaimers.push(args[0].reclaimer);
              return member.apply(target, args);
            };
          },
        });
        const store = new ByteStore(spy, { name: 'things', maxBytes: bytes * 8, clock: new ManualClock() });
        opened.push(store);
        const size = bytes / 64;
        for (let i = 0; i < 66; i++) store.set(`${i}`, kind === 'heap' ? 'x'.repeat(size) : Buffer.alloc(size));
        const consumerName = kind === 'heap' ? 'things' : 'things (buffers)';
        return { consumerName, reclaimer: reclaimers[kind === 'heap' ? 0 : 1]! };
      },
    });
  }
});
