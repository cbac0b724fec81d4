import { DisposedError } from '../errors.ts';
import { checkSignal, checkWhole, copyOptions } from '../invalid-option.ts';
import type { RunContext } from './run-context.ts';
import type { RunFile } from './run-file.ts';
import { readerBufferBytes, type SegmentFacts, SegmentReader } from './segment-reader.ts';

export interface SegmentReadOptions {
  /** Read at once, bytes, 4,096 up. Default the run's `bufferBytes`. A larger batch is read whole all the same. */
  readonly bufferBytes?: number;
  readonly signal?: AbortSignal;
}

const OPTIONS = ['bufferBytes', 'signal'] as const;
const LEAST_BYTES = 4_096;
const MOST_BYTES = 2 ** 30;

/**
 * A segment that is written and sealed, on the disk until it is disposed, with its run or by itself: batches, read back in order, as often as one likes, by several readers at once.
 */
export class SpilledSegment implements AsyncDisposable {
  readonly batchCount: number;
  /** Of all batches as they were written. */
  readonly rawBytes: number;
  /** Of the file. */
  readonly diskBytes: number;
  /** Of the largest batch as it was written. */
  readonly largestBatchBytes: number;
  readonly #context: RunContext;
  readonly #file: RunFile;
  readonly #facts: SegmentFacts;

  /** Not for users: a writer's `finish` makes it. */
  constructor(context: RunContext, file: RunFile, facts: SegmentFacts) {
    this.#context = context;
    this.#file = file;
    this.#facts = facts;
    this.batchCount = facts.batchCount;
    this.rawBytes = facts.rawBytes;
    this.diskBytes = facts.diskBytes;
    this.largestBatchBytes = facts.largestBatchBytes;
  }

  /** The most that one reader takes while it reads, bytes: the buffer and, where batches are compressed, the largest of them and the decompressor. For those who reserve it themselves. */
  readBytes({ bufferBytes = this.#context.bounds.bufferBytes }: Pick<SegmentReadOptions, 'bufferBytes'> = {}): number {
    return readerBufferBytes(this.#facts, checkBufferBytes(bufferBytes)) + this.#restoreBytes;
  }

  /**
   * One batch at a time. It is a window that is valid until the next is asked for: then its memory is used again, or is gone and the batch is empty. Copy what is to stay.
   *
   * Reads at once as many bytes as `bufferBytes` says and never holds more than `readBytes()`. Where `memory` has no room for that, it does with the largest batch, and where that does not help either the first step rejects with
   * `PLIMSOLL_BUDGET_EXCEEDED`. Batches that come before a fault have been handed out when it is found (`PLIMSOLL_SPILL_CORRUPT`): who must not use any of a damaged segment waits for the end. Rejects with the reason of `signal`;
   * `PLIMSOLL_DISPOSED` when the segment goes meanwhile.
   */
  read(options: SegmentReadOptions = {}): AsyncGenerator<Buffer, void, undefined> {
    const { bufferBytes = this.#context.bounds.bufferBytes, signal } = copyOptions('read', options, OPTIONS);
    return this.#batches(checkBufferBytes(bufferBytes), checkSignal(signal));
  }

  /** Removes the file; twice is safe. Never rejects: what cannot be removed is counted, and goes with the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.remove();
    this.#context.members.delete(this);
  }

  async *#batches(bufferBytes: number, signal: AbortSignal | undefined): AsyncGenerator<Buffer, void, undefined> {
    this.#check(signal);
    const context = this.#context;
    const sizes = [bufferBytes, LEAST_BYTES].map((bytes) => readerBufferBytes(this.#facts, bytes) + this.#restoreBytes);
    const { bytes, held } = context.memory.take(sizes);
    using _held = held;
    using reader = new SegmentReader(this.#file, this.#facts, context.codec, bytes - this.#restoreBytes);
    for (;;) {
      this.#check(signal);
      const batch = await reader.next();
      if (batch === undefined) return;
      context.noteRead(batch.byteLength);
      yield batch;
    }
  }

  get #restoreBytes(): number {
    return this.#facts.isCompressed ? this.#context.codec.restoreBytes(this.#facts.largestBatchBytes) : 0;
  }

  #check(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (this.#file.removed) throw new DisposedError('spilled segment');
  }
}

function checkBufferBytes(bytes: number): number {
  return checkWhole('bufferBytes', bytes, LEAST_BYTES, MOST_BYTES);
}
