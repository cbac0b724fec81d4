/**
 * Pipelines of batches that are pulled through stages, each stage within what it reserved, with a report whose figures add up.
 * @module
 */
export type { Batch } from './batch.ts';
export { BatchesStuckError, BatchFailedError, BatchTimeoutError } from './batch-errors.ts';
export { BATCH_DEFAULTS, type BatchProcessorOptions, type BatchResult, type BatchWork } from './batch-options.ts';
export { BatchProcessor, type BatchRunOptions, type BatchStats } from './batch-processor.ts';
export { BatchStore, type BatchStoreStats } from './batch-store.ts';
export { BatchStoreFullError, type BatchStoreOptions } from './batch-store-options.ts';
export type { BetweenStages } from './between-stages.ts';
export { CLEANUP_DEFAULTS, type CleanupTuning, type MemoryCleanupOptions } from './cleanup-options.ts';
export type {
  CleanableOutcome,
  CleanupOperation,
  CleanupReason,
  CleanupReport,
  StageCleanup,
} from './cleanup-report.ts';
export { type DistinctOptions, distinctRecords } from './distinct-records.ts';
export type { Flow } from './flow.ts';
export { formatCleanupSummary, formatCleanupTable } from './format-cleanup.ts';
export { formatReport, type ReportWords } from './format-report.ts';
export { type GroupOptions, groupRecords } from './group-records.ts';
export { JOIN_TYPES, type JoinOptions, type JoinType, joinRecords } from './join-records.ts';
export { type KeyOrder, KeyWriter } from './key-writer.ts';
export type { Cleaned, CleanHelp, MemoryCleanable } from './memory-cleanable.ts';
export { type CleanupCallOptions, MemoryCleanupCoordinator } from './memory-cleanup-coordinator.ts';
export { RecordTooLargeError } from './operator-errors.ts';
export type { RecordKey, RecordOperatorOptions } from './operator-options.ts';
export { Pipeline, type PipelineOptions } from './pipeline.ts';
export type { ConsumerSource, MemoryProbe, MemoryReading } from './pipeline-memory.ts';
export { modeAt, PIPELINE_MODES, type PipelineMode, type StageCapabilities } from './pipeline-mode.ts';
export type {
  ModeSwitch,
  PipelineProgress,
  PipelineReport,
  StageReport,
  WorkerSwitchRow,
} from './pipeline-report.ts';
export { PLUGIN_SELECTIONS, type PluginRunner, type PluginSelection } from './plugin-choice.ts';
export {
  PLUGIN_RECORD_STAGE_DEFAULTS,
  type PluginRecordStageOptions,
  pluginRecordStage,
} from './plugin-record-stage.ts';
export {
  PLUGIN_STAGE_DEFAULTS,
  type PluginStageOptions,
  type PluginWorkerOptions,
  pluginStage,
} from './plugin-stage.ts';
export { NoPluginError } from './plugin-work.ts';
export { RECORD_FRAME_BYTES, RecordBatch } from './record-batch.ts';
export { type RecordCheck, sameRecords } from './record-check.ts';
export type { RecordView } from './record-view.ts';
export type { RecordWriter } from './record-writer.ts';
export { type SortOptions, sortRecords } from './sort-records.ts';
export type {
  Phase,
  Sink,
  Source,
  Stage,
  StageContext,
  StageCounts,
  StageMemory,
  StageTraits,
  WorkerSwitch,
} from './stage.ts';
export { StageError } from './stage-error.ts';
export { PROGRESS_CHANNEL } from './stage-observer.ts';
