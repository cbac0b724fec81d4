import type { RecordBatch, Stage } from 'plimsoll/pipeline';
import { readChannelNumber } from '../channels/channel-numbers.ts';
import {
  AS_NAME,
  GROUP_LENGTH_AT,
  KEY_AT,
  LABEL_LENGTH_AT,
  NO_NUMBER,
  NUMBER_AT,
  ORIGINAL_LENGTH_AT,
  RECORD_HEAD,
  TVG_NAME_LENGTH_AT,
} from '../channels/channel-spool.ts';
import { copyBytes } from '../channels/copy-bytes.ts';
import { Digest } from '../channels/digest.ts';
import { Column, type EntryBatch, Field, Flag, ROW } from '../channels/entry-batch.ts';
import { GrowingBatch } from '../channels/growing-batch.ts';
import { putWord } from '../channels/words.ts';
import { renderHead, renderTail } from '../m3u/write-entry.ts';

export interface PackOptions {
  /** Of a batch of records, bytes; a longer record has a larger one. */
  readonly batchBytes: number;
  /** Whether the guides will ask under which names a channel is known: then its former id and its tvg-name go along. */
  readonly forGuide: boolean;
  /** Whether the group goes along, to sort by. */
  readonly withGroup: boolean;
}

export interface PackCounts {
  /** Channels whose URL a rule made blank: they cannot be played and are left out. */
  blankUrls: number;
}

/** From here on a channel is a record: what will be written of it, and what decides on its number and its guide. It drops what rules and filters took out. */
export function packChannels(options: PackOptions, counts: PackCounts): Stage<EntryBatch, RecordBatch> {
  return {
    name: 'Packing',
    memory: { kind: 'external', maxBytes: Number.POSITIVE_INFINITY },
    async *run(input, context) {
      using out = new GrowingBatch(options.batchBytes, context);
      const packer = new Packer(options);
      for await (const batch of input) {
        for (let row = 0; row < batch.count; row++) {
          if ((batch.table[row * ROW + Column.flags]! & Flag.dropped) !== 0) continue;
          if (isUrlBlank(batch, row)) {
            counts.blankUrls++;
            continue;
          }
          const bytes = recordBound(batch, row);
          if (!out.fits(bytes, context.batchBytes)) {
            if (out.batch.count > 0) yield out.batch;
            out.clear(bytes);
          }
          packer.pack(batch, row, out.batch);
        }
      }
      if (out.batch.count > 0) yield out.batch;
    },
  };
}

class Packer {
  readonly #options: PackOptions;
  readonly #digest = new Digest();

  constructor(options: PackOptions) {
    this.#options = options;
  }

  /** Puts one channel in behind the others; there is room for it. */
  pack(batch: EntryBatch, row: number, packed: RecordBatch): void {
    const { bytes, table } = batch;
    const base = row * ROW;
    const out = packed.bytes;
    const at = packed.usedBytes;
    const nameStart = Math.max(0, table[base + 2 * Field.name]!);
    const nameEnd = Math.max(0, table[base + 2 * Field.name + 1]!);
    const idStart = table[base + 2 * Field.tvgId]!;
    const idLength = idStart < 0 ? 0 : table[base + 2 * Field.tvgId + 1]! - idStart;
    let to = at + RECORD_HEAD;
    to = copyBytes(out, to, bytes, idStart, idStart + idLength);
    to = copyBytes(out, to, bytes, nameStart, nameEnd);
    const headEnd = renderHead(batch, row, out, to);
    const tailEnd = renderTail(batch, row, out, headEnd);
    if (headEnd < 0 || tailEnd < 0) throw new Error('a channel came out longer than its bound');
    putWord(out, at + 8, batch.sourceIndex);
    putWord(out, at + 12, idLength);
    putWord(out, at + 16, nameEnd - nameStart);
    putWord(out, at + 20, headEnd - to);
    putWord(out, at + 24, tailEnd - headEnd);
    this.#putKey(batch, base, out, at + KEY_AT);
    putWord(out, at + ORIGINAL_LENGTH_AT, 0);
    putWord(out, at + TVG_NAME_LENGTH_AT, 0);
    putWord(out, at + GROUP_LENGTH_AT, 0);
    let end = putWish(batch, base, out, at, tailEnd);
    if (this.#options.forGuide) end = putOtherNames(batch, base, out, at, end);
    if (this.#options.withGroup) end = putGroup(batch, base, out, at, end);
    if (end > out.length) throw new Error('a channel came out longer than its bound');
    putWord(out, at, end - at);
    packed.ends[packed.count++] = end;
  }

  #putKey({ bytes, table }: EntryBatch, base: number, out: Buffer, at: number): void {
    const nameStart = Math.max(0, table[base + 2 * Field.name]!);
    const nameEnd = Math.max(0, table[base + 2 * Field.name + 1]!);
    const urlStart = table[base + 2 * Field.url]!;
    const digest = this.#digest.of(bytes, nameStart, nameEnd, urlStart, table[base + 2 * Field.url + 1]!);
    putWord(out, at, digest.a);
    putWord(out, at + 4, digest.b);
    putWord(out, at + 8, digest.c);
  }
}

/** The number it brings, or the label, which goes to `to`; returns the end. */
function putWish({ bytes, table }: EntryBatch, base: number, out: Buffer, at: number, to: number): number {
  const start = table[base + 2 * Field.tvgChno]!;
  const end = table[base + 2 * Field.tvgChno + 1]!;
  const isThere = start >= 0 && end > start;
  const number = isThere ? readChannelNumber(bytes, start, end) : 0;
  const labelled = isThere && number === 0 && isLabel(bytes, start, end);
  putWord(out, at + NUMBER_AT, isThere && number === 0 && !labelled ? NO_NUMBER : number);
  putWord(out, at + LABEL_LENGTH_AT, labelled ? end - start : 0);
  return labelled ? copyBytes(out, to, bytes, start, end) : to;
}

/** The id before a rule changed it, and the tvg-name where it is another than the name. */
function putOtherNames({ bytes, table }: EntryBatch, base: number, out: Buffer, at: number, to: number): number {
  const originalStart = table[base + Column.originalIdStart]!;
  const originalEnd = table[base + Column.originalIdEnd]!;
  if (isIdChanged(table, base) && originalStart >= 0 && originalEnd > originalStart) {
    putWord(out, at + ORIGINAL_LENGTH_AT, originalEnd - originalStart);
    to = copyBytes(out, to, bytes, originalStart, originalEnd);
  }
  const nameStart = table[base + 2 * Field.name]!;
  const nameEnd = table[base + 2 * Field.name + 1]!;
  const start = table[base + 2 * Field.tvgName]!;
  const end = table[base + 2 * Field.tvgName + 1]!;
  if (start < 0 || end <= start) return to;
  const isSame = end - start === nameEnd - nameStart && bytes.compare(bytes, nameStart, nameEnd, start, end) === 0;
  putWord(out, at + TVG_NAME_LENGTH_AT, isSame ? AS_NAME : end - start);
  return isSame ? to : copyBytes(out, to, bytes, start, end);
}

function putGroup({ bytes, table }: EntryBatch, base: number, out: Buffer, at: number, to: number): number {
  const start = table[base + 2 * Field.group]!;
  const end = table[base + 2 * Field.group + 1]!;
  if (start < 0 || end <= start) return to;
  putWord(out, at + GROUP_LENGTH_AT, end - start);
  return copyBytes(out, to, bytes, start, end);
}

function isIdChanged(table: Int32Array, base: number): boolean {
  return (table[base + Column.flags]! & (1 << (Flag.changedShift + Field.tvgId))) !== 0;
}

function isUrlBlank({ table }: EntryBatch, row: number): boolean {
  return table[row * ROW + 2 * Field.url + 1]! <= table[row * ROW + 2 * Field.url]!;
}

/**
 * A bound of what a record of this channel takes: every span it has, twice (quotes and separators are added when it is tidied; id, name and tvg-name stand in the record
 * once more by themselves).
 */
function recordBound({ table }: EntryBatch, row: number): number {
  const base = row * ROW;
  let bytes = isIdChanged(table, base)
    ? table[base + Column.originalIdEnd]! - table[base + Column.originalIdStart]!
    : 0;
  for (let column = 0; column < Column.line; column += 2) bytes += table[base + column + 1]! - table[base + column]!;
  return RECORD_HEAD + 512 + 2 * bytes;
}

const LONGEST_LABEL = 64;

/** A short text with a digit other than 0 in it, no sign in front (`-1` says "none"), and nothing that would break an attribute. */
function isLabel(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > LONGEST_LABEL || bytes[start] === 0x2b || bytes[start] === 0x2d) return false;
  let digits = false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte < 0x20 || byte === 0x22) return false;
    if (byte >= 0x31 && byte <= 0x39) digits = true;
  }
  return digits;
}
