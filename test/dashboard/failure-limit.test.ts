import { expect, it } from 'vitest';
import { ManualClock } from '../../src/clock.ts';
import { FailureLimit } from '../../src/dashboard/failure-limit.ts';

it('keeps 1,024 addresses: the one that came first is forgotten first', () => {
  const clock = new ManualClock();
  const limit = new FailureLimit(clock);
  const guess = (from: string, times = 1) => {
    for (let n = 0; n < times; n++) limit.note(from);
  };
  // From here on counts the minute of all together; those of the addresses begin later.
  guess('earliest');
  clock.advance(59_000);
  guess('first', 20);
  guess('second', 20);
  for (let n = 0; n < 100; n++) guess(`before ${n}`);
  clock.advance(1_000);
  for (let n = 0; n < 922; n++) guess(`after ${n}`);
  expect([limit.waitMs('first'), limit.waitMs('second')]).toEqual([59_000, 59_000]);
  guess('one more');
  expect([limit.waitMs('first'), limit.waitMs('second')]).toEqual([0, 59_000]);
});
