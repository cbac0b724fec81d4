import { type Clock, systemClock } from '../clock.ts';
import { checkGovernor, type Governor } from '../governor/index.ts';
import { checkName, checkOneOf, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { type Weight, weigh as weighValue } from '../weigh.ts';
import {
  checkEntryTuning,
  ENTRY_OPTION_NAMES,
  ENTRY_TUNABLE,
  type EntryOptions,
  type EntryTuning,
  type ResolvedEntryOptions,
  resolveEntryOptions,
} from './entry-options.ts';
import type { EvictionPolicyFactory } from './eviction-policy.ts';
import type { RemovalListener } from './removal-queue.ts';
import { MOST_SLOTS } from './slot-table.ts';

/** The policies of the house: least recently used; least often used, with ageing; frequency-guarded with an adaptive window. */
export const CACHE_POLICIES = ['lru', 'lfu', 'tiny-lfu'] as const;
export type CachePolicyName = (typeof CACHE_POLICIES)[number];

/** What an entry weighs: bytes of the heap, or of both kinds. Whole numbers from 0 up to 4,294,967,295; fractions are rounded up. */
export type Weigher<K, V> = (value: V, key: K) => number | Weight;

/** What may be changed while running. */
export interface CacheTuning extends EntryTuning {
  /** Entries there may be, 1 to 16,777,215. */
  readonly maxEntries?: number;
  /** What all entries may weigh together, bytes, 1 up. */
  readonly maxBytes?: number;
  readonly policy?: CachePolicyName | EvictionPolicyFactory;
}

/** `maxEntries` or `maxBytes` is required; with both, both hold. */
export interface CacheOptions<K, V> extends CacheTuning, EntryOptions<K, V> {
  /** For snapshot, journal and faults: 1 to 107 characters. Default `cache`. */
  readonly name?: string;
  /**
   * Called once for each value that is set, before anything is changed. What it throws, and what is no weight, means "not stored". Default, where weights are needed (with `maxBytes`
   * or a governor): what key and value hold by `weigh` of the adopt room, 0.1 to 200 µs by their size.
   */
  readonly weigh?: Weigher<K, V>;
  /** Told of each entry that went. What it throws is counted. */
  readonly onRemoval?: RemovalListener<K, V>;
  /** Reserves what entries weigh before they are kept, and gives back when it is asked to. Default none. */
  readonly governor?: Governor;
  /** How long the governor protects it: low gives back first. Whole number, default 0. */
  readonly importance?: number;
  readonly clock?: Clock;
}

export const CACHE_DEFAULTS = { name: 'cache', policy: 'lru', importance: 0 } as const;

const TUNABLE = ['maxEntries', 'maxBytes', 'policy', ...ENTRY_TUNABLE] as const;
const OPTIONS = [
  'maxEntries',
  'maxBytes',
  'policy',
  ...ENTRY_OPTION_NAMES,
  'name',
  'weigh',
  'onRemoval',
  'governor',
  'importance',
  'clock',
] as const;
/** What the consumers of the cache add to it, ` (compressed)` the most, stands in a name of 120. */
const LONGEST_NAME = 107;

/** Options with defaults filled in. Without a bound of one kind, that is what can never be reached. */
export interface ResolvedCacheOptions<K, V> {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly policy: CachePolicyName | EvictionPolicyFactory;
  readonly name: string;
  /** Undefined where nothing has to be weighed. */
  readonly weigh: Weigher<K, V> | undefined;
  readonly onRemoval: RemovalListener<K, V> | undefined;
  readonly governor: Governor | undefined;
  readonly importance: number;
  readonly clock: Clock;
  readonly entries: ResolvedEntryOptions<K, V>;
}

/** Fills in the defaults of sound options, throws `RangeError` for others. */
export function resolveCacheOptions<K, V>(given: CacheOptions<K, V>): ResolvedCacheOptions<K, V> {
  const options = copyOptions('Cache', given, OPTIONS);
  const { maxEntries, maxBytes, weigh, onRemoval, governor, clock = systemClock } = options;
  const {
    name = CACHE_DEFAULTS.name,
    policy = CACHE_DEFAULTS.policy,
    importance = CACHE_DEFAULTS.importance,
  } = options;
  if (maxEntries === undefined && maxBytes === undefined) {
    throw invalidOption('maxEntries', 'given, or else `maxBytes`, or both', maxEntries);
  }
  checkTuning(options);
  checkName(name, 'name', LONGEST_NAME);
  if (weigh !== undefined && typeof weigh !== 'function') throw invalidOption('weigh', 'a function', weigh);
  if (onRemoval !== undefined && typeof onRemoval !== 'function')
    throw invalidOption('onRemoval', 'a function', onRemoval);
  if (governor !== undefined) checkGovernor(governor);
  checkWhole('importance', importance, Number.MIN_SAFE_INTEGER);
  const mustWeigh = weigh !== undefined || maxBytes !== undefined || governor !== undefined;
  return {
    maxEntries: maxEntries ?? MOST_SLOTS,
    maxBytes: maxBytes ?? Number.POSITIVE_INFINITY,
    policy,
    name,
    weigh: mustWeigh ? (weigh ?? weighEntry) : undefined,
    onRemoval,
    governor,
    importance,
    clock,
    entries: resolveEntryOptions(options, mustWeigh),
  };
}

/** Passes a copy of sound changes through. */
export function resolveCacheTuning(given: CacheTuning): CacheTuning {
  const tuning = copyOptions('tune', given, TUNABLE);
  checkTuning(tuning);
  checkEntryTuning(tuning);
  return tuning;
}

function checkTuning({ maxEntries, maxBytes, policy }: CacheTuning): void {
  if (maxEntries !== undefined) checkWhole('maxEntries', maxEntries, 1, MOST_SLOTS);
  if (maxBytes !== undefined) checkWhole('maxBytes', maxBytes, 1);
  if (policy !== undefined && typeof policy !== 'function') checkOneOf('policy', policy, CACHE_POLICIES);
}

/** Key and value; what they share is counted twice. */
function weighEntry(value: unknown, key: unknown): Weight {
  const weight = weighValue(value);
  const own = typeof key === 'number' ? 0 : weighValue(key).heapBytes;
  return { heapBytes: weight.heapBytes + own, externalBytes: weight.externalBytes };
}
