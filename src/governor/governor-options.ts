import { type Clock, systemClock } from '../clock.ts';
import { checkNumber, checkOneOf, checkWhole, invalidOption } from '../invalid-option.ts';
import { GOVERNOR_MODES, type GovernorMode } from './budget.ts';
import { METER_NAMES, type Meter } from './meters.ts';
import type { PressureThresholds } from './pressure.ts';

/** What can be changed while running. */
export interface GovernorTuning {
  /** Whole number from 1 up: the configured limit. The smallest of all limits still holds. */
  readonly limitBytes?: number;
  readonly thresholds?: Partial<PressureThresholds>;
}

export interface GovernorOptions extends GovernorTuning {
  /** The part of the smallest limit that is this process's, where several share a container. Above 0, up to 1. Default 1. */
  readonly share?: number;
  /** The folder that holds `proc` and `sys`. Default `/`. */
  readonly root?: string;
  readonly clock?: Clock;
  /** Instead of the built-in five. */
  readonly meters?: readonly Meter[];
  /**
   * Default: the environment's `PLIMSOLL`, in any letter case, else `on`. A value there that is none of the three ends nothing: `on` holds,
   * and the snapshot's faults say so.
   */
  readonly mode?: GovernorMode;
  /**
   * What Node itself holds, kept in the consumer `runtime`: the limit less this is what can be reserved. Default: measured at the start
   * (RSS), and lowered when RSS is seen to be lower. What grows later outside the ledger is not added to it: the other meters see that.
   */
  readonly runtimeBytes?: number;
  /** Has V8 collect. Default: the `gc` of `node --expose-gc`, where it is there. */
  readonly collect?: () => void;
  /** Reserved bytes between two samples inside reservations. Default 8 MiB. */
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
}

/** The longest a timer of Node can wait. */
const LONGEST_MS = 2_147_483_647;

export const GOVERNOR_DEFAULTS = {
  share: 1,
  root: '/',
  sampleEveryBytes: 8_388_608,
  reclaimNowBudgetMs: 5,
  reclaimDeadlineMs: 2_000,
  maxWaiters: 1_024,
  maxBypass: 16,
  maxConsumers: 4_096,
} as const;

export type ResolvedOptions = Required<
  Omit<GovernorOptions, 'meters' | 'limitBytes' | 'runtimeBytes' | 'thresholds' | 'collect'>
> & {
  /** What is wrong with the mode that the environment asks for. */
  readonly modeFault?: string;
};

/** Fills in the defaults. Throws `RangeError` for what is unsound; limit, share and thresholds are looked at where they are used. */
export function resolveOptions(options: GovernorOptions): ResolvedOptions {
  const given = { ...GOVERNOR_DEFAULTS, ...withoutUndefined(options) };
  for (const name of ['sampleEveryBytes', 'maxWaiters', 'maxBypass', 'maxConsumers'] as const) {
    checkWhole(name, given[name], name === 'maxBypass' ? 0 : 1);
  }
  checkNumber('reclaimNowBudgetMs', given.reclaimNowBudgetMs, 0, LONGEST_MS);
  checkNumber('reclaimDeadlineMs', given.reclaimDeadlineMs, 0, LONGEST_MS);
  if (options.runtimeBytes !== undefined) checkWhole('runtimeBytes', options.runtimeBytes, 0);
  if (options.collect !== undefined && typeof options.collect !== 'function') {
    throw invalidOption('collect', 'a function', options.collect);
  }
  if (options.meters !== undefined) checkMeters(options.meters);
  return { ...given, clock: given.clock ?? systemClock, ...resolveMode(given.mode) };
}

function withoutUndefined(options: GovernorOptions): GovernorOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
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

function checkMeters(meters: readonly Meter[]): void {
  const names = new Set<string>();
  for (const [index, meter] of meters.entries()) {
    checkOneOf(`meters[${index}].name`, meter?.name, METER_NAMES);
    if (names.has(meter.name))
      throw invalidOption(`meters[${index}].name`, 'a name that no other meter has', meter.name);
    if (typeof meter.read !== 'function') throw invalidOption(`meters[${index}].read`, 'a function', meter.read);
    names.add(meter.name);
  }
}
