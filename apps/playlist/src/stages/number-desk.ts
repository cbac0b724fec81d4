import { pluginStage, type StageContext } from 'plimsoll/pipeline';
import type { ChannelNumbers } from '../channels/channel-numbers.ts';
import type { PluginWorkers } from '../plugin-job.ts';
import { applyNumbers, encodeNumbers, NumberAssigner, NumberBatch, numberingConfig } from '../plugins/number-batch.ts';

export interface NumberDeskOptions {
  readonly name: string;
  readonly numbers: ChannelNumbers;
  /** First number for channels that brought none. */
  readonly startNumber: number;
  /** Absent: nobody but the host gives numbers. */
  readonly workers: PluginWorkers | undefined;
}

/** Channels numbered in one go. */
const BATCH_RECORDS = 4096;

/**
 * Gives out numbers during one pass: fill `batch`, wait for `assign`, read `batch.numbers`. With plugins a `pluginStage` sits in between, which pulls a batch for each call;
 * what it says is held against the host's own numbers, so that native and plugins come to the same. The caller disposes, and closes before that when all went well.
 */
export class NumberDesk implements AsyncDisposable {
  readonly batch: NumberBatch;
  readonly #options: NumberDeskOptions;
  readonly #assigner: NumberAssigner;
  readonly #reservation: Disposable;
  readonly #answers: AsyncIterator<NumberBatch> | undefined;
  #waiting = true;

  /** Reserves 64 KiB from the stage's memory. */
  constructor(options: NumberDeskOptions, context: StageContext) {
    const { name, numbers, startNumber, workers } = options;
    this.#options = options;
    this.#reservation = context.memory.reserve(NumberBatch.bytesFor(BATCH_RECORDS));
    this.batch = new NumberBatch(BATCH_RECORDS);
    const assigner = new NumberAssigner(numbers, startNumber);
    this.#assigner = assigner;
    if (workers === undefined) return;
    const stage = pluginStage<NumberBatch>({
      ...workers,
      name,
      config: numberingConfig(startNumber),
      encode: encodeNumbers,
      apply: (batch, output) => applyNumbers(batch, output, assigner),
      native: (batch) => assigner.assign(batch),
    });
    this.#answers = stage.run(this.#asked(), context)[Symbol.asyncIterator]();
  }

  /** Gives every wish of the batch its number. A promise only where plugins are asked. */
  assign(): void | Promise<void> {
    if (this.#answers === undefined) this.#assigner.assign(this.batch);
    else if (this.batch.count > 0) return this.#ask();
  }

  /** Tells plugins which numbers are taken, from the first one that they may give: in a pass that begins after others. */
  async tellTaken(): Promise<void> {
    if (this.#answers === undefined) return;
    const { batch } = this;
    batch.clear();
    for (const number of this.#options.numbers.taken(this.#options.startNumber)) {
      batch.push(number);
      if (batch.isFull) await this.#tell();
    }
    await this.#tell();
  }

  /** Ends the plugin's work. */
  async close(): Promise<void> {
    this.#waiting = false;
    await this.#answers?.next();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#answers?.return?.();
    } finally {
      this.#reservation[Symbol.dispose]();
    }
  }

  async #ask(): Promise<void> {
    await this.#answers!.next();
  }

  /** They are taken already: the host takes none of them again, and holds the answer to just these. */
  async #tell(): Promise<void> {
    const { batch } = this;
    batch.numbers.set(batch.wishes);
    batch.assigned = true;
    if (batch.count > 0) await this.#ask();
    batch.clear();
  }

  async *#asked(): AsyncGenerator<NumberBatch, void, undefined> {
    while (this.#waiting) yield this.batch;
  }
}
