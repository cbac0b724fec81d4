import fc from 'fast-check';
import { PRESSURE_LEVELS, type PressureLevel } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { Faults } from '../../src/governor/faults.ts';
import { type TriggerAction, type TriggerCondition, type TriggerEvent, Triggers } from '../../src/governor/triggers.ts';

function setUp() {
  const faults = new Faults();
  return { faults, triggers: new Triggers({ faults }) };
}

describe('a trigger at a level', () => {
  it('is told on entering, from below as from further up, and on leaving downwards', () => {
    const { triggers } = setUp();
    const events: TriggerEvent[] = [];
    triggers.when({ level: 'high' }, (event) => events.push(event));
    for (const level of [
      'optimal',
      'moderate',
      'high',
      'critical',
      'high',
      'moderate',
      'emergency',
      'optimal',
    ] as const)
      triggers.note({ level: level, ratio: 0.5 });
    expect(events).toEqual([
      { level: 'high', ratio: 0.5, scale: 1, active: true },
      { level: 'moderate', ratio: 0.5, scale: 0, active: false },
      { level: 'emergency', ratio: 0.5, scale: 1, active: true },
      { level: 'optimal', ratio: 0.5, scale: 0, active: false },
    ]);
  });

  it('that holds already is told with the next sample', () => {
    const { triggers } = setUp();
    triggers.note({ level: 'critical', ratio: 0.9 });
    const events: TriggerEvent[] = [];
    triggers.when({ level: 'high' }, (event) => events.push(event));
    expect(events).toEqual([]);
    triggers.note({ level: 'critical', ratio: 0.9 });
    triggers.note({ level: 'critical', ratio: 0.9 });
    expect(events).toEqual([{ level: 'critical', ratio: 0.9, scale: 1, active: true }]);
  });
});

describe('a scaled trigger', () => {
  const scales = (condition: TriggerCondition, ratios: number[]) => {
    const { triggers } = setUp();
    const told: number[] = [];
    triggers.when(condition, ({ scale, active }) => {
      told.push(Number(scale.toFixed(4)));
      expect(active).toBe(scale > 0);
    });
    for (const ratio of ratios) triggers.note({ level: 'optimal', ratio: ratio });
    return told;
  };

  it('is told in steps, and always the ends', () => {
    expect(
      scales({ from: 0.6, to: 0.8 }, [0.5, 0.6, 0.605, 0.61, 0.615, 0.62, 0.799, 0.8, 0.9, 0.795, 0.7, 0.6]),
    ).toEqual([0.05, 0.1, 0.995, 1, 0.5, 0]);
  });

  it('the step can be chosen; a ratio that is no number says nothing', () => {
    expect(
      scales({ from: 0, to: 1, step: 0.5 }, [0.4, 0.5, 0.7, Number.NaN, 1.7, Number.POSITIVE_INFINITY, 0]),
    ).toEqual([0.5, 1, 0]);
  });

  it('a step that is short by a rounding error is one', () => {
    expect(0.15 - 0.1).toBeLessThan(0.05);
    expect(scales({ from: 0, to: 1 }, [0.1, 0.15])).toEqual([0.1, 0.15]);
  });

  it('what was told last is never a step away from what is', () => {
    const ratios = fc.array(fc.double({ min: 0, max: 1.2, noNaN: true }), { maxLength: 50 });
    const step = fc.double({ min: 0.01, max: 1, noNaN: true });
    fc.assert(
      fc.property(ratios, step, (samples, least) => {
        const { triggers } = setUp();
        let told = 0;
        let calls = 0;
        triggers.when({ from: 0.3, to: 0.7, step: least }, ({ scale }) => {
          expect(Math.abs(scale - told) >= least - 1e-8 || scale === 0 || scale === 1).toBe(true);
          expect(scale).not.toBe(told);
          told = scale;
          calls++;
        });
        for (const ratio of samples) {
          triggers.note({ level: 'optimal', ratio: ratio });
          const scale = Math.min(1, Math.max(0, (ratio - 0.3) / 0.4));
          expect(Math.abs(scale - told)).toBeLessThan(least + 1e-8);
          if (scale === 0 || scale === 1) expect(told).toBe(scale);
          const before = calls;
          triggers.note({ level: 'optimal', ratio: ratio });
          expect(calls).toBe(before);
        }
      }),
    );
  });
});

describe('actions', () => {
  it('that throw or reject are faults, and stop nobody else', async () => {
    const { triggers, faults } = setUp();
    const told: string[] = [];
    triggers.when({ level: 'high' }, () => {
      throw new Error('at once');
    });
    triggers.when({ level: 'high' }, (async () => {
      throw new Error('later');
    }) as TriggerAction);
    triggers.when({ level: 'high' }, () => void told.push('last'));
    triggers.note({ level: 'high', ratio: 0.7 });
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toEqual(['last']);
    expect(faults.rows()).toEqual([{ part: 'trigger', message: 'later', count: 2, off: false }]);
  });

  it('are told nothing once disposed, not even in the same round; disposing twice is safe', () => {
    const { triggers } = setUp();
    const told: string[] = [];
    triggers.when({ level: 'high' }, () => {
      second[Symbol.dispose]();
      second[Symbol.dispose]();
      told.push('first');
    });
    const second = triggers.when({ level: 'high' }, () => void told.push('second'));
    triggers.note({ level: 'high', ratio: 0.7 });
    expect([told, triggers.size]).toEqual([['first'], 1]);
    triggers.clear();
    triggers.note({ level: 'optimal', ratio: 0 });
    expect([told, triggers.size]).toEqual([['first'], 0]);
  });

  it('that take a sample never make another hear an older state after a newer', () => {
    const { triggers } = setUp();
    const heard: PressureLevel[] = [];
    triggers.when({ level: 'high' }, ({ active }) => {
      if (active) triggers.note({ level: 'optimal', ratio: 0.1 });
    });
    triggers.when({ level: 'high' }, ({ level }) => void heard.push(level));
    triggers.when({ level: 'moderate' }, ({ level }) => void heard.push(level));
    triggers.note({ level: 'high', ratio: 0.7 });
    // Relieved by the first before the others had their turn: for them nothing has happened.
    expect(heard).toEqual([]);
  });

  it('that make it better and worse by turns do not run for ever', () => {
    const { triggers } = setUp();
    let calls = 0;
    triggers.when({ level: 'high' }, ({ active }) => {
      calls++;
      triggers.note({ level: active ? 'optimal' : 'high', ratio: 0.5 });
    });
    triggers.note({ level: 'high', ratio: 0.7 });
    expect(calls).toBe(8);
  });

  it('are at most 256', () => {
    const { triggers } = setUp();
    for (let i = 0; i < 256; i++) triggers.when({ level: 'high' }, () => {});
    expect(() => triggers.when({ level: 'high' }, () => {})).toThrow('at most 256');
  });

  it('hear of entering and leaving by turns, whatever the levels', () => {
    const levels = fc.array(fc.constantFrom(...PRESSURE_LEVELS), { maxLength: 50 });
    fc.assert(
      fc.property(levels, fc.constantFrom(...PRESSURE_LEVELS), (steps, level) => {
        const { triggers } = setUp();
        let on = false;
        triggers.when({ level }, ({ active }) => {
          expect(active).toBe(!on);
          on = active;
        });
        for (const step of steps) {
          triggers.note({ level: step, ratio: 0 });
          expect(on).toBe(PRESSURE_LEVELS.indexOf(step) >= PRESSURE_LEVELS.indexOf(level));
        }
      }),
    );
  });
});

it.each([
  [{ level: 'hihg' }, 'condition.level'],
  [{ from: 0.5, to: 0.5 }, 'condition.to'],
  [{ from: -0.1, to: 0.5 }, 'condition.from'],
  [{ from: 0.5, to: 1.1 }, 'condition.to'],
  [{ from: 0.5, to: 0.9, step: 0 }, 'condition.step'],
  [{}, 'condition.from'],
  [null, 'condition'],
])('refuses %j', (condition, name) => {
  const { triggers } = setUp();
  expect(() => triggers.when(condition as TriggerCondition, () => {})).toThrow(`Expected \`${name}\``);
  expect(() => triggers.when({ level: 'high' }, 'x' as never)).toThrow('Expected `action`');
});
