import { ManualClock } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { IdleTicks } from '../../src/pool/idle-ticks.ts';

/** How long something rests that comes when the timer has run for `startedMs` already, ms. */
function restOf(idleMs: number, startedMs: number): number {
  const clock = new ManualClock();
  let stamp = Number.POSITIVE_INFINITY;
  let goneAt: number | undefined;
  const ticks = new IdleTicks(clock, idleMs, (before) => {
    if (stamp < before) goneAt ??= clock.now();
    return goneAt === undefined;
  });
  ticks.stamp();
  clock.advance(startedMs);
  stamp = ticks.stamp();
  while (goneAt === undefined) clock.advance(1);
  return goneAt - startedMs;
}

describe('what rests goes between idleMs and an eighth later, in whole ms', () => {
  it.each([
    [1, 1, 2],
    [8, 8, 9],
    [10, 10, 12],
    [17, 18, 21],
    [800, 800, 900],
  ])('idleMs %i: after %i to %i ms', (idleMs, least, most) => {
    const rests = Array.from({ length: 2 * idleMs }, (_, startedMs) => restOf(idleMs, startedMs));
    expect(Math.min(...rests)).toBeGreaterThanOrEqual(least);
    expect(Math.max(...rests)).toBe(most);
  });
});
