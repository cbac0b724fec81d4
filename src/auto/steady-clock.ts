import type { Clock } from '../clock.ts';

/**
 * A clock of its own that test runs cannot stop: programs under test put clocks of theirs in the place of `setTimeout`, `performance.now` and `Date`, count the
 * timers on them and run all that are due, for ever where one sets the next. What was there when this was called is what it goes by.
 */
export function steadyClock(): Clock {
  const { setTimeout: start, clearTimeout: stop } = globalThis;
  const now = performance.now.bind(performance);
  const { now: wall } = Date;
  return {
    now,
    wall,
    after(delayMs, action, keepAlive = false) {
      const timer = start(action, delayMs);
      if (!keepAlive) timer.unref();
      return { [Symbol.dispose]: () => stop(timer) };
    },
  };
}
