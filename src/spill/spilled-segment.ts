export interface SegmentReadOptions {
  /** Read at once, bytes, 4,096 up. Default 262,144. A larger batch is read whole all the same. */
  readonly bufferBytes?: number;
  readonly signal?: AbortSignal;
}

/** A segment that is written and sealed: batches, read back in order. Disposing it removes the file. */
export class SpilledSegment implements AsyncDisposable {
  readonly batchCount: number = 0;
  /** Of all batches as they were written, and what the file takes. */
  readonly rawBytes: number = 0;
  readonly diskBytes: number = 0;
  /** Of the largest batch as it was written: what one that is read back takes at most. */
  readonly largestBatchBytes: number = 0;

  /** Memory that one reader takes while it reads: for those who reserve it themselves. */
  readBytes(_options: Pick<SegmentReadOptions, 'bufferBytes'> = {}): number {
    throw new Error('not built yet');
  }

  /** One batch at a time, valid until the next is asked for. Several readers may be at work at once. */
  // biome-ignore lint/correctness/useYield: a first shape.
  async *read(_options: SegmentReadOptions = {}): AsyncGenerator<Buffer, void, undefined> {
    throw new Error('not built yet');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    throw new Error('not built yet');
  }
}
