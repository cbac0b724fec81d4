/**
 * Seeing where memory goes: profiles of a stretch of work, measurements with their uncertainty, gates against what was measured before, the
 * events of a run, and alerts. Reads snapshots and events, and changes nothing.
 * @module
 */
export {
  ALERT_RULE_DEFAULTS,
  ALERT_SEVERITIES,
  type AlertReading,
  type AlertRule,
  type AlertRuleOptions,
  type AlertSeverity,
  defaultAlertRules,
} from './alert-rules.ts';
export type { AlertLevels, AlertPhase } from './alert-state.ts';
export {
  ALERTS_DEFAULTS,
  type AlertAction,
  type AlertRow,
  Alerts,
  type AlertsOptions,
  type AlertsStats,
} from './alerts.ts';
export { type Baseline, readBaseline, writeBaseline } from './baseline.ts';
export { type Collections, type CollectionWatch, watchCollections } from './collections.ts';
export {
  COMPARE_DEFAULTS,
  type CompareOptions,
  type Comparison,
  type ComparisonRow,
  type ComparisonVerdict,
  compareWithBaseline,
  formatComparison,
} from './compare-with-baseline.ts';
export type { Interval } from './confidence.ts';
export type { EventTallyRow } from './event-tally.ts';
export {
  checkFeedFolder,
  type FeedEnd,
  FeedFile,
  type FeedFileOptions,
  FeedFolderError,
  type FeedHeader,
  type FeedLine,
  feedHome,
  feedPath,
  feedsIn,
  isRunning,
  openFeedFolder,
  sweepFeeds,
} from './feed-file.ts';
export { FeedReader, isFeedEnd, isFeedHeader, readFeedLine } from './feed-reader.ts';
export { formatLeakReport } from './format-leak-report.ts';
export { formatMemoryReport } from './format-memory-report.ts';
export type { CensusRequest, HeapCensus, HeapRow, HeapRowKind, HeapSource } from './heap-census.ts';
export { HEAP_SAMPLING_DEFAULTS, HeapSampling, type HeapSamplingOptions } from './heap-sampling.ts';
export { InspectorHeap } from './inspector-heap.ts';
export { isObservation } from './is-observation.ts';
export { LEAK_FINDER_DEFAULTS, LeakFinder, type LeakFinderOptions } from './leak-finder.ts';
export type { LeakCheckpoint, LeakKind, LeakPoint, LeakReport, LeakSuspect } from './leak-report.ts';
export {
  MEASURE_MEMORY_DEFAULTS,
  type MeasureMemoryOptions,
  type MemoryMeasurement,
  measureMemory,
} from './measure-memory.ts';
export {
  type CheckpointOptions,
  MEMORY_PROFILER_DEFAULTS,
  MemoryProfiler,
  type MemoryProfilerOptions,
} from './memory-profiler.ts';
export type { MemoryCheckpoint, MemoryReport, MemorySpan, TopConsumer, TopConsumers } from './memory-report.ts';
export { MONITOR_DEFAULTS, Monitor, type MonitorOptions, type MonitorSink, type MonitorStats } from './monitor.ts';
export {
  MONITOR_KINDS,
  type MonitorEvent,
  type MonitorEventMap,
  type MonitorKind,
  type NewMonitorEvent,
} from './monitor-events.ts';
export type { MonitorQuery } from './monitor-query.ts';
export { type CommandPort, type Observation, type ObservationPoint, pointOf } from './observation.ts';
export {
  OBSERVATION_FEED_DEFAULTS,
  ObservationFeed,
  type ObservationFeedOptions,
  type ObservationFeedStats,
  type ObservationListener,
} from './observation-feed.ts';
export type { PredictedBytes, RunPrediction } from './predict-run.ts';
export {
  type PredictOptions,
  RUN_HISTORY_DEFAULTS,
  RunHistory,
  type RunHistoryOptions,
  strictestMode,
} from './run-history.ts';
export type { NewRun, RunRecord } from './run-record.ts';
export type { SnapshotSource } from './snapshot-source.ts';
export { Webhook, type WebhookStats } from './webhook.ts';
export { WEBHOOK_DEFAULTS, type WebhookFetch, type WebhookOptions } from './webhook-options.ts';
