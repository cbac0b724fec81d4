import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apportion } from '../../src/pipeline/apportion.ts';
import { StageClock } from '../../src/pipeline/stage-clock.ts';

describe('StageClock', () => {
  it('charges the one on top, and nobody when nobody is there', () => {
    let now = 100;
    const clock = new StageClock(() => now);
    const [lower, upper] = [clock.add(), clock.add()];
    now += 1;
    clock.enter(lower);
    now += 2;
    clock.enter(upper);
    now += 4;
    clock.leave(upper);
    now += 8;
    clock.leave(lower);
    now += 16;
    clock.charge();
    expect([clock.spentMs(lower), clock.spentMs(upper), clock.outsideMs, clock.totalMs]).toEqual([10, 4, 17, 31]);
  });

  it('adds up whatever the order in which stages come and go', () => {
    const step = fc.record({
      stage: fc.nat(4),
      what: fc.constantFrom('enter' as const, 'leave' as const, 'charge' as const),
      ms: fc.nat(1000),
    });
    const property = fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      let now = 0;
      const clock = new StageClock(() => now);
      const stages = [0, 1, 2, 3, 4].map(() => clock.add());
      // The model: a plain list, charged millisecond by millisecond to its last.
      const model = [0, 0, 0, 0, 0, 0];
      const stack: number[] = [];
      for (const { stage, what, ms } of steps) {
        now += ms;
        model[stack.at(-1) ?? 5]! += ms;
        clock[what](stage);
        if (what === 'enter') stack.push(stage);
        const at = stack.lastIndexOf(stage);
        if (what === 'leave' && at >= 0) stack.splice(at, 1);
        expect(clock.current).toBe(stack.at(-1) ?? -1);
      }
      clock.charge();
      expect([...stages.map((stage) => clock.spentMs(stage)), clock.outsideMs]).toEqual(model);
      expect(model.reduce((sum, ms) => sum + ms, 0)).toBe(clock.totalMs);
    });
    fc.assert(property);
  });
});

it('apportion gives whole parts that add up, none off by one or more', () => {
  const weights = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 40 });
  const property = fc.property(fc.nat(1_000_000), weights, (total, parts) => {
    const given = apportion(total, parts);
    expect(given.reduce((sum, part) => sum + part, 0)).toBe(total);
    const sum = parts.reduce((left, part) => left + part, 0);
    if (sum <= 0) return;
    for (const [index, part] of given.entries()) {
      expect(Number.isInteger(part)).toBe(true);
      expect(Math.abs(part - (parts[index]! / sum) * total)).toBeLessThan(1.0001);
    }
  });
  fc.assert(property);
  expect(apportion(10, [])).toEqual([]);
});
