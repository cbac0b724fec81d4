import type { Consumer } from '../governor/index.ts';
import type { SpillCodec } from './frame-codec.ts';
import type { SegmentWriter } from './segment-writer.ts';

export interface SpillRunOptions {
  /** For events and errors: 1 to 120 characters. */
  readonly name: string;
  /** The most that the files of this run may take, bytes, within what the folder may. Required. */
  readonly maxBytes: number;
  /** The most files at once, 1 up, within what the folder may have. Default 64. */
  readonly maxFiles?: number;
  /** Default `none`. Where this Node has no zstd, deflate stands in: `stats.codec` says so. */
  readonly codec?: SpillCodec;
  /** The largest batch, bytes as it is written. Default 4,194,304. */
  readonly maxBatchBytes?: number;
  /** Written at once, bytes: a writer has two buffers of it. Default 262,144. */
  readonly bufferBytes?: number;
  /** Of kind `external`: buffers are reserved there while they are there. Default: they are only counted. */
  readonly memory?: Consumer;
}

export interface SpillRunStats {
  readonly name: string;
  /** The one in use. */
  readonly codec: SpillCodec;
  /** That the files take now, took at most, and may take. */
  readonly diskBytes: number;
  readonly peakDiskBytes: number;
  readonly maxBytes: number;
  /** Files that are there, and that were made. */
  readonly fileCount: number;
  readonly filesMade: number;
  readonly batchesWritten: number;
  readonly batchesRead: number;
  /** Of batches before compression: written so far, and read. */
  readonly rawBytes: number;
  readonly rawBytesRead: number;
  /** Buffers of writers and readers, in memory. */
  readonly heldBytes: number;
  /** Writes and files that found no room within the bounds. */
  readonly refused: number;
  /** Calls that the file system failed. */
  readonly failures: number;
  /** Faults that were found in what was read. */
  readonly corrupt: number;
}

/** Segments that are written one after the other and read back, such as sorted runs. Disposing it removes them all. */
export class SpillRun implements AsyncDisposable {
  get stats(): SpillRunStats {
    throw new Error('not built yet');
  }

  /** Opens a new file. */
  async create(): Promise<SegmentWriter> {
    throw new Error('not built yet');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    throw new Error('not built yet');
  }
}
