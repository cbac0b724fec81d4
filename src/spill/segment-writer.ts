import type { SpilledSegment } from './spilled-segment.ts';

/** Writes batches one behind the other into a file of its own. Disposed without `finish`, the file is gone. */
export class SegmentWriter implements AsyncDisposable {
  readonly batchCount: number = 0;
  readonly rawBytes: number = 0;

  /** Takes a batch, in one piece or several. They may be used again when it resolves. When it rejects, the whole segment is given up, unless it is for `signal`. */
  async write(
    _batch: Uint8Array | readonly Uint8Array[],
    _options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    throw new Error('not built yet');
  }

  /** Seals the segment: nothing is written any more. */
  async finish(): Promise<SpilledSegment> {
    throw new Error('not built yet');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    throw new Error('not built yet');
  }
}
