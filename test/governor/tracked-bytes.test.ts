import { describe, expect, it } from 'vitest';
import { MIB, setUp } from './fake-meter.ts';

const WIDE = { kind: 'external', maxBytes: Number.POSITIVE_INFINITY } as const;

describe('what is tracked', () => {
  it('is held by its consumer, up and down, until it is disposed', () => {
    const { governor } = setUp();
    const cache = governor.consumer({ ...WIDE, name: 'cache' });
    const tracked = cache.track();
    expect([tracked.bytes, cache.heldBytes]).toEqual([0, 0]);
    tracked.resize(30 * MIB);
    tracked.resize(20 * MIB);
    expect([tracked.bytes, cache.heldBytes, cache.peakBytes, governor.heldBytes]).toEqual(
      [20, 20, 30, 20].map((mib) => mib * MIB),
    );
    tracked[Symbol.dispose]();
    tracked[Symbol.dispose]();
    expect([tracked.bytes, cache.heldBytes]).toEqual([0, 0]);
    expect(() => tracked.resize(1)).toThrow('disposed');
  });

  it('is never refused, and over the line nobody else is granted anything until it is gone', () => {
    const { governor } = setUp();
    const cache = governor.consumer({ ...WIDE, name: 'cache', maxBytes: 10 * MIB });
    const tracked = cache.track();
    tracked.resize(120 * MIB);
    const feed = governor.consumer({ ...WIDE, name: 'feed' });
    expect(feed.tryReserve(1)).toBeUndefined();
    tracked.resize(0);
    expect(feed.tryReserve(MIB)?.bytes).toBe(MIB);
  });

  it('wakes who waits when it shrinks', async () => {
    const { governor } = setUp();
    const tracked = governor.consumer({ ...WIDE, name: 'cache' }).track();
    tracked.resize(90 * MIB);
    const waiting = governor.consumer({ ...WIDE, name: 'feed' }).admit(20 * MIB);
    tracked.resize(10 * MIB);
    expect((await waiting).bytes).toBe(20 * MIB);
  });

  it('is not taken for what is about to be allocated: the meters have it already', () => {
    const { governor, rss, heap } = setUp();
    const tracked = governor.consumer({ ...WIDE, name: 'cache', kind: 'heap' }).track();
    const feed = governor.consumer({ ...WIDE, name: 'feed', kind: 'heap' });
    heap.bytes = rss.bytes = 10 * MIB;
    governor.sample();
    heap.bytes = rss.bytes = 60 * MIB;
    governor.sample();
    tracked.resize(50 * MIB);
    // 60 of 100 are used: with the 50 counted again it would be refused.
    expect(feed.tryReserve(30 * MIB)?.bytes).toBe(30 * MIB);
  });

  it('is what it was made in the middle, by who hears of the sample that its growth set off', () => {
    const { governor, rss } = setUp();
    const cache = governor.consumer({ ...WIDE, name: 'cache' });
    const tracked = cache.track();
    tracked.resize(30 * MIB);
    rss.bytes = 90 * MIB;
    using _ = governor.onLevel(() => tracked.resize(10 * MIB));
    tracked.resize(80 * MIB);
    expect([tracked.bytes, cache.heldBytes]).toEqual([10 * MIB, 10 * MIB]);
    tracked[Symbol.dispose]();
    expect(governor.heldBytes).toBe(0);
  });

  it('refuses what is no number of bytes, and a consumer that has been disposed', () => {
    const { governor } = setUp();
    const cache = governor.consumer({ ...WIDE, name: 'cache' });
    const tracked = cache.track();
    for (const bytes of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => tracked.resize(bytes)).toThrow('Expected `bytes` to be a whole number from 0 up');
    }
    tracked.resize(5);
    cache[Symbol.dispose]();
    expect(tracked.bytes).toBe(0);
    expect(() => tracked.resize(1)).toThrow('disposed');
    expect(() => cache.track()).toThrow('disposed');
    tracked[Symbol.dispose]();
    expect(governor.heldBytes).toBe(0);
  });

  it.each(['observe', 'off'] as const)('is counted in mode %s too', (mode) => {
    const { governor } = setUp({ mode });
    const tracked = governor.consumer({ ...WIDE, name: 'cache' }).track();
    tracked.resize(120 * MIB);
    expect(governor.heldBytes).toBe(120 * MIB);
  });
});
