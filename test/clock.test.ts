import { ManualClock, systemClock } from 'plimsoll';
import { describe, expect, it } from 'vitest';

describe('ManualClock', () => {
  it('fires timers in order of time, each at its own moment, also those set meanwhile', () => {
    const clock = new ManualClock(1_000);
    const seen: [string, number][] = [];
    clock.after(30, () => seen.push(['late', clock.now()]));
    clock.after(10, () => {
      seen.push(['early', clock.now()]);
      clock.after(5, () => seen.push(['between', clock.now()]));
    });
    clock.advance(29);
    expect(seen).toEqual([
      ['early', 10],
      ['between', 15],
    ]);
    expect(clock.pending).toBe(1);
    clock.advance(1);
    expect(seen[2]).toEqual(['late', 30]);
    expect(clock.wall()).toBe(1_030);
  });

  it('does not fire what was disposed, and disposing twice is safe', () => {
    const clock = new ManualClock();
    let fired = 0;
    const timer = clock.after(1, () => fired++);
    timer[Symbol.dispose]();
    timer[Symbol.dispose]();
    clock.advance(10);
    expect(fired).toBe(0);
  });
});

describe('systemClock', () => {
  it('fires, cancels and never goes back', async () => {
    const started = systemClock.now();
    let cancelled = true;
    systemClock.after(0, () => (cancelled = false))[Symbol.dispose]();
    await new Promise<void>((resolve) => systemClock.after(1, resolve, true));
    expect(cancelled).toBe(true);
    expect(systemClock.now()).toBeGreaterThanOrEqual(started);
    expect(Math.abs(systemClock.wall() - Date.now())).toBeLessThan(1_000);
  });
});
