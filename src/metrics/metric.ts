import type { Snapshot } from '../governor/index.ts';
import type { ConsumerSeries } from './consumer-series.ts';

/**
 * `counter`: a total that only grows, from 0 when the metrics were made or the process began. `sum`: a figure whose points add up over their labels. `gauge`: one whose
 * points do not.
 */
export type MetricType = 'counter' | 'sum' | 'gauge';

/** UCUM, as OpenTelemetry has it: bytes, seconds, a part of 1, or in braces what is counted. */
export type MetricUnit = 'By' | 's' | '1' | `{${string}}`;

export const METRIC_LABELS = [
  'breaker',
  'consumer',
  'count',
  'domain',
  'health',
  'holder',
  'kind',
  'level',
  'limit_from',
  'meter',
  'mode',
  'of',
  'point',
  'stall',
  'strategy',
] as const;
export type MetricLabel = (typeof METRIC_LABELS)[number];

/** One figure that exporters give: what it is called and what it means. Plain data. */
export interface MetricDefinition {
  /** With dots, such as `plimsoll.meter.usage`. */
  readonly name: string;
  readonly type: MetricType;
  readonly unit: MetricUnit;
  /** One sentence. */
  readonly help: string;
  /** What its points are told apart by; empty for a metric of one point. */
  readonly labels: readonly MetricLabel[];
}

/** One value. It is always finite. */
export interface MetricPoint {
  readonly labels: Readonly<Partial<Record<MetricLabel, string>>>;
  readonly value: number;
}

/** What metrics are made of. */
export interface Look {
  readonly snapshot: Snapshot;
  readonly consumers: ConsumerSeries;
  /** Counts of holders that are asked for, by name. */
  readonly counts: readonly string[];
}

/** A figure, and how it is found in a look. What `points` throws is one failed figure. */
export interface MetricRow extends MetricDefinition {
  points(look: Look): MetricPoint[];
}
