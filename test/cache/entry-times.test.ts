import fc from 'fast-check';
import { ManualClock } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { EntryTimes, type TimeSettings } from '../../src/cache/entry-times.ts';
import { WHEEL_TICK_MS } from '../../src/cache/timer-wheel.ts';

const NEVER = Number.POSITIVE_INFINITY;
const DAY = 86_400_000;
const SLOTS = 12;

function open(settings: Partial<TimeSettings> = {}, clock = new ManualClock()) {
  const expired: number[] = [];
  const times: EntryTimes = new EntryTimes({
    clock,
    capacity: SLOTS,
    ttlMs: NEVER,
    idleMs: NEVER,
    staleMs: 0,
    ...settings,
    onExpired(slot) {
      expired.push(slot);
      times.remove(slot);
    },
  });
  return { clock, times, expired };
}

/** One slot as a plain model has it. */
interface Plain {
  freshUntil: number;
  idleMs: number;
  idleUntil: number;
}

const span = fc.oneof(
  fc.constantFrom(NEVER, 1, 64, 4_096, DAY, 400 * DAY),
  fc.integer({ min: 1, max: 20_000 }),
  fc.double({ min: 0.01, max: 1e6, noNaN: true }),
);
const slotOf = fc.integer({ min: 0, max: SLOTS - 1 });
const step = fc.oneof(
  fc.record({ do: fc.constant('set' as const), slot: slotOf, ttlMs: span, idleMs: span }),
  fc.record({ do: fc.constant('read' as const), slot: slotOf, ttlMs: span, idleMs: span }),
  fc.record({ do: fc.constant('remove' as const), slot: slotOf, ttlMs: span, idleMs: span }),
  fc.record({ do: fc.constant('wait' as const), slot: slotOf, ttlMs: span.filter(Number.isFinite), idleMs: span }),
);

describe('the times of entries', () => {
  it('are those of a plain model: nobody is read past its end, everybody is let go once, within a tick', () => {
    const staleOf = fc.constantFrom(0, 0, 500, DAY);
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 80 }), staleOf, (steps, staleMs) => {
        const { clock, times, expired } = open({ staleMs });
        const plain = new Map<number, Plain>();
        const endOf = ({ freshUntil, idleUntil }: Plain) => Math.min(freshUntil + staleMs, idleUntil);
        for (const { do: what, slot, ttlMs, idleMs } of steps) {
          const now = clock.now();
          const known = plain.get(slot);
          if (what === 'set') {
            times.set(slot, ttlMs, idleMs);
            plain.set(slot, { freshUntil: now + ttlMs, idleMs, idleUntil: now + idleMs });
          } else if (what === 'remove') {
            times.remove(slot);
            plain.delete(slot);
          } else if (what === 'wait') {
            clock.advance(ttlMs);
            for (const gone of expired.splice(0)) {
              expect(endOf(plain.get(gone)!)).toBeLessThanOrEqual(clock.now());
              plain.delete(gone);
            }
            for (const entry of plain.values()) expect(endOf(entry) + 2 * WHEEL_TICK_MS).toBeGreaterThan(clock.now());
          } else if (known !== undefined) {
            const found = times.look(slot, true);
            const isGone = now >= endOf(known);
            expect(found).toBe(isGone ? 'gone' : now < known.freshUntil ? 'fresh' : 'stale');
            if (!isGone) known.idleUntil = now + known.idleMs;
          }
          const hasEnds = [...plain.values()].some((entry) => endOf(entry) < NEVER);
          if (hasEnds) expect(times.hasTimer).toBe(true);
          expect(clock.pending).toBeLessThanOrEqual(1);
        }
        for (const slot of plain.keys()) times.remove(slot);
        clock.advance(1_000 * DAY);
        expect(clock.pending).toBe(0);
        expect(expired).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('of an expired entry are over at once, when the wheel has not run', () => {
    const { clock, times, expired } = open({ ttlMs: 1_000 });
    times.set(0);
    clock.advance(999.9);
    expect(times.look(0, true)).toBe('fresh');
    clock.advance(0.1);
    expect(expired).toEqual([]);
    expect(times.look(0, true)).toBe('gone');
    clock.advance(WHEEL_TICK_MS);
    expect(expired).toEqual([0]);
  });

  it('need no timer where nothing can come due, and one for all where something can', () => {
    const { clock, times } = open();
    times.set(0);
    times.set(1, NEVER, NEVER);
    expect(clock.pending).toBe(0);
    expect(times.look(0, true)).toBe('fresh');
    for (let slot = 0; slot < SLOTS; slot++) times.set(slot, 1_000 + slot, 500);
    expect(clock.pending).toBe(1);
    clock.advance(10_000);
    expect(clock.pending).toBe(0);
    times.set(3, 10);
    times[Symbol.dispose]();
    expect(clock.pending).toBe(0);
    times.set(4, 10);
    expect(clock.pending).toBe(0);
  });

  it('survive a clock that jumps by years', () => {
    let now = 0;
    const timers: (() => void)[] = [];
    const clock = {
      now: () => now,
      wall: () => now,
      after: (_: number, action: () => void) => {
        timers.push(action);
        return { [Symbol.dispose]() {} };
      },
    };
    const { times, expired } = open({}, clock as unknown as ManualClock);
    times.set(0, 1_000);
    times.set(1, 3 * 365 * DAY);
    times.set(2, 300 * 365 * DAY);
    times.set(3, NEVER);
    now = 2 * 365 * DAY;
    timers.pop()!();
    expect(expired).toEqual([0]);
    now = 50 * 365 * DAY;
    times.run();
    expect(expired).toEqual([0, 1]);
    now = 1e6 * 365 * DAY;
    times.run();
    expect(expired).toEqual([0, 1, 2]);
    expect(times.look(3, true)).toBe('fresh');
  });

  it('end an idle entry after its last use, and a used one by its time to live', () => {
    const { clock, times, expired } = open({ ttlMs: 10_000, idleMs: 1_000 });
    times.set(0);
    times.set(1);
    for (let i = 0; i < 9; i++) {
      clock.advance(900);
      expect(times.look(0, true)).toBe('fresh');
      if (i === 0) expect(times.look(1, false)).toBe('fresh');
    }
    expect(expired).toEqual([1]);
    clock.advance(950);
    expect(times.look(0, true)).toBe('fresh');
    clock.advance(900);
    expect(times.look(0, true)).toBe('fresh');
    clock.advance(50);
    expect(times.look(0, true)).toBe('gone');
  });

  it('are tuned for what is written from then on, the stale time for all', () => {
    const { clock, times, expired } = open({ ttlMs: 1_000 });
    times.set(0);
    times.tune({ ttlMs: 5_000 });
    times.set(1);
    clock.advance(2_000);
    expect(expired).toEqual([0]);
    times.set(2, 1_000);
    times.tune({ staleMs: 60_000 });
    clock.advance(10_000);
    expect(times.look(1, true)).toBe('stale');
    expect(times.look(2, true)).toBe('stale');
    times.tune({ staleMs: 0 });
    expect(times.look(1, true)).toBe('gone');
    clock.advance(1);
    expect(expired.sort()).toEqual([0, 1, 2]);
  });

  it('let a crowd go in portions', () => {
    const clock = new ManualClock();
    const { times, expired } = open({ ttlMs: 1_000 }, clock);
    times.grow(10_000);
    for (let slot = 0; slot < 10_000; slot++) times.set(slot);
    clock.advance(1_000);
    times.run();
    clock.advance(WHEEL_TICK_MS - 40 /* at the end of the tick */);
    expect(expired.length % 4_096).toBe(0);
    clock.advance(10);
    expect(expired).toHaveLength(10_000);
  });

  it('survive that an entry is written again while it is let go', () => {
    const clock = new ManualClock();
    const order: number[] = [];
    const times: EntryTimes = new EntryTimes({
      clock,
      capacity: 4,
      ttlMs: 100,
      idleMs: NEVER,
      staleMs: 0,
      onExpired(slot) {
        order.push(slot);
        times.remove(slot);
        if (order.length < 3) times.set(slot, 100);
        times.run();
      },
    });
    times.set(0);
    clock.advance(1_000);
    expect(order).toEqual([0, 0, 0]);
    expect(clock.pending).toBe(0);
  });

  it('go along when an entry moves to another slot', () => {
    const { clock, times, expired } = open({ idleMs: 5_000 });
    times.set(3, 1_000);
    times.set(4, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    times.move(3, 0);
    times.move(4, 1);
    expect([times.look(0, false), times.look(3, false)]).toEqual(['fresh', 'fresh']);
    clock.advance(1_000);
    expect([times.look(0, false), times.look(3, false), times.look(1, false)]).toEqual(['gone', 'fresh', 'fresh']);
    clock.advance(WHEEL_TICK_MS);
    expect(expired).toEqual([0]);
    expect(clock.pending).toBe(0);
  });

  it('take 16 bytes a slot, 32 where entries are idle', () => {
    for (const [idleMs, bytes] of [
      [NEVER, 16],
      [1_000, 32],
    ] as const) {
      const { times } = open({ idleMs });
      const before = times.bytes;
      times.grow(SLOTS + 1_000);
      expect(times.bytes - before).toBe(bytes * 1_000);
    }
  });
});
