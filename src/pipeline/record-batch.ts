import { checkWhole } from '../invalid-option.ts';
import type { Batch } from './batch.ts';

/** Bytes before each record in the wire form of a batch: its length, 32 bits, little endian. */
export const RECORD_FRAME_BYTES = 4;
/** Places are 32 bits. */
const MOST = 2 ** 32 - 1;

/**
 * Records as bytes in one buffer, one behind the other: record `i` is `bytes[start(i) .. end(i))`. The batch that operators, segments and plugins work on:
 * no object for each record. Filled anew again and again; a record is valid until then.
 *
 * Its wire form, on the disk and to a plugin, is each record behind its length (`RECORD_FRAME_BYTES`), in order, nothing else.
 */
export class RecordBatch implements Batch {
  readonly bytes: Buffer<ArrayBuffer>;
  /** Where each record ends in `bytes`; the first `count` count. */
  readonly ends: Uint32Array<ArrayBuffer>;
  count = 0;

  /** Room for so many bytes and records, each 1 to 4,294,967,295: else `RangeError`. Allocates both: reserve `RecordBatch.bytesFor` first. */
  constructor(maxBytes: number, maxRecords: number) {
    checkWhole('maxBytes', maxBytes, 1, MOST);
    checkWhole('maxRecords', maxRecords, 1, MOST);
    this.bytes = Buffer.allocUnsafeSlow(maxBytes);
    this.ends = new Uint32Array(maxRecords);
  }

  /** What a batch of that size costs. */
  static bytesFor(maxBytes: number, maxRecords: number): number {
    return maxBytes + 4 * maxRecords;
  }

  get byteLength(): number {
    return this.bytes.byteLength + this.ends.byteLength;
  }

  get itemCount(): number {
    return this.count;
  }

  /** Bytes of all records in it. */
  get usedBytes(): number {
    return this.start(this.count);
  }

  start(index: number): number {
    return index === 0 ? 0 : this.ends[index - 1]!;
  }

  end(index: number): number {
    return this.ends[index]!;
  }

  /** A window on a record, not a copy. Makes an object: for the few, not for the many. */
  record(index: number): Buffer {
    return this.bytes.subarray(this.start(index), this.end(index));
  }

  /** Copies a record in behind the others; false, and nothing is done, when it does not fit. */
  tryPush(source: Uint8Array, start = 0, end = source.byteLength): boolean {
    const at = this.usedBytes;
    const to = at + end - start;
    if (this.count === this.ends.length || to > this.bytes.length) return false;
    // A loop beats what Node has for short records. `copy` makes no view of what it takes, as `set` needs one.
    if (end - start < 32) for (let from = start, into = at; from < end; ) this.bytes[into++] = source[from++]!;
    else Buffer.prototype.copy.call(source, this.bytes, at, start, end);
    this.ends[this.count++] = to;
    return true;
  }

  clear(): void {
    this.count = 0;
  }

  /** Bytes of the wire form. */
  get wireBytes(): number {
    return this.usedBytes + RECORD_FRAME_BYTES * this.count;
  }

  /** Writes the wire form to `target` from `at` on, and returns where it ends. It must fit: `wireBytes`. */
  writeWire(target: Buffer, at = 0): number {
    for (let index = 0; index < this.count; index++) {
      const start = this.start(index);
      const end = this.end(index);
      target.writeUInt32LE(end - start, at);
      at += RECORD_FRAME_BYTES;
      at += this.bytes.copy(target, at, start, end);
    }
    return at;
  }
}
