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
  readonly #assigner: NumberAssigner;
  readonly #reservation: Disposable;
  readonly #answers: AsyncIterator<NumberBatch> | undefined;
  /** What new instances of plugins are told. */
  readonly #told: NumberBatch | undefined;
  #waiting = true;

  /** Reserves 64 KiB from the stage's memory, with plugins twice that. */
  constructor(options: NumberDeskOptions, context: StageContext) {
    const { name, numbers, startNumber, workers } = options;
    const batchCount = workers === undefined ? 1 : 2;
    this.#reservation = context.memory.reserve(batchCount * NumberBatch.bytesFor(BATCH_RECORDS));
    this.batch = new NumberBatch(BATCH_RECORDS);
    const assigner = new NumberAssigner(numbers, startNumber);
    this.#assigner = assigner;
    if (workers === undefined) return;
    this.#told = new NumberBatch(BATCH_RECORDS);
    const stage = pluginStage<NumberBatch>({
      ...workers,
      name,
      config: numberingConfig(startNumber),
      encode: encodeNumbers,
      apply: (batch, output) => applyNumbers(batch, output, assigner),
      native: (batch) => assigner.assign(batch),
      catchUp: () => this.#given(),
    });
    this.#answers = stage.run(this.#asked(), context)[Symbol.asyncIterator]();
  }

  /** Gives every wish of the batch its number. A promise only where plugins are asked. */
  assign(): void | Promise<void> {
    if (this.#answers === undefined) this.#assigner.assign(this.batch);
    else if (this.batch.count > 0) return this.#ask();
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

  /** All numbers given before the batch at hand, as wishes: for a plugin that begins after others, native or not, have given some. */
  *#given(): Generator<Uint8Array, void, undefined> {
    const { batch } = this;
    const told = this.#told!;
    // Those are given already where another plugin has failed over it.
    const own = new Set(batch.assigned ? batch.numbers.subarray(0, batch.count) : []);
    told.clear();
    for (const number of this.#assigner.given()) {
      if (own.has(number)) continue;
      told.push(number);
      if (!told.isFull) continue;
      yield encodeNumbers(told);
      told.clear();
    }
    if (told.count > 0) yield encodeNumbers(told);
  }

  async *#asked(): AsyncGenerator<NumberBatch, void, undefined> {
    while (this.#waiting) yield this.batch;
  }
}
