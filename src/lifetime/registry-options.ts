import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import { checkGovernor, type Governor, MEMORY_KINDS, type MemoryKind } from '../governor/index.ts';
import { checkName, checkOneOf, checkWhole, copyOptions, invalidOption, withoutUndefined } from '../invalid-option.ts';
import { checkLeakTracker, type LeakTracker } from '../leak-tracker.ts';
import type { CleanupFailure } from './failure-list.ts';
import { MAX_ATTEMPTS } from './resource-slots.ts';

/** Lowest first. Higher is cleaned up first. */
export const CLEANUP_PRIORITIES = ['low', 'normal', 'high', 'critical'] as const;
export type CleanupPriority = (typeof CLEANUP_PRIORITIES)[number];

export interface ResourceOptions<T = unknown> {
  /** As failures name it: 1 to 120 characters. Need not be unique. */
  readonly name: string;
  /** What sort of resource: 1 to 120 characters, at most 255 different ones in a registry. Default `resource`. */
  readonly kind?: string;
  /** What it holds: a whole number from 0 up. Default 0. */
  readonly bytes?: number;
  /** Which is cleaned up first when several are to be: the higher. Default `normal`. */
  readonly priority?: CleanupPriority;
  /** What the disposer is given: one function does for all, and a closure for each is saved. */
  readonly value?: T;
  /** Cleans it up: what it returns is waited for. Called again only when it threw or rejected. */
  readonly dispose: (value: T) => unknown;
  /**
   * The disposer is quick and done when it returns: the governor may have it called inside somebody's reservation. Default false.
   */
  readonly sync?: boolean;
}

export interface ResourceRegistryOptions {
  /** As errors, snapshot and journal have it: 1 to 120 characters. */
  readonly name: string;
  /**
   * The most that may be registered, 1 to 4,194,304. Required. As many again may be on their way out. One too many has the one used longest ago cleaned up.
   */
  readonly maxCount: number;
  /** The most bytes of all that is registered, up to 2 to the power of 51. Required. The same again may be on its way out. */
  readonly maxBytes: number;
  /** Its bytes stand in this governor's books, and it gives back when asked. */
  readonly governor?: Governor;
  /** Of what kind the bytes are. Default `heap`. */
  readonly memoryKind?: MemoryKind;
  /** How long the governor protects it: low gives back first. Whole number, default 0. */
  readonly importance?: number;
  /** Disposers at work at a time, 1 to 65,536. Default 16. */
  readonly concurrency?: number;
  /** How long one disposer is waited for, ms. Default 30,000. */
  readonly timeoutMs?: number;
  /** How often a disposer that throws or rejects is called, 1 to 16. Default 3. */
  readonly maxAttempts?: number;
  /** Before the second attempt, ms; doubled before each further one, up to `maxBackOffMs`. Default 100, and 10,000. */
  readonly backOffMs?: number;
  readonly maxBackOffMs?: number;
  /** Waiting so long counts as one step of priority, ms, 1 up. Default 1,000. */
  readonly agingMs?: number;
  /** What was not used for so long is cleaned up, ms. Default: however long. */
  readonly idleMs?: number;
  /** The same while the governor's level is `high` or above, ms. Default 5,000. */
  readonly pressureIdleMs?: number;
  /** How often is looked for what is idle too long, ms. Default 1,000. */
  readonly sweepEveryMs?: number;
  /** Failures kept for looking at, 0 to 100,000: the latest. Default 100. */
  readonly maxFailures?: number;
  /** What the failure rate is of, ms. Default 60,000. */
  readonly healthWindowMs?: number;
  /** Hears of each that could not be cleaned up, beside the event. What it throws is passed over. */
  readonly onCleanupFailed?: (failure: CleanupFailure) => void;
  /** Reports handles and holds that were collected while what they are for was still there. */
  readonly leakTracker?: LeakTracker;
  readonly clock?: Clock;
}

export const REGISTRY_DEFAULTS = {
  memoryKind: 'heap',
  importance: 0,
  concurrency: 16,
  timeoutMs: 30_000,
  maxAttempts: 3,
  backOffMs: 100,
  maxBackOffMs: 10_000,
  agingMs: 1_000,
  pressureIdleMs: 5_000,
  sweepEveryMs: 1_000,
  maxFailures: 100,
  healthWindowMs: 60_000,
} as const;

export type SoundRegistryOptions = Required<
  Omit<ResourceRegistryOptions, 'governor' | 'idleMs' | 'onCleanupFailed' | 'leakTracker'>
> &
  Pick<ResourceRegistryOptions, 'governor' | 'idleMs' | 'onCleanupFailed' | 'leakTracker'>;

const KNOWN = [...Object.keys(REGISTRY_DEFAULTS), 'name', 'maxCount', 'maxBytes', 'governor', 'idleMs'].concat(
  'onCleanupFailed',
  'leakTracker',
  'clock',
);
const MOST_COUNT = 2 ** 22;
const MOST_BYTES = 2 ** 51;

/** Passes a copy with all defaults through, throws `RangeError` for what is unsound. */
export function checkRegistryOptions(given: ResourceRegistryOptions): SoundRegistryOptions {
  const copy = copyOptions('ResourceRegistry', given, KNOWN);
  const options = { ...REGISTRY_DEFAULTS, ...withoutUndefined(copy) };
  if (options.governor !== undefined) checkGovernor(options.governor);
  if (options.onCleanupFailed !== undefined && typeof options.onCleanupFailed !== 'function') {
    throw invalidOption('onCleanupFailed', 'a function', options.onCleanupFailed);
  }
  checkLeakTracker(options.leakTracker);
  checkName(options.name);
  checkWhole('maxCount', options.maxCount, 1, MOST_COUNT);
  checkWhole('maxBytes', options.maxBytes, 1, MOST_BYTES);
  checkOneOf('memoryKind', options.memoryKind, MEMORY_KINDS);
  checkWhole('importance', options.importance, Number.MIN_SAFE_INTEGER);
  checkWhole('concurrency', options.concurrency, 1, 65_536);
  checkWhole('maxAttempts', options.maxAttempts, 1, MAX_ATTEMPTS);
  checkWhole('maxFailures', options.maxFailures, 0, 100_000);
  checkWhole('timeoutMs', options.timeoutMs, 1, LONGEST_MS);
  checkWhole('agingMs', options.agingMs, 1, LONGEST_MS);
  checkWhole('sweepEveryMs', options.sweepEveryMs, 1, LONGEST_MS);
  checkWhole('healthWindowMs', options.healthWindowMs, 12, LONGEST_MS);
  for (const name of ['backOffMs', 'maxBackOffMs', 'pressureIdleMs'] as const) {
    checkWhole(name, options[name], 0, LONGEST_MS);
  }
  if (options.idleMs !== undefined) checkWhole('idleMs', options.idleMs, 0, LONGEST_MS);
  return { ...options, clock: options.clock ?? systemClock };
}

const RESOURCE_KNOWN = new Set<string>([
  'name',
  'kind',
  'bytes',
  'priority',
  'value',
  'dispose',
  'sync',
] satisfies (keyof ResourceOptions)[]);

/** A sound copy, each option read once, with the number of the priority; throws `RangeError` for what is unsound. */
export function checkResource<T>(given: ResourceOptions<T>) {
  if (typeof given !== 'object' || given === null) throw invalidOption('options of register', 'an object', given);
  for (const name in given) if (!RESOURCE_KNOWN.has(name)) copyOptions('register', given, [...RESOURCE_KNOWN]);
  const { name, kind = 'resource', bytes = 0, priority = 'normal', value, dispose, sync = false } = given;
  if (typeof dispose !== 'function') throw invalidOption('dispose', 'a function', dispose);
  if (typeof sync !== 'boolean') throw invalidOption('sync', 'true or false', sync);
  checkWhole('bytes', bytes, 0, MOST_BYTES);
  checkOneOf('priority', priority, CLEANUP_PRIORITIES);
  return { name: checkName(name), kind, bytes, priority: CLEANUP_PRIORITIES.indexOf(priority), value, dispose, sync };
}
