import { DisposedError } from '../errors.ts';
import { FailOpen } from '../fail-open.ts';
import { checkSignal, copyOptions, invalidOption } from '../invalid-option.ts';
import { type BatchProcessorOptions, type BatchResult, type ResolvedBatch, resolveBatch } from './batch-options.ts';
import { type BatchCounts, BatchRun } from './batch-run.ts';

/** What a run may be given. */
export interface BatchRunOptions {
  /** Ends it: reading rejects with the signal's reason, and what is under way is told. */
  readonly signal?: AbortSignal;
}

/** Of all runs of a processor. */
export interface BatchStats extends Readonly<BatchCounts> {
  /** Of the governor; the work went on without it. */
  readonly faults: number;
}

/**
 * Works on batches, several at a time, and hands out what comes of them to who reads. It reads its input no faster than results are used: never more than `maxResults` have been begun and are
 * not used yet. A batch begins when it has got its memory, in the order of the input; with the result used (the next one asked for) that is given back. A failure is the batch's own, with its
 * index, unless `onError` is `stop`.
 *
 * The batches have to be the worker's own: not those of a pipeline, which are filled anew when the next is pulled. After its construction only
 * reading rejects: with the reason of an abort, with `PLIMSOLL_BATCH_FAILED` by `stop`, with `PLIMSOLL_BATCHES_STUCK`, with what the input threw behind the results of what it gave before, and
 * with `PLIMSOLL_DISPOSED`. Leaving the loop ends the run and waits for what is under way, `closeMs` at most.
 * @example
 * import { BatchProcessor } from 'plimsoll/pipeline';
 * await using resizer = new BatchProcessor({ name: 'resize', process: resize, concurrency: 4, maxResults: 16, memory, estimateBytes: (image) => image.length * 8 });
 * for await (const result of resizer.run(images)) {
 *   if (result.ok) await save(result.value);
 *   else console.error(result.index, result.error);
 * }
 */
export class BatchProcessor<Item, Value> implements AsyncDisposable {
  readonly name: string;
  readonly #options: ResolvedBatch<Item, Value>;
  readonly #failOpen: FailOpen;
  readonly #runs = new Set<BatchRun<Item, Value>>();
  readonly #counts: BatchCounts = {
    begun: 0,
    succeeded: 0,
    failed: 0,
    timedOut: 0,
    running: 0,
    stuck: 0,
    unused: 0,
    mostUnused: 0,
  };
  #disposed = false;

  /** Throws `RangeError` for unsound options. */
  constructor(options: BatchProcessorOptions<Item, Value>) {
    this.#options = resolveBatch(options);
    this.name = this.#options.name;
    this.#failOpen = new FailOpen(`batches ${this.name}`);
  }

  get stats(): BatchStats {
    return { ...this.#counts, faults: this.#failOpen.count };
  }

  /** Begins with the first result that is asked for. Several runs at once have the bounds each for itself. Throws `RangeError` for what cannot be iterated. */
  run(
    items: Iterable<Item> | AsyncIterable<Item>,
    options: BatchRunOptions = {},
  ): AsyncGenerator<BatchResult<Value>, void, undefined> {
    const { signal } = copyOptions('run', options, ['signal']);
    checkSignal(signal);
    if (!isIterable(items)) throw invalidOption('items', 'something to iterate over', items);
    return this.#read(items, signal);
  }

  /** Ends all runs: who reads gets `PLIMSOLL_DISPOSED`. Resolves when what is under way has ended, after `closeMs` at the latest. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await Promise.all([...this.#runs].map((run) => run.close()));
  }

  async *#read(
    items: Iterable<Item> | AsyncIterable<Item>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<BatchResult<Value>, void, undefined> {
    if (this.#disposed) throw new DisposedError(this.name);
    const run = new BatchRun(this.#options, items, { counts: this.#counts, failOpen: this.#failOpen, signal });
    this.#runs.add(run);
    try {
      for (let result = await run.take(); result !== undefined; result = await run.take()) {
        yield result;
        run.used(result);
      }
    } finally {
      await run.close();
      this.#runs.delete(run);
    }
  }
}

function isIterable(value: unknown): boolean {
  if (value === null || value === undefined) return false;
  const { [Symbol.iterator]: now, [Symbol.asyncIterator]: later } = value as Partial<
    Iterable<unknown> & AsyncIterable<unknown>
  >;
  return typeof now === 'function' || typeof later === 'function';
}
