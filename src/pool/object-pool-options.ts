import { type Clock, systemClock } from '../clock.ts';
import { checkGovernor, type Governor } from '../governor/index.ts';
import { checkName, checkOneOf, checkWhole, copyOptions, invalidOption, withoutUndefined } from '../invalid-option.ts';
import { checkLeakTracker, type LeakTracker } from '../leak-tracker.ts';
import { checkIdleMs } from './check-idle-ms.ts';
import type { ObjectLifecycle } from './object-hooks.ts';

export interface ObjectPoolOptions<T extends object> extends ObjectLifecycle<T> {
  /** As errors, snapshot and leak reports have it: 1 to 120 characters. */
  readonly name: string;
  /** The most objects that there may be, lent and at rest. Required; a whole number, 1 up. */
  readonly maxSize: number;
  /** The most that may be at rest. A whole number, 0 up. Default: as many as `maxSize`. */
  readonly maxIdle?: number;
  /** What has been at rest for so long is let go, up to an eighth later; ms, 1 up, or `Infinity` for never. Default 60,000. */
  readonly idleMs?: number;
  /** Made at once, at most `maxSize` and `maxIdle`; fewer where the governor has no room. Default 0. */
  readonly preallocate?: number;
  /** What the governor is asked for, for each object, bytes: a whole number, 1 up. Required with a governor. Default 0. */
  readonly objectBytes?: number;
  /** The kind of memory that the objects take. Default `heap`. */
  readonly kind?: 'heap' | 'external';
  /** How long the governor protects what is at rest: low gives back first. Whole number, default 0. */
  readonly importance?: number;
  /** Asked before one is made, and given back those at rest when it needs them. Default: none. */
  readonly governor?: Governor;
  /** Looks for leases that were never given back. Default: none. */
  readonly leakTracker?: LeakTracker;
  /** Default: this machine's. */
  readonly clock?: Clock;
}

export const OBJECT_POOL_DEFAULTS = {
  idleMs: 60_000,
  preallocate: 0,
  objectBytes: 0,
  kind: 'heap',
  importance: 0,
} as const;

const OPTIONS = [
  'name',
  'maxSize',
  'create',
  'reset',
  'validate',
  'destroy',
  'maxIdle',
  'idleMs',
  'preallocate',
  'objectBytes',
  'kind',
  'importance',
  'governor',
  'leakTracker',
  'clock',
] as const;

const HOOKS = ['create', 'reset', 'validate', 'destroy'] as const;

/** A sound copy with the defaults in it; throws `RangeError` for what is not. */
export function resolveObjectPoolOptions<T extends object>(given: ObjectPoolOptions<T>) {
  const options = copyOptions('ObjectPool', given, OPTIONS);
  const { governor, leakTracker, maxIdle } = options;
  checkName(options.name);
  checkWhole('maxSize', options.maxSize, 1);
  for (const hook of HOOKS) {
    if (options[hook] === undefined && hook !== 'create') continue;
    if (typeof options[hook] !== 'function') throw invalidOption(hook, 'a function', options[hook]);
  }
  if (governor !== undefined) checkGovernor(governor);
  checkLeakTracker(leakTracker);
  const most = Math.min(options.maxSize, maxIdle === undefined ? options.maxSize : checkWhole('maxIdle', maxIdle, 0));
  const sound = { ...OBJECT_POOL_DEFAULTS, clock: systemClock, ...withoutUndefined(options) };
  checkIdleMs(sound.idleMs);
  checkWhole('preallocate', sound.preallocate, 0, most);
  checkWhole('objectBytes', sound.objectBytes, governor === undefined ? 0 : 1);
  checkOneOf('kind', sound.kind, ['heap', 'external']);
  checkWhole('importance', sound.importance, Number.MIN_SAFE_INTEGER);
  return sound;
}
