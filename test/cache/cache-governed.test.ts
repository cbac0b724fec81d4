import { createGovernor, ManualClock } from 'plimsoll';
import { CACHE_POLICIES, Cache } from 'plimsoll/cache';
import { describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { reclaimerContract } from '../contract/reclaimer.ts';

const plain = { clock: new ManualClock(), meters: [], mode: 'on', runtimeBytes: 0 } as const;
const reclaimersOf = (governor: ReturnType<typeof createGovernor>) => {
  const found: { name: string; reclaimer: NonNullable<Parameters<typeof governor.consumer>[0]['reclaimer']> }[] = [];
  const watched = new Proxy(governor, {
    get(target, name) {
      const member = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        if (name === 'consumer') found.push(args[0] as (typeof found)[number]);
        return member.apply(target, args);
      };
    },
  });
  return { governor: watched, found };
};

for (const policy of CACHE_POLICIES) {
  for (const kind of ['heap', 'external'] as const) {
    reclaimerContract({
      name: `cache, ${policy}, ${kind}`,
      fill: (given, bytes) => {
        const { governor, found } = reclaimersOf(given);
        const cache = new Cache<number, number>({
          name: 'pages',
          maxBytes: bytes * 4,
          policy,
          governor,
          // Giving back is bounded in time.
          clock: new ManualClock(),
          weigh: (each) => (kind === 'heap' ? each : { heapBytes: 0, externalBytes: each }),
        });
        for (let i = 0; cache.bytes < bytes; i++) cache.set(i, 4_000);
        const consumerName = kind === 'heap' ? 'pages' : 'pages (buffers)';
        return { consumerName, reclaimer: found.find(({ name }) => name === consumerName)!.reclaimer };
      },
    });
  }
}

describe('under a governor', () => {
  it('takes no more than it is given: its own entries make room, then nothing is stored', () => {
    const governor = createGovernor({ ...plain, limitBytes: 100_000 });
    const other = governor.consumer({ name: 'other', kind: 'heap', maxBytes: 100_000 });
    const cache = new Cache<number, number>({
      maxBytes: 1_000_000,
      governor,
      clock: plain.clock,
      weigh: (bytes) => bytes,
    });
    for (let i = 0; i < 50; i++) {
      expect(cache.set(i, 10_000)).toBe(true);
      expect(cache.bytes).toBeLessThanOrEqual(100_000);
    }
    expect(cache.stats.removals.evicted).toBeGreaterThan(40);
    expect(cache.set(100, 200_000)).toBe(false);
    expect(cache.stats.refused).toBe(1);
    cache.clear();
    using _room = other.reserve(95_000);
    expect(cache.set(1, 10_000)).toBe(false);
    expect(cache.set(2, 1_000)).toBe(true);
    expect(cache.faults()).toEqual([]);
  });

  it('gives back what is coldest when somebody else needs room', () => {
    const governor = createGovernor({ ...plain, limitBytes: 100_000 });
    const cache = new Cache<number, number>({
      maxBytes: 90_000,
      governor,
      clock: plain.clock,
      weigh: (bytes) => bytes,
    });
    for (let i = 0; i < 8; i++) cache.set(i, 10_000);
    cache.get(0);
    const other = governor.consumer({ name: 'other', kind: 'heap', maxBytes: 100_000 });
    expect(other.tryReserve(50_000)).toBeDefined();
    expect(cache.stats.removals.reclaimed).toBeGreaterThan(2);
    expect(cache.has(0)).toBe(true);
    expect(cache.has(1)).toBe(false);
  });

  it('does not let all buffers go for what their tables take on the heap', () => {
    const governor = createGovernor({ ...plain, limitBytes: 1_100_000 });
    const cache = new Cache<number, Buffer>({ maxBytes: 1_000_000, governor, clock: plain.clock });
    for (let i = 0; i < 90; i++) cache.set(i, Buffer.alloc(10_000));
    const other = governor.consumer({ name: 'other', kind: 'external', maxBytes: 1_000_000 });
    expect(other.tryReserve(500_000)).toBeDefined();
    expect(cache.size).toBeGreaterThan(40);
    expect(cache.size).toBeLessThan(60);
  });

  it('gives back in a bounded time', () => {
    const clock = new ManualClock();
    const { governor, found } = reclaimersOf(createGovernor({ ...plain, clock, limitBytes: 10_000_000 }));
    const options = { maxBytes: 9_000_000, governor, clock, weigh: (bytes: number) => bytes };
    const cache = new Cache<number, number>({ ...options, onRemoval: () => clock.advance(1) });
    for (let i = 0; i < 8_000; i++) cache.set(i, 1_000);
    const before = clock.now();
    const given = found[0]!.reclaimer.reclaimNow!({ targetBytes: 9_000_000, level: 'high', strategy: 'aggressive' });
    expect(given).toBeGreaterThan(0);
    // One entry goes after each look at the clock.
    expect(clock.now() - before).toBeGreaterThan(3);
    expect(clock.now() - before).toBeLessThanOrEqual(6);
  });

  it('says in the snapshot what it counts', () => {
    const governor = createGovernor({ ...plain, limitBytes: 1_000_000 });
    const cache = new Cache<string, string>({ name: 'pages', maxBytes: 100_000, governor });
    cache.set('a', 'value');
    cache.get('a');
    cache.get('b');
    const row = governor.snapshot().consumers.find(({ name }) => name === 'pages')!;
    expect(row.holder).toMatchObject({ type: 'cache', health: 'ok', counts: { hits: 1, misses: 1, entryCount: 1 } });
    cache[Symbol.dispose]();
    expect(governor.snapshot().consumers.some(({ name }) => name === 'pages')).toBe(false);
  });

  it('weighs what it holds where it is bound by entries', () => {
    const governor = createGovernor({ ...plain, limitBytes: 1_000_000 });
    const cache = new Cache<number, Buffer>({ maxEntries: 10, governor });
    for (let i = 0; i < 20; i++) cache.set(i, Buffer.alloc(1_000));
    const held = governor.snapshot().consumers.find(({ name }) => name === 'cache (buffers)')!.heldBytes;
    expect(held).toBeGreaterThanOrEqual(10_000);
  });

  it('goes on by its own bound when the governor breaks', () => {
    const { governor, breakIt } = breakable(createGovernor({ ...plain, limitBytes: 1_000_000 }));
    const cache = new Cache<number, number>({ maxBytes: 10_000, governor, weigh: () => 100 });
    for (let i = 0; i < 50; i++) cache.set(i, i);
    breakIt();
    for (let i = 0; i < 500; i++) {
      expect(cache.set(i, i)).toBe(true);
      expect(cache.get(i)).toBe(i);
    }
    cache.delete(499);
    cache.clear();
    for (let i = 0; i < 500; i++) cache.set(i, i);
    expect(cache.bytes).toBe(10_000);
    expect(cache.faults()).toEqual([]);
    cache[Symbol.dispose]();
  });

  it('has given all back when it is disposed', () => {
    const governor = createGovernor({ ...plain, limitBytes: 1_000_000 });
    {
      using cache = new Cache<number, Buffer>({ maxBytes: 100_000, governor });
      for (let i = 0; i < 200; i++) cache.set(i, Buffer.alloc(1_000));
    }
    expect(governor.snapshot().consumers.reduce((sum, { heldBytes }) => sum + heldBytes, 0)).toBe(0);
  });
});
