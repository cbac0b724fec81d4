import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import {
  type Consumer,
  checkGovernor,
  type Governor,
  PRESSURE_LEVELS,
  type PressureLevel,
  RECLAIM_STRATEGIES,
  type ReclaimStrategy,
} from '../governor/index.ts';
import {
  checkName,
  checkNumber,
  checkOneOf,
  checkWhole,
  copyOptions,
  invalidOption,
  withoutUndefined,
} from '../invalid-option.ts';

export interface MemoryCleanupOptions {
  /** Measures, and runs the trains. */
  readonly governor: Governor;
  /** Of the consumer under which cleanables stand: 1 to 110 characters. Default `cleanup`. */
  readonly name?: string;
  /** Under which consumer that one stands. Default: none. */
  readonly parent?: Consumer;
  /** How much is given up. At `emergency` of the machine it is `aggressive` whatever stands here. Default `smart`. */
  readonly strategy?: ReclaimStrategy;
  /** A cleanup when a stage has ended. Default true. */
  readonly betweenStages?: boolean;
  /** Cleanups while a stage is at work. Default true. */
  readonly withinStages?: boolean;
  /** The least time between two looks whether one is due within a stage, ms. Default 250. */
  readonly checkEveryMs?: number;
  /** Within a stage one is due when the last was so long ago, ms; `Infinity` for never on that account. Default 30,000. */
  readonly everyMs?: number;
  /** Within a stage, and between two while the level is `optimal`, one is due when use has grown by so much since the last beyond what others than cleanables have reserved meanwhile, bytes. Default a sixteenth of the limit. */
  readonly growthBytes?: number;
  /** Within a stage one is due from that level on. Default `high`. */
  readonly fromLevel?: PressureLevel;
  /** The most that one cleaning that waits is waited for, ms. Default 2,000. */
  readonly deadlineMs?: number;
  /** Operations that `history()` keeps, 0 to 4,096. Default 0. */
  readonly historyCount?: number;
  /** Cleanables that may be registered at once, 1 to 4,096. Default 64. */
  readonly maxCleanables?: number;
  /** Default `systemClock`. */
  readonly clock?: Clock;
}

/** What can be changed while running. */
export type CleanupTuning = Pick<MemoryCleanupOptions, 'strategy' | 'betweenStages' | 'withinStages'>;

export const CLEANUP_DEFAULTS = {
  name: 'cleanup',
  strategy: 'smart',
  betweenStages: true,
  withinStages: true,
  checkEveryMs: 250,
  everyMs: 30_000,
  fromLevel: 'high',
  deadlineMs: 2_000,
  historyCount: 0,
  maxCleanables: 64,
} as const;

/** With the defaults filled in. */
export type ResolvedCleanup = Required<Omit<MemoryCleanupOptions, 'parent' | 'growthBytes'>> & {
  readonly parent: Consumer | undefined;
  readonly growthBytes: number | undefined;
};

const TUNABLE = ['strategy', 'betweenStages', 'withinStages'] as const;
const KNOWN = [...Object.keys(CLEANUP_DEFAULTS), 'governor', 'parent', 'growthBytes', 'clock'];
/** What the name of a cleanable, and of a registration, may be long. */
const LONGEST_NAME = 110;
const MOST = 4_096;

/** Throws `RangeError` for what is unsound or unknown. */
export function resolveCleanup(options: MemoryCleanupOptions): ResolvedCleanup {
  const given = withoutUndefined(copyOptions('MemoryCleanupCoordinator', options, KNOWN));
  const { clock = systemClock, parent, growthBytes, ...own } = { ...CLEANUP_DEFAULTS, ...given };
  checkGovernor(own.governor);
  checkName(own.name, 'name', LONGEST_NAME);
  checkTuned(own);
  checkNumber('checkEveryMs', own.checkEveryMs, 0, LONGEST_MS);
  checkNumber('everyMs', own.everyMs, 0, Number.POSITIVE_INFINITY);
  checkNumber('deadlineMs', own.deadlineMs, 0, LONGEST_MS);
  checkOneOf('fromLevel', own.fromLevel, PRESSURE_LEVELS);
  checkWhole('historyCount', own.historyCount, 0, MOST);
  checkWhole('maxCleanables', own.maxCleanables, 1, MOST);
  if (growthBytes !== undefined) checkWhole('growthBytes', growthBytes, 1);
  return { ...own, clock, parent, growthBytes };
}

/** Passes a copy through. Throws `RangeError` for what cannot be tuned. */
export function checkCleanupTuning(given: CleanupTuning): CleanupTuning {
  const tuning = withoutUndefined(copyOptions('tune', given, TUNABLE));
  checkTuned(tuning);
  return tuning;
}

function checkTuned({ strategy, betweenStages, withinStages }: CleanupTuning): void {
  if (strategy !== undefined) checkOneOf('strategy', strategy, RECLAIM_STRATEGIES);
  for (const [name, value] of Object.entries({ betweenStages, withinStages })) {
    if (value !== undefined && typeof value !== 'boolean') throw invalidOption(name, 'a boolean', value);
  }
}
