/**
 * Batches become a stream of bytes, which goes to the disk through two buffers: while one is written the other is filled, so that a file is written in few calls and nobody waits for most of
 * them. Room on the disk is taken for a batch before any of it is in a buffer.
 */
import { DisposedError } from '../errors.ts';
import { checkSignal, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { freeBuffer, freeChunk } from './frame-codec.ts';
import { FRAME_HEADER_BYTES, trailerFrame, writeFrameHeader } from './frame-format.ts';
import type { RunContext } from './run-context.ts';
import type { RunFile } from './run-file.ts';
import { SpillQuotaError } from './spill-errors.ts';
import { SpilledSegment } from './spilled-segment.ts';

export interface SegmentWriteOptions {
  readonly signal?: AbortSignal;
}

/**
 * Writes batches one behind the other into a file of its own, and seals it. Disposed without `finish`, the file is gone.
 *
 * A `write` resolves when the batch has been taken: in a buffer, or on its way to the disk. What the disk says of it may come with a later `write`, or with `finish`: then the segment is given up, its file
 * goes, and every further call says the same. Refused for the quota (`PLIMSOLL_SPILL_QUOTA`), its signal or its size, a batch leaves the segment as it was. Codes: `PLIMSOLL_SPILL_QUOTA`,
 * `PLIMSOLL_SPILL_NO_SPACE`, `PLIMSOLL_SPILL_IO`, `PLIMSOLL_DISPOSED`.
 */
export class SegmentWriter implements AsyncDisposable {
  readonly #context: RunContext;
  readonly #file: RunFile;
  readonly #held: Disposable;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  /** One is filled, the other written. */
  #filling: Buffer;
  #other: Buffer;
  #filled = 0;
  /** Where the buffer that is being filled goes. */
  #position = 0;
  #writing: Promise<void> | undefined;
  #failure: { readonly cause: unknown } | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #queued = 0;
  #state: 'open' | 'finished' | 'gone' = 'open';
  #finishing = false;
  #batchCount = 0;
  #rawBytes = 0;
  #largestBatchBytes = 0;
  #largestFrameBytes = 0;
  #isCompressed = false;

  constructor(context: RunContext, file: RunFile, bufferBytes: number, held: Disposable) {
    this.#context = context;
    this.#file = file;
    this.#held = held;
    this.#filling = Buffer.allocUnsafeSlow(bufferBytes);
    this.#other = Buffer.allocUnsafeSlow(bufferBytes);
  }

  get batchCount(): number {
    return this.#batchCount;
  }

  /** Of all batches so far, before compression. */
  get rawBytes(): number {
    return this.#rawBytes;
  }

  /** Of the file so far, what is still in the buffers included. */
  get diskBytes(): number {
    return this.#position + this.#filled;
  }

  /** Takes a batch, in one piece or several, 0 bytes up to the run's `maxBatchBytes`. The bytes may be changed when it resolves. One at a time, in order of the calls. */
  async write(batch: Uint8Array | readonly Uint8Array[], options?: SegmentWriteOptions): Promise<void> {
    const signal = options && checkSignal(copyOptions('write', options, ['signal']).signal);
    const pieces = batch instanceof Uint8Array ? [batch] : batch;
    const bytes = byteLengthOf(pieces);
    checkWhole('bytes of a batch', bytes, 0, this.#context.bounds.maxBatchBytes);
    if (signal?.aborted !== true && this.#appendAtOnce(pieces, bytes)) return;
    await this.#inTurn(async () => {
      signal?.throwIfAborted();
      const small = await this.#context.shrink(pieces, bytes);
      try {
        await this.#append(small === undefined ? pieces : [small], bytes, small !== undefined);
      } finally {
        if (small !== undefined) freeChunk(small, bytes);
      }
    });
  }

  /** Seals the segment: nothing is written any more, and it can be read. */
  async finish(): Promise<SpilledSegment> {
    this.#finishing = true;
    return this.#inTurn(async () => {
      const seal = { batchCount: this.#batchCount, rawBytes: this.#rawBytes, bytesBefore: this.diskBytes };
      await this.#push(trailerFrame(this.#file.number, seal));
      await this.#flush();
      await this.#written();
      this.#state = 'finished';
      this.#free();
      const segment = new SpilledSegment(this.#context, this.#file, {
        ...seal,
        diskBytes: this.diskBytes,
        largestBatchBytes: this.#largestBatchBytes,
        largestFrameBytes: this.#largestFrameBytes,
        isCompressed: this.#isCompressed,
      });
      this.#context.members.delete(this);
      this.#context.members.add(segment);
      return segment;
    });
  }

  /** Ends what is under way and, unless it is or has been finished, removes the file. Twice is safe, never throws. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#finishing) this.#state = 'gone';
    await this.#turn;
    await this.#writing;
    if (this.#state !== 'finished') await this.#giveUp();
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#queued++;
    const result = this.#turn.then(async () => {
      try {
        this.#check();
        return await work();
      } finally {
        if (this.#failure !== undefined) await this.#giveUp();
        this.#queued--;
      }
    });
    this.#turn = result.catch(() => {});
    return result;
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.cause;
    if (this.#state !== 'open') throw new DisposedError('segment writer');
  }

  /** Most batches go into the buffer that is being filled, without a wait. False, and nothing is done, where that cannot be. */
  #appendAtOnce(pieces: readonly Uint8Array[], bytes: number): boolean {
    const isBusy = this.#queued > 0 || this.#state !== 'open' || this.#failure !== undefined;
    const frameBytes = FRAME_HEADER_BYTES + bytes;
    // Not to the brim: then it has to be sent off.
    if (isBusy || this.#filled + frameBytes >= this.#filling.byteLength) return false;
    if (this.#context.codec.name !== 'none' || !this.#context.tryTake(frameBytes, 0)) return false;
    this.#file.add(frameBytes);
    const header = this.#headerOf(pieces, bytes, bytes, false);
    this.#filling.set(header, this.#filled);
    this.#filled += header.byteLength;
    for (const piece of pieces) {
      this.#filling.set(piece, this.#filled);
      this.#filled += piece.byteLength;
    }
    this.#count(bytes, frameBytes, false);
    return true;
  }

  async #append(payload: readonly Uint8Array[], rawBytes: number, isCompressed: boolean): Promise<void> {
    const storedBytes = byteLengthOf(payload);
    const frameBytes = FRAME_HEADER_BYTES + storedBytes;
    if (!(await this.#context.take(frameBytes, 0))) throw new SpillQuotaError(this.#context.refusal(frameBytes));
    this.#file.add(frameBytes);
    // Given up meanwhile.
    this.#check();
    await this.#push(this.#headerOf(payload, storedBytes, rawBytes, isCompressed));
    for (const piece of payload) await this.#push(piece);
    this.#count(rawBytes, frameBytes, isCompressed);
  }

  #headerOf(payload: readonly Uint8Array[], storedBytes: number, rawBytes: number, isCompressed: boolean): Buffer {
    const codec = isCompressed ? this.#context.codec.name : 'none';
    const place = { low: this.#batchCount, high: this.#file.number };
    writeFrameHeader(this.#header, { kind: 'batch', codec, storedBytes, rawBytes, ...place }, payload);
    return this.#header;
  }

  #count(rawBytes: number, frameBytes: number, isCompressed: boolean): void {
    this.#batchCount++;
    this.#rawBytes += rawBytes;
    this.#largestBatchBytes = Math.max(this.#largestBatchBytes, rawBytes);
    this.#largestFrameBytes = Math.max(this.#largestFrameBytes, frameBytes);
    this.#isCompressed ||= isCompressed;
    this.#context.noteWritten(rawBytes);
  }

  async #push(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.byteLength; ) {
      const room = this.#filling.byteLength - this.#filled;
      const piece = from === 0 && bytes.byteLength <= room ? bytes : bytes.subarray(from, from + room);
      this.#filling.set(piece, this.#filled);
      this.#filled += piece.byteLength;
      from += piece.byteLength;
      if (this.#filled === this.#filling.byteLength) await this.#flush();
    }
  }

  /** Sends the buffer off when the other has come back. */
  async #flush(): Promise<void> {
    await this.#written();
    const piece = this.#filling.subarray(0, this.#filled);
    this.#writing = this.#file.write([piece], this.#position).catch((cause: unknown) => {
      this.#failure ??= { cause };
    });
    [this.#filling, this.#other] = [this.#other, this.#filling];
    this.#position += this.#filled;
    this.#filled = 0;
  }

  async #written(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure.cause;
  }

  async #giveUp(): Promise<void> {
    this.#state = 'gone';
    await this.#writing;
    this.#free();
    await this.#file.remove();
    this.#context.members.delete(this);
  }

  #free(): void {
    for (const buffer of [this.#filling, this.#other]) if (buffer.byteLength > 0) freeBuffer(buffer);
    this.#filling = this.#other = NOTHING;
    this.#held[Symbol.dispose]();
  }
}

const NOTHING = Buffer.alloc(0);

function byteLengthOf(pieces: readonly Uint8Array[]): number {
  let bytes = 0;
  if (!Array.isArray(pieces)) throw invalidOption('batch', 'bytes, or several pieces of them', pieces);
  for (const piece of pieces) {
    if (!(piece instanceof Uint8Array)) throw invalidOption('batch', 'bytes, or several pieces of them', piece);
    bytes += piece.byteLength;
  }
  return bytes;
}
