import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TimerWheel, WHEEL_TICK_MS } from '../../src/cache/timer-wheel.ts';

const YEAR = 365.25 * 86_400_000;
const SLOTS = 40;

/** What a wheel must do, done the plain way. */
class PlainTimes {
  readonly deadlines = new Map<number, number>();

  dueBy(now: number): number[] {
    return [...this.deadlines].filter(([, deadline]) => deadline <= now).map(([slot]) => slot);
  }
}

const delay = fc.oneof(
  fc.constantFrom(0, 1, 63, 64, 65, 4_095, 4_096, 4_097, 262_144, 2 ** 24, 2 ** 30, 2 ** 36, YEAR, 139 * YEAR, 1e300),
  fc.integer({ min: 0, max: 10_000 }),
  fc.double({ min: 0, max: 200 * YEAR, noNaN: true }),
  fc.constant(Number.POSITIVE_INFINITY),
);
const action = fc.oneof(
  fc.record({ do: fc.constant('schedule' as const), slot: fc.integer({ min: 0, max: SLOTS - 1 }), delay }),
  fc.record({ do: fc.constant('cancel' as const), slot: fc.integer({ min: 0, max: SLOTS - 1 }), delay }),
  fc.record({
    do: fc.constant('advance' as const),
    slot: fc.integer({ min: 1, max: 60 }),
    delay: delay.filter(Number.isFinite),
  }),
  fc.record({ do: fc.constant('to the next' as const), slot: fc.integer({ min: 1, max: 60 }), delay }),
);

describe('the timer wheel', () => {
  it('finds what is due as a sorted list does, whatever the clock jumps by', () => {
    fc.assert(
      fc.property(
        fc.array(action, { minLength: 1, maxLength: 120 }),
        fc.double({ min: 0, max: 1e9, noNaN: true }),
        (actions, startedAt) => {
          const wheel = new TimerWheel(startedAt, 4);
          const plain = new PlainTimes();
          let now = startedAt;
          const advance = (most: number) => {
            const due = new Set(plain.dueBy(now));
            const late = plain.dueBy(now - WHEEL_TICK_MS).length;
            let judged = 0;
            let found = 0;
            wheel.advance(now, most, (slot) => {
              judged++;
              const deadline = plain.deadlines.get(slot)!;
              expect(deadline).toBeDefined();
              if (!due.has(slot)) return deadline;
              found++;
              plain.deadlines.delete(slot);
              return Number.NaN;
            });
            expect(judged).toBeLessThanOrEqual(most);
            if (judged < most) expect(found).toBeGreaterThanOrEqual(late);
          };
          for (const step of actions) {
            if (step.do === 'schedule') {
              wheel.grow(step.slot + 1);
              const at = wheel.schedule(step.slot, now + step.delay);
              if (step.delay === Number.POSITIVE_INFINITY) plain.deadlines.delete(step.slot);
              else plain.deadlines.set(step.slot, now + step.delay);
              expect(at).toBeGreaterThanOrEqual(wheel.nextAt);
            } else if (step.do === 'cancel') {
              wheel.grow(step.slot + 1);
              wheel.cancel(step.slot);
              plain.deadlines.delete(step.slot);
            } else {
              const next = wheel.nextAt;
              if (step.do === 'advance') now += step.delay;
              else if (next > now && next < 1e300) now = next;
              advance(step.slot);
            }
            for (let slot = 0; slot < SLOTS; slot++) {
              wheel.grow(slot + 1);
              expect(wheel.has(slot)).toBe(plain.deadlines.has(slot));
            }
            if (plain.deadlines.size === 0) expect(wheel.nextAt).toBe(Number.POSITIVE_INFINITY);
            else expect(wheel.nextAt).toBeLessThan(Number.POSITIVE_INFINITY);
            // Nobody is late by more than a tick when it is asked when it says.
            const first = Math.min(...plain.deadlines.values());
            if (first < 1e15) expect(wheel.nextAt).toBeLessThanOrEqual(Math.max(now, first + WHEEL_TICK_MS) + 1);
          }
        },
      ),
      { numRuns: 600 },
    );
  });

  it('looks at a far deadline a few times, not at each tick', () => {
    const wheel = new TimerWheel(0, 1);
    const deadline = 100 * YEAR;
    wheel.schedule(0, deadline);
    let looks = 0;
    for (let steps = 0; wheel.nextAt < Number.POSITIVE_INFINITY; steps++) {
      expect(steps).toBeLessThan(50);
      wheel.advance(wheel.nextAt, 10, () => {
        looks++;
        return wheel.nextAt > deadline || looks > 6 ? Number.NaN : deadline;
      });
    }
    expect(looks).toBeLessThanOrEqual(7);
  });

  it('works off a crowd in portions, and what is cancelled meanwhile does not come up', () => {
    const wheel = new TimerWheel(0, 1_000);
    for (let slot = 0; slot < 1_000; slot++) wheel.schedule(slot, 1_000);
    const seen: number[] = [];
    const note = (slot: number) => {
      seen.push(slot);
      if (slot === 5) wheel.cancel(6);
      return Number.NaN;
    };
    wheel.advance(2_000, 300, note);
    expect(seen).toHaveLength(300);
    expect(wheel.nextAt).toBeLessThanOrEqual(2_000);
    wheel.cancel(500);
    for (let i = 0; i < 3; i++) wheel.advance(2_000, 300, note);
    expect(seen).toHaveLength(998);
    expect(new Set(seen).size).toBe(998);
    expect(wheel.nextAt).toBe(Number.POSITIVE_INFINITY);
  });

  it('takes 8 bytes a slot', () => {
    const wheel = new TimerWheel(0, 100_000);
    const before = wheel.bytes;
    wheel.grow(200_000);
    expect(wheel.bytes - before).toBe(800_000);
  });
});
