import type { PressureLevel } from 'plimsoll';

const LEVELS: readonly (readonly [PressureLevel, number])[] = [
  ['emergency', 0.95],
  ['critical', 0.85],
  ['high', 0.7],
  ['moderate', 0.5],
  ['optimal', 0],
];
const HYSTERESIS = 0.03;

/** The scale as the design has it, written anew: upwards at once, downwards only past the hysteresis. */
export function levelAfter(before: PressureLevel, ratio: number): PressureLevel {
  const at = (value: number) => LEVELS.find(([, from]) => value >= from)![0];
  const rank = (level: PressureLevel) => LEVELS.findIndex(([name]) => name === level);
  const up = at(ratio);
  if (rank(up) <= rank(before)) return up;
  const down = at(ratio + HYSTERESIS);
  return rank(down) > rank(before) ? down : before;
}
