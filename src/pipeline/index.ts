/**
 * Pipelines of batches that are pulled through stages, each stage within what it reserved, with a report whose figures add up.
 * @module
 */
export type { Batch } from './batch.ts';
export type { BetweenStages } from './between-stages.ts';
export type { Flow } from './flow.ts';
export { formatReport, type ReportWords } from './format-report.ts';
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
export { RECORD_FRAME_BYTES, RecordBatch } from './record-batch.ts';
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
