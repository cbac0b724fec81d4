/** The mode changed while running. */
import type { GovernorMode, PressureLevel } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { MIB, setUp } from './fake-meter.ts';

const WIDE = { kind: 'external', maxBytes: Number.POSITIVE_INFINITY } as const;

describe('a governor that is tuned to another mode', () => {
  it('says so, and does nothing when it is the same', () => {
    const { governor } = setUp();
    for (const mode of ['observe', 'off', 'on', 'on'] as const) {
      governor.tune({ mode });
      expect([governor.mode, governor.snapshot().mode]).toEqual([mode, mode]);
    }
    expect(() => governor.tune({ mode: 'away' as GovernorMode })).toThrow('Expected `mode` to be one of');
  });

  it.each(['observe', 'off'] as const)(
    'lets everybody in who waits when it is %s, and refuses nobody any more',
    async (mode) => {
      const { governor } = setUp();
      const feed = governor.consumer({ ...WIDE, name: 'feed' });
      feed.reserve(90 * MIB);
      const waiting = [feed.admit(50 * MIB), feed.admit(5 * MIB), feed.admit(20 * MIB)];
      expect(feed.tryReserve(50 * MIB)).toBeUndefined();
      governor.tune({ mode });
      expect((await Promise.all(waiting)).map(({ bytes }) => bytes / MIB)).toEqual([50, 5, 20]);
      expect(feed.tryReserve(50 * MIB)?.bytes).toBe(50 * MIB);
      governor.tune({ mode: 'on' });
      expect(feed.tryReserve(1)).toBeUndefined();
    },
  );

  it('ends a block, switches on what triggers have switched off, and sheds nothing', () => {
    const { governor, rss } = setUp({ collect: false });
    const told: boolean[] = [];
    governor.when({ level: 'high' }, ({ active }) => void told.push(active));
    rss.bytes = 99 * MIB;
    governor.sample();
    expect([told, governor.shouldShed('http.accept')]).toEqual([[true], true]);
    governor.tune({ mode: 'observe' });
    expect([told, governor.shouldShed('http.accept'), governor.level]).toEqual([[true, false], false, 'emergency']);
    governor.tune({ mode: 'on' });
    expect([told, governor.shouldShed('http.accept')]).toEqual([[true, false, true], true]);
  });

  it('is told to be off: the level is optimal, who listens hears of it, and on again it is what it was', () => {
    const { governor, rss, clock } = setUp();
    const told: PressureLevel[] = [];
    governor.onLevel((to) => void told.push(to));
    rss.bytes = 80 * MIB;
    governor.sample();
    governor.tune({ mode: 'off' });
    clock.advance(10_000);
    expect([governor.level, told]).toEqual(['optimal', ['high', 'optimal']]);
    governor.tune({ mode: 'on' });
    expect([governor.level, told]).toEqual(['high', ['high', 'optimal', 'high']]);
  });

  it('samples by the clock when it was off from the start', () => {
    const { governor, rss, clock } = setUp({ mode: 'off' });
    rss.bytes = 80 * MIB;
    clock.advance(10_000);
    expect([governor.level, governor.snapshot().samples.count]).toEqual(['optimal', 1]);
    governor.tune({ mode: 'on' });
    rss.bytes = 90 * MIB;
    clock.advance(2_000);
    expect(governor.level).toBe('critical');
  });

  it('gives no consumer beyond the bound once it is on', () => {
    const { governor } = setUp({ mode: 'observe', maxConsumers: 2 });
    for (const name of ['a', 'b', 'c']) governor.consumer({ ...WIDE, name });
    governor.tune({ mode: 'on' });
    expect(() => governor.consumer({ ...WIDE, name: 'd' })).toThrow('maxConsumers');
  });
});

describe('rules for shedding that are tuned', () => {
  it('hold from now on, for points that were asked already too', () => {
    const { governor, rss } = setUp();
    rss.bytes = 75 * MIB;
    governor.sample();
    expect(governor.shouldShed('http.first')).toBe(false);
    governor.tune({ shed: { 'http.first': { level: 'high' }, 'http.half': { from: 0.5, to: 1 } } });
    expect(governor.shouldShed('http.first')).toBe(true);
    expect([1, 2, 3, 4].map(() => governor.shouldShed('http.half'))).toEqual([false, true, false, true]);
    expect(governor.snapshot().shed).toContainEqual({ point: 'http.first', asked: 2, shed: 1 });
    governor.tune({ shed: { 'http.first': { level: 'emergency' } } });
    expect(governor.shouldShed('http.first')).toBe(false);
  });

  it('are refused when they are unsound', () => {
    const { governor } = setUp();
    expect(() => governor.tune({ shed: { a: { level: 'red' as PressureLevel } } })).toThrow('shed.a.level');
  });
});
