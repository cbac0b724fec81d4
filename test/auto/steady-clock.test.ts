import { afterEach, expect, it, vi } from 'vitest';
import { steadyClock } from '../../src/auto/steady-clock.ts';

afterEach(() => void vi.useRealTimers());

it('goes on while the program’s test has stopped all clocks, and sets no timer on them', async () => {
  const clock = steadyClock();
  const wall = Date.now();
  vi.useFakeTimers({ now: 1_000, toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
  const began = clock.now();
  await new Promise<void>((resolve) => void clock.after(5, resolve, true));
  expect(vi.getTimerCount()).toBe(0);
  expect(clock.now() - began).toBeGreaterThan(3);
  expect(clock.wall()).toBeGreaterThanOrEqual(wall);
});

it('cancels what is disposed', async () => {
  const clock = steadyClock();
  let fired = false;
  const timer = clock.after(1, () => {
    fired = true;
  });
  timer[Symbol.dispose]();
  await new Promise<void>((resolve) => void clock.after(5, resolve, true));
  expect(fired).toBe(false);
});
