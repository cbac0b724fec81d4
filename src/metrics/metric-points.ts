import type { MetricLabel, MetricPoint } from './metric.ts';

/** The one point of a metric without labels; none where there is nothing to say. */
export function single(value: number | undefined): MetricPoint[] {
  return value === undefined || !Number.isFinite(value) ? [] : [{ labels: {}, value }];
}

/** A state set: 1 for what holds, 0 for the rest. */
export function oneOf(label: MetricLabel, all: readonly string[], holds: string): MetricPoint[] {
  return all.map((each) => ({ labels: { [label]: each }, value: each === holds ? 1 : 0 }));
}
