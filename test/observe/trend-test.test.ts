import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { trendOf } from '../../src/observe/trend-test.ts';

/** Every order of 1 to n. */
function orders(n: number): number[][] {
  if (n === 0) return [[]];
  return orders(n - 1).flatMap((order) => Array.from({ length: n }, (_, at) => order.toSpliced(at, 0, n)));
}

function scoreOf(figures: readonly number[]): number {
  return figures.reduce((sum, b, j) => sum + figures.slice(0, j).reduce((part, a) => part + Math.sign(b - a), 0), 0);
}

describe('the probability of a rise', () => {
  it('is that of Kendall’s tables', () => {
    expect(trendOf([1, 2, 3, 4]).probability).toBeCloseTo(0.0417, 4);
    expect(trendOf([1, 2, 4, 3]).probability).toBeCloseTo(0.167, 3);
    expect(trendOf([1, 2, 3, 4, 5]).probability).toBeCloseTo(0.0083, 4);
    // n = 10, S = 21.
    expect(scoreOf([10, 1, 2, 3, 4, 5, 6, 9, 8, 7])).toBe(21);
    expect(trendOf([10, 1, 2, 3, 4, 5, 6, 9, 8, 7]).probability).toBeCloseTo(0.036, 3);
  });

  it('is the part of all orders that rise as clearly, counted one by one', () => {
    const all = orders(6);
    const scores = all.map(scoreOf);
    for (const order of all.filter((_, index) => index % 37 === 0)) {
      const asClear = scores.filter((score) => score >= scoreOf(order)).length / all.length;
      expect(trendOf(order).probability).toBeCloseTo(asClear, 10);
    }
  });

  it('is never smaller for ties than for a rise in their place', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 2, maxLength: 12 }), (figures) => {
        const apart = figures.map((figure, index) => figure + index / 100);
        expect(trendOf(figures).probability).toBeGreaterThanOrEqual(trendOf(apart).probability - 1e-12);
      }),
    );
  });
});

describe('the slope', () => {
  it('is the median of all pairs, so that a figure far off changes nothing', () => {
    expect(trendOf([0, 10, 20, 30, 40]).slope).toBe(10);
    expect(trendOf([0, 10, 20, 3_000, 40, 50, 60]).slope).toBe(10);
    expect(trendOf([5, 5, 5]).slope).toBe(0);
  });

  it('of the last third, and its rise, is that of what goes on', () => {
    expect(trendOf([0, 50, 90, 100, 100, 100, 100])).toMatchObject({ lateSlope: 0, lateRise: 0 });
    expect(trendOf([0, 1, 2, 3, 4, 5, 6])).toMatchObject({ lateSlope: 1, lateRise: 1 });
    expect(trendOf([0, 50, 90, 104, 99, 106, 98]).lateRise).toBeLessThan(0);
  });
});
