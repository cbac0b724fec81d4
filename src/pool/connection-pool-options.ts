import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import type { LeakEvent } from '../events.ts';
import { checkGovernor, type Governor } from '../governor/index.ts';
import { checkName, checkNumber, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { checkLeakTracker, type LeakTracker } from '../leak-tracker.ts';

/** What can be changed while the pool runs: `pool.tune({ maxSize: 50 })`. Times are whole milliseconds from 1 up; those marked so may be `Infinity`. */
export interface ConnectionPoolTuning {
  /** Connections that are kept open, 0 to `maxSize`. Default 0. */
  readonly minSize?: number;
  /** The most that are open at a time, those being opened and closed included. 1 to 100,000. Required. */
  readonly maxSize?: number;
  /** The most that wait for a connection, 1 up; one more is refused (`PLIMSOLL_POOL_QUEUE_FULL`). Default 10,000. */
  readonly maxWaiting?: number;
  /** The most that are opened at a time, 1 up. Default 8. */
  readonly maxCreating?: number;
  /** How long `acquire` waits. Default 30,000. */
  readonly acquireTimeoutMs?: number;
  /** How long `create` may take; what comes later is destroyed. Default 10,000. */
  readonly createTimeoutMs?: number;
  /** How long `isValid` may take. Default 5,000. */
  readonly validateTimeoutMs?: number;
  /** One that was used or looked at less than so long ago is lent without asking `isValid`; 0: always ask; may be `Infinity`. Default 500. */
  readonly validateAfterMs?: number;
  /** How long `recycle` may take. Default 5,000. */
  readonly recycleTimeoutMs?: number;
  /** How long `destroy` may take before its place is free for another. Default 5,000. */
  readonly destroyTimeoutMs?: number;
  /** One that nobody used for so long is closed, down to `minSize`; may be `Infinity`. Default 60,000. */
  readonly idleTimeoutMs?: number;
  /** The age at which one is closed, when nobody has it; may be `Infinity`. Default 1,800,000. */
  readonly maxLifetimeMs?: number;
  /** By which part of itself that age is made shorter at random, 0 to 0.9, so that not all end at once. Default 0.1. */
  readonly lifetimeJitter?: number;
  /** An idle one is looked at by `isValid` so often, one at a time; may be `Infinity`. Default 30,000. */
  readonly healthCheckIntervalMs?: number;
  /** A lease that lasts longer is reported with the stack of its borrower; `Infinity`: none is, and no stacks are taken. Default `Infinity`. */
  readonly leakDetectionMs?: number;
  /** The stack is taken of one lease in so many, 1 up. Default 1. */
  readonly leakSampleEvery?: number;
  /** Waits longer than this are counted as slow and published (`plimsoll:slow-acquire`). Default 100. */
  readonly slowAcquireMs?: number;
  /** The pause after the first failed `create`; doubles with each failure up to `maxBackoffMs`, and a random half of it is left off. Default 100. */
  readonly backoffMs?: number;
  /** Default 10,000. */
  readonly maxBackoffMs?: number;
}

export interface ConnectionPoolOptions extends ConnectionPoolTuning {
  readonly maxSize: number;
  /** As errors, events and the snapshot have it: 1 to 120 characters. Default `connections`. */
  readonly name?: string;
  /**
   * Work that holds a connection and waits for another one is failed when all connections have been held so for this long (`PLIMSOLL_POOL_DEADLOCK`).
   * `Infinity`: it is not looked for, and `use` costs no `AsyncLocalStorage`. Default 1,000 ms.
   */
  readonly deadlockAfterMs?: number;
  /** With it, connections stand in the books, and idle ones go back when it needs memory. */
  readonly governor?: Governor;
  /** What one connection weighs in the books, bytes, 1 up. Default 65,536. */
  readonly connectionBytes?: number;
  /** How long the governor protects it: low gives back first. Whole number, default 0. */
  readonly importance?: number;
  /** Reports leases that were collected without having been given back. Shared. */
  readonly leakTracker?: LeakTracker;
  /** Hears of each lease that lasts longer than `leakDetectionMs`, beside the event `plimsoll:leak`. What it throws is passed over. */
  readonly onLeak?: (report: LeakEvent) => void;
  /** Numbers from 0 up to 1 for jitter. Default `Math.random`. */
  readonly random?: () => number;
  readonly clock?: Clock;
}

export const CONNECTION_POOL_DEFAULTS = {
  name: 'connections',
  minSize: 0,
  maxWaiting: 10_000,
  maxCreating: 8,
  acquireTimeoutMs: 30_000,
  createTimeoutMs: 10_000,
  validateTimeoutMs: 5_000,
  validateAfterMs: 500,
  recycleTimeoutMs: 5_000,
  destroyTimeoutMs: 5_000,
  idleTimeoutMs: 60_000,
  maxLifetimeMs: 1_800_000,
  lifetimeJitter: 0.1,
  healthCheckIntervalMs: 30_000,
  leakDetectionMs: Number.POSITIVE_INFINITY,
  leakSampleEvery: 1,
  slowAcquireMs: 100,
  backoffMs: 100,
  maxBackoffMs: 10_000,
  deadlockAfterMs: 1_000,
  connectionBytes: 65_536,
  importance: 0,
} as const;

const MOST_CONNECTIONS = 100_000;

export type SoundTuning = Required<ConnectionPoolTuning>;
export interface SoundPoolOptions {
  readonly name: string;
  readonly deadlockAfterMs: number;
  readonly governor: Governor | undefined;
  readonly connectionBytes: number;
  readonly importance: number;
  readonly leakTracker: LeakTracker | undefined;
  readonly onLeak: ((report: LeakEvent) => void) | undefined;
  readonly random: () => number;
  readonly clock: Clock;
  readonly tuning: SoundTuning;
}

const TUNING_NAMES = [
  'minSize',
  'maxSize',
  'maxWaiting',
  'maxCreating',
  'acquireTimeoutMs',
  'createTimeoutMs',
  'validateTimeoutMs',
  'validateAfterMs',
  'recycleTimeoutMs',
  'destroyTimeoutMs',
  'idleTimeoutMs',
  'maxLifetimeMs',
  'lifetimeJitter',
  'healthCheckIntervalMs',
  'leakDetectionMs',
  'leakSampleEvery',
  'slowAcquireMs',
  'backoffMs',
  'maxBackoffMs',
] as const satisfies readonly (keyof ConnectionPoolTuning)[];
const OTHER_NAMES = [
  'name',
  'deadlockAfterMs',
  'governor',
  'connectionBytes',
  'importance',
  'leakTracker',
  'onLeak',
  'random',
  'clock',
] as const satisfies readonly (keyof ConnectionPoolOptions)[];

/** Times that must end, and those that may be `Infinity`, with the least of each. */
const TIMES = {
  acquireTimeoutMs: 1,
  createTimeoutMs: 1,
  validateTimeoutMs: 1,
  recycleTimeoutMs: 1,
  destroyTimeoutMs: 1,
  slowAcquireMs: 0,
  backoffMs: 1,
  maxBackoffMs: 1,
} as const;
const ENDLESS_TIMES = {
  validateAfterMs: 0,
  idleTimeoutMs: 1,
  maxLifetimeMs: 1,
  healthCheckIntervalMs: 1,
  leakDetectionMs: 1,
} as const;

/** Throws `RangeError` for unsound options. */
export function checkConnectionPoolOptions(given: ConnectionPoolOptions): SoundPoolOptions {
  const options = copyOptions('ConnectionPool', given, [...TUNING_NAMES, ...OTHER_NAMES]);
  const { governor, leakTracker, onLeak, random = Math.random, clock = systemClock } = options;
  const {
    name = CONNECTION_POOL_DEFAULTS.name,
    deadlockAfterMs = CONNECTION_POOL_DEFAULTS.deadlockAfterMs,
    connectionBytes = CONNECTION_POOL_DEFAULTS.connectionBytes,
    importance = CONNECTION_POOL_DEFAULTS.importance,
  } = options;
  if (governor !== undefined) checkGovernor(governor);
  for (const [key, value] of Object.entries({ onLeak, random })) {
    if (value !== undefined && typeof value !== 'function') throw invalidOption(key, 'a function', value);
  }
  checkLeakTracker(leakTracker);
  if (typeof clock?.now !== 'function') throw invalidOption('clock', 'a clock', clock);
  return {
    name: checkName(name),
    deadlockAfterMs: checkTime('deadlockAfterMs', deadlockAfterMs, 1, true),
    governor,
    connectionBytes: checkWhole('connectionBytes', connectionBytes, 1),
    importance: checkWhole('importance', importance, Number.MIN_SAFE_INTEGER),
    leakTracker,
    onLeak,
    random,
    clock,
    tuning: checkTuning(CONNECTION_POOL_DEFAULTS, options),
  };
}

/** What stands with what is given on top of it. Throws `RangeError` when that is unsound, and nothing has changed. */
export function tuned(before: SoundTuning, given: ConnectionPoolTuning): SoundTuning {
  return checkTuning(before, copyOptions('ConnectionPool.tune', given, TUNING_NAMES));
}

function checkTuning(before: ConnectionPoolTuning, given: ConnectionPoolTuning): SoundTuning {
  const all: Record<string, unknown> = {};
  for (const name of TUNING_NAMES) all[name] = given[name] ?? before[name];
  const tuning = all as unknown as SoundTuning;
  checkWhole('maxSize', tuning.maxSize, 1, MOST_CONNECTIONS);
  checkWhole('minSize', tuning.minSize, 0, tuning.maxSize);
  checkWhole('maxWaiting', tuning.maxWaiting, 1);
  checkWhole('maxCreating', tuning.maxCreating, 1);
  checkWhole('leakSampleEvery', tuning.leakSampleEvery, 1);
  if (tuning.lifetimeJitter !== 0) checkNumber('lifetimeJitter', tuning.lifetimeJitter, 0, 0.9);
  for (const [name, least] of Object.entries(TIMES)) checkTime(name, all[name], least, false);
  for (const [name, least] of Object.entries(ENDLESS_TIMES)) checkTime(name, all[name], least, true);
  return tuning;
}

/** A time of a single call: `acquire({ timeoutMs })`. */
export function checkTime(name: string, value: unknown, least: number, endless: boolean): number {
  if (endless && value === Number.POSITIVE_INFINITY) return value;
  if (endless && !(Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= LONGEST_MS)) {
    throw invalidOption(name, `a whole number from ${least} to ${LONGEST_MS}, or Infinity`, value);
  }
  return checkWhole(name, value, least, LONGEST_MS);
}
