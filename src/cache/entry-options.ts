/** Options of a cache that are no bounds: times, loading, calibration, tiers. */
import { checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import type { TimeSettings } from './entry-times.ts';
import type { Loader } from './load-table.ts';
import { resolveTierOptions, type TierOptions, type TierSettings } from './tier-options.ts';
import type { CalibrationSettings } from './weight-calibration.ts';

/** What of it may be changed while running. */
export interface EntryTuning {
  /** Time to live, ms, above 0: for entries that are set from then on. Default `Infinity`. */
  readonly ttlMs?: number;
  /** Time without being asked for, ms, above 0: for entries that are set from then on. Default `Infinity`. */
  readonly idleMs?: number;
  /** How long `getOrLoad` may serve a value past its time to live while it is loaded anew, ms, 0 up. Default 0. */
  readonly staleMs?: number;
  /** Loaders that may run at once, 1 up. Default 1,024. */
  readonly maxLoads?: number;
}

export interface CalibrateOptions {
  /** One of so many entries that are set has one looked at, 1 up. Default 64. */
  readonly sampleEvery?: number;
  /** Books what was found: `weigh` is multiplied with it, and entries that are there are weighed anew when it changes by a tenth. Default false. */
  readonly apply?: boolean;
}

export interface EntryOptions<K, V> extends EntryTuning {
  /** Gets values for `getOrLoad`. */
  readonly loader?: Loader<K, V>;
  /** The most that is waited for a loader, ms, above 0. Default `Infinity`. */
  readonly loadTimeoutMs?: number;
  /** Compares what `weigh` says with what entries hold. Only where entries are weighed. Default false. */
  readonly calibrate?: boolean | CalibrateOptions;
  /** Where entries go that the governor asks for, instead of being dropped. Default none. */
  readonly tiers?: TierOptions<V>;
}

/** Of one entry. */
export interface SetOptions {
  /** Instead of the cache's. What is no number above 0 has passed already: then nothing is stored. */
  readonly ttlMs?: number;
  readonly idleMs?: number;
}

/** Of one call of `getOrLoad`. */
export interface LoadOptions extends SetOptions {
  /** Ends this caller's wait. The load goes on while others wait for it. */
  readonly signal?: AbortSignal;
}

export const ENTRY_DEFAULTS = {
  ttlMs: Number.POSITIVE_INFINITY,
  idleMs: Number.POSITIVE_INFINITY,
  staleMs: 0,
  maxLoads: 1_024,
  loadTimeoutMs: Number.POSITIVE_INFINITY,
  sampleEvery: 64,
} as const;

export const ENTRY_TUNABLE = ['ttlMs', 'idleMs', 'staleMs', 'maxLoads'] as const;
export const ENTRY_OPTION_NAMES = [...ENTRY_TUNABLE, 'loader', 'loadTimeoutMs', 'calibrate', 'tiers'] as const;

export interface ResolvedEntryOptions<K, V> {
  readonly times: TimeSettings;
  readonly maxLoads: number;
  readonly loader: Loader<K, V> | undefined;
  readonly loadTimeoutMs: number;
  readonly calibrate: CalibrationSettings | undefined;
  readonly tiers: TierSettings<V> | undefined;
}

/** Fills in the defaults of sound options, throws `RangeError` for others. */
export function resolveEntryOptions<K, V>(given: EntryOptions<K, V>, weighs: boolean): ResolvedEntryOptions<K, V> {
  checkEntryTuning(given);
  const { loader, calibrate = false, tiers, loadTimeoutMs = ENTRY_DEFAULTS.loadTimeoutMs } = given;
  if (loader !== undefined && typeof loader !== 'function') throw invalidOption('loader', 'a function', loader);
  checkMs('loadTimeoutMs', loadTimeoutMs);
  if (calibrate !== false && !weighs)
    throw invalidOption('calibrate', 'given only where entries are weighed', calibrate);
  return {
    times: {
      ttlMs: given.ttlMs ?? ENTRY_DEFAULTS.ttlMs,
      idleMs: given.idleMs ?? ENTRY_DEFAULTS.idleMs,
      staleMs: given.staleMs ?? ENTRY_DEFAULTS.staleMs,
    },
    maxLoads: given.maxLoads ?? ENTRY_DEFAULTS.maxLoads,
    loader,
    loadTimeoutMs,
    calibrate: calibrate === false ? undefined : resolveCalibration(calibrate),
    tiers: tiers === undefined ? undefined : resolveTierOptions(tiers),
  };
}

/** Throws `RangeError` for unsound values. */
export function checkEntryTuning({ ttlMs, idleMs, staleMs, maxLoads }: EntryTuning): void {
  if (ttlMs !== undefined) checkMs('ttlMs', ttlMs);
  if (idleMs !== undefined) checkMs('idleMs', idleMs);
  if (staleMs !== undefined && !(typeof staleMs === 'number' && staleMs >= 0)) {
    throw invalidOption('staleMs', 'a number of milliseconds from 0 up', staleMs);
  }
  if (maxLoads !== undefined) checkWhole('maxLoads', maxLoads, 1);
}

function checkMs(name: string, value: unknown): void {
  if (!(typeof value === 'number' && value > 0)) throw invalidOption(name, 'a number of milliseconds above 0', value);
}

function resolveCalibration(given: true | CalibrateOptions): CalibrationSettings {
  if (given === true) return { sampleEvery: ENTRY_DEFAULTS.sampleEvery, apply: false };
  const { sampleEvery = ENTRY_DEFAULTS.sampleEvery, apply = false } = copyOptions(
    'calibrate',
    given,
    ['sampleEvery', 'apply'],
    'true, false or an object with `sampleEvery` and `apply`',
  );
  if (typeof apply !== 'boolean') throw invalidOption('apply', 'true or false', apply);
  return { sampleEvery: checkWhole('sampleEvery', sampleEvery, 1), apply };
}
