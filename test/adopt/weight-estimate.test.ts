import { describe, expect, it } from 'vitest';
import { WeightEstimate } from '../../src/adopt/weight-estimate.ts';
import { Random } from '../simulation/random.ts';

const random = new Random(4);
const normal = () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());

function sampleOf(weights: readonly number[], size: number): WeightEstimate {
  const estimate = new WeightEstimate();
  for (let i = 0; i < size; i++) estimate.add(random.pick(weights), 0);
  estimate.settle(size, false);
  return estimate;
}

describe('the estimate of a weight', () => {
  it.each<[string, () => number, number, number]>([
    ['even', () => 1_000 + 1_000 * random.next(), 64, 0.92],
    ['exponential', () => -1_000 * Math.log(1 - random.next()), 64, 0.92],
    ['log-normal', () => Math.exp(7 + 1.5 * normal()), 64, 0.82],
    ['log-normal', () => Math.exp(7 + 1.5 * normal()), 1_024, 0.9],
    ['one in a hundred a hundred times as heavy', () => (random.chance(0.01) ? 1e6 : 1e4), 1_024, 0.94],
  ])('holds the truth within its interval: %s', (_name, weight, size, least) => {
    const count = 20_000;
    const weights = Array.from({ length: count }, weight);
    const truth = weights.reduce((sum, each) => sum + each, 0);
    let held = 0;
    for (let i = 0; i < 200; i++) {
      const estimate = sampleOf(weights, size);
      const bytes = estimate.heapBytes(count);
      if (Math.abs(bytes - truth) <= estimate.errorShare(count) * bytes) held++;
    }
    expect(held / 200).toBeGreaterThanOrEqual(least);
  });

  it('comes closer the more there are in the sample', () => {
    const weights = Array.from({ length: 10_000 }, () => -1_000 * Math.log(1 - random.next()));
    const errors = [64, 256, 1_024].map((size) => sampleOf(weights, size).errorShare(10_000));
    expect(errors[1]! / errors[0]!).toBeLessThan(0.7);
    expect(errors[2]! / errors[1]!).toBeLessThan(0.7);
    expect(errors[2]).toBeLessThan(0.09);
  });

  it('knows nothing without a sample, and all of a census', () => {
    const estimate = new WeightEstimate();
    expect([estimate.heapBytes(100), estimate.errorShare(100), estimate.errorShare(0)]).toEqual([0, 1, 0]);
    for (const bytes of [10, 20, 90]) estimate.add(bytes, bytes);
    estimate.settle(3, true);
    expect([estimate.heapBytes(3), estimate.externalBytes(3), estimate.errorShare(3)]).toEqual([120, 120, 0]);
    expect(estimate.errorShare(4)).toBeGreaterThan(0.5);
  });

  it('forgets what was added more than 1,024 ago', () => {
    const estimate = new WeightEstimate();
    for (let i = 0; i < 2_000; i++) estimate.add(1_000_000, 0);
    for (let i = 0; i < 1_024; i++) estimate.add(100, 0);
    estimate.settle(1_024, false);
    expect([estimate.count, estimate.meanBytes]).toEqual([1_024, 100]);
  });

  it('learns from what was dropped, within bounds, and lets it fade as the sample is renewed', () => {
    const estimate = new WeightEstimate();
    const add = (count: number) => {
      for (let i = 0; i < count; i++) estimate.add(1_000, 1_000);
      estimate.settle(count, false);
    };
    add(640);
    // A hundred of a thousand were half of it all.
    estimate.correct(2_000_000, 900, 1_000_000);
    expect(estimate.heapBytes(900) + estimate.externalBytes(900)).toBe(1_000_000);
    add(64);
    expect(estimate.meanBytes).toBeGreaterThan(1_111);
    for (let i = 0; i < 200; i++) add(64);
    expect(estimate.meanBytes).toBeCloseTo(2_000, 0);
    estimate.correct(2_000_000, 900, 1e12);
    expect(estimate.meanBytes).toBe(500);
    estimate.correct(450_000, 0, 5);
    expect(estimate.heapBytes(0)).toBe(0);
    expect(estimate.meanBytes).toBe(2_000);
  });
});
