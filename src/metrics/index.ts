/**
 * A governor's snapshot as metrics: named figures with unit, type and labels, within a bound on how many. What exporters stand on; changes nothing.
 * @module
 */
export {
  METRIC_LABELS,
  type MetricDefinition,
  type MetricLabel,
  type MetricPoint,
  type MetricType,
  type MetricUnit,
} from './metric.ts';
export {
  METRICS,
  type MetricReading,
  type MetricsSource,
  SNAPSHOT_METRICS_DEFAULTS,
  SnapshotMetrics,
  type SnapshotMetricsOptions,
  type SnapshotMetricsStats,
} from './snapshot-metrics.ts';
