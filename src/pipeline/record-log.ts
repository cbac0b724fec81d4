import type { Consumer, Reservation } from '../governor/index.ts';
import type { SpilledSegment } from '../spill/index.ts';
import type { OperatorSizes } from './operator-options.ts';
import type { OperatorSpill } from './operator-spill.ts';
import { RunWriter } from './run-writer.ts';
import { SegmentCursor } from './segment-cursor.ts';

export interface RecordLogOptions {
  readonly memory: Consumer;
  readonly sizes: OperatorSizes;
  readonly spill: OperatorSpill;
  readonly signal: AbortSignal;
}

/** Records on the disk as they came, without keys: written once, then read once or several times. Whoever made it disposes it. */
export class RecordLog implements AsyncDisposable {
  readonly #options: RecordLogOptions;
  readonly #reservation: Reservation;
  readonly #block: Buffer<ArrayBuffer>;
  #writer: RunWriter | undefined;
  #segment: SpilledSegment | undefined;
  #cursor: SegmentCursor | undefined;

  /** Its owner holds `floorBytes` for it. */
  constructor(options: RecordLogOptions) {
    this.#options = options;
    this.#block = Buffer.allocUnsafeSlow(options.sizes.blockBytes);
    this.#reservation = options.memory.reserve(0);
  }

  /** Of a writer, or of a reader, which takes less. */
  static floorBytes(sizes: OperatorSizes): number {
    return sizes.writerBytes;
  }

  /** Adds a record; false, and nothing is done, where something has to be written first: then `add`. */
  tryAdd(bytes: Buffer, start: number, end: number): boolean {
    return this.#writer?.tryAddParts(bytes, start, start, end) ?? false;
  }

  /** Whether there is room to read a record of that size again: it is taken before the record is added. */
  tryPrepare(size: number): boolean {
    const more = this.#moreFor(size);
    return more <= 0 || this.#reservation.tryGrow(more);
  }

  /** The same; without room it throws what a refused reservation throws. */
  prepare(size: number): void {
    const more = this.#moreFor(size);
    if (more > 0) this.#reservation.grow(more);
  }

  async add(bytes: Buffer, start: number, end: number): Promise<void> {
    const { spill, signal } = this.#options;
    this.#writer ??= new RunWriter(await spill.create(), this.#block, signal);
    await this.#writer.addParts(bytes, start, start, end);
  }

  /** After the last record: a cursor before the first, if there is any. Called again, one that begins anew; the one before is then of no use. */
  async read(): Promise<SegmentCursor | undefined> {
    const { sizes, signal } = this.#options;
    await this.#cursor?.[Symbol.asyncDispose]();
    this.#cursor = undefined;
    if (this.#writer !== undefined) {
      this.#segment = await this.#writer.finish();
      this.#writer = undefined;
    }
    if (this.#segment === undefined) return undefined;
    this.#cursor = new SegmentCursor(this.#segment, { bufferBytes: sizes.bufferBytes, signal });
    return this.#cursor;
  }

  /** Forgets all, to begin anew. Also at the end; twice is safe. */
  async clear(): Promise<void> {
    const cursor = this.#cursor;
    const writer = this.#writer;
    const segment = this.#segment;
    this.#cursor = this.#writer = this.#segment = undefined;
    await cursor?.[Symbol.asyncDispose]();
    await writer?.[Symbol.asyncDispose]();
    await segment?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.clear();
    } finally {
      this.#reservation[Symbol.dispose]();
    }
  }

  /** A reader of small records takes no more than the writer did. */
  #moreFor(size: number): number {
    const { blockBytes, readerBytes } = this.#options.sizes;
    return size <= blockBytes ? 0 : size + readerBytes - this.#reservation.bytes;
  }
}
