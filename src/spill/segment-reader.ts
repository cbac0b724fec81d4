/**
 * Batches out of a sealed segment, one after the other, through one buffer that holds the largest of them and no less than is read at once. Everything is judged before it is believed: a header by itself, before its payload is
 * read; lengths by what is known of the segment, before anything is allocated for them; the payload by its sum; and at the end the trailer, by what was read.
 */
import { type FrameCodec, freeBuffer, freeChunk } from './frame-codec.ts';
import {
  codecAt,
  FRAME_HEADER_BYTES,
  FRAME_KINDS,
  type FrameExpectation,
  headerFault,
  isIntact,
  kindAt,
  rawBytesAt,
  type SegmentSeal,
  type SpillFault,
  sealAt,
  storedBytesAt,
  TRAILER_BYTES,
  TRAILER_PAYLOAD_BYTES,
} from './frame-format.ts';

/** What is known of a segment from writing it. */
export interface SegmentFacts extends SegmentSeal {
  /** The whole file. */
  readonly diskBytes: number;
  readonly largestBatchBytes: number;
  /** On the disk, with its header. */
  readonly largestFrameBytes: number;
  /** Whether there is a batch in it that is. */
  readonly isCompressed: boolean;
}

/** Where a segment is read from. */
export interface SegmentSource {
  /** Of the segment: stands in all its headers. */
  readonly number: number;
  /** Up to `length` bytes; 0 at the end. */
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number>;
  /** The error for a fault at a byte of the file. */
  corrupt(offset: number, fault: SpillFault): Error;
}

/** The buffer that a reader needs: for what it is to read at once, or the largest frame, and no more than the whole. */
export function readerBufferBytes(facts: SegmentFacts, bufferBytes: number): number {
  const atOnce = Math.min(bufferBytes, facts.diskBytes + 1);
  return Math.max(atOnce, facts.largestFrameBytes, TRAILER_BYTES);
}

/** One pass through a segment. Whoever made it frees it. */
export class SegmentReader implements Disposable {
  readonly #source: SegmentSource;
  readonly #facts: SegmentFacts;
  readonly #codec: FrameCodec;
  readonly #expected: { -readonly [K in keyof FrameExpectation]: FrameExpectation[K] };
  #buffer: Buffer;
  /** What is in the buffer, and where in the file that begins. */
  #from = 0;
  #to = 0;
  #position = 0;
  #batchCount = 0;
  #rawBytes = 0;
  #restored: Buffer | undefined;
  #ended = false;

  constructor(source: SegmentSource, facts: SegmentFacts, codec: FrameCodec, bufferBytes: number) {
    this.#source = source;
    this.#facts = facts;
    this.#codec = codec;
    this.#buffer = Buffer.allocUnsafeSlow(bufferBytes);
    this.#expected = {
      kind: 'batch',
      codec: facts.isCompressed ? codec.name : 'none',
      low: 0,
      high: source.number,
      minRawBytes: 0,
      maxRawBytes: facts.largestBatchBytes,
    };
  }

  /** The next batch, valid until it is asked again; undefined when the trailer has been found and is right. Throws what `source.corrupt` gives and what `source.read` throws. */
  async next(): Promise<Buffer | undefined> {
    this.#freeRestored();
    if (this.#ended) return undefined;
    await this.#need(FRAME_HEADER_BYTES);
    if (kindAt(this.#buffer, this.#from) === FRAME_KINDS.trailer) {
      await this.#readTrailer();
      return undefined;
    }
    const storedBytes = this.#checkHeader();
    await this.#need(FRAME_HEADER_BYTES + storedBytes);
    if (!isIntact(this.#buffer, this.#from, storedBytes)) throw this.#corrupt('checksum');
    const batch = await this.#payload(storedBytes);
    this.#pass(FRAME_HEADER_BYTES + storedBytes);
    this.#batchCount++;
    this.#rawBytes += batch.byteLength;
    return batch;
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    this.#freeRestored();
    if (this.#buffer.byteLength > 0) freeBuffer(this.#buffer);
    this.#buffer = NOTHING;
  }

  #checkHeader(): number {
    this.#expected.low = this.#batchCount;
    const fault = headerFault(this.#buffer, this.#from, this.#expected);
    if (fault !== undefined) throw this.#corrupt(fault);
    const storedBytes = storedBytesAt(this.#buffer, this.#from);
    if (FRAME_HEADER_BYTES + storedBytes > this.#facts.largestFrameBytes) throw this.#corrupt('length');
    return storedBytes;
  }

  async #payload(storedBytes: number): Promise<Buffer> {
    const at = this.#from + FRAME_HEADER_BYTES;
    const stored = this.#buffer.subarray(at, at + storedBytes);
    if (codecAt(this.#buffer, this.#from) === 'none') return stored;
    const raw = await this.#codec.restore(stored, rawBytesAt(this.#buffer, this.#from));
    if (raw === undefined) throw this.#corrupt('content');
    this.#restored = raw;
    return raw;
  }

  async #readTrailer(): Promise<void> {
    const fault = headerFault(this.#buffer, this.#from, {
      ...this.#expected,
      kind: 'trailer',
      codec: 'none',
      low: this.#batchCount,
      minRawBytes: TRAILER_PAYLOAD_BYTES,
      maxRawBytes: TRAILER_PAYLOAD_BYTES,
    });
    if (fault !== undefined) throw this.#corrupt(fault);
    await this.#need(TRAILER_BYTES);
    if (!isIntact(this.#buffer, this.#from, TRAILER_PAYLOAD_BYTES)) throw this.#corrupt('checksum');
    const said = sealAt(this.#buffer, this.#from);
    const read = { batchCount: this.#batchCount, rawBytes: this.#rawBytes, bytesBefore: this.#position };
    for (const seal of [said, read]) if (!isSameSeal(seal, this.#facts)) throw this.#corrupt('trailer');
    this.#pass(TRAILER_BYTES);
    if (this.#to > this.#from) throw this.#corrupt('surplus');
    this.#ended = true;
  }

  /** Has so many bytes in the buffer in one piece, and more where they come along. */
  async #need(bytes: number): Promise<void> {
    if (this.#to - this.#from >= bytes) return;
    if (this.#from + bytes > this.#buffer.byteLength) {
      this.#buffer.copyWithin(0, this.#from, this.#to);
      this.#to -= this.#from;
      this.#from = 0;
    }
    while (this.#to - this.#from < bytes) {
      const at = this.#position + this.#to - this.#from;
      // One byte more than there should be, to see that there is none.
      const most = Math.max(0, this.#facts.diskBytes + 1 - at);
      const length = Math.min(most, this.#buffer.byteLength - this.#to);
      const read = length === 0 ? 0 : await this.#source.read(this.#buffer, this.#to, length, at);
      if (read <= 0) throw this.#corrupt('short');
      this.#to += read;
    }
  }

  #pass(bytes: number): void {
    this.#from += bytes;
    this.#position += bytes;
  }

  #corrupt(fault: SpillFault): Error {
    this.#ended = true;
    return this.#source.corrupt(this.#position, fault);
  }

  #freeRestored(): void {
    const restored = this.#restored;
    this.#restored = undefined;
    if (restored !== undefined) freeChunk(restored, restored.byteLength);
  }
}

const NOTHING = Buffer.alloc(0);

function isSameSeal(a: SegmentSeal, b: SegmentSeal): boolean {
  return a.batchCount === b.batchCount && a.rawBytes === b.rawBytes && a.bytesBefore === b.bytesBefore;
}
