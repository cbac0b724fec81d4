import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import {
  checkNumber,
  checkOneOf,
  checkWhole,
  copyOptions,
  invalidOption,
  withoutUndefined,
} from '../invalid-option.ts';
import { checkLeakTracker, type LeakTracker } from '../leak-tracker.ts';
import type { CollectFunction } from './collector.ts';
import { RECLAIM_STRATEGIES, type ReclaimStrategy } from './contract.ts';
import { checkDieFastOptions } from './die-fast.ts';
import { type BreakerOptions, checkBreakerOptions } from './emergency-breaker.ts';
import { checkFlightOptions } from './flight-recorder.ts';
import { GOVERNOR_MODES, type GovernorMode } from './governor-mode.ts';
import { checkShedRules, type ShedRule } from './load-shed.ts';
import { METER_NAMES, type Meter } from './meters.ts';
import { PRESET_NAMES, PRESETS, type PresetName } from './presets.ts';
import { type PressureThresholds, resolveThresholds } from './pressure.ts';

/** What can be changed while running. */
export interface GovernorTuning {
  /** Whole number from 1 up: the configured limit. The smallest of all limits still holds. */
  readonly limitBytes?: number;
  readonly thresholds?: Partial<PressureThresholds>;
  /** How much is given up for bytes that are wanted back. Default `smart`. */
  readonly strategy?: ReclaimStrategy;
  /**
   * Default: the environment's `PLIMSOLL`, in any letter case, else `on`. A value there that is none of the three ends nothing: `on` holds,
   * and the snapshot's faults say so.
   *
   * `observe` refuses nobody, asks nobody to give back, aborts nothing, and `dieFast` does not act; what goes over `maxConsumers` or `maxScopes`
   * is noted in the faults. It samples, knows the level, and writes what explains an end: flight recorder and termination log. `off` does none of this
   * either: the level is `optimal`, no file is written or removed, nothing is listened for. Unsound options are refused in all three.
   *
   * While running, whoever waits is let in when `on` ends, and what triggers have switched off they switch on again. A governor that was made `off` has no
   * flight recorder, termination log or `dieFast` later.
   */
  readonly mode?: GovernorMode;
  /** By name of the point; a point without a rule turns away from `critical` on. While running: replaces those that are named. */
  readonly shed?: Readonly<Record<string, ShedRule>>;
}

/**
 * Ends a process that is lost, with its dump written, instead of hours of thrashing.
 *
 * - By `process.exit`: listeners of `exit` run, up to the first that throws, and none of them can change the code. One that never returns keeps the process alive.
 * - It goes by what the kernel charges as well: where several processes share a control group, one whose neighbours fill it is ended like one that leaks, though it
 *   would help little. Give each a group of its own, or leave this out.
 * - In a worker it ends that worker only, with the code as the one of its `exit` event: the process, and the memory that others hold, stay.
 */
export interface DieFastOptions {
  /** How long the level must have been `emergency` without a break, by a meter other than the ledger, ms. */
  readonly afterMs: number;
  /** 0 to 255. Default 75: what `sysexits.h` calls a failure that may pass, so that a supervisor starts it again. */
  readonly exitCode?: number;
}

/** Dumps of the last moments. */
export interface FlightRecorderOptions {
  /** Where `plimsoll-flight-*.json` is written; made when it is not there. */
  readonly folder: string;
  /** Dumps kept, 1 up. Default 4. */
  readonly keep?: number;
  /** Of the buffer that is made at the start, and so of a dump. Default 256 KiB. */
  readonly maxBytes?: number;
  /** Has Node write its own report as well when V8 runs out of heap inside a synchronous loop, where no JavaScript runs any more. Default false. */
  readonly nodeReport?: boolean;
}

export interface GovernorOptions extends GovernorTuning {
  /** Defaults for one kind of use: see `PRESETS`. What is given beside it wins. Default `balanced`. */
  readonly preset?: PresetName;
  /** The part of the smallest limit that is this process's, where several share a container. Above 0, up to 1. Default 1. */
  readonly share?: number;
  /** The folder that holds `proc` and `sys`. Default `/`. */
  readonly root?: string;
  readonly clock?: Clock;
  /** Instead of the built-in five. */
  readonly meters?: readonly Meter[];
  /**
   * What Node itself holds, kept in the consumer `runtime`: the limit less this is what can be reserved. Default: measured at the start (RSS without
   * pages of files, and 8 MiB for what a running program adds), and lowered when less than that is seen. What grows later outside the ledger is not added
   * to it: the other meters see that.
   */
  readonly runtimeBytes?: number;
  /** Has V8 collect. Default: the `gc` of `node --expose-gc`, else one that is switched on when first needed. `false`: never. */
  readonly collect?: CollectFunction | false;
  /** The longest pause that a collection is expected to make, ms; one that would be longer is not made. Default 200. */
  readonly pauseBudgetMs?: number;
  /** The most that collections may take of the time. Above 0, up to 1. Default 0.05. */
  readonly collectShare?: number;
  /** Gives memory that was freed back to the system (`malloc_trim`, through the optional peer `koffi`). Default true. */
  readonly trim?: boolean;
  /** The shortest time between two trains, ms; doubles while they free nothing. Default 1,000; a quarter of it at `emergency`. */
  readonly coolDownMs?: number;
  /** `detailed`: the journal also says what was passed over and why. Default `brief`. */
  readonly journal?: 'brief' | 'detailed';
  /** The part of the limit that consumers with `fairShare` leave free for those that cannot give back. 0 up to 1. Default 0.1. */
  readonly headroomShare?: number;
  readonly breaker?: BreakerOptions;
  /** Default: none, the process is left to live. */
  readonly dieFast?: DieFastOptions;
  /** Default: none is written. */
  readonly flightRecorder?: FlightRecorderOptions;
  /** A file for at most 4 KiB of last words. Default `/dev/termination-log` where it exists, else none. `false`: none. */
  readonly terminationLog?: string | false;
  /** Reserved bytes between two samples inside reservations. Default: a sixty-fourth of the limit at the start, 256 KiB to 8 MiB, and a sixteenth of what is left below `critical` where that is more. */
  readonly sampleEveryBytes?: number;
  /** The most the `reclaimNow` of others may take inside one reservation, ms. Default 5. */
  readonly reclaimNowBudgetMs?: number;
  /** The most one asynchronous `reclaim` may take, ms. Default 2,000. */
  readonly reclaimDeadlineMs?: number;
  /** Default 1,024. */
  readonly maxWaiters?: number;
  /** How often one that waits for room may be passed by others. Default 16. */
  readonly maxBypass?: number;
  /** Default 4,096. */
  readonly maxConsumers?: number;
  /** Scopes open at once. Default 65,536. */
  readonly maxScopes?: number;
  /** Follows reservations and reports those that were let go of without being disposed. Default: nobody does. */
  readonly leakTracker?: LeakTracker;
}

export const GOVERNOR_DEFAULTS = {
  preset: 'balanced',
  strategy: 'smart',
  share: 1,
  root: '/',
  trim: true,
  pauseBudgetMs: 200,
  collectShare: 0.05,
  coolDownMs: 1_000,
  journal: 'brief',
  headroomShare: 0.1,
  reclaimNowBudgetMs: 5,
  reclaimDeadlineMs: 2_000,
  maxWaiters: 1_024,
  maxBypass: 16,
  maxConsumers: 4_096,
  maxScopes: 65_536,
} as const;

/** With the defaults filled in; what is looked at where it is used stays as it was given. */
export type ResolvedOptions = Omit<GovernorOptions, keyof typeof GOVERNOR_DEFAULTS | 'clock' | 'mode'> &
  Required<Pick<GovernorOptions, keyof typeof GOVERNOR_DEFAULTS | 'clock' | 'mode'>> & {
    /** What is wrong with the mode that the environment asks for. */
    readonly modeFault?: string;
  };

const TUNABLE = ['limitBytes', 'thresholds', 'strategy', 'mode', 'shed'] as const;
/** An option that is missing here does not compile. */
const OTHERS: Record<
  Exclude<keyof GovernorOptions, keyof typeof GOVERNOR_DEFAULTS | (typeof TUNABLE)[number]>,
  true
> = {
  clock: true,
  meters: true,
  runtimeBytes: true,
  collect: true,
  breaker: true,
  dieFast: true,
  flightRecorder: true,
  terminationLog: true,
  sampleEveryBytes: true,
  leakTracker: true,
};
const KNOWN: readonly string[] = [...TUNABLE, ...Object.keys(OTHERS), ...Object.keys(GOVERNOR_DEFAULTS)];

/** Fills in preset and defaults. Throws `RangeError` for what is unsound or unknown; what has a part of its own is looked at there. */
export function resolveOptions(options: GovernorOptions): ResolvedOptions {
  const own = withoutUndefined(copyOptions('createGovernor', options, KNOWN));
  const preset = PRESETS[checkOneOf('preset', own.preset ?? GOVERNOR_DEFAULTS.preset, PRESET_NAMES)];
  const given = { ...GOVERNOR_DEFAULTS, ...withoutUndefined(preset), ...own };
  if (given.sampleEveryBytes !== undefined) checkWhole('sampleEveryBytes', given.sampleEveryBytes, 1);
  for (const name of ['maxWaiters', 'maxBypass', 'maxConsumers', 'maxScopes'] as const) {
    checkWhole(name, given[name], name === 'maxBypass' ? 0 : 1);
  }
  for (const name of ['reclaimNowBudgetMs', 'reclaimDeadlineMs', 'pauseBudgetMs', 'coolDownMs'] as const) {
    checkNumber(name, given[name], 0, LONGEST_MS);
  }
  checkNumber('collectShare', given.collectShare, 0, 1);
  if (given.headroomShare !== 0) checkNumber('headroomShare', given.headroomShare, 0, 0.9);
  checkOneOf('strategy', given.strategy, RECLAIM_STRATEGIES);
  checkOneOf('journal', given.journal, ['brief', 'detailed']);
  if (typeof given.trim !== 'boolean') throw invalidOption('trim', 'a boolean', given.trim);
  if (given.runtimeBytes !== undefined) checkWhole('runtimeBytes', given.runtimeBytes, 0);
  if (given.collect !== undefined && given.collect !== false && typeof given.collect !== 'function') {
    throw invalidOption('collect', 'a function, or false for never', given.collect);
  }
  if (typeof given.root !== 'string' || given.root === '')
    throw invalidOption('root', 'the path of a folder', given.root);
  checkLeakTracker(given.leakTracker);
  const clock = checkClock(given.clock === undefined ? systemClock : given.clock);
  return { ...given, ...resolveParts(given), clock, ...resolveMode(given.mode) };
}

/** Checks what each part takes, whether or not the mode has a use for it, and copies it: it is looked at again later. */
function resolveParts({ meters, thresholds, breaker, shed, dieFast, flightRecorder, terminationLog }: GovernorOptions) {
  if (
    terminationLog !== undefined &&
    terminationLog !== false &&
    (typeof terminationLog !== 'string' || terminationLog === '')
  ) {
    throw invalidOption('terminationLog', 'a path or false', terminationLog);
  }
  return {
    ...(meters !== undefined && { meters: checkMeters(meters) }),
    ...(thresholds !== undefined && { thresholds: resolveThresholds(thresholds) }),
    ...(breaker !== undefined && { breaker: checkBreakerOptions(breaker) }),
    ...(shed !== undefined && { shed: checkShedRules(shed) }),
    ...(dieFast !== undefined && { dieFast: checkDieFastOptions(dieFast) }),
    ...(flightRecorder !== undefined && { flightRecorder: checkFlightOptions(flightRecorder) }),
  };
}

function checkClock(clock: Clock): Clock {
  for (const name of ['now', 'wall', 'after'] as const) {
    if (typeof clock?.[name] === 'function') continue;
    throw invalidOption('clock', 'an object with the methods `now`, `wall` and `after`', clock);
  }
  return clock;
}

/** Passes a copy through. Throws `RangeError` for what cannot be tuned, and for a strategy that is none. */
export function checkTuning(given: GovernorTuning): GovernorTuning {
  const tuning = copyOptions('tune', given, TUNABLE);
  if (tuning.limitBytes !== undefined) checkWhole('limitBytes', tuning.limitBytes, 1);
  if (tuning.strategy !== undefined) checkOneOf('strategy', tuning.strategy, RECLAIM_STRATEGIES);
  if (tuning.mode !== undefined) checkOneOf('mode', tuning.mode, GOVERNOR_MODES);
  return tuning.shed === undefined ? tuning : { ...tuning, shed: checkShedRules(tuning.shed) };
}

function resolveMode(mode: unknown): Pick<ResolvedOptions, 'mode' | 'modeFault'> {
  if (mode !== undefined) return { mode: checkOneOf('mode', mode, GOVERNOR_MODES) };
  const fromEnvironment = process.env.PLIMSOLL?.trim() ?? '';
  if (fromEnvironment === '') return { mode: 'on' };
  const asked = fromEnvironment.toLowerCase();
  const known = GOVERNOR_MODES.find((one) => one === asked);
  if (known !== undefined) return { mode: known };
  const shown = fromEnvironment.length > 60 ? `${fromEnvironment.slice(0, 60)}...` : fromEnvironment;
  const accepted = GOVERNOR_MODES.map((one) => `\`${one}\``).join(', ');
  return { mode: 'on', modeFault: `PLIMSOLL is \`${shown}\`, which is none of ${accepted}: \`on\` holds` };
}

function checkMeters(given: readonly Meter[]): readonly Meter[] {
  if (!Array.isArray(given)) throw invalidOption('meters', 'an array of meters', given);
  const meters: readonly Meter[] = [...given];
  const names = new Set<string>();
  for (const [index, meter] of meters.entries()) {
    checkOneOf(`meters[${index}].name`, meter?.name, METER_NAMES);
    if (names.has(meter.name))
      throw invalidOption(`meters[${index}].name`, 'a name that no other meter has', meter.name);
    if (typeof meter.read !== 'function') throw invalidOption(`meters[${index}].read`, 'a function', meter.read);
    names.add(meter.name);
  }
  return meters;
}
