import type { SpilledSegment } from '../spill/index.ts';
import { keyNumber } from './key-order.ts';
import { RunCursor } from './run-cursor.ts';

/** Reads a segment of a run writer, a block at a time. Whoever made it disposes it. */
export class SegmentCursor extends RunCursor {
  readonly #blocks: AsyncGenerator<Buffer, void, undefined>;
  #at = 0;

  constructor(segment: SpilledSegment, options: { readonly bufferBytes: number; readonly signal: AbortSignal }) {
    super();
    this.#blocks = segment.read(options);
  }

  override advance(): boolean {
    const { bytes } = this;
    let at = this.#at;
    if (at >= bytes.length) return false;
    let keyBytes = bytes[at++]!;
    if (keyBytes > 0x7f) {
      keyBytes &= 0x7f;
      for (let shift = 7, byte = 0x80; byte > 0x7f; shift += 7) {
        byte = bytes[at++]!;
        keyBytes |= (byte & 0x7f) << shift;
      }
    }
    let recordBytes = bytes[at++]!;
    if (recordBytes > 0x7f) {
      recordBytes &= 0x7f;
      for (let shift = 7, byte = 0x80; byte > 0x7f; shift += 7) {
        byte = bytes[at++]!;
        recordBytes |= (byte & 0x7f) << shift;
      }
    }
    this.keyStart = at;
    this.keyEnd = at += keyBytes;
    this.end = this.#at = at + recordBytes;
    this.number = keyNumber(bytes, this.keyStart, this.keyEnd);
    return true;
  }

  override async fill(): Promise<void> {
    const next = await this.#blocks.next();
    if (next.done === true) {
      this.number = Number.POSITIVE_INFINITY;
      return;
    }
    this.bytes = next.value;
    this.#at = 0;
    this.advance();
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.#blocks.return();
  }
}
