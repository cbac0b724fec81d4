import type { Consumer, ConsumerOptions, MemoryKind, PressureLevel, ReclaimStrategy } from '../governor/index.ts';
import type { SpillFolder } from '../spill/index.ts';
import type { Batch } from './batch.ts';
import type { ConsumerSource } from './pipeline-memory.ts';
import type { PipelineMode, StageCapabilities } from './pipeline-mode.ts';

/** What a stage may hold at most. A stage that declares nothing holds nothing: each reservation of it is refused. */
export interface StageMemory {
  readonly kind: MemoryKind;
  /** Bytes, `Infinity` for "up to the line". */
  readonly maxBytes: number;
}

/** What has been done since it was last said; each figure is added, 0 when absent. */
export interface StageCounts {
  readonly itemsIn?: number;
  readonly itemsOut?: number;
  readonly bytesIn?: number;
  readonly bytesOut?: number;
}

/** What every part of a job says of itself. */
export interface StageTraits {
  /** As the report, the events and errors have it. */
  readonly name: string;
  readonly memory?: StageMemory;
  /** The modes it can work in besides `plain`. Default: none. One that says so gives the same bytes in each. */
  readonly can?: StageCapabilities;
  /**
   * What it would hold in `plain` mode with batches of so many bytes: an estimate, never less for larger batches. By it the pipeline begins with smaller batches, and in
   * a stricter mode, where `plain` would not fit. Absent, or where it throws: not known, and counted as nothing.
   */
  estimateBytes?(batchBytes: number): number;
}

/** That a stage goes on by another worker than before: a plugin, another plugin, `native`. */
export interface WorkerSwitch {
  readonly from: string;
  readonly to: string;
  /** In a few words. */
  readonly why: string;
}

/** What the pipeline hands to a stage. */
export interface StageContext extends ConsumerSource {
  readonly name: string;
  /** How this stage is to work now: look at it for each batch. Changes when a sample is taken, so also inside `advance`. */
  readonly mode: PipelineMode;
  /** What a batch of this stage should take now, bytes: `PipelineOptions.batchBytes`, at `high` a half of it, then a quarter, an eighth. */
  readonly batchBytes: number;
  /** As it was last sampled. */
  readonly level: PressureLevel;
  /** Where the pipeline's stages spill, when it was given a folder. */
  readonly spill: SpillFolder | undefined;
  /** Whatever waits in a stage waits on this as well. Between batches the pipeline looks at it by itself. */
  readonly signal: AbortSignal;
  /**
   * Where the stage reserves, before it allocates, all that it holds: batches, tables, buffers. What it has not released
   * when it ends is released for it and stands in the report as `unreleasedBytes`, which is a fault of the stage.
   */
  readonly memory: Consumer;
  /**
   * Opens a consumer below the stage's own, unless another parent is given: for what gives back by itself, such as a `BatchStore`. What it holds counts as the stage's, and ends with it.
   */
  consumer(options: ConsumerOptions): Consumer;
  /**
   * Adds to the stage's counts what the pipeline cannot see: batches are counted as they change hands, so a source says what it has
   * read, a sink what it has written, a phase all of it. Throws the signal's reason when aborted, samples
   * and reports progress when it is time to: call it every few milliseconds of work. Reads the clock, and compares, when nothing is due.
   */
  advance(counts: StageCounts): void;
  /** Asks whoever cleans up for the pipeline to do so now; resolves when that is done, and at once when nobody does. Never rejects. */
  cleanUp(strategy: ReclaimStrategy): Promise<void>;
  /** Notes that the stage goes on by another worker: an event, `plimsoll:pipeline-worker`, and a line of the report. */
  switched(change: WorkerSwitch): void;
}

/** Begins a flow. */
export interface Source<O extends Batch> extends StageTraits {
  /** Usually an async generator: its `finally` runs at the end, on an error further down and on abort. */
  open(context: StageContext): AsyncIterable<O>;
}

/**
 * One step of a flow. Batches are pulled: a stage asks its input for the next one when it is asked itself, holds what it reserved
 * and no more, and releases it in a `finally`. The suite in `test/contract/stage.ts` holds every stage to that.
 */
export interface Stage<I extends Batch, O extends Batch> extends StageTraits {
  run(input: AsyncIterable<I>, context: StageContext): AsyncIterable<O>;
}

/** Ends a flow and gives its result. */
export interface Sink<I extends Batch, R> extends StageTraits {
  drain(input: AsyncIterable<I>, context: StageContext): Promise<R>;
}

/** A part of the job that is no stream of batches (publishing, a guide): it stands in the same table. `Pipeline.measure` runs it. */
export interface Phase<R> extends StageTraits {
  run(context: StageContext): Promise<R> | R;
}
