import type { Snapshot } from '../governor/index.ts';
import {
  checkName,
  checkNumber,
  checkOneOf,
  checkWhole,
  copyOptions,
  invalidOption,
  withoutUndefined,
} from '../invalid-option.ts';
import type { AlertLevels } from './alert-state.ts';
import type { EventTallyRow } from './event-tally.ts';

export const ALERT_SEVERITIES = ['warning', 'critical'] as const;
export type AlertSeverity = (typeof ALERT_SEVERITIES)[number];

/** What a rule looks at. */
export interface AlertReading {
  readonly snapshot: Snapshot;
  readonly events: EventTallyRow;
  /** Absent the first time. */
  readonly previous?: Snapshot;
  /** What heap and memory outside it, or where these are not measured the whole process, grew by since something was last given back, bytes. */
  readonly growthBytes?: number;
}

export interface AlertRule extends AlertLevels {
  /** 1 to 120 characters; one of a kind. */
  readonly name: string;
  readonly severity: AlertSeverity;
  readonly unit: string;
  /** In a line, for who reads the alert. */
  readonly message: string;
  /** Undefined where there is nothing to say: then nothing changes. What it throws counts as that, and is counted. */
  value(reading: AlertReading): number | undefined;
}

/** Where the default rules are raised. */
export interface AlertRuleOptions {
  /** Of the process, bytes. Default 1,024 MiB. */
  readonly peakBytes?: number;
  /** Of the fullest meter, above 0 up to 1. Default 0.95. */
  readonly peakRatio?: number;
  /** Items per MiB of a run's peak. Default 10. */
  readonly leastItemsPerMiB?: number;
  /** Cleanups that failed within the window, 1 up. Default 5. */
  readonly cleanupFailures?: number;
  /** Growth without anything given back, bytes, 1 up. Default 50 MiB. */
  readonly growthBytes?: number;
  /** What holders hold and did not say, as a part of the limit, above 0 up to 1. Default 0.2. */
  readonly driftRatio?: number;
  /** Slow acquisitions within the window, 1 up. Default 5. */
  readonly slowAcquires?: number;
  /** Failures of plugins within the window, 1 up. Default 3. */
  readonly pluginFailures?: number;
}

const MIB = 1_048_576;

export const ALERT_RULE_DEFAULTS = {
  peakBytes: 1_024 * MIB,
  peakRatio: 0.95,
  leastItemsPerMiB: 10,
  cleanupFailures: 5,
  growthBytes: 50 * MIB,
  driftRatio: 0.2,
  slowAcquires: 5,
  pluginFailures: 3,
} as const;

const KNOWN = Object.keys(ALERT_RULE_DEFAULTS);
/** Cleared a tenth below where it is raised; counts at half. */
const BELOW = 0.9;
const SOON = { raiseAfterMs: 0, holdMs: 60_000 } as const;
const SLOWLY = { raiseAfterMs: 30_000, holdMs: 60_000 } as const;

/** The rules that alerts begin with; every number that is given is checked (`RangeError`). */
export function defaultAlertRules(given: AlertRuleOptions = {}): AlertRule[] {
  const options = { ...ALERT_RULE_DEFAULTS, ...withoutUndefined(copyOptions('rules', given, KNOWN)) };
  for (const name of ['peakRatio', 'driftRatio'] as const) checkNumber(name, options[name], 0, 1);
  for (const name of ['cleanupFailures', 'slowAcquires', 'pluginFailures', 'peakBytes', 'growthBytes'] as const) {
    checkWhole(name, options[name], 1);
  }
  checkNumber('leastItemsPerMiB', options.leastItemsPerMiB, 0, Number.MAX_SAFE_INTEGER);
  return [...memoryRules(options), ...countRules(options)];
}

function memoryRules(options: Required<AlertRuleOptions>): AlertRule[] {
  const { peakBytes, peakRatio, leastItemsPerMiB, growthBytes, driftRatio } = options;
  return [
    {
      name: 'peak-memory',
      severity: 'warning',
      unit: 'bytes',
      message: 'The process takes more memory than it is expected to',
      ...above(peakBytes, peakBytes * BELOW),
      ...SOON,
      value: ({ snapshot, previous }) => peakOf(snapshot, previous, 'rss')?.bytes,
    },
    {
      name: 'near-limit',
      severity: 'critical',
      unit: 'ratio',
      message: 'Memory is close to its limit',
      ...above(peakRatio, peakRatio * BELOW),
      ...SOON,
      value: ({ snapshot, previous }) => fullest(snapshot, previous),
    },
    {
      name: 'low-efficiency',
      severity: 'warning',
      unit: 'items/MiB',
      message: 'A run took much memory for few items',
      when: 'below',
      raiseAt: leastItemsPerMiB,
      clearAt: leastItemsPerMiB / BELOW,
      ...SOON,
      value: efficiency,
    },
    {
      name: 'leak-suspected',
      severity: 'warning',
      unit: 'bytes',
      message: 'Memory has grown and nothing was given back',
      ...above(growthBytes, growthBytes / 2),
      ...SLOWLY,
      value: (reading) => reading.growthBytes,
    },
    {
      name: 'drift',
      severity: 'warning',
      unit: 'ratio',
      message: 'Memory is held that nobody reserved',
      ...above(driftRatio, driftRatio / 2),
      ...SLOWLY,
      value: ({ snapshot }) => unsaidShare(snapshot),
    },
  ];
}

function countRules(options: Required<AlertRuleOptions>): AlertRule[] {
  const { cleanupFailures, slowAcquires, pluginFailures } = options;
  const counted = (most: number) => ({ ...above(most, Math.floor(most / 2)), ...SOON, unit: 'count' });
  return [
    {
      name: 'cleanup-failures',
      severity: 'warning',
      message: 'Resources could not be cleaned up',
      ...counted(cleanupFailures),
      value: ({ events }) => events.cleanupFailures,
    },
    {
      name: 'pool-waiting',
      severity: 'warning',
      message: 'Connections are waited for',
      ...counted(slowAcquires),
      value: ({ events }) => events.slowAcquires,
    },
    {
      name: 'plugin-failures',
      severity: 'critical',
      message: 'Plugins fail',
      ...counted(pluginFailures),
      value: ({ events }) => events.pluginFailures,
    },
  ];
}

function above(raiseAt: number, clearAt: number): Pick<AlertLevels, 'when' | 'raiseAt' | 'clearAt'> {
  return { when: 'above', raiseAt, clearAt };
}

/** What a meter reads or, where it went higher than ever since the last look, that. */
function peakOf(snapshot: Snapshot, previous: Snapshot | undefined, name: string) {
  const meter = snapshot.meters.find((each) => each.name === name && !each.off);
  if (meter === undefined) return undefined;
  const before = previous?.meters.find((each) => each.name === name)?.peakBytes ?? 0;
  const bytes = meter.peakBytes > before ? Math.max(meter.peakBytes, meter.bytes) : meter.bytes;
  return { bytes, ratio: Math.max(meter.ratio, bytes / meter.limitBytes) };
}

/** Of the meters of the machine: the books refuse before they are full. */
function fullest(snapshot: Snapshot, previous: Snapshot | undefined): number | undefined {
  const ratios = snapshot.meters.flatMap(({ name }) => {
    const ratio = name === 'ledger' ? undefined : peakOf(snapshot, previous, name)?.ratio;
    return ratio === undefined || !Number.isFinite(ratio) ? [] : [ratio];
  });
  return ratios.length === 0 ? undefined : Math.max(...ratios);
}

function efficiency({ snapshot, events }: AlertReading): number | undefined {
  const bytes = events.peakBytes ?? snapshot.peakReservedBytes;
  return events.items === undefined || !(bytes > 0) ? undefined : events.items / (bytes / MIB);
}

function unsaidShare({ drift, limitBytes }: Snapshot): number | undefined {
  if (drift.length === 0 || !Number.isFinite(limitBytes)) return undefined;
  return Math.max(0, ...drift.map(({ driftBytes }) => -driftBytes / limitBytes));
}

/** Passes a sound rule through, throws `RangeError` for another. */
export function checkAlertRule(rule: AlertRule): AlertRule {
  if (typeof rule !== 'object' || rule === null) throw invalidOption('rules', 'rules', rule);
  checkName(rule.name, 'rules.name');
  checkName(rule.unit, 'rules.unit');
  checkName(rule.message, 'rules.message', 200);
  checkOneOf('rules.severity', rule.severity, ALERT_SEVERITIES);
  checkOneOf('rules.when', rule.when, ['above', 'below']);
  for (const name of ['raiseAt', 'clearAt'] as const) {
    if (!Number.isFinite(rule[name])) throw invalidOption(`rules.${name}`, 'a finite number', rule[name]);
  }
  const isInOrder = rule.when === 'above' ? rule.clearAt <= rule.raiseAt : rule.clearAt >= rule.raiseAt;
  if (!isInOrder) throw invalidOption('rules.clearAt', 'on the good side of `raiseAt`', rule.clearAt);
  checkWhole('rules.raiseAfterMs', rule.raiseAfterMs, 0);
  checkWhole('rules.holdMs', rule.holdMs, 0);
  if (typeof rule.value !== 'function') throw invalidOption('rules.value', 'a function', rule.value);
  return rule;
}
