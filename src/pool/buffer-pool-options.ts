import { type Clock, systemClock } from '../clock.ts';
import { checkGovernor, type Governor } from '../governor/index.ts';
import { checkName, checkWhole, copyOptions, invalidOption, withoutUndefined } from '../invalid-option.ts';
import { checkLeakTracker, type LeakTracker } from '../leak-tracker.ts';
import { MOVES_CHEAPLY } from './buffer-slot.ts';
import { checkIdleMs } from './check-idle-ms.ts';

export interface BufferPoolOptions {
  /** As errors, snapshot and leak reports have it: 1 to 120 characters. */
  readonly name: string;
  /** The most that all buffers may take, lent and at rest, bytes by their classes. Required; a whole number, 1,024 up. */
  readonly maxBytes: number;
  /** The most that may be at rest, bytes. A whole number, 0 up. Default: as much as `maxBytes`. */
  readonly maxIdleBytes?: number;
  /** The largest that is kept, bytes, from 64 to 2^30; a larger one is made for its loan and let go after it. Default 1,048,576, or `maxBytes` where that is less. */
  readonly maxPooledBytes?: number;
  /** The smallest class, bytes: a power of two, 64 up. Default 1,024, or less where `maxPooledBytes` is. */
  readonly minClassBytes?: number;
  /** A class half way between two powers of two: of sizes spread evenly 15% is lost to rounding up instead of 28%. Default true. */
  readonly halfSteps?: boolean;
  /** Whether a loan begins with zeros, the part behind what was asked for included. Default true. */
  readonly zero?: boolean;
  /**
   * Whether the memory is taken out of the borrower's hands on return: what he has kept of it has length 0 from then on. 0.25 µs a loan where
   * `ArrayBuffer.prototype.transfer` exists (Node 22 up), 2 µs elsewhere. Default: true where it exists.
   */
  readonly detach?: boolean;
  /** What has been at rest for so long is let go, up to an eighth later; ms, 1 up, or `Infinity` for never. Default 60,000. */
  readonly idleMs?: number;
  /** Made at once, within the bounds; fewer where the governor has no room. Default: none. */
  readonly preallocate?: readonly { readonly bytes: number; readonly count: number }[];
  /** How long the governor protects what is at rest: low gives back first. Whole number, default 0. */
  readonly importance?: number;
  /** Asked before a buffer is made, and given back those at rest when it needs them. Default: none. */
  readonly governor?: Governor;
  /** Looks for leases that were never given back. Default: none. */
  readonly leakTracker?: LeakTracker;
  /** Default: this machine's. */
  readonly clock?: Clock;
}

export const BUFFER_POOL_DEFAULTS = {
  maxPooledBytes: 1_048_576,
  minClassBytes: 1_024,
  halfSteps: true,
  zero: true,
  idleMs: 60_000,
  importance: 0,
} as const;

const LEAST_BYTES = 1_024;
const SMALLEST_CLASS = 64;
const LARGEST_CLASS = 2 ** 30;

const OPTIONS = [
  'name',
  'maxBytes',
  'maxIdleBytes',
  'maxPooledBytes',
  'minClassBytes',
  'halfSteps',
  'zero',
  'detach',
  'idleMs',
  'preallocate',
  'importance',
  'governor',
  'leakTracker',
  'clock',
] as const;

/** A sound copy with the defaults in it; throws `RangeError` for what is not. */
export function resolveBufferPoolOptions(given: BufferPoolOptions) {
  const options = withoutUndefined(copyOptions('BufferPool', given, OPTIONS));
  const { governor, leakTracker, maxIdleBytes } = options;
  checkName(options.name);
  const maxBytes = checkMaxBytes(options.maxBytes);
  if (maxIdleBytes !== undefined) checkWhole('maxIdleBytes', maxIdleBytes, 0);
  const maxPooledBytes = options.maxPooledBytes ?? Math.min(BUFFER_POOL_DEFAULTS.maxPooledBytes, maxBytes);
  checkWhole('maxPooledBytes', maxPooledBytes, SMALLEST_CLASS, LARGEST_CLASS);
  const minClassBytes =
    options.minClassBytes ?? powerUpTo(Math.min(BUFFER_POOL_DEFAULTS.minClassBytes, maxPooledBytes));
  checkWhole('minClassBytes', minClassBytes, SMALLEST_CLASS, maxPooledBytes);
  if (powerUpTo(minClassBytes) !== minClassBytes) throw invalidOption('minClassBytes', 'a power of two', minClassBytes);
  if (governor !== undefined) checkGovernor(governor);
  checkLeakTracker(leakTracker);
  const base = { ...BUFFER_POOL_DEFAULTS, detach: MOVES_CHEAPLY, clock: systemClock, preallocate: [] };
  const sound = { ...base, ...options, maxPooledBytes, minClassBytes };
  for (const flag of ['halfSteps', 'zero', 'detach'] as const) {
    if (typeof sound[flag] !== 'boolean') throw invalidOption(flag, 'true or false', sound[flag]);
  }
  checkIdleMs(sound.idleMs);
  checkWhole('importance', sound.importance, Number.MIN_SAFE_INTEGER);
  if (!Array.isArray(sound.preallocate)) throw invalidOption('preallocate', 'a list', sound.preallocate);
  for (const each of sound.preallocate) {
    const { bytes, count } = copyOptions('preallocate', each, ['bytes', 'count'], 'a list of `{ bytes, count }`');
    checkWhole('preallocate.bytes', bytes, 1, maxPooledBytes);
    checkWhole('preallocate.count', count, 0);
  }
  return sound;
}

/** Passes a bound through. */
export function checkMaxBytes(value: unknown): number {
  return checkWhole('maxBytes', value, LEAST_BYTES);
}

function powerUpTo(value: number): number {
  return 2 ** (31 - Math.clz32(value));
}
