/**
 * The channels that were kept, as records: on their way from packing to the spool in batches, and on disk between the pass that reads the sources and the
 * pass that writes the playlist, since numbers and guide ids are known only when every source and every guide has been seen, and a million
 * channels do not fit in memory.
 *
 * A record: 76 bytes (little endian), then eight runs of bytes: id, name, head (lines before, `#EXTINF:-1`), tail (attributes, name, lines after, URL), label,
 * original id, tvg-name, group. The playlist writer puts `tvg-id` and `tvg-chno` between head and tail.
 *
 *      0  u32  length of the whole record          16  u32  length of the name
 *      4  u32  channel number, 0 = none yet        20  u32  length of the head
 *      8  u32  number of the source, from 0        24  u32  length of the tail
 *     12  u32  length of the id                    28  u32  length of the label that stands for a number
 *
 *     32  what the guide matching noted (`MATCH_BYTES`). Up to numbering, something else stands there and at 4:
 *      4  u32  the number it wishes to have, 0 = none, `NO_NUMBER` = what it brings is none
 *     32  96 bits of URL and name, by which duplicates are known (`KEY_AT`)
 *     44  u32  length of the id as it was before a rule changed it, 0 = none did
 *     48  u32  length of the tvg-name, `AS_NAME` = the same as the name. Both are 0 where there is no guide.
 *
 *     72  u32  length of the group, 0 where the playlist is not sorted by it
 */
import type { Consumer, Reservation } from 'plimsoll';
import type { FileSink } from '../output/file-sink.ts';
import { wordAt } from './words.ts';

export const MATCH_AT = 32;
export const MATCH_BYTES = 40;
export const GROUP_LENGTH_AT = MATCH_AT + MATCH_BYTES;
export const RECORD_HEAD = GROUP_LENGTH_AT + 4;
export const NUMBER_AT = 4;
export const LABEL_LENGTH_AT = 28;
/** Where the key of duplicates stands up to numbering, and how long it is. */
export const KEY_AT = 32;
export const KEY_BYTES = 12;
export const ORIGINAL_LENGTH_AT = 44;
export const TVG_NAME_LENGTH_AT = 48;
export const NO_NUMBER = 0xffff_ffff;
export const AS_NAME = 0xffff_ffff;

/** One record as a window on the reader's buffer, valid until the next one. */
export class SpoolRecord {
  buffer: Buffer = Buffer.alloc(0);
  /** Where the record begins in `buffer`, and in the spool. */
  at = 0;
  position = 0;
  number = 0;
  sourceIndex = 0;
  idStart = 0;
  nameStart = 0;
  headStart = 0;
  tailStart = 0;
  labelStart = 0;
  /** Behind the label. */
  end = 0;

  read(buffer: Buffer, at: number): this {
    this.buffer = buffer;
    this.at = at;
    this.number = wordAt(buffer, at + NUMBER_AT);
    this.sourceIndex = wordAt(buffer, at + 8);
    this.idStart = at + RECORD_HEAD;
    this.nameStart = this.idStart + wordAt(buffer, at + 12);
    this.headStart = this.nameStart + wordAt(buffer, at + 16);
    this.tailStart = this.headStart + wordAt(buffer, at + 20);
    this.labelStart = this.tailStart + wordAt(buffer, at + 24);
    this.end = this.labelStart + wordAt(buffer, at + LABEL_LENGTH_AT);
    return this;
  }
}

/** Reads the records back in order through one buffer, which is reserved from `consumer`. The caller disposes. */
export class SpoolReader implements Disposable {
  readonly #spool: FileSink;
  readonly #sizeBytes: number;
  readonly #reservation: Reservation;
  readonly #buffer: Buffer;
  readonly #record = new SpoolRecord();
  #have = 0;
  #at = 0;
  #position = 0;

  /** `largestRecordBytes` of the spool: the buffer is as large, and at least 256 KiB. */
  constructor(spool: FileSink, largestRecordBytes: number, consumer: Consumer) {
    const bufferBytes = Math.max(256 * 1024, largestRecordBytes);
    this.#spool = spool;
    this.#sizeBytes = spool.sizeBytes;
    this.#reservation = consumer.reserve(bufferBytes);
    this.#buffer = Buffer.allocUnsafeSlow(bufferBytes);
  }

  /** Makes sure a whole record is there; false at the end. Then call `take` until it gives nothing. */
  async fill(): Promise<boolean> {
    this.#buffer.copyWithin(0, this.#at, this.#have);
    this.#have -= this.#at;
    this.#at = 0;
    while (this.#have < this.#buffer.length && this.#position < this.#sizeBytes) {
      const read = await this.#spool.readBack(
        this.#buffer,
        this.#have,
        this.#buffer.length - this.#have,
        this.#position,
      );
      if (read === 0) break;
      this.#have += read;
      this.#position += read;
    }
    return this.#have > 0;
  }

  /** The next whole record in the buffer, undefined when it must be filled again. */
  take(): SpoolRecord | undefined {
    const at = this.pass();
    if (at < 0) return undefined;
    const record = this.#record.read(this.#buffer, at);
    record.position = this.#position - this.#have + at;
    return record;
  }

  /** Goes past the next whole record without reading more than its length; returns where it stands in `buffer`, -1 when that must be filled again. */
  pass(): number {
    const at = this.#at;
    const left = this.#have - at;
    if (left < RECORD_HEAD) return -1;
    const length = wordAt(this.#buffer, at);
    if (left < length) return -1;
    this.#at = at + length;
    return at;
  }

  /** Goes back to the record that `take` would have given when `mark` was called, in the same buffer. */
  rewind(mark: number): void {
    this.#at = mark;
  }

  get mark(): number {
    return this.#at;
  }

  /** Valid until it is filled again. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  [Symbol.dispose](): void {
    this.#reservation[Symbol.dispose]();
  }
}
