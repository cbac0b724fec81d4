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
  /** As last sampled. */
  readonly rssBytes: number;
  readonly ledgerBytes: number;
}
