/**
 * What can happen in a run, as plain rows: one kind each, numbers, booleans and short texts only, so that a row is bounded and JSON and back gives
 * the same.
 */
import { shortText } from '../short-text.ts';

/** How an event of each kind is described, beside its number, time, kind and source. */
export interface MonitorEventMap {
  readonly started: { readonly message?: string };
  /** A tool or stage was executed; `items` and `bytes` are what it worked on. */
  readonly tool: StageFields;
  readonly stage: StageFields;
  readonly registered: { readonly resource: string; readonly resourceKind?: string; readonly bytes?: number };
  /** Something was given back by a cleanup. */
  readonly cleaned: { readonly resource?: string; readonly bytes: number; readonly durationMs?: number };
  readonly 'cleanup-failed': {
    readonly resource: string;
    readonly bytes?: number;
    readonly attempts?: number;
    readonly message: string;
  };
  /** `waitedMs` stands where an acquisition was slow. */
  readonly pool: {
    readonly operation: string;
    readonly waitedMs?: number;
    readonly waiting?: number;
    readonly size?: number;
  };
  readonly cache: { readonly operation: string; readonly count?: number; readonly bytes?: number };
  readonly pressure: {
    readonly from: string;
    readonly to: string;
    readonly meter: string;
    readonly bytes: number;
    readonly limitBytes: number;
  };
  readonly refused: { readonly requestedBytes: number; readonly availableBytes: number; readonly reason: string };
  /** What was claimed, what the ledger saw, and of a train what the deciding meter saw and why it ran. `observed`: nothing was done. */
  readonly reclaim: {
    readonly how: string;
    readonly targetBytes: number;
    readonly claimedBytes: number;
    readonly releasedBytes: number;
    readonly seenBytes?: number;
    readonly why?: string;
    readonly durationMs: number;
    readonly observed?: boolean;
    readonly message?: string;
  };
  readonly spill: {
    readonly diskBytes: number;
    readonly fileCount: number;
    readonly rawBytes: number;
    readonly ended: boolean;
  };
  /** `what`: `failed` or `off`. */
  readonly plugin: {
    readonly what: string;
    readonly code: string;
    readonly failures: number;
    readonly message: string;
  };
  /** A stage goes on in another mode, or by another worker. */
  readonly mode: { readonly stage: string; readonly from: string; readonly to: string; readonly why: string };
  readonly leak: { readonly what: string; readonly count: number; readonly ageMs: number };
  readonly alert: {
    readonly severity: string;
    readonly state: string;
    readonly value: number;
    readonly message: string;
  };
  readonly error: { readonly message: string; readonly code?: string; readonly recoverable: boolean };
  /** `peakBytes` is the most that the run held. */
  readonly completed: {
    readonly durationMs?: number;
    readonly items?: number;
    readonly peakBytes?: number;
    readonly message?: string;
  };
}

interface StageFields {
  readonly durationMs: number;
  readonly items?: number;
  readonly bytes?: number;
  readonly message?: string;
}

export type MonitorKind = keyof MonitorEventMap;

/** As recorded. `number` counts from 1 in each monitor; `at` is milliseconds since 1970. */
export type MonitorEvent<Kind extends MonitorKind = MonitorKind> = {
  readonly [K in Kind]: {
    readonly number: number;
    readonly at: number;
    readonly kind: K;
    readonly source: string;
  } & MonitorEventMap[K];
}[Kind];

/** As handed in: the kind, the source (a stage, pool, registry, plugin) and what the kind carries. */
export type NewMonitorEvent<Kind extends MonitorKind = MonitorKind> = {
  readonly [K in Kind]: { readonly kind: K; readonly source: string } & MonitorEventMap[K];
}[Kind];

const STAGE = ['durationMs', 'items', 'bytes', 'message'];

const FIELDS: Readonly<Record<MonitorKind, readonly string[]>> = {
  started: ['message'],
  tool: STAGE,
  stage: STAGE,
  registered: ['resource', 'resourceKind', 'bytes'],
  cleaned: ['resource', 'bytes', 'durationMs'],
  'cleanup-failed': ['resource', 'bytes', 'attempts', 'message'],
  pool: ['operation', 'waitedMs', 'waiting', 'size'],
  cache: ['operation', 'count', 'bytes'],
  pressure: ['from', 'to', 'meter', 'bytes', 'limitBytes'],
  refused: ['requestedBytes', 'availableBytes', 'reason'],
  reclaim: [
    'how',
    'targetBytes',
    'claimedBytes',
    'releasedBytes',
    'seenBytes',
    'why',
    'durationMs',
    'observed',
    'message',
  ],
  spill: ['diskBytes', 'fileCount', 'rawBytes', 'ended'],
  plugin: ['what', 'code', 'failures', 'message'],
  mode: ['stage', 'from', 'to', 'why'],
  leak: ['what', 'count', 'ageMs'],
  alert: ['severity', 'state', 'value', 'message'],
  error: ['message', 'code', 'recoverable'],
  completed: ['durationMs', 'items', 'peakBytes', 'message'],
};

/** Every kind there is. */
export const MONITOR_KINDS = Object.keys(FIELDS) as readonly MonitorKind[];

/**
 * A row of its own of what was handed in: the fields of its kind, numbers that are finite, booleans, and texts cut at 200 characters; whatever else it has
 * is left out. Undefined for a kind that is not known or a source that is no text. May throw where reading a field does.
 */
export function eventRow(given: NewMonitorEvent, number: number, at: number): MonitorEvent | undefined {
  const { kind, source } = given;
  if (typeof source !== 'string' || !Object.hasOwn(FIELDS, kind)) return undefined;
  const row: Record<string, unknown> = { number, at, kind, source: shortText(source) };
  for (const name of FIELDS[kind]) {
    const value = (given as unknown as Record<string, unknown>)[name];
    if (typeof value === 'string') row[name] = shortText(value);
    else if (typeof value === 'boolean' || Number.isFinite(value)) row[name] = value;
  }
  return row as unknown as MonitorEvent;
}
