import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Slope } from '../../src/governor/slope.ts';

const OPTIONS = { spacingMs: 500, keep: 'tops' } as const;

function slopeOf(values: readonly number[], everyMs = 500): number {
  const slope = new Slope(OPTIONS);
  for (const [i, value] of values.entries()) slope.note(1_000 + i * everyMs, value);
  return slope.perMs;
}

describe('the slope of Theil and Sen', () => {
  it('of a straight line is that of the line, however it is sampled', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -1_000, max: 1_000 }),
        fc.integer({ min: 1, max: 2_000 }),
        fc.integer({ min: 3, max: 300 }),
        (perMs, everyMs, count) => {
          // So that there are three points; of what falls the tops of the first three are the same.
          fc.pre(everyMs * (count - 1) >= (perMs < 0 ? 6_000 : 2_000));
          const values = Array.from({ length: count }, (_, i) => 1e9 + i * everyMs * perMs);
          expect(slopeOf(values, everyMs)).toBeCloseTo(perMs, 6);
        },
      ),
    );
  });

  it('is not moved by less than a third of wild points', () => {
    fc.assert(
      fc.property(fc.constantFrom(0, 3, -3), fc.nat(10), fc.integer({ min: -1e6, max: 1e6 }), (perMs, at, wild) => {
        const values = Array.from({ length: 11 }, (_, i) => 1e6 + i * 500 * perMs);
        values[at]! += wild;
        const found = slopeOf(values);
        // One wild point may hide a trend, never make one or turn it round.
        expect(Math.abs(found)).toBeLessThanOrEqual(Math.abs(perMs) * 1.5);
        expect(found * perMs).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it('a step is no slope, wherever it stands', () => {
    for (let at = 0; at <= 11; at++) {
      for (const to of [0, 200]) {
        expect(slopeOf(Array.from({ length: 11 }, (_, i) => (i < at ? 100 : to)))).toBeCloseTo(0, 9);
      }
    }
  });

  it('says nothing of fewer than three points, and of three that are old', () => {
    expect(slopeOf([1, 2])).toBe(0);
    expect(slopeOf([0, 10_000, 20_000], 10_000)).toBe(1);
    expect(slopeOf([0, 100_000, 200_000], 100_000)).toBe(0);
  });

  it('many samples in no time are one point', () => {
    const slope = new Slope(OPTIONS);
    for (let i = 0; i < 1_000; i++) slope.note(0.001 * i, i);
    expect(slope.perMs).toBe(0);
    slope.note(500, 999);
    slope.note(1_000, 999);
    expect(slope.perMs).toBe(0);
  });
});
