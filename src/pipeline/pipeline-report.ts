import type { PressureLevel } from '../governor/index.ts';
import type { PipelineMode } from './pipeline-mode.ts';
import type { WorkerSwitch } from './stage.ts';

/** One line of the table. */
export interface StageReport {
  readonly name: string;
  /** Time in which this stage and none that it pulled from was at work, whole ms. */
  readonly elapsedMs: number;
  readonly itemsIn: number;
  readonly itemsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** The highest the meter was seen while this stage was at work. */
  readonly peakRssBytes: number;
  readonly peakLedgerBytes: number;
  /** By how much RSS, as the governor has it (without pages of files), changed while this stage was at work, signed. */
  readonly rssDeltaBytes: number;
  /** The most the stage had reserved at once. */
  readonly peakReservedBytes: number;
  /** What it had not released when it ended: 0 in a sound stage. */
  readonly unreleasedBytes: number;
}

/** That a stage changed its mode. One that begins in another mode than the least that was asked for, `plain` unless told, has changed from that. */
export interface ModeSwitch {
  /** Since the pipeline was made, whole ms. */
  readonly atMs: number;
  readonly stage: string;
  readonly from: PipelineMode;
  readonly to: PipelineMode;
  readonly level: PressureLevel;
  /** Because of the level, or because the estimates of the run's stages would not fit. */
  readonly why: 'pressure' | 'estimate';
}

/** That a stage went on by another worker: a plugin, another plugin, `native`. */
export interface WorkerSwitchRow extends WorkerSwitch {
  /** Since the pipeline was made, whole ms. */
  readonly atMs: number;
  readonly stage: string;
  readonly level: PressureLevel;
}

/**
 * What a pipeline did. The parts add up: the stages' times to `elapsedMs` exactly, their `rssDeltaBytes` to its own, and
 * its peaks are the highest of theirs.
 */
export interface PipelineReport {
  readonly elapsedMs: number;
  readonly peakRssBytes: number;
  readonly peakLedgerBytes: number;
  readonly rssDeltaBytes: number;
  /** In the order in which they first began. What happened outside every stage has a line of its own, `Between Stages`, if there was any. */
  readonly stages: readonly StageReport[];
  /** The last changes of mode, oldest first, at most 64, and how many there were. */
  readonly modeSwitches: readonly ModeSwitch[];
  readonly modeSwitchCount: number;
  /** The same of stages that went on by another worker. */
  readonly workerSwitches: readonly WorkerSwitchRow[];
  readonly workerSwitchCount: number;
}

/** Where a pipeline stands, for a live line. */
export interface PipelineProgress {
  /** The stage that handed on the batch or called `advance`. */
  readonly stage: string;
  readonly itemsIn: number;
  readonly itemsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Since the pipeline was made. */
  readonly elapsedMs: number;
  /** Of it, for how long this stage was at work. */
  readonly stageElapsedMs: number;
  /** As last sampled. */
  readonly rssBytes: number;
  readonly ledgerBytes: number;
}
