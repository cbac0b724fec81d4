import { PRESSURE_LEVELS } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { CoolDown } from '../../src/governor/cool-down.ts';

describe('the wait between two actions', () => {
  it('is none before the first, then the cool-down; at critical half of it, at emergency a quarter, and none when acting helped', () => {
    const coolDown = new CoolDown(1_000);
    for (const level of PRESSURE_LEVELS) expect(coolDown.restraint(0, level, false)).toBeUndefined();
    coolDown.acted(5_000, 1);
    expect(coolDown.restraint(5_999, 'high', false)).toBe('cooling down');
    expect(coolDown.restraint(6_000, 'high', false)).toBeUndefined();
    // Calls are turned away meanwhile.
    expect(coolDown.restraint(5_499, 'critical', false)).toBe('cooling down');
    expect(coolDown.restraint(5_500, 'critical', false)).toBeUndefined();
    expect(coolDown.restraint(5_001, 'emergency', false)).toBeUndefined();
    coolDown.acted(5_000, 0);
    expect(coolDown.restraint(5_499, 'emergency', false)).toBe('cooling down');
    expect(coolDown.restraint(5_500, 'emergency', false)).toBeUndefined();
  });

  it('doubles while nothing comes back, up to 32 times, and is as before once something does', () => {
    const coolDown = new CoolDown(100);
    for (const waitMs of [200, 400, 800, 1_600, 3_200, 3_200]) {
      coolDown.acted(0, 0);
      expect(coolDown.restraint(waitMs - 1, 'high', false)).toBe('cooling down');
      expect(coolDown.restraint(waitMs, 'high', false)).toBeUndefined();
    }
    coolDown.acted(0, 1);
    expect(coolDown.restraint(100, 'high', false)).toBeUndefined();
  });

  it('there is none when the clock goes back, and none of 0', () => {
    const coolDown = new CoolDown(1_000);
    coolDown.acted(1_000_000, 1);
    expect(coolDown.restraint(5, 'high', false)).toBeUndefined();
    const never = new CoolDown(0);
    never.acted(5, 0);
    expect(never.restraint(5, 'high', false)).toBeUndefined();
  });
});

it('nothing is done while use is falling already, except at emergency', () => {
  const coolDown = new CoolDown(1_000);
  expect(coolDown.restraint(0, 'critical', true)).toBe('use is falling already');
  expect(coolDown.restraint(0, 'emergency', true)).toBeUndefined();
});
