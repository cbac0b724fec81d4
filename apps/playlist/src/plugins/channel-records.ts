/**
 * Channel records, version 1: how channels are sent to plugins. A record, all numbers 32 bits, little endian:
 *
 *      0  id: opaque, must come back as it is
 *      4  length of each field in the order of `CHANNEL_FIELDS`; `FIELD_ABSENT` when the channel has none, `FIELD_NOT_SENT` when the stage does not show it
 *     36  the bytes of the fields, UTF-8, one behind the other; then up to three zeros, so that every record begins at a multiple of four
 *
 * A batch is each record behind its length (the wire form of `RecordBatch`). What comes back is described with `applyChannels`, and for who writes plugins in
 * PLUGINS.md.
 */
import type { Consumer, Reservation } from 'plimsoll';
import { CHANNEL_FIELDS, Column, type EntryBatch, FIELD_COUNT, Flag, ROW } from '../channels/entry-batch.ts';

export const FIELD_ABSENT = 0xffff_ffff;
export const FIELD_NOT_SENT = 0xffff_fffe;
/** Id and eight lengths. */
export const CHANNEL_HEAD_BYTES = 4 + 4 * FIELD_COUNT;
/** Bit n stands for field n of `CHANNEL_FIELDS`. */
export const ALL_CHANNEL_FIELDS = (1 << CHANNEL_FIELDS.length) - 1;

const FRAME_WORDS = 1;
const HEAD_WORDS = CHANNEL_HEAD_BYTES / 4;
/** From here on a native copy is cheaper than four bytes at a time. */
const LONG_COPY = 192;

/** Bytes that `encodeChannels` takes for this batch. O(rows). */
export function channelRecordsBytes(batch: EntryBatch, fields = ALL_CHANNEL_FIELDS): number {
  const { table } = batch;
  const shown = numbersOf(fields);
  let bytes = 0;
  for (let base = 0, end = batch.count * ROW; base < end; base += ROW) {
    if ((table[base + Column.flags]! & Flag.dropped) !== 0) continue;
    let text = 0;
    for (let i = 0; i < shown.length; i++) text += table[base + 2 * shown[i]! + 1]! - table[base + 2 * shown[i]!]!;
    bytes += 4 * (FRAME_WORDS + HEAD_WORDS) + ((text + 3) & ~3);
  }
  return bytes;
}

/**
 * Writes the channels of a batch that are not dropped as records, and returns the part of `into` they take; `into` has `channelRecordsBytes` of room, at a
 * multiple of four. The id is the row. `fields` says which fields are shown (bit n: field n); what is not shown cannot be changed either.
 * Makes a few objects for a batch, none for a channel.
 */
export function encodeChannels(batch: EntryBatch, into: Buffer, fields = ALL_CHANNEL_FIELDS): Buffer {
  const { bytes, table } = batch;
  const words = new Int32Array(into.buffer, into.byteOffset, into.byteLength >> 2);
  const source = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const target = new DataView(into.buffer, into.byteOffset, into.byteLength);
  const shown = numbersOf(fields);
  let at = 0;
  for (let base = 0, row = 0; row < batch.count; row++, base += ROW) {
    if ((table[base + Column.flags]! & Flag.dropped) !== 0) continue;
    const first = at + FRAME_WORDS;
    words[first] = row;
    for (let word = first + 1; word < first + HEAD_WORDS; word++) words[word] = FIELD_NOT_SENT;
    let to = (first + HEAD_WORDS) * 4;
    for (let i = 0; i < shown.length; i++) {
      const field = shown[i]!;
      const start = table[base + 2 * field]!;
      const end = table[base + 2 * field + 1]!;
      words[first + 1 + field] = start < 0 ? FIELD_ABSENT : end - start;
      to = copyText(source, start, end, target, to);
    }
    while ((to & 3) !== 0) into[to++] = 0;
    words[at] = to - first * 4;
    at = to >> 2;
  }
  return into.subarray(0, at * 4);
}

/** Four bytes at a time: most fields are too short for a native copy to pay. */
function copyText(source: DataView, start: number, end: number, target: DataView, to: number): number {
  if (end - start > LONG_COPY) {
    const from = Buffer.from(source.buffer, source.byteOffset + start, end - start);
    return to + from.copy(Buffer.from(target.buffer, target.byteOffset), to);
  }
  for (; start + 4 <= end; start += 4, to += 4) target.setInt32(to, source.getInt32(start, true), true);
  for (; start < end; start++, to++) target.setUint8(to, source.getUint8(start));
  return to;
}

/** Numbers of the bits that are set. */
function numbersOf(fields: number): Int32Array {
  return Int32Array.from(CHANNEL_FIELDS.keys()).filter((field) => ((fields >> field) & 1) !== 0);
}

/**
 * The buffer that batches are written to on their way to plugins, used again and again. Reserved from `memory` before it grows, to what the largest batch so
 * far took; the caller disposes. What `encode` returns is valid until the next call.
 */
export class ChannelEncoder implements Disposable {
  readonly #fields: number;
  readonly #reservation: Reservation;
  #buffer = Buffer.alloc(0);

  /** `fields`: which fields are shown. Default: all. */
  constructor(memory: Consumer, fields = ALL_CHANNEL_FIELDS) {
    this.#fields = fields;
    this.#reservation = memory.reserve(0);
  }

  /** Which fields are shown; `applyChannels` wants to know. */
  get fields(): number {
    return this.#fields;
  }

  encode(batch: EntryBatch): Buffer {
    const bytes = channelRecordsBytes(batch, this.#fields);
    // A buffer that was handed over to a worker has no length any more.
    if (bytes > this.#buffer.length) {
      this.#buffer = Buffer.alloc(0);
      this.#reservation.resize(bytes);
      this.#buffer = Buffer.allocUnsafeSlow(bytes);
    }
    return encodeChannels(batch, this.#buffer, this.#fields);
  }

  [Symbol.dispose](): void {
    this.#buffer = Buffer.alloc(0);
    this.#reservation[Symbol.dispose]();
  }
}
