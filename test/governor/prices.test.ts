import fc from 'fast-check';
import { ManualClock, MEMORY_KINDS, METER_NAMES } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { PRICE_STEPS, Prices } from '../../src/governor/prices.ts';
import { MIB } from './fake-meter.ts';

function setUp() {
  const clock = new ManualClock();
  return { clock, prices: new Prices(clock) };
}

const figures = { measuredBytes: 500 * MIB, slackBytes: 0 };

/** One train as `rss` sees it: `external` is released, of which a part is seen after the collection and a part after the trim. */
function train(prices: Prices, released: number, afterFull: number, afterTrim: number): void {
  prices.noteReclaim('external', released, 1);
  prices.noteStep('rss', 'reclaim', 0, 0, figures);
  prices.noteStep('rss', 'full', released * afterFull, 10, figures);
  prices.noteStep('rss', 'trim', released * (afterTrim - afterFull), 5, figures);
}

describe('prices', () => {
  it('begin with what was measured beforehand', () => {
    const { prices } = setUp();
    expect(prices.yieldOf('rss', 'external', 'full')).toBe(0.5);
    expect(prices.yieldOf('rss', 'external', 'trim')).toBe(0.97);
    expect(prices.yieldOf('heap', 'heap', 'full')).toBe(1);
    expect(prices.yieldOf('heap', 'external', 'trim')).toBe(0.01);
    expect(prices.rows().length).toBe(12);
  });

  it('learn of small buffers that only the trim gives them back, and of large ones that the collection does', () => {
    const { prices } = setUp();
    for (let i = 0; i < 20; i++) train(prices, 100 * MIB, 0, 1);
    expect(prices.yieldOf('cgroup', 'external', 'full')).toBeLessThan(0.02);
    expect(prices.yieldOf('cgroup', 'external', 'trim')).toBeGreaterThan(0.98);
    expect(prices.msPerByte('rss', 'external', false)).toBeGreaterThan(2 * prices.msPerByte('rss', 'external', true));
    for (let i = 0; i < 20; i++) train(prices, 100 * MIB, 0.95, 0.95);
    expect(prices.yieldOf('rss', 'external', 'full')).toBeCloseTo(0.95, 1);
  });

  it('tell the kinds apart when several are released together', () => {
    const { prices } = setUp();
    let seed = 7;
    const next = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
    for (let i = 0; i < 300; i++) {
      const [heap, external] = [next() * 100 * MIB, next() * 100 * MIB];
      prices.noteReclaim('heap', heap, 1);
      prices.noteReclaim('external', external, 1);
      prices.noteStep('rss', 'full', heap * 0.9 + external * 0.2, 10, figures);
      prices.noteStep('rss', 'trim', external * 0.7, 5, figures);
    }
    expect(prices.yieldOf('rss', 'heap', 'full')).toBeCloseTo(0.9, 1);
    expect(prices.yieldOf('rss', 'external', 'full')).toBeCloseTo(0.2, 1);
    expect(prices.yieldOf('rss', 'external', 'trim')).toBeCloseTo(0.9, 1);
  });

  it('expect of a step what was released and is not seen yet, and nothing more once it is', () => {
    const { prices } = setUp();
    for (let i = 0; i < 20; i++) train(prices, 100 * MIB, 0, 1);
    const trim = () => prices.expectedBytes('rss', 'trim', figures);
    expect(trim()).toBe(0);
    prices.noteReclaim('external', 40 * MIB, 1);
    expect(trim() / MIB).toBeCloseTo(40, -1);
    prices.noteStep('rss', 'full', 0, 10, figures);
    expect(trim() / MIB).toBeCloseTo(40, -1);
    prices.noteStep('rss', 'trim', 40 * MIB, 5, figures);
    expect(trim()).toBe(0);
  });

  it('expect garbage as it was found lately, and after collections in vain none; later some again', () => {
    const { prices, clock } = setUp();
    const garbage = () => prices.expectedBytes('heap', 'full', figures) / MIB;
    expect(garbage()).toBe(100);
    prices.noteStep('heap', 'full', 100 * MIB, 10, figures);
    // It has to gather first: one right behind it that finds nothing says nothing.
    expect(garbage()).toBe(0);
    for (let i = 0; i < 20; i++) prices.noteStep('heap', 'full', 0, 10, figures);
    clock.advance(1_000);
    expect(garbage()).toBeCloseTo(50, 0);
    for (let i = 0; i < 20; i++) {
      clock.advance(5_000);
      prices.noteStep('heap', 'full', 0, 10, figures);
    }
    clock.advance(5_000);
    expect(garbage()).toBeLessThan(25);
    clock.advance(600_000);
    expect(garbage()).toBeGreaterThan(70);
  });

  it('expect of the trim a part of the slack where that is known', () => {
    const { prices } = setUp();
    expect(prices.expectedBytes('rss', 'trim', { measuredBytes: 500 * MIB, slackBytes: 200 * MIB })).toBe(120 * MIB);
    expect(prices.expectedBytes('rss', 'trim', { measuredBytes: 500 * MIB }) / MIB).toBeCloseTo(25);
  });

  it('forget with time: what was in vain is tried again', () => {
    const { prices, clock } = setUp();
    for (let i = 0; i < 30; i++) train(prices, 100 * MIB, 0, 0);
    expect(prices.yieldOf('rss', 'external', 'trim')).toBeLessThan(0.02);
    clock.advance(300_000);
    expect(prices.yieldOf('rss', 'external', 'trim')).toBeCloseTo(0.485, 1);
  });

  it('see all of it at once in the ledger, where only the release has a price', () => {
    const { prices } = setUp();
    expect(prices.yieldOf('ledger', 'external', 'reclaim')).toBe(1);
    expect(prices.expectedBytes('ledger', 'full', figures)).toBe(0);
    for (let i = 0; i < 30; i++) prices.noteReclaim('mapped', MIB, 10);
    expect(prices.msPerByte('ledger', 'mapped', true) * MIB).toBeCloseTo(10, 1);
    expect(prices.msPerByte('ledger', 'heap', true)).toBeLessThan(prices.msPerByte('ledger', 'mapped', true));
  });

  it('stay sound whatever is noted, on a clock that jumps too', () => {
    const step = fc.record({
      kind: fc.constantFrom(...MEMORY_KINDS),
      meter: fc.constantFrom(...METER_NAMES),
      step: fc.constantFrom(...PRICE_STEPS),
      released: fc.oneof(fc.double({ min: -1e12, max: 1e12, noNaN: true }), fc.constant(0)),
      seen: fc.double({ min: -1e12, max: 1e12 }),
      ms: fc.double({ min: -10, max: 1e6 }),
      at: fc.double({ min: 0, max: 1e9, noNaN: true }),
      measuredBytes: fc.double({ min: 0, max: 1e12, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const clock = new ManualClock();
        let now = 0;
        clock.now = () => now;
        const prices = new Prices(clock);
        for (const { kind, meter, step, released, seen, ms, at, measuredBytes } of steps) {
          now = at;
          prices.noteReclaim(kind, released, ms);
          prices.noteStep(meter, step, seen, ms, { measuredBytes });
          expect(prices.expectedBytes(meter, step, { measuredBytes })).toBeGreaterThanOrEqual(0);
          expect(prices.msPerByte(meter, kind, true)).toBeGreaterThanOrEqual(0);
          for (const row of prices.rows()) {
            const seenParts = [row.seenAfterReclaim, row.seenAfterMinor, row.seenAfterFull, row.seenAfterTrim];
            for (const part of seenParts) expect(part).toBeGreaterThanOrEqual(0);
            for (const part of seenParts) expect(part).toBeLessThanOrEqual(1);
            expect(seenParts).toEqual(seenParts.toSorted((a, b) => a - b));
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
