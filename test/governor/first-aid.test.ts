import { describe, expect, it, vi } from 'vitest';
import { FakeMeter, MIB, setUp } from './fake-meter.ts';

describe('faults inside', () => {
  it.each([
    ['throws', new Error('gone')],
    ['throws nothing', null],
  ])('a meter that %s is passed over, and switched off after three in a row', (_, broken) => {
    const { governor, rss, heap } = setUp();
    heap.bytes = 60 * MIB;
    rss.bytes = 99 * MIB;
    governor.sample();
    rss.broken = broken;
    expect(governor.sample()).toMatchObject({ level: 'moderate', decidingMeter: 'heap' });
    governor.sample();
    rss.broken = undefined;
    expect(governor.sample().level).toBe('emergency');
    rss.broken = broken;
    for (let i = 0; i < 5; i++) governor.sample();
    expect(governor.snapshot().faults).toMatchObject([{ part: 'meter rss', count: 5, off: true }]);
    expect(governor.snapshot().meters.find((meter) => meter.name === 'rss')).toMatchObject({ off: true });
    expect(governor.sample()).toMatchObject({ rssBytes: 0, decidingMeter: 'heap' });
  });

  it.each([Number.NaN, -1, undefined, 'much'])('a meter that reads %s is a fault', (reading) => {
    const { governor, rss } = setUp();
    rss.bytes = reading as number;
    governor.sample();
    expect(governor.snapshot().faults).toMatchObject([{ part: 'meter rss' }]);
  });

  it('with every meter gone the books still hold', () => {
    const { governor, rss, heap } = setUp({ sampleEveryBytes: 1 });
    rss.broken = heap.broken = new Error('gone');
    const consumer = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: Number.POSITIVE_INFINITY });
    for (let i = 0; i < 10; i++) consumer.reserve(10 * MIB);
    expect(consumer.tryReserve(1)).toBeUndefined();
    expect(governor.snapshot()).toMatchObject({ level: 'optimal', decidingMeter: 'ledger' });
  });
});

describe('when a meter, not the ledger, is at the line', () => {
  it('a reservation has V8 collect, at a bounded rate, and others give back when that was not enough', () => {
    const collections: number[] = [];
    let garbage = 20 * MIB;
    const { governor, rss, heap, clock } = setUp({
      sampleEveryBytes: 1,
      collect: () => {
        collections.push(clock.now());
        clock.advance(5);
        rss.bytes -= garbage;
        heap.bytes -= garbage;
        garbage = 0;
      },
    });
    const asked: number[] = [];
    const cache = governor.consumer({
      name: 'cache',
      kind: 'external',
      maxBytes: 50 * MIB,
      reclaimer: {
        reclaimableBytes: () => 10 * MIB,
        reclaimNow: ({ targetBytes, level }) => {
          expect(level).toBe('emergency');
          asked.push(targetBytes);
          return 0;
        },
      },
    });
    cache.reserve(20 * MIB);
    const feed = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: MIB });
    rss.bytes = heap.bytes = 98 * MIB;
    feed.reserve(1);
    expect([collections.length, asked, governor.level]).toEqual([1, [], 'high']);
    rss.bytes = 98 * MIB;
    // Past the line by what the machine sees, and nothing helps: a limit on what is reserved alone would let it grow.
    expect(() => feed.reserve(1)).toThrow('memory is past the line, whatever is reserved');
    expect(asked.length).toBe(1);
    for (let i = 0; i < 100; i++) {
      clock.advance(10);
      expect(feed.tryReserve(1)).toBeUndefined();
    }
    // In vain from here on: the wait doubles.
    expect(collections.length).toBeLessThan(5);
    expect(governor.snapshot().collections).toMatchObject({
      count: collections.length,
      spentMs: collections.length * 5,
    });
    expect(asked.length).toBeLessThan(6);
    rss.bytes = heap.bytes = 50 * MIB;
    clock.advance(1_000);
    expect(feed.tryReserve(1)?.bytes).toBe(1);
  });

  it('nothing of the kind happens for the ledger alone', () => {
    const ledger = new FakeMeter('ledger');
    const collect = vi.fn();
    const { governor } = setUp({ sampleEveryBytes: 1, meters: [ledger], collect });
    ledger.bytes = 100 * MIB;
    governor.consumer({ name: 'feed', kind: 'heap', maxBytes: MIB }).reserve(1);
    expect([governor.level, collect.mock.calls.length]).toEqual(['emergency', 0]);
  });

  it('a collection that throws is a fault, and the reservation ends with its own code', () => {
    const collect = () => {
      throw new Error('no collection today');
    };
    const { governor, rss, clock } = setUp({ sampleEveryBytes: 1, collect });
    rss.bytes = 100 * MIB;
    const feed = governor.consumer({ name: 'feed', kind: 'heap', maxBytes: MIB });
    expect(() => feed.reserve(1)).toThrow(
      expect.objectContaining({ code: 'PLIMSOLL_BUDGET_EXCEEDED', reason: 'emergency' }),
    );
    expect(governor.snapshot().faults).toMatchObject([{ part: 'collect', message: 'no collection today', off: true }]);
    rss.bytes = 10 * MIB;
    clock.advance(1_000);
    expect(feed.reserve(1).bytes).toBe(1);
  });
});
