import type { Sink } from 'plimsoll/pipeline';
import { type ChannelNumbers, readChannelNumber } from '../channels/channel-numbers.ts';
import { MATCH_AT, RECORD_HEAD } from '../channels/channel-spool.ts';
import { Digest } from '../channels/digest.ts';
import { Column, type EntryBatch, Field, Flag, ROW } from '../channels/entry-batch.ts';
import { KeyTable } from '../channels/key-table.ts';
import type { WantedChannels, WantedSpans } from '../guide/wanted.ts';
import { renderHead, renderTail } from '../m3u/write-entry.ts';
import type { FileSink } from '../output/file-sink.ts';

export interface NumberingResult {
  readonly kept: number;
  readonly duplicates: number;
  /** Channels that came with a number, and how many of them found it taken and moved up. */
  readonly explicitNumbers: number;
  readonly movedNumbers: number;
  /** Channels whose URL a rule made blank: they cannot be played and are left out. */
  readonly blankUrls: number;
  /** Channels whose tvg_chno is no whole number but says one all the same (`32.1`, `CS363`): it is kept as it stands. */
  readonly labels: number;
  /** Values of tvg_chno that say no number (`-`), or a label that another channel has: they got a number instead. */
  readonly unreadableNumbers: number;
  readonly largestRecordBytes: number;
}

export interface NumberingOptions {
  readonly numbers: ChannelNumbers;
  /** Where the kept channels go. */
  readonly spool: FileSink;
  /** Absent when there is no guide. */
  readonly wanted: WantedChannels | undefined;
}

/**
 * First pass of numbering: drops duplicates (same URL and name), gives explicit numbers to whoever comes first, notes what the guide must
 * have, and spools the channels. The second pass, in the playlist writer, gives the rest the lowest free numbers.
 */
export function numberChannels(options: NumberingOptions): Sink<EntryBatch, NumberingResult> {
  return {
    name: 'Numbering',
    memory: { kind: 'external', maxBytes: Number.POSITIVE_INFINITY },
    async drain(input, context) {
      using seen = new KeyTable(context.memory, { withValues: false });
      using labels = new KeyTable(context.memory, { withValues: false });
      const numbering = new Numbering(options, seen, labels);
      for await (const batch of input) {
        const before = numbering.kept;
        for (let row = 0; row < batch.count; row++) {
          if ((batch.table[row * ROW + Column.flags]! & Flag.dropped) !== 0) continue;
          const bytes = recordBound(batch, row);
          if (!options.spool.fits(bytes)) await options.spool.makeRoom(bytes);
          numbering.put(batch, row);
        }
        context.advance({ itemsOut: numbering.kept - before });
      }
      await options.spool.finish({ sync: false });
      return numbering.result();
    },
  };
}

const UNNUMBERED = -1;
const LONGEST_LABEL = 64;

class Numbering {
  kept = 0;
  #duplicates = 0;
  #explicit = 0;
  #moved = 0;
  #labelCount = 0;
  #unreadable = 0;
  #blankUrls = 0;
  #largest = 0;
  readonly #options: NumberingOptions;
  readonly #seen: KeyTable;
  readonly #labels: KeyTable;
  readonly #digest = new Digest();
  readonly #spans: WantedSpans = {
    idStart: -1,
    idEnd: -1,
    originalStart: -1,
    originalEnd: -1,
    nameStart: -1,
    nameEnd: -1,
    tvgNameStart: -1,
    tvgNameEnd: -1,
  };

  constructor(options: NumberingOptions, seen: KeyTable, labels: KeyTable) {
    this.#options = options;
    this.#seen = seen;
    this.#labels = labels;
  }

  /** Takes one channel in: a duplicate is dropped, anything else goes to the spool, which has room for it. */
  put(batch: EntryBatch, row: number): void {
    const { bytes, table } = batch;
    const base = row * ROW;
    const nameStart = Math.max(0, table[base + 2 * Field.name]!);
    const nameEnd = Math.max(0, table[base + 2 * Field.name + 1]!);
    const urlStart = table[base + 2 * Field.url]!;
    const urlEnd = table[base + 2 * Field.url + 1]!;
    if (urlEnd <= urlStart) {
      this.#blankUrls++;
      return;
    }
    if (!this.#seen.add(this.#digest.of(bytes, nameStart, nameEnd, urlStart, urlEnd))) {
      this.#duplicates++;
      return;
    }
    const { spool, wanted } = this.#options;
    const out = spool.buffer;
    const at = spool.at;
    const number = this.#placeNumber(batch, base);
    if (wanted !== undefined) wanted.want(bytes, this.#spansOf(batch, base), out, at + MATCH_AT);
    const idStart = table[base + 2 * Field.tvgId]!;
    const idLength = idStart < 0 ? 0 : table[base + 2 * Field.tvgId + 1]! - idStart;
    let to = at + RECORD_HEAD;
    if (idLength > 0) to += bytes.copy(out, to, idStart, idStart + idLength);
    to += bytes.copy(out, to, nameStart, nameEnd);
    const labelLength = number === UNNUMBERED ? this.#keepLabel(batch, base, out, to) : 0;
    to += labelLength;
    const headEnd = renderHead(batch, row, out, to);
    const tailEnd = renderTail(batch, row, out, headEnd);
    if (headEnd < 0 || tailEnd < 0) throw new Error('a channel came out longer than its bound');
    out.writeUInt32LE(tailEnd - at, at);
    out.writeUInt32LE(Math.max(0, number), at + 4);
    out.writeUInt32LE(batch.sourceIndex, at + 8);
    out.writeUInt32LE(idLength, at + 12);
    out.writeUInt32LE(nameEnd - nameStart, at + 16);
    out.writeUInt32LE(headEnd - to, at + 24);
    out.writeUInt32LE(tailEnd - headEnd, at + 28);
    out.writeUInt32LE(labelLength, at + 20);
    spool.at = tailEnd;
    this.kept++;
    if (tailEnd - at > this.#largest) this.#largest = tailEnd - at;
  }

  /** The number it takes, 0 when it brings none, `UNNUMBERED` when what it brings is no number. */
  #placeNumber(batch: EntryBatch, base: number): number {
    const start = batch.table[base + 2 * Field.tvgChno]!;
    const end = batch.table[base + 2 * Field.tvgChno + 1]!;
    if (start < 0 || start === end) return 0;
    const wish = readChannelNumber(batch.bytes, start, end);
    if (wish === 0) return UNNUMBERED;
    const number = this.#options.numbers.take(wish);
    this.#explicit++;
    if (number !== wish) this.#moved++;
    return number;
  }

  /** Copies a label, such as `32.1`, to `out[to]`, unless another channel has it; returns its length, 0 when it counts as no number. */
  #keepLabel(batch: EntryBatch, base: number, out: Buffer, to: number): number {
    const start = batch.table[base + 2 * Field.tvgChno]!;
    const end = batch.table[base + 2 * Field.tvgChno + 1]!;
    if (!isLabel(batch.bytes, start, end) || !this.#labels.add(this.#digest.of(batch.bytes, start, end))) {
      this.#unreadable++;
      return 0;
    }
    this.#labelCount++;
    return batch.bytes.copy(out, to, start, end);
  }

  #spansOf(batch: EntryBatch, base: number): WantedSpans {
    const { table } = batch;
    const spans = this.#spans;
    spans.idStart = table[base + 2 * Field.tvgId]!;
    spans.idEnd = table[base + 2 * Field.tvgId + 1]!;
    const idChanged = (table[base + Column.flags]! & (1 << (Flag.changedShift + Field.tvgId))) !== 0;
    spans.originalStart = idChanged ? table[base + Column.originalIdStart]! : -1;
    spans.originalEnd = idChanged ? table[base + Column.originalIdEnd]! : -1;
    spans.nameStart = table[base + 2 * Field.name]!;
    spans.nameEnd = table[base + 2 * Field.name + 1]!;
    spans.tvgNameStart = table[base + 2 * Field.tvgName]!;
    spans.tvgNameEnd = table[base + 2 * Field.tvgName + 1]!;
    return spans;
  }

  result(): NumberingResult {
    return {
      kept: this.kept,
      duplicates: this.#duplicates,
      explicitNumbers: this.#explicit,
      movedNumbers: this.#moved,
      blankUrls: this.#blankUrls,
      labels: this.#labelCount,
      unreadableNumbers: this.#unreadable,
      largestRecordBytes: this.#largest,
    };
  }
}

/** A bound of what one channel can take in the spool: every span it has, twice (quotes and separators are added when it is tidied). */
function recordBound(batch: EntryBatch, row: number): number {
  const { table } = batch;
  const base = row * ROW;
  let bytes = 0;
  for (let column = 0; column < Column.line; column += 2) bytes += table[base + column + 1]! - table[base + column]!;
  return RECORD_HEAD + 512 + 2 * bytes;
}

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
