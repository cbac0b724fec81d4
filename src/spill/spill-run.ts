import { DisposedError } from '../errors.ts';
import { FailOpen } from '../fail-open.ts';
import type { Consumer } from '../governor/index.ts';
import { checkName, checkOneOf, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { BufferMemory } from './buffer-memory.ts';
import { codecAtHand, FrameCodec, SPILL_CODECS, type SpillCodec } from './frame-codec.ts';
import { TRAILER_BYTES } from './frame-format.ts';
import { type FolderRoom, RunContext } from './run-context.ts';
import { RunFile } from './run-file.ts';
import { SegmentWriter } from './segment-writer.ts';
import { SpillQuotaError } from './spill-errors.ts';

export interface SpillRunOptions {
  /** For events and errors: 1 to 120 characters. */
  readonly name: string;
  /** The most that the files of this run may take, bytes, within what the folder may. At least 1,024. Required. */
  readonly maxBytes: number;
  /** The most files at once, 1 up, within what the folder may have. Each holds a file descriptor. Default 64. */
  readonly maxFiles?: number;
  /** Default `none`. Where this Node has no zstd (before 22.15), deflate stands in: `stats.codec` says so. */
  readonly codec?: SpillCodec;
  /** The largest batch, bytes as it is handed in, 1 up to 1 GiB. Default 4,194,304. What is longer on the disk is damaged, and is not read. */
  readonly maxBatchBytes?: number;
  /** Written at once, bytes, 4,096 up: a writer has two buffers of it. Default 262,144. */
  readonly bufferBytes?: number;
  /** Of kind `external`, and no other: buffers are reserved there while they are there. Default: they are only counted. */
  readonly memory?: Consumer;
}

export interface SpillRunStats {
  readonly name: string;
  /** The one in use. */
  readonly codec: SpillCodec;
  /** What the files take, are about to take, took at most, and may take. */
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
  /** Batches and files that found no room within the bounds. */
  readonly refused: number;
  /** Calls that the file system failed. */
  readonly failures: number;
  /** Segments in which something was not what had been written. */
  readonly corrupt: number;
  /** Calls of `memory` that failed; the run went on without. */
  readonly faults: number;
}

export const SPILL_RUN_DEFAULTS = {
  maxFiles: 64,
  codec: 'none',
  maxBatchBytes: 4_194_304,
  bufferBytes: 262_144,
} as const satisfies Partial<SpillRunOptions>;

const OPTIONS = ['name', 'maxBytes', 'maxFiles', 'codec', 'maxBatchBytes', 'bufferBytes', 'memory'] as const;
const LEAST_BUFFER_BYTES = 4_096;
const MOST_BUFFER_BYTES = 2 ** 30;
const LEAST_RUN_BYTES = 1_024;

/**
 * Segments of one job, such as the sorted runs of an external sort, within a number of bytes and files: each is written as a stream of batches, sealed, and read back as a stream. Open one with
 * `folder.openRun`. Files are gone when their segment, the run or the folder is disposed, and after a crash when the next folder is opened beside.
 *
 * A writer holds two buffers of `bufferBytes`, with a codec up to twice a batch and 2 MiB more for the moment of compressing; a reader what `segment.readBytes()` says. Where `memory` has no room for a
 * writer's buffers, smaller ones are tried, down to 4 KiB each, and batches for whose compression there is none are written as they are. What is spilled is not flushed to the disk: it does not outlive the process.
 *
 * Codes: `PLIMSOLL_SPILL_QUOTA`, `PLIMSOLL_SPILL_NO_SPACE`, `PLIMSOLL_SPILL_IO`, `PLIMSOLL_SPILL_CORRUPT`, `PLIMSOLL_BUDGET_EXCEEDED`, `PLIMSOLL_DISPOSED`. Whoever opened it disposes it.
 * @example
 * import { SpillFolder } from 'plimsoll/spill';
 * await using folder = await SpillFolder.open('/var/tmp', { maxBytes: 2 ** 30 });
 * await using run = folder.openRun({ name: 'sort', maxBytes: 2 ** 29, codec: 'zstd' });
 * await using writer = await run.create();
 * await writer.write(Buffer.from('a batch'));
 * await using segment = await writer.finish();
 * for await (const batch of segment.read()) console.log(String(batch));
 */
export class SpillRun implements AsyncDisposable {
  readonly #context: RunContext;
  readonly #failOpen: FailOpen;
  readonly #onEnd: () => void;
  #ending: Promise<void> | undefined;

  /** Not for users: `folder.openRun` makes it. Throws `RangeError` for unsound options. */
  constructor(folder: FolderRoom, options: SpillRunOptions, onEnd: () => void) {
    const { memory, codec, ...bounds } = checkSpillRunOptions(options);
    this.#failOpen = new FailOpen(`spill run ${bounds.name}`);
    const buffers = new BufferMemory(memory, this.#failOpen);
    this.#context = new RunContext(folder, bounds, new FrameCodec(codecAtHand(codec)), buffers);
    this.#onEnd = onEnd;
  }

  get name(): string {
    return this.#context.bounds.name;
  }

  get disposed(): boolean {
    return this.#context.disposed;
  }

  get stats(): SpillRunStats {
    const { bounds, codec, diskBytes, peakDiskBytes, fileCount, counts, memory } = this.#context;
    return {
      name: bounds.name,
      codec: codec.name,
      diskBytes,
      peakDiskBytes,
      maxBytes: bounds.maxBytes,
      fileCount,
      heldBytes: memory.heldBytes,
      ...counts,
      faults: this.#failOpen.count,
    };
  }

  /** Opens a new file. `PLIMSOLL_SPILL_QUOTA` when there are as many as there may be, `PLIMSOLL_BUDGET_EXCEEDED` when `memory` has no room for its buffers. */
  async create(): Promise<SegmentWriter> {
    const context = this.#context;
    this.#check();
    const { bufferBytes } = context.bounds;
    const sizes = [bufferBytes, bufferBytes >> 3, 0].map((each) => 2 * Math.max(LEAST_BUFFER_BYTES, each));
    const { bytes, held } = context.memory.take(sizes);
    try {
      // Sealing it must not fail for the quota.
      if (!(await context.take(TRAILER_BYTES, 1))) throw new SpillQuotaError(context.refusal(TRAILER_BYTES));
      const number = context.folder.nextNumber();
      const path = context.folder.path(`run-${number}`);
      const file = await RunFile.make(path, number, TRAILER_BYTES, context);
      context.counts.filesMade++;
      const writer = new SegmentWriter(context, file, bytes / 2, held);
      context.members.add(writer);
      if (context.disposed) {
        await writer[Symbol.asyncDispose]();
        this.#check();
      }
      return writer;
    } catch (cause) {
      held[Symbol.dispose]();
      throw cause;
    }
  }

  /** Removes all files, of segments that are being written or read too: who still does so gets `PLIMSOLL_DISPOSED`. Never rejects: what cannot be removed is counted, and goes with the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#end();
    await this.#ending;
  }

  async #end(): Promise<void> {
    const context = this.#context;
    context.disposed = true;
    await Promise.all([...context.members].map((member) => member[Symbol.asyncDispose]()));
    this.#onEnd();
    context.tell(true);
  }

  #check(): void {
    if (this.#context.disposed) throw new DisposedError(`spill run ${this.name}`);
  }
}

type SoundOptions = Required<Omit<SpillRunOptions, 'memory'>> & Pick<SpillRunOptions, 'memory'>;

function checkSpillRunOptions(given: SpillRunOptions): SoundOptions {
  const options = copyOptions('openRun', given, OPTIONS);
  const { maxFiles, codec, maxBatchBytes, bufferBytes } = SPILL_RUN_DEFAULTS;
  const { memory } = options;
  if (memory !== undefined && typeof memory.tryReserve !== 'function')
    throw invalidOption('memory', 'a consumer', memory);
  // Buffers are no objects of the heap: there they would count against the wrong line.
  if (memory !== undefined && memory.kind !== 'external')
    throw invalidOption('memory', 'a consumer of kind `external`', memory.kind);
  return {
    name: checkName(options.name),
    maxBytes: checkWhole('maxBytes', options.maxBytes, LEAST_RUN_BYTES),
    maxFiles: checkWhole('maxFiles', options.maxFiles ?? maxFiles, 1),
    codec: checkOneOf('codec', options.codec ?? codec, SPILL_CODECS),
    maxBatchBytes: checkWhole('maxBatchBytes', options.maxBatchBytes ?? maxBatchBytes, 1, MOST_BUFFER_BYTES),
    bufferBytes: checkWhole('bufferBytes', options.bufferBytes ?? bufferBytes, LEAST_BUFFER_BYTES, MOST_BUFFER_BYTES),
    ...(memory !== undefined && { memory }),
  };
}
