/**
 * A batch of playlist entries as bytes and offsets: one buffer of UTF-8 text and one table of spans.
 * No object is made per channel; a field becomes a string only when somebody asks for it.
 *
 * Layout of `bytes`: text as it was read, then edits appended by rules, up to `used`.
 * Layout of `table`: `count` rows of `ROW` 32-bit integers, columns below. A span is [start, end) in `bytes`;
 * start -1 means the field is absent (as against present and empty).
 */

export const CHANNEL_FIELDS = [
  'channel_name',
  'group_title',
  'tvg_id',
  'tvg_name',
  'tvg_logo',
  'tvg_chno',
  'tvg_shift',
  'stream_url',
] as const;

/** Number of a field = index in `CHANNEL_FIELDS`; its span stands in columns `2 * field` and `2 * field + 1`. */
export const Field = { name: 0, group: 1, tvgId: 2, tvgName: 3, tvgLogo: 4, tvgChno: 5, tvgShift: 6, url: 7 } as const;
export const FIELD_COUNT = CHANNEL_FIELDS.length;

/** Further columns of a row. */
export const Column = {
  /** What stands between `#EXTINF:` and the first attribute, without spaces: `-1`, `0`, `123.4`. */
  durationStart: 16,
  durationEnd: 17,
  /** The attribute section as it stood, from after the duration to the comma before the name. */
  attrsStart: 18,
  attrsEnd: 19,
  /** `#` lines that stood before `#EXTINF` and belong to this entry, whole lines with their line ends; may be empty. */
  beforeStart: 20,
  beforeEnd: 21,
  /** `#` lines between `#EXTINF` and the URL, likewise. */
  afterStart: 22,
  afterEnd: 23,
  /** Line number of `#EXTINF` in its file, from 1. */
  line: 24,
  flags: 25,
  /** Where tvg_id stood before a rule changed it; filled by the first such edit, meaningless without the changed bit. */
  originalIdStart: 26,
  originalIdEnd: 27,
} as const;
export const ROW = 28;

export const Flag = {
  /** The attribute section is not canonical (`key="value"` parted by one space): it must be written anew. */
  untidy: 1,
  /** There is no group-title attribute; the group comes from an `#EXTGRP:` line. */
  groupFromExtgrp: 2,
  /** A filter or the duplicate check took it out; later stages pass it over. */
  dropped: 4,
  /** Bit `changedShift + field` is set when a rule changed that field. */
  changedShift: 8,
} as const;

/** Where a batch comes from; `url` and `path` may hold credentials: mask before showing. */
export interface EntryOrigin {
  readonly name: string;
  readonly type: 'm3u' | 'xtream';
  readonly url: string;
}

export class EntryBatch {
  static readonly ROW_BYTES = ROW * 4;

  bytes: Buffer<ArrayBuffer>;
  table: Int32Array;
  /** Bytes in use: text and edits. */
  used = 0;
  /** Entries in the batch, dropped ones included. */
  count = 0;
  /** Entries not dropped. */
  live = 0;
  origin: EntryOrigin = { name: '', type: 'm3u', url: '' };
  /** Which `[[source]]` it comes from, from 0. */
  sourceIndex = 0;

  /** `textBytes` of room for text (at least one whole entry must fit) and `maxEntries` rows. */
  constructor(textBytes: number, maxEntries: number) {
    this.bytes = Buffer.allocUnsafeSlow(textBytes);
    this.table = new Int32Array(maxEntries * ROW);
  }

  get capacity(): number {
    return this.table.length / ROW;
  }

  /** What the batch costs: text and table. */
  get byteLength(): number {
    return this.bytes.byteLength + this.table.byteLength;
  }

  get itemCount(): number {
    return this.live;
  }

  clear(): void {
    this.used = 0;
    this.count = 0;
    this.live = 0;
  }
}
