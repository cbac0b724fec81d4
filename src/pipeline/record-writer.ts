import { invalidOption } from '../invalid-option.ts';
import { RecordTooLargeError } from './operator-errors.ts';

/** What a record costs besides its bytes. */
const END_BYTES = 4;
/** From there on `copy` beats a loop. */
const LONG_COPY = 32;

/** Where a callback writes records: their bytes in pieces, then `end` after each. What was not ended when the callback returns is an error (`PLIMSOLL_INVALID_OPTION`). */
export class RecordWriter {
  readonly #maxBytes: number;
  /** Not for use from outside. */
  readonly buffer: Buffer<ArrayBuffer>;
  /** Where records end in the buffer. Not for use from outside. */
  readonly ends: number[] = [];
  #length = 0;

  /** Allocates `maxBytes`, the most that one callback writes: reserve them first. Each record takes four of them besides its own. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.buffer = Buffer.allocUnsafeSlow(maxBytes);
  }

  bytes(source: Uint8Array, start = 0, end = source.byteLength): void {
    this.#need(end - start);
    const into = this.buffer;
    let at = this.#length;
    if (end - start < LONG_COPY) for (let from = start; from < end; ) into[at++] = source[from++]!;
    else Buffer.prototype.copy.call(source, into, at, start, end);
    this.#length += end - start;
  }

  /** As UTF-8. */
  text(value: string): void {
    this.#need(Buffer.byteLength(value));
    this.#length += this.buffer.write(value, this.#length, 'utf8');
  }

  /** Four bytes, little endian. */
  uint32(value: number): void {
    this.#need(4);
    this.#length = this.buffer.writeUInt32LE(value, this.#length);
  }

  /** Eight bytes, little endian. */
  float64(value: number): void {
    this.#need(8);
    this.#length = this.buffer.writeDoubleLE(value, this.#length);
  }

  /** The record is whole. */
  end(): void {
    this.#need(END_BYTES);
    this.ends.push(this.#length);
  }

  /** Throws where bytes are left that belong to no record. `option` and `callback` are who wrote them. Not for use from outside. */
  checkEnded(option: string, callback: unknown): void {
    const left = this.#length - (this.ends.at(-1) ?? 0);
    if (left === 0) return;
    const expected = `a function that ends each record with \`into.end()\`, and leaves no ${left} bytes without`;
    throw invalidOption(option, expected, callback);
  }

  /** Not for use from outside. */
  reset(): void {
    this.#length = 0;
    this.ends.length = 0;
  }

  #need(bytes: number): void {
    if (this.#length + END_BYTES * this.ends.length + bytes <= this.#maxBytes) return;
    throw new RecordTooLargeError('what was written for one group or pair', this.#maxBytes, 'maxResultBytes');
  }
}
