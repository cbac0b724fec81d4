import { createGovernor } from 'plimsoll';
import { Cache, type CachePolicyName, type EvictionPolicy, type EvictionView } from 'plimsoll/cache';
import { describe, expect, it } from 'vitest';
import { LfuPolicy } from '../../src/cache/lfu-policy.ts';
import { LruPolicy } from '../../src/cache/lru-policy.ts';
import { TinyLfuPolicy } from '../../src/cache/tiny-lfu-policy.ts';
import { policyContract } from '../contract/policy.ts';
import { hitRate } from './hit-rate.ts';
import { loops, oneHitWonders, recencyBiased, zipfWithDrift, zipfWithScans } from './synthetic-traces.ts';

/** First in, first out: the plainest policy of one's own. */
class FifoPolicy implements EvictionPolicy {
  readonly name = 'fifo';
  readonly #order = new Set<number>();

  onInsert(slot: number): void {
    this.#order.add(slot);
  }
  onAccess(): void {}
  onRemove(slot: number): void {
    this.#order.delete(slot);
  }
  victim(): number {
    for (const slot of this.#order) return slot;
    return -1;
  }
  resize(): void {}
}

policyContract('lru', () => new LruPolicy());
policyContract('lfu', (view: EvictionView) => new LfuPolicy(view));
policyContract('tiny-lfu', (view: EvictionView) => new TinyLfuPolicy(view));
policyContract('a policy of one’s own', () => new FifoPolicy());

describe('lfu', () => {
  it('lets go of what was used least often, of those the one that was used longest ago', () => {
    const gone: string[] = [];
    const cache = new Cache<string, number>({
      maxEntries: 3,
      policy: 'lfu',
      onRemoval: (_, key) => void gone.push(key),
    });
    for (const key of ['a', 'b', 'c']) cache.set(key, 1);
    for (const key of ['a', 'a', 'b', 'c']) cache.get(key);
    cache.set('d', 1);
    cache.set('e', 1);
    expect(gone).toEqual(['b', 'd']);
  });

  it('forgets what was popular once', () => {
    const cache = new Cache<number, number>({ maxEntries: 100, policy: 'lfu' });
    for (let key = 0; key < 100; key++) cache.set(key, key);
    for (let i = 0; i < 20_000; i++) cache.get(i % 100);
    for (let i = 0; i < 60_000; i++) {
      const key = 1_000 + (i % 50);
      if (cache.get(key) === undefined) cache.set(key, key);
    }
    for (let key = 1_000; key < 1_050; key++) expect(cache.has(key)).toBe(true);
  });
});

describe('tiny-lfu', () => {
  it('keeps what is asked for again and again while a scan passes, where lru loses it', () => {
    const keys = zipfWithScans(5_000, 200_000, 7);
    expect(hitRate(keys, 500, 'tiny-lfu')).toBeGreaterThan(hitRate(keys, 500, 'lru') + 3);
  });

  it('is no lru where a governor gives it a tenth of its bound', () => {
    const keys = zipfWithScans(5_000, 200_000, 7);
    const rate = (policy: CachePolicyName): number => {
      const governor = createGovernor({ meters: [], mode: 'on', runtimeBytes: 0, limitBytes: 500_000 });
      using cache = new Cache<number, true>({ maxBytes: 5_000_000, policy, governor, weigh: () => 936 });
      for (const key of keys) if (cache.get(key) === undefined) cache.set(key, true);
      expect(cache.size).toBeLessThanOrEqual(500);
      return (100 * cache.stats.hits) / keys.length;
    };
    expect(rate('tiny-lfu')).toBeGreaterThan(rate('lru') + 3);
  });

  it('is no lru where entries are deleted now and then', () => {
    const keys = zipfWithScans(5_000, 200_000, 7);
    const rate = (policy: CachePolicyName): number => {
      const cache = new Cache<number, true>({ maxEntries: 500, policy });
      keys.forEach((key, i) => {
        if (cache.get(key) === undefined) cache.set(key, true);
        if (i % 20 === 0) cache.delete(key);
      });
      return (100 * cache.stats.hits) / keys.length;
    };
    expect(rate('tiny-lfu')).toBeGreaterThan(rate('lru') + 3);
  });

  it('has a sketch for the entries it has, not for the bytes they may weigh', () => {
    const before = process.memoryUsage().arrayBuffers;
    const caches = Array.from({ length: 20 }, () => {
      const cache = new Cache<number, number>({ maxBytes: 1e9, policy: 'tiny-lfu', weigh: () => 1e7 });
      for (let i = 0; i < 200; i++) cache.set(i, i);
      return cache;
    });
    expect((process.memoryUsage().arrayBuffers - before) / caches.length).toBeLessThan(100_000);
  });

  it('keeps part of a loop that is larger than the cache, where lru has nothing', () => {
    const keys = loops([1_000], 60_000);
    expect(hitRate(keys, 500, 'lru')).toBe(0);
    expect(hitRate(keys, 500, 'tiny-lfu')).toBeGreaterThan(40);
  });

  it('does not fill up with what comes once only', () => {
    const keys = oneHitWonders(400, 0.5, 100_000, 3);
    expect(hitRate(keys, 400, 'tiny-lfu')).toBeGreaterThan(hitRate(keys, 400, 'lru') + 3);
  });

  it('follows a trace in which only recency counts', () => {
    const keys = recencyBiased(400, 400_000, 11);
    expect(hitRate(keys, 500, 'tiny-lfu')).toBeGreaterThan(hitRate(keys, 500, 'lru') - 0.5);
  });

  it('follows what is popular when that moves on steadily', () => {
    const keys = zipfWithDrift(20_000, 10, 400_000, 2);
    expect(hitRate(keys, 1_000, 'tiny-lfu')).toBeGreaterThan(hitRate(keys, 1_000, 'lru') - 0.6);
  });

  it('leaves no window behind that was fit for another load', () => {
    const count = 130_000;
    const parts = [recencyBiased(512, count, 7), loops([700], count), zipfWithDrift(20_000, count, count, 3)];
    const keys = Int32Array.from({ length: 3 * count }, (_, i) => {
      const part = Math.floor(i / count);
      return parts[part]![i % count]! + part * 50_000_000;
    });
    expect(hitRate(keys, 512, 'tiny-lfu')).toBeGreaterThan(hitRate(keys, 512, 'lru') + 15);
  });
});

it('holds its bound, and goes on, when a policy of one’s own names nothing, nonsense, or throws', () => {
  const answers = [-1, Number.NaN, 1.5, 9_999, 0];
  let asked = 0;
  const policy = (): EvictionPolicy => ({
    name: 'broken',
    onInsert() {
      throw new Error('on purpose');
    },
    onAccess() {
      throw new Error('on purpose');
    },
    onRemove() {},
    victim() {
      const answer = answers[asked++ % (answers.length + 1)];
      if (answer === undefined) throw new Error('on purpose');
      return answer;
    },
    resize() {},
  });
  const cache = new Cache<number, number>({ maxEntries: 10, policy });
  for (let i = 0; i < 100; i++) {
    cache.set(i, i);
    expect(cache.get(i)).toBe(i);
    expect(cache.faults()).toEqual([]);
  }
  expect(cache.size).toBe(10);
  expect(cache.stats.policyFaults).toBeGreaterThan(100);
});
