/**
 * Records for the stage `grouping`: what is to be brought in order, behind the key to do it by. All numbers 32 bits, little endian:
 *
 *      0  id: 0, 1, 2, ... in the order in which they come; must come back as it is
 *      4  length of the key
 *      8  the key (the group, empty for a channel without), then anything
 *
 * Out come the same records by key, compared byte by byte, a key before those that begin with it; records of one key as they came. The native stage is the operator
 * `sortRecords` with `groupingKey`.
 */
import type { RecordBatch, RecordKey } from 'plimsoll/pipeline';
import { PluginAnswerError } from './plugin-answer-error.ts';

export const KEYED_HEAD_BYTES = 8;

/** Bytes of the record. */
export function keyedRecordBytes(keyBytes: number, restBytes: number): number {
  return KEYED_HEAD_BYTES + keyBytes + restBytes;
}

/** Writes id and length of the key at `at`; returns where the key goes. */
export function writeKeyedHead(into: Buffer, at: number, id: number, keyBytes: number): number {
  into.writeUInt32LE(id, at);
  return into.writeUInt32LE(keyBytes, at + 4);
}

/** Where the key of a record ends; it begins `KEYED_HEAD_BYTES` after `start`. What follows is the rest. */
export function keyEnd(bytes: Buffer, start: number): number {
  return start + KEYED_HEAD_BYTES + bytes.readUInt32LE(start + 4);
}

/** The order, for `sortRecords`. */
export const groupingKey: RecordKey = (batch, index, into) => {
  const start = batch.start(index);
  into.bytes(batch.bytes, start + KEYED_HEAD_BYTES, keyEnd(batch.bytes, start));
};

/**
 * Proves that what came out is what went in, in the right order: tells every record as it goes to the plugin, and every one that comes back. Holds two numbers and the last
 * key, whatever the number of records. Looks at each byte once, in and out.
 */
export class GroupingProof {
  #idsIn = 0;
  #sum = 0;
  #mix = 0;
  #idsOut = 0;
  #sumOut = 0;
  #mixOut = 0;
  #lastKey = Buffer.alloc(64);
  #lastKeyBytes = -1;
  #lastId = -1;

  /** Notes what goes to the plugin. Throws `RangeError` unless ids go up from 0 one by one. */
  noteIn(batch: RecordBatch): void {
    for (let i = 0; i < batch.count; i++) this.noteRecordIn(batch.bytes, batch.start(i), batch.end(i));
  }

  /** Notes what came back. Throws `PluginAnswerError` as soon as it is out of order or damaged. */
  noteOut(batch: RecordBatch): void {
    for (let i = 0; i < batch.count; i++) this.noteRecordOut(batch.bytes, batch.start(i), batch.end(i));
  }

  /** As `noteIn`, of one record. */
  noteRecordIn(bytes: Buffer, start: number, end: number): void {
    const id = bytes.readUInt32LE(start);
    if (id !== this.#idsIn) throw new RangeError(`Expected id ${this.#idsIn}, got \`${id}\``);
    const hash = hashOf(bytes, start, end);
    this.#sum = (this.#sum + hash) % Number.MAX_SAFE_INTEGER;
    this.#mix = (this.#mix + Math.imul(hash, id | 1)) | 0;
    this.#idsIn++;
  }

  /** As `noteOut`, of one record. */
  noteRecordOut(bytes: Buffer, start: number, end: number): void {
    if (end - start < KEYED_HEAD_BYTES || keyEnd(bytes, start) > end)
      throw new PluginAnswerError('a record with a key longer than itself');
    const id = bytes.readUInt32LE(start);
    this.#noteKey(bytes, start + KEYED_HEAD_BYTES, keyEnd(bytes, start), id);
    const hash = hashOf(bytes, start, end);
    this.#sumOut = (this.#sumOut + hash) % Number.MAX_SAFE_INTEGER;
    this.#mixOut = (this.#mixOut + Math.imul(hash, id | 1)) | 0;
    this.#idsOut++;
  }

  /** Throws `PluginAnswerError` unless everything came back. */
  end(): void {
    if (this.#idsOut !== this.#idsIn)
      throw new PluginAnswerError(`${this.#idsOut} records where ${this.#idsIn} were sent`);
    if (this.#sumOut !== this.#sum || this.#mixOut !== this.#mix)
      throw new PluginAnswerError('records that are not those that were sent');
  }

  #noteKey(bytes: Buffer, start: number, end: number, id: number): void {
    const last = this.#lastKeyBytes;
    const order = last < 0 ? -1 : this.#lastKey.compare(bytes, start, end, 0, last);
    if (order > 0 || (order === 0 && id <= this.#lastId)) throw new PluginAnswerError(`record ${id} is out of order`);
    this.#lastId = id;
    if (order === 0) return;
    if (end - start > this.#lastKey.length) this.#lastKey = Buffer.alloc(2 * (end - start));
    bytes.copy(this.#lastKey, 0, start, end);
    this.#lastKeyBytes = end - start;
  }
}

/** FNV-1a over four bytes at a time, mixed at the end; enough to tell damage from none, no match for who wants to deceive. */
function hashOf(bytes: Buffer, start: number, end: number): number {
  let hash = 0x811c_9dc5 ^ (end - start);
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const four = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash = Math.imul(hash ^ four, 0x0100_0193);
    hash ^= hash >>> 15;
  }
  for (; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x0100_0193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
