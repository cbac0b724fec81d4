import type { Consumer, ConsumerOptions, PressureLevel, ReclaimStrategy } from '../governor/index.ts';
import type { SpillFolder } from '../spill/index.ts';
import type { Batch } from './batch.ts';
import type { CleanupCalls } from './cleanup-calls.ts';
import type { PipelineMode, StageCapabilities } from './pipeline-mode.ts';
import type {
  Sink,
  Source,
  Stage,
  StageContext,
  StageCounts,
  StageMemory,
  StageTraits,
  WorkerSwitch,
} from './stage.ts';
import { StageError } from './stage-error.ts';
import type { ModeSeat, RunModes, StageModes } from './stage-modes.ts';
import type { StageObserver, StageRecord } from './stage-observer.ts';

/** What a run needs of its pipeline. */
export interface RunHelp {
  readonly observer: StageObserver;
  readonly signal: AbortSignal;
  readonly modes: StageModes;
  readonly spill: SpillFolder | undefined;
  openConsumer(options: ConsumerOptions): Consumer;
  openMemory(name: string, memory: StageMemory | undefined): Consumer;
  /** Undefined when nobody cleans up. */
  cleanup(): CleanupCalls | undefined;
}

/** A stage at work in one run: its context, and its memory, which ends with it. */
export class StageSeat implements StageContext, ModeSeat {
  readonly name: string;
  readonly signal: AbortSignal;
  readonly memory: Consumer;
  readonly record: StageRecord;
  readonly can: StageCapabilities;
  readonly spill: SpillFolder | undefined;
  mode: PipelineMode = 'plain';
  batchBytes = 1;
  readonly #help: RunHelp;

  constructor(help: RunHelp, run: RunModes, stage: StageTraits) {
    this.#help = help;
    this.name = stage.name;
    this.can = stage.can ?? {};
    this.signal = help.signal;
    this.spill = help.spill;
    this.record = help.observer.record(stage.name);
    this.memory = help.openMemory(stage.name, stage.memory);
    run.join(this);
  }

  get level(): PressureLevel {
    return this.#help.modes.level;
  }

  async cleanUp(strategy: ReclaimStrategy): Promise<void> {
    await this.#help.cleanup()?.cleanUp(this.name, strategy);
  }

  consumer(options: ConsumerOptions): Consumer {
    return this.#help.openConsumer({ parent: this.memory, ...options });
  }

  switched(change: WorkerSwitch): void {
    this.#help.modes.noteWorker(this.name, change);
  }

  advance(counts: StageCounts): void {
    const { observer } = this.#help;
    observer.count(this.record, counts);
    observer.tick(this.record);
    this.signal.throwIfAborted();
  }

  /** Closes the books of the stage and releases what it forgot. */
  end(): void {
    const { memory, record } = this;
    record.peakReservedBytes = Math.max(record.peakReservedBytes, memory.peakBytes);
    record.unreleasedBytes += memory.heldBytes;
    memory[Symbol.dispose]();
  }
}

/** The output of one stage as the next one sees it: counts, times, and closes. */
class StageOutput implements AsyncIterableIterator<Batch> {
  readonly seat: StageSeat;
  readonly #run: FlowRun;
  readonly #batches: AsyncIterator<Batch>;
  /** Who pulls; set when the flow is put together. */
  puller: StageSeat | undefined;
  #ended = false;

  constructor(run: FlowRun, seat: StageSeat, batches: AsyncIterator<Batch>) {
    this.#run = run;
    this.seat = seat;
    this.#batches = batches;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Batch, undefined>> {
    if (this.#ended) return { done: true, value: undefined };
    const { seat } = this;
    const { observer, signal } = this.#run.help;
    signal.throwIfAborted();
    let last = true;
    observer.enter(seat.record);
    try {
      const result = await this.#batches.next();
      if (result.done !== true) {
        last = false;
        this.#handOver(result.value);
        const cleanup = this.#run.help.cleanup()?.underWay();
        if (cleanup !== undefined) await cleanup;
        return result;
      }
      this.#ended = true;
    } catch (error) {
      throw StageError.from(error, seat.name, signal);
    } finally {
      observer.leave(seat.record, last);
    }
    await this.#run.help.cleanup()?.stageEnded(seat.name);
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Batch, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Lets the stage release what it holds. Once; a stage that came to its end, or failed, has nothing more to run. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const { observer, signal } = this.#run.help;
    observer.enter(this.seat.record);
    try {
      await this.#batches.return?.();
    } catch (error) {
      throw StageError.from(error, this.seat.name, signal);
    } finally {
      observer.leave(this.seat.record, true);
    }
  }

  #handOver(batch: Batch): void {
    const { observer } = this.#run.help;
    const { byteLength, itemCount } = batch;
    const heldBytes = this.#run.heldBytes();
    if (byteLength > heldBytes) {
      throw new Error(
        `handed on a batch of ${byteLength} bytes while the stages of its flow had reserved ${heldBytes}: ` +
          'reserve from `context.memory` before allocating',
      );
    }
    observer.count(this.seat.record, { itemsOut: itemCount, bytesOut: byteLength });
    if (this.puller !== undefined) observer.count(this.puller.record, { itemsIn: itemCount, bytesIn: byteLength });
    observer.tick(this.seat.record);
  }
}

/**
 * One run of a source, stages and a sink. Invariants: at most one output is pulled at a time by the one below; whatever way the run
 * ends, every output is closed from the sink up to the source, then every seat is ended.
 */
export class FlowRun {
  readonly help: RunHelp;
  #modes: RunModes | undefined;
  readonly #seats: StageSeat[] = [];
  readonly #outputs: StageOutput[] = [];

  constructor(help: RunHelp) {
    this.help = help;
  }

  /** What all stages of the run hold reserved now. */
  heldBytes(): number {
    let held = 0;
    for (const seat of this.#seats) held += seat.memory.heldBytes;
    return held;
  }

  async run<R>(source: Source<Batch>, stages: readonly Stage<Batch, Batch>[], sink: Sink<Batch, R>): Promise<R> {
    let failure: { readonly error: unknown } | undefined;
    let result: R | undefined;
    try {
      result = await this.#drain(source, stages, sink);
    } catch (error) {
      failure = { error };
    }
    const closeErrors = await this.#close();
    if (failure === undefined && closeErrors.length > 0) failure = { error: closeErrors.shift() };
    if (failure === undefined) return result as R;
    if (failure.error instanceof StageError) failure.error.closeErrors.push(...closeErrors);
    throw failure.error;
  }

  async #drain<R>(source: Source<Batch>, stages: readonly Stage<Batch, Batch>[], sink: Sink<Batch, R>): Promise<R> {
    const { observer, signal } = this.help;
    signal.throwIfAborted();
    observer.look();
    this.#modes = this.help.modes.open([source, ...stages, sink], () => this.heldBytes());
    let output = this.#output(source, (seat) => source.open(seat));
    for (const stage of stages) {
      const input = output;
      output = this.#output(stage, (seat) => stage.run(input, seat));
      input.puller = output.seat;
    }
    const seat = this.#seat(sink);
    output.puller = seat;
    observer.enter(seat.record);
    let result: R;
    try {
      result = await sink.drain(output, seat);
    } catch (error) {
      throw StageError.from(error, sink.name, signal);
    } finally {
      observer.leave(seat.record, true);
    }
    await this.help.cleanup()?.stageEnded(sink.name);
    return result;
  }

  #seat(stage: StageTraits): StageSeat {
    try {
      const seat = new StageSeat(this.help, this.#modes!, stage);
      this.#seats.push(seat);
      return seat;
    } catch (error) {
      throw StageError.from(error, stage.name, this.help.signal);
    }
  }

  #output(stage: StageTraits, open: (seat: StageSeat) => AsyncIterable<Batch>): StageOutput {
    const seat = this.#seat(stage);
    try {
      const output = new StageOutput(this, seat, open(seat)[Symbol.asyncIterator]());
      this.#outputs.push(output);
      return output;
    } catch (error) {
      throw StageError.from(error, stage.name, this.help.signal);
    }
  }

  async #close(): Promise<unknown[]> {
    const errors: unknown[] = [];
    for (const output of this.#outputs.toReversed()) {
      try {
        await output.close();
      } catch (error) {
        errors.push(error);
      }
    }
    for (const seat of this.#seats) seat.end();
    this.#modes?.close();
    return errors;
  }
}
