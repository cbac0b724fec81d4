import fc from 'fast-check';
import { DEFAULT_THRESHOLDS, levelRank, nextLevel, PRESSURE_LEVELS, type PressureLevel } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { resolveThresholds } from '../../src/governor/pressure.ts';

const from = (level: PressureLevel, ratio: number) => nextLevel(level, ratio, DEFAULT_THRESHOLDS);
const begins = [
  0,
  DEFAULT_THRESHOLDS.moderate,
  DEFAULT_THRESHOLDS.high,
  DEFAULT_THRESHOLDS.critical,
  DEFAULT_THRESHOLDS.emergency,
];

describe('the five levels', () => {
  it.each([
    [0, 'optimal'],
    [0.499, 'optimal'],
    [0.5, 'moderate'],
    [0.699, 'moderate'],
    [0.7, 'high'],
    [0.85, 'critical'],
    [0.949, 'critical'],
    [0.95, 'emergency'],
    [40, 'emergency'],
    [Number.POSITIVE_INFINITY, 'emergency'],
  ] as const)('rising to %d is %s', (ratio, level) => expect(from('optimal', ratio)).toBe(level));

  it('falls only past the hysteresis, and then as far as it goes', () => {
    expect(from('high', 0.69)).toBe('high');
    expect(from('high', 0.671)).toBe('high');
    expect(from('high', 0.669)).toBe('moderate');
    expect(from('emergency', 0.1)).toBe('optimal');
    expect(from('emergency', 0.84)).toBe('critical');
    expect(from('critical', Number.NaN)).toBe('critical');
  });

  it('as a state machine: never below the level of the ratio, at most the hysteresis above it, and still when it trembles', () => {
    const ratios = fc.array(fc.double({ min: 0, max: 1.2, noNaN: true }), { minLength: 1, maxLength: 60 });
    const h = DEFAULT_THRESHOLDS.hysteresis;
    fc.assert(
      fc.property(ratios, fc.constantFrom(...PRESSURE_LEVELS), (steps, start) => {
        let level: PressureLevel = start;
        for (const ratio of steps) {
          const next = from(level, ratio);
          const floor = begins.findLastIndex((begin) => ratio >= begin);
          const ceiling = begins.findLastIndex((begin) => ratio + h >= begin);
          expect(levelRank(next)).toBeGreaterThanOrEqual(floor);
          expect(levelRank(next)).toBeLessThanOrEqual(ceiling);
          expect(from(next, ratio)).toBe(next);
          if (levelRank(next) < levelRank(level)) expect(ratio).toBeLessThan(begins[levelRank(level)]! - h + 1e-12);
          level = next;
        }
      }),
    );
  });
});

describe('thresholds', () => {
  it.each([
    [{ high: 0.4 }, 'thresholds.high'],
    [{ emergency: 1.2 }, 'thresholds.emergency'],
    [{ moderate: Number.NaN }, 'thresholds.moderate'],
    [{ hysteresis: 0.6 }, 'thresholds.hysteresis'],
    [{ hysteresis: -0.1 }, 'thresholds.hysteresis'],
  ])('refuses %j', (given, name) => expect(() => resolveThresholds(given)).toThrow(`Expected \`${name}\``));

  it('fills in what is missing', () => {
    expect(resolveThresholds({ high: 0.6 })).toEqual({ ...DEFAULT_THRESHOLDS, high: 0.6 });
  });
});
