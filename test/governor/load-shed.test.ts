import fc from 'fast-check';
import { ManualClock } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { EmergencyBreaker } from '../../src/governor/emergency-breaker.ts';
import { LoadShed, type ShedRule } from '../../src/governor/load-shed.ts';

const count = (shed: LoadShed, point: string, calls: number) => {
  let turnedAway = 0;
  for (let i = 0; i < calls; i++) if (shed.shouldShed(point)) turnedAway++;
  return turnedAway;
};

describe('a load-shed point', () => {
  it('at a level turns all away from there on, without a rule from critical on', () => {
    const shed = new LoadShed({ rules: { early: { level: 'moderate' } } });
    const answers = () => [shed.shouldShed('early'), shed.shouldShed('unheard of')];
    expect(answers()).toEqual([false, false]);
    shed.note('high', 0.8);
    expect(answers()).toEqual([true, false]);
    expect(shed.shouldShed('asked for the first time at high')).toBe(false);
    shed.note('critical', 0.9);
    expect(answers()).toEqual([true, true]);
    expect(shed.shouldShed('asked for the first time at critical')).toBe(true);
    shed.note('optimal', 0.1);
    expect(answers()).toEqual([false, false]);
    expect(shed.rows().slice(0, 2)).toEqual([
      { point: 'early', asked: 4, shed: 2 },
      { point: 'unheard of', asked: 4, shed: 1 },
    ]);
  });

  it('scaled turns its part away, evenly', () => {
    const shed = new LoadShed({ rules: { accept: { from: 0.6, to: 0.8 } } });
    const part = (ratio: number) => {
      shed.note('high', ratio);
      return count(shed, 'accept', 1_000);
    };
    expect([0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 1.5, 0.1].map(part)).toEqual([0, 0, 250, 500, 750, 1_000, 1_000, 0]);
    shed.note('high', 0.65);
    const row = Array.from({ length: 12 }, () => shed.shouldShed('accept'));
    expect(row).toEqual([false, false, false, true, false, false, false, true, false, false, false, true]);
  });

  it('what was owed when it was over is forgotten', () => {
    const shed = new LoadShed({ rules: { accept: { from: 0.6, to: 0.8 } } });
    shed.note('high', 0.7);
    expect(shed.shouldShed('accept')).toBe(false);
    shed.note('optimal', 0.1);
    shed.note('high', 0.7);
    expect([shed.shouldShed('accept'), shed.shouldShed('accept')]).toEqual([false, true]);
  });

  it('in any stretch of calls at one ratio the part is right to within one call', () => {
    const ratio = fc.double({ min: 0.2, max: 1, noNaN: true });
    fc.assert(
      fc.property(ratio, fc.nat(100), fc.integer({ min: 1, max: 500 }), (at, before, calls) => {
        const shed = new LoadShed({ rules: { accept: { from: 0.25, to: 0.95 } } });
        shed.note('high', at);
        count(shed, 'accept', before);
        const share = Math.min(1, Math.max(0, (at - 0.25) / 0.7));
        expect(Math.abs(count(shed, 'accept', calls) - share * calls)).toBeLessThan(1.01);
      }),
    );
  });

  it('a ratio that is no number leaves things as they are', () => {
    const shed = new LoadShed({ rules: { accept: { from: 0.6, to: 0.8 } } });
    shed.note('high', 0.7);
    shed.note('high', Number.NaN);
    expect(count(shed, 'accept', 10)).toBe(5);
  });

  it('names are remembered up to 256; the rest, and what is no name, share one row', () => {
    const shed = new LoadShed({ rules: { known: { level: 'high' } } });
    shed.note('critical', 0.9);
    for (let i = 0; i < 10_000; i++) shed.shouldShed(`/user/${i}`);
    shed.shouldShed('x'.repeat(1_000));
    for (const point of [undefined, null, 7, {}, Symbol('x')]) expect(shed.shouldShed(point as never)).toBe(true);
    expect(count(shed, 'known', 3)).toBe(3);
    expect(shed.rows()).toHaveLength(1 + 256 + 1);
    expect(shed.rows().at(-1)).toEqual({ point: '(others)', asked: 9_744 + 6, shed: 9_744 + 6 });
  });

  it('a long name is not remembered', () => {
    const shed = new LoadShed();
    shed.shouldShed('x'.repeat(120));
    shed.shouldShed('x'.repeat(121));
    expect(shed.rows().map(({ point }) => point)).toEqual(['x'.repeat(120), '(others)']);
  });

  it('names of what every object has are names like others', () => {
    const shed = new LoadShed({ rules: JSON.parse('{"__proto__": {"level": "high"}}') });
    shed.note('high', 0.7);
    expect([shed.shouldShed('__proto__'), shed.shouldShed('constructor')]).toEqual([true, false]);
  });
});

describe('with the breaker', () => {
  it('all points turn away while it is open, but for the probe, whatever their rule', () => {
    const clock = new ManualClock();
    const breaker = new EmergencyBreaker({ clock, afterMs: 1_000, openMs: 500 });
    const shed = new LoadShed({ breaker, rules: { never: { from: 0.98, to: 1 } } });
    for (let i = 0; i < 5; i++) {
      clock.advance(250);
      breaker.note('emergency', clock.now());
      shed.note('emergency', 0.97);
    }
    expect([count(shed, 'never', 10), count(shed, 'other', 10)]).toEqual([10, 10]);
    clock.advance(500);
    shed.note('emergency', 0.97);
    expect([count(shed, 'other', 10), count(shed, 'never', 10)]).toEqual([9, 10]);
    breaker.note('high', clock.now());
    shed.note('high', 0.8);
    expect([count(shed, 'never', 10), count(shed, 'other', 10)]).toEqual([0, 0]);
  });
});

describe('modes', () => {
  it('observe counts what it would have turned away; off does nothing', () => {
    const rows = (['observe', 'off'] as const).map((mode) => {
      const shed = new LoadShed({ mode, rules: { accept: { from: 0.6, to: 0.8 } } });
      shed.note('high', 0.7);
      expect(count(shed, 'accept', 10)).toBe(0);
      return shed.rows()[0];
    });
    expect(rows).toEqual([
      { point: 'accept', asked: 10, shed: 5 },
      { point: 'accept', asked: 0, shed: 0 },
    ]);
  });
});

it.each([
  [{ accept: { level: 'never' } }, 'shed.accept.level'],
  [{ accept: { from: 0.9, to: 0.6 } }, 'shed.accept.to'],
  [{ accept: 0.7 }, 'shed.accept'],
])('refuses %j', (rules, name) => {
  expect(() => new LoadShed({ rules: rules as unknown as Record<string, ShedRule> })).toThrow(`Expected \`${name}\``);
});
