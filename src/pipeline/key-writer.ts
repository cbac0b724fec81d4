import { RecordTooLargeError } from './operator-errors.ts';

/** Which way a part of a key sorts. */
export type KeyOrder = 'ascending' | 'descending';

const FIRST_BYTES = 1_024;
/** The most bytes of UTF-8 for a unit of UTF-16, and what ends a part. */
const UTF8_PER_UNIT = 3;
const END_BYTES = 2;
const ESCAPE = 0xff;

/** What a key writer has at first, bytes; more is asked for when a key needs it. */
export const KEY_WRITER_BYTES = FIRST_BYTES;

/**
 * Where a key of a record is written, part by part, the most significant first. Keys are compared byte by byte, the shorter first where one begins with the other; each
 * part is written so that this order is the order of its values, and so that no value of a part runs into the next: `('a', 'bc')` is not `('ab', 'c')`.
 *
 * Texts and bytes end with two bytes, and a zero in them takes two (as in FoundationDB's tuples); numbers are big-endian with their sign turned. A part that is
 * `descending` has its bytes inverted.
 * @example
 * import { sortRecords } from 'plimsoll/pipeline';
 * const byNameThenNewest = sortRecords({
 *   name: 'Sorting',
 *   memory: { maxBytes: 32 * 2 ** 20 },
 *   key: (batch, index, into) => {
 *     const record = JSON.parse(batch.record(index).toString());
 *     into.text(record.name);
 *     into.float64(record.addedAt, 'descending');
 *   },
 * });
 */
export class KeyWriter {
  readonly maxBytes: number;
  /** The key is the first `length` bytes. Not for use from outside. */
  buffer: Buffer<ArrayBuffer>;
  length = 0;
  /** That what the key needs was refused, and so it is not whole. Not for use from outside. */
  wasRefused = false;
  #view: DataView;
  readonly #onGrow: ((bytes: number) => void) | undefined;

  /** `maxBytes` is the longest key. `onGrow` is told before it takes more than 1,024 bytes; what it throws ends the key. */
  constructor(maxBytes: number, onGrow?: (bytes: number) => void) {
    this.maxBytes = maxBytes;
    this.buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
    this.#view = new DataView(this.buffer.buffer);
    this.#onGrow = onGrow;
  }

  reset(): void {
    this.wasRefused = false;
    this.length = 0;
  }

  /** A text, by code points: as UTF-8. What is no character (half of a pair) sorts as U+FFFD. */
  text(value: string, order: KeyOrder = 'ascending'): void {
    const units = value.length;
    this.#need(units + END_BYTES);
    const { buffer, length: from } = this;
    let at = from;
    for (let index = 0; index < units; index++) {
      const code = value.charCodeAt(index);
      // Zero has to be escaped and the rest encoded: the long way.
      if (code === 0 || code > 0x7f) {
        this.#encoded(value, order);
        return;
      }
      buffer[at++] = code;
    }
    this.#end(from, at, order);
  }

  /** Bytes of any length: a part of a buffer, without a copy. */
  bytes(source: Uint8Array, start = 0, end = source.byteLength, order: KeyOrder = 'ascending'): void {
    this.#need(end - start + END_BYTES);
    const from = this.length;
    const { buffer } = this;
    let at = from;
    for (let index = start; index < end; index++) {
      const byte = source[index]!;
      if (byte === 0) {
        this.#escaped(source, start, end, order);
        return;
      }
      buffer[at++] = byte;
    }
    this.#end(from, at, order);
  }

  /**
   * Bytes as they are, with nothing to end them: for what has the same length in every record (a digest), or for the last part of a key. Nothing is shorter. A last
   * part of different lengths cannot be `descending`.
   */
  fixed(source: Uint8Array, start = 0, end = source.byteLength, order: KeyOrder = 'ascending'): void {
    this.#need(end - start);
    const { buffer, length: from } = this;
    let at = from;
    for (let index = start; index < end; index++) buffer[at++] = source[index]!;
    this.#done(from, at, order);
  }

  /** A whole number from 0 to 4,294,967,295. */
  uint32(value: number, order: KeyOrder = 'ascending'): void {
    this.#need(4);
    const from = this.length;
    this.#view.setUint32(from, value);
    this.#done(from, from + 4, order);
  }

  /** Any number, by value: -0 is 0, and what is no number comes behind `Infinity`. */
  float64(value: number, order: KeyOrder = 'ascending'): void {
    this.#need(8);
    const from = this.length;
    const view = this.#view;
    view.setFloat64(from, Number.isNaN(value) ? Number.NaN : value + 0);
    const high = view.getUint32(from);
    if (high < 0x8000_0000 || Number.isNaN(value)) {
      view.setUint32(from, (high | 0x8000_0000) >>> 0);
    } else {
      view.setUint32(from, ~high >>> 0);
      view.setUint32(from + 4, ~view.getUint32(from + 4) >>> 0);
    }
    this.#done(from, from + 8, order);
  }

  #encoded(value: string, order: KeyOrder): void {
    const from = this.length;
    const zeros = countZeros(value);
    this.#need(value.length * UTF8_PER_UNIT + zeros + END_BYTES);
    const written = this.buffer.write(value, from, 'utf8');
    this.#escape(from, from + written, zeros, order);
  }

  #escaped(source: Uint8Array, start: number, end: number, order: KeyOrder): void {
    let zeros = 0;
    for (let index = start; index < end; index++) if (source[index] === 0) zeros++;
    this.#need(end - start + zeros + END_BYTES);
    const from = this.length;
    this.buffer.set(source.subarray(start, end), from);
    this.#escape(from, from + end - start, zeros, order);
  }

  /** Puts 0xFF behind each of so many zeros, from behind. */
  #escape(from: number, to: number, zeros: number, order: KeyOrder): void {
    const { buffer } = this;
    let into = to + zeros;
    for (let at = to - 1; into > at + 1; at--) {
      const byte = buffer[at]!;
      if (byte === 0) buffer[--into] = ESCAPE;
      buffer[--into] = byte;
    }
    this.#end(from, to + zeros, order);
  }

  #end(from: number, at: number, order: KeyOrder): void {
    const { buffer } = this;
    buffer[at] = 0;
    buffer[at + 1] = 0;
    this.#done(from, at + END_BYTES, order);
  }

  #done(from: number, to: number, order: KeyOrder): void {
    const { buffer } = this;
    if (order === 'descending') for (let at = from; at < to; at++) buffer[at] = buffer[at]! ^ 0xff;
    this.length = to;
  }

  #need(bytes: number): void {
    const to = this.length + bytes;
    if (to <= this.buffer.length) return;
    const size = Math.min(this.maxBytes, Math.max(to, 2 * this.buffer.length));
    if (to > size) throw new RecordTooLargeError('a key', this.maxBytes);
    try {
      this.#onGrow?.(size - this.buffer.length);
    } catch (error) {
      this.wasRefused = true;
      throw error;
    }
    const grown = Buffer.allocUnsafeSlow(size);
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
    this.#view = new DataView(grown.buffer);
  }
}

function countZeros(value: string): number {
  let zeros = 0;
  for (let index = 0; index < value.length; index++) if (value.charCodeAt(index) === 0) zeros++;
  return zeros;
}
