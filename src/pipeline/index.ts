/**
 * Pipelines of batches that are pulled through stages, each stage within what it reserved, with a report whose figures add up.
 * @module
 */
export type { Batch } from './batch.ts';
export type { ConsumerSource, MemoryProbe, MemoryReading } from './pipeline-memory.ts';
export type { PipelineProgress, PipelineReport, StageReport } from './pipeline-report.ts';
export type { Phase, Sink, Source, Stage, StageContext, StageCounts, StageMemory } from './stage.ts';
