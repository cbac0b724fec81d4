import { LRUCache } from 'lru-cache';
import { adopt } from 'plimsoll/adopt';
import { describe, expect, it } from 'vitest';
import { MIB, setUp } from '../governor/fake-meter.ts';
import { catchReclaimers } from './catch-reclaimers.ts';

const KIB = 1_024;

describe('an adopted lru-cache', () => {
  it.each(['lru-cache', 'lru-cache-10', 'lru-cache-9', 'lru-cache-8', 'lru-cache-7'])(
    'leaves calls of `fetch` that are under way to end, in %s',
    async (name) => {
      const module = (await import(name)) as { LRUCache?: typeof LRUCache; default?: typeof LRUCache };
      const Cache = module.LRUCache ?? module.default!;
      const { governor, clock } = setUp();
      const { governor: caught, reclaimers } = catchReclaimers(governor);
      const giveBack = (targetBytes: number) =>
        reclaimers.get('pictures (buffers)')!.reclaimNow!({ targetBytes, level: 'critical', strategy: 'aggressive' });
      let answer: (value: Buffer) => void = () => {};
      const fetchMethod = () => new Promise<Buffer>((resolve) => void (answer = resolve));
      const cache = new Cache<string, Buffer>({ max: 1_000, fetchMethod });
      const wanted = cache.fetch('oldest');
      for (let i = 0; i < 100; i++) cache.set(`key ${i}`, Buffer.alloc(16 * KIB));
      using adopted = adopt(caught, cache, { name: 'pictures', clock });
      giveBack(MIB);
      expect([cache.has('key 0'), cache.has('key 99')]).toEqual([false, true]);
      giveBack(100 * MIB);
      expect([cache.size, adopted.stats.dropped, adopted.stats.faults]).toEqual([1, 100, 0]);
      answer(Buffer.from('here'));
      expect(String(await wanted)).toBe('here');
    },
  );

  it('is weighed and dropped with what is stale in it: that is held all the same', () => {
    const { governor, clock } = setUp();
    clock.advance(1);
    const cache = new LRUCache<string, Buffer>({ max: 1_000, ttl: 1, perf: clock });
    cache.set('first', Buffer.alloc(0));
    for (let i = 0; i < 100; i++) cache.set(`key ${i}`, Buffer.alloc(16 * KIB));
    clock.advance(1_000);
    using adopted = adopt(governor, cache, { name: 'pictures', clock, maxBytes: MIB });
    expect(adopted.stats.externalBytes).toBeGreaterThan(0.9 * MIB);
    expect(adopted.stats.bytes).toBeLessThanOrEqual(MIB);
    expect([cache.allowStale, cache.get('key 99')?.length]).toEqual([false, undefined]);
  });
});

describe('a cache of entries that weigh slowly', () => {
  it('is weighed for a fiftieth of the time, and goes on to count it', () => {
    const { governor, clock } = setUp();
    const cache = new LRUCache<string, Buffer>({ max: 100 });
    cache.set('first', Buffer.alloc(KIB));
    let [weighings, spentMs] = [0, 0];
    const slow = { now: () => clock.now() + spentMs, wall: () => clock.wall(), after: clock.after.bind(clock) };
    const weigh = () => {
      weighings++;
      spentMs += 100;
      return KIB;
    };
    using adopted = adopt(governor, cache, { name: 'tables', clock: slow, weigh });
    clock.advance(60_000);
    expect(weighings).toBeGreaterThan(5);
    expect(weighings).toBeLessThan(15);
    for (let i = 1; i < 3; i++) cache.set(`more ${i}`, Buffer.alloc(KIB));
    clock.advance(1_000);
    expect(adopted.stats.bytes).toBe(3 * KIB);
  });
});
