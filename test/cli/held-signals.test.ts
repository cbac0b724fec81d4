import { describe, expect, it } from 'vitest';
import { HeldSignals, isAtFootOfTerminal } from '../../src/cli/held-signals.ts';

const stat = (group: number, foot: number) => () => `77 (a) name) S 1 ${group} 50 34816 ${foot} 4194304 99`;

describe('signals to a program that is run', () => {
  it('are held back at the foot of a terminal, which sends them itself, and passed on when they come again', () => {
    const held = new HeldSignals(() => true);
    expect(
      (['SIGINT', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGWINCH', 'SIGWINCH'] as const).map((each) => held.holds(each)),
    ).toEqual([true, false, true, false, true, true]);
  });

  it('are all passed on by one that no terminal sends to', () => {
    const held = new HeldSignals(() => false);
    expect((['SIGINT', 'SIGQUIT', 'SIGWINCH'] as const).map((each) => held.holds(each))).toEqual([false, false, false]);
  });

  it('come from a terminal where the group of the process is the one at its foot, and it is not the first of a container', () => {
    expect(isAtFootOfTerminal(false, 77, stat(70, 70))).toBe(true);
    expect(isAtFootOfTerminal(true, 77, stat(70, 71))).toBe(false);
    expect(isAtFootOfTerminal(true, 77, stat(70, -1))).toBe(false);
    expect(isAtFootOfTerminal(true, 1, stat(1, 1))).toBe(false);
    const absent = () => {
      throw new Error('ENOENT');
    };
    for (const otherwise of [true, false]) {
      expect(isAtFootOfTerminal(otherwise, 77, absent)).toBe(otherwise);
      expect(isAtFootOfTerminal(otherwise, 77, () => '')).toBe(otherwise);
    }
  });
});
