import { copyOptions, invalidOption } from '../invalid-option.ts';
import { PRESSURE_LEVELS, type PressureLevel } from './contract.ts';

/** Where each level begins, as a share of the limit, and how far below that it ends. */
export interface PressureThresholds {
  readonly moderate: number;
  readonly high: number;
  readonly critical: number;
  readonly emergency: number;
  /** A level is left downwards only when use is lower than its beginning by this share of the limit. */
  readonly hysteresis: number;
}

export const DEFAULT_THRESHOLDS: PressureThresholds = {
  moderate: 0.5,
  high: 0.7,
  critical: 0.85,
  emergency: 0.95,
  hysteresis: 0.03,
};

/** Fills in what is missing. Throws `RangeError` unless the four ascend between 0 and 1 and the hysteresis is smaller than the first. */
export function resolveThresholds(
  given: Partial<PressureThresholds> = {},
  base: PressureThresholds = DEFAULT_THRESHOLDS,
): PressureThresholds {
  const thresholds = { ...base, ...copyOptions('thresholds', given, Object.keys(DEFAULT_THRESHOLDS), 'an object') };
  let below = 0;
  for (const level of ['moderate', 'high', 'critical', 'emergency'] as const) {
    const value: unknown = thresholds[level];
    if (!(typeof value === 'number' && value > below && value <= 1)) {
      throw invalidOption(`thresholds.${level}`, `a number above ${below} and up to 1`, value);
    }
    below = value;
  }
  const { hysteresis, moderate } = thresholds;
  if (!(typeof hysteresis === 'number' && hysteresis >= 0 && hysteresis < moderate)) {
    throw invalidOption('thresholds.hysteresis', `a number from 0 to less than ${moderate}`, hysteresis);
  }
  return thresholds;
}

/** 0 for `optimal` to 4 for `emergency`. */
export function levelRank(level: PressureLevel): number {
  return PRESSURE_LEVELS.indexOf(level);
}

/**
 * The level after `ratio` (use by limit) was seen at `current`. Upwards at once, however far; downwards only past the hysteresis, each
 * threshold by itself, so that a ratio that trembles at a threshold changes nothing. A ratio that is no number changes nothing.
 */
export function nextLevel(current: PressureLevel, ratio: number, thresholds: PressureThresholds): PressureLevel {
  if (Number.isNaN(ratio)) return current;
  const rising = levelAt(ratio, thresholds);
  const rank = levelRank(current);
  if (levelRank(rising) >= rank) return rising;
  const falling = levelAt(ratio + thresholds.hysteresis, thresholds);
  return levelRank(falling) < rank ? falling : current;
}

function levelAt(ratio: number, { moderate, high, critical, emergency }: PressureThresholds): PressureLevel {
  if (ratio < moderate) return 'optimal';
  if (ratio < high) return 'moderate';
  if (ratio < critical) return 'high';
  return ratio < emergency ? 'critical' : 'emergency';
}
