import { FailOpen } from '../fail-open.ts';
import type { Governor } from '../governor/index.ts';
import { checkName, copyOptions, invalidOption } from '../invalid-option.ts';
import { type ConcurrencyTarget, concurrencyDriver } from './concurrency-target.ts';
import { FOLLOW_LEVEL_OPTIONS, type FollowedLevel, type FollowLevelOptions, LevelFollower } from './follow-level.ts';

export interface AdoptConcurrencyOptions extends Omit<FollowLevelOptions, 'max'> {
  /** As faults name it. Default `concurrency`. */
  readonly name?: string;
  /**
   * What the shares are taken of. Default: the concurrency that it has now; to be given where that is `Infinity` or cannot be asked. While all is well
   * it keeps the concurrency that it has, whatever `max` is.
   */
  readonly max?: number;
}

/**
 * Makes the concurrency of a queue or worker follow the pressure level, as `followLevel` has it. By shape: BullMQ's `Worker`, `p-queue`, `p-limit` and
 * whatever else has a settable `concurrency`; an object with `setConcurrency(n)`; a function. Nothing is patched. Work that runs already is left to end.
 *
 * With `min: 0` or `pauseAt` it is paused by its own `pause` and resumed by `resume` or `start`; one that its owner has paused stays so. `p-limit` cannot
 * pause: `RangeError`, as for anything else that cannot be adopted as asked. Disposing restores what it had.
 * @example
 * import { adoptConcurrency } from 'plimsoll/adopt';
 * const worker = new Worker('thumbnails', makeThumbnail, { connection, concurrency: 16 });
 * const adopted = adoptConcurrency(governor, worker, { name: 'thumbnails', pauseAt: 0.8 });
 * worker.on('closed', () => adopted[Symbol.dispose]());
 */
export function adoptConcurrency(
  governor: Governor,
  target: ConcurrencyTarget,
  options: AdoptConcurrencyOptions = {},
): FollowedLevel {
  const { name = 'concurrency', ...given } = copyOptions('adoptConcurrency', options, [
    'name',
    ...FOLLOW_LEVEL_OPTIONS,
  ]);
  const driver = concurrencyDriver(target, given.max);
  const max = given.max ?? driver.now;
  if (max === undefined || max === Number.POSITIVE_INFINITY) {
    throw invalidOption('max', 'given, because the concurrency there is has no bound', max);
  }
  if (!driver.canPause && given.min === 0) throw invalidOption('min', 'from 1 up: this one cannot be paused', 0);
  if (!driver.canPause && given.pauseAt !== undefined) {
    throw invalidOption('pauseAt', 'left out: this one cannot be paused', given.pauseAt);
  }
  const apply = (concurrency: number) => driver.apply(concurrency, concurrency === max);
  return new LevelFollower(governor, apply, { ...given, max }, new FailOpen(`adopt ${checkName(name)}`));
}
