/**
 * Reading M3U playlists in the wild, as bytes and offsets.
 *
 * For maintainers. A call looks only at whole lines: the last line feed is sought first, so that the loops over a line need no other
 * bound. Nothing but counters is carried from call to call: an entry that is not finished is not consumed, and read again.
 * Hence whatever is reported must lie in what is consumed, or it would be reported twice; only headers need a mark (`#headerLine`).
 */
import { Column, type EntryBatch, Field, Flag, ROW } from '../channels/entry-batch.ts';
import { isWhite, skipWhite, startsWithWord, trimEnd } from './ascii.ts';
import { ExtinfLine } from './extinf-line.ts';
import { extgrpValue, HEADER_TAG_BYTES, isHeaderLine, isHlsTag } from './hash-line.ts';

export const PROBLEM_KINDS = [
  /** `#EXTINF` and then another one, or the end, before a URL. */
  'extinf-without-url',
  /** A line that is not empty and no `#` line, without `#EXTINF` before it. */
  'url-without-extinf',
  /** One entry does not fit in a batch; it is passed over. */
  'entry-too-long',
  /** `#` lines before an entry do not fit in a batch; they are left out, the entry is not. */
  'comments-too-long',
  /** The file is an HLS media or master playlist: one stream in pieces, not a list of channels. Nothing of it is read. */
  'hls-not-a-channel-list',
] as const;
export type ProblemKind = (typeof PROBLEM_KINDS)[number];

/** What each kind is called in a report. */
export const PROBLEM_TEXT: Readonly<Record<ProblemKind, string>> = {
  'extinf-without-url': '#EXTINF without a URL after it',
  'url-without-extinf': 'URL without #EXTINF before it',
  'entry-too-long': 'entry too long for a batch',
  'comments-too-long': '# lines too long for a batch, left out',
  'hls-not-a-channel-list': 'this is an HLS stream, not a list of channels: give the list that points at it',
};

export interface M3uScannerOptions {
  /** Called once for each problem, with its line from 1. `detail` is a piece of the text, at most 80 characters, or a size. */
  readonly onProblem?: (line: number, kind: ProblemKind, detail: string) => void;
  /** Called with the text after `#EXTM3U`, trimmed, for each header line that has any; `url-tvg` and `x-tvg-url` stand there. */
  readonly onHeader?: (text: string) => void;
}

const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;
const HASH = 35;

const EXTINF = Buffer.from('#extinf');

const URL_SPAN = 2 * Field.url;
const GROUP_SPAN = 2 * Field.group;
const DETAIL_BYTES = 80;

/**
 * Finds the entries of one M3U file, batch by batch.
 *
 * Lines end with `\n`, `\r\n`, or, when the first one of the file does, with a lone `\r` (those bytes become `\n` in the batch). White space around a
 * line, and a byte order mark, are passed over. `#EXTINF` in any case. An entry keeps the `#` lines since the last URL, and those
 * between `#EXTINF` and its URL. `#EXTGRP:` gives the group where `group-title` is missing or empty. Text must be valid UTF-8.
 *
 * Synchronous; nothing is allocated per entry; 0.7 of the speed of a bare loop over the bytes (1,100 MB/s on real lists).
 */
export class M3uScanner {
  /** Entries found so far. */
  entryCount = 0;
  /** Problems so far, by kind. */
  readonly problemCounts: Readonly<Record<ProblemKind, number>>;
  /** True when the file is no channel list; the rest of it need not be read. */
  refused = false;

  readonly #counts: Record<ProblemKind, number>;
  readonly #options: M3uScannerOptions;
  readonly #extinf = new ExtinfLine();
  /** Number of the line at which the next call begins. */
  #line = 1;
  #lineEnds: 'unknown' | 'line-feed' | 'carriage-return' = 'unknown';
  #headerLine = 0;
  /** The next call begins inside a line that is passed over. */
  #skipLine = false;
  /** The next URL belongs to an entry that was passed over. */
  #skipUrl = false;
  /** Something was passed over since the last `#EXTINF` or URL: it is reported once, however many batches it fills. */
  #passedOver = false;

  // The entry that is being put together in the current call.
  #batch!: EntryBatch;
  #entryStart = 0;
  #entryLine = 1;
  /** Line of the `#EXTINF` that waits for its URL, 0 when none does. */
  #open = 0;
  #beforeStart = -1;
  #beforeEnd = -1;
  #groupStart = -1;
  #groupEnd = -1;

  constructor(options: M3uScannerOptions = {}) {
    this.#options = options;
    this.#counts = Object.fromEntries(PROBLEM_KINDS.map((kind) => [kind, 0])) as Record<ProblemKind, number>;
    this.problemCounts = this.#counts;
  }

  /** All problems so far. */
  get problemCount(): number {
    return PROBLEM_KINDS.reduce((sum, kind) => sum + this.#counts[kind], 0);
  }

  /**
   * Reads `batch.bytes[0, length)`, which begins where the last call stopped, into rows from 0. Sets the batch's `count`, `live` and `used`.
   * Returns how many bytes are done with; the caller carries the rest to the start of the next batch, with more text after it.
   *
   * `final` says that no more text follows: then everything is consumed, unless the table is full: call again with the rest. A
   * call that is not final consumes nothing while the buffer has room and holds no whole entry: add text. When the buffer is full, it always
   * consumes something: an entry longer than the buffer is reported and passed over.
   */
  scan(batch: EntryBatch, length: number, final: boolean): number {
    batch.count = 0;
    batch.live = 0;
    batch.used = length;
    if (this.refused) return length;
    const { bytes } = batch;
    if (!this.#settleLineEnds(bytes, length, final)) return 0;
    const limit = length === 0 ? 0 : bytes.lastIndexOf(LINE_FEED, length - 1) + 1;
    let at = 0;
    if (this.#skipLine) {
      if (limit === 0) return length;
      at = bytes.indexOf(LINE_FEED) + 1;
      this.#line++;
      this.#skipLine = false;
    }
    this.#batch = batch;
    this.#open = 0;
    this.#startEntry(at, this.#line);
    const endLine = this.#scanLines(at, limit);
    if (endLine >= 0 && !this.refused) {
      // Headers and empty lines are done with.
      if (this.#open === 0 && this.#beforeStart < 0) this.#startEntry(limit, endLine);
      if (final) this.#finish(limit, length, endLine);
      else if (this.#entryStart === 0 && length === bytes.length) this.#passOver(limit, length, endLine);
    }
    if (this.refused) {
      batch.count = 0;
      this.#entryStart = length;
    }
    this.entryCount += batch.count;
    batch.live = batch.count;
    this.#line = this.#entryLine;
    return this.#entryStart;
  }

  /** Goes over whole lines, [at, limit). Returns the number of the line after them, -1 when the table is full. */
  #scanLines(at: number, limit: number): number {
    const { bytes, table, capacity } = this.#batch;
    let line = this.#line;
    while (at < limit) {
      const lineStart = at;
      let byte = bytes[at]!;
      if (byte !== HASH) {
        while (isWhite(byte) || isMark(bytes, at)) {
          at += byte === 0xef ? 3 : 1;
          byte = bytes[at]!;
        }
        if (byte === LINE_FEED) {
          at++;
          line++;
          continue;
        }
      }
      if (byte !== HASH) {
        at = this.#url(at, lineStart, line);
      } else if (startsWithWord(bytes, at, limit, EXTINF) && endsTag(bytes[at + EXTINF.length]!)) {
        if (this.#batch.count === capacity) return -1;
        this.#openEntry(lineStart, line);
        at = this.#extinf.read(bytes, at + EXTINF.length, table, this.#batch.count * ROW) + 1;
        const base = this.#batch.count * ROW;
        table[base + Column.line] = line;
        table[base + Column.afterStart] = at;
        table[base + Column.afterEnd] = at;
      } else {
        at = this.#otherLine(at, lineStart, line);
        if (this.refused) return line;
      }
      line++;
    }
    return line;
  }

  #startEntry(at: number, line: number): void {
    this.#entryStart = at;
    this.#entryLine = line;
    this.#beforeStart = -1;
    this.#beforeEnd = -1;
    this.#groupStart = -1;
    this.#groupEnd = -1;
  }

  /** An `#EXTINF` at `lineStart`: what was open had no URL. */
  #openEntry(lineStart: number, line: number): void {
    if (this.#open > 0) {
      this.#report(this.#open, 'extinf-without-url', this.#openName());
      this.#startEntry(lineStart, line);
    }
    this.#skipUrl = false;
    this.#passedOver = false;
    this.#open = line;
  }

  /** A line that is neither empty nor a `#` line; returns the start of the next one. */
  #url(start: number, lineStart: number, line: number): number {
    const { bytes } = this.#batch;
    let end = start;
    while (bytes[end] !== LINE_FEED) end++;
    const next = end + 1;
    this.#takeUrl(start, trimEnd(bytes, start, end), lineStart, line);
    this.#startEntry(next, line + 1);
    return next;
  }

  #takeUrl(start: number, end: number, lineStart: number, line: number): void {
    const batch = this.#batch;
    this.#passedOver = false;
    if (this.#open === 0) {
      if (!this.#skipUrl) this.#report(line, 'url-without-extinf', this.#detail(start, end));
      this.#skipUrl = false;
      return;
    }
    const { table } = batch;
    const base = batch.count * ROW;
    table[base + URL_SPAN] = start;
    table[base + URL_SPAN + 1] = end;
    // Absent is an empty span where the entry begins, so that nobody has to ask.
    const noLines = this.#beforeStart < 0;
    table[base + Column.beforeStart] = noLines ? lineStart : this.#beforeStart;
    table[base + Column.beforeEnd] = noLines ? lineStart : this.#beforeEnd;
    if (this.#groupStart >= 0 && table[base + GROUP_SPAN + 1]! <= table[base + GROUP_SPAN]!) {
      table[base + GROUP_SPAN] = this.#groupStart;
      table[base + GROUP_SPAN + 1] = this.#groupEnd;
      table[base + Column.flags] = table[base + Column.flags]! | Flag.groupFromExtgrp;
    }
    batch.count++;
    this.#open = 0;
  }

  /** A `#` line that is not `#EXTINF`; returns the start of the next line. */
  #otherLine(start: number, lineStart: number, line: number): number {
    const { bytes } = this.#batch;
    let end = start;
    while (bytes[end] !== LINE_FEED) end++;
    const next = end + 1;
    if (isHeaderLine(bytes, start, end)) {
      this.#header(start, end, line);
      return next;
    }
    const group = extgrpValue(bytes, start, end);
    if (group >= 0) {
      const groupEnd = trimEnd(bytes, group, end);
      if (groupEnd > group && this.#groupStart < 0) {
        this.#groupStart = group;
        this.#groupEnd = groupEnd;
      }
    } else if (this.#open === 0 && this.entryCount === 0 && this.#batch.count === 0 && isHlsTag(bytes, start, end)) {
      // Only before the first entry: later it is one more unknown line, and what came before it is kept.
      this.refused = true;
      this.#report(line, 'hls-not-a-channel-list', this.#detail(start, trimEnd(bytes, start, end)));
      return next;
    }
    if (this.#open > 0) {
      this.#batch.table[this.#batch.count * ROW + Column.afterEnd] = next;
    } else {
      if (this.#beforeStart < 0) this.#beforeStart = lineStart;
      this.#beforeEnd = next;
    }
    return next;
  }

  #header(start: number, end: number, line: number): void {
    if (line <= this.#headerLine) return;
    this.#headerLine = line;
    const { onHeader } = this.#options;
    if (onHeader === undefined) return;
    const text = this.#batch.bytes
      .toString('utf8', start + HEADER_TAG_BYTES, end)
      .replace(/^8(?=\s|$)/, '')
      .trim();
    if (text !== '') onHeader(text);
  }

  /** The last piece, [limit, length), has no line feed: of use only when it is a URL. */
  #finish(limit: number, length: number, line: number): void {
    const { bytes } = this.#batch;
    let start = skipWhite(bytes, limit, length);
    while (start < length && isMark(bytes, start)) start = skipWhite(bytes, start + 3, length);
    if (start < length) {
      if (bytes[start] !== HASH) {
        this.#takeUrl(start, trimEnd(bytes, start, length), limit, line);
      } else if (isHeaderLine(bytes, start, length)) {
        this.#header(start, length, line);
      } else if (startsWithWord(bytes, start, length, EXTINF)) {
        if (this.#open > 0) this.#report(this.#open, 'extinf-without-url', this.#openName());
        this.#open = 0;
        this.#report(line, 'extinf-without-url', this.#detail(start, length));
      }
    }
    if (this.#open > 0) this.#report(this.#open, 'extinf-without-url', this.#openName());
    this.#open = 0;
    this.#startEntry(length, line);
  }

  /** The buffer is full and holds no whole entry: lets go of all of it, and notes what the next call has to pass over. */
  #passOver(limit: number, length: number, line: number): void {
    const { bytes } = this.#batch;
    const start = skipWhite(bytes, limit, length);
    const isHashLine = start < length && bytes[start] === HASH;
    const isExtinf = isHashLine && startsWithWord(bytes, start, length, EXTINF);
    const size = `longer than ${Math.floor(length / 1024)} KiB`;
    if (isExtinf && this.#open > 0) {
      this.#report(this.#open, 'extinf-without-url', this.#openName());
      this.#open = 0;
    }
    if (isExtinf || this.#open > 0) {
      this.#report(this.#open > 0 ? this.#open : line, 'entry-too-long', size);
      this.#skipUrl = isHashLine || start === length;
    } else if (start < length && !isHashLine) {
      if (!this.#skipUrl) this.#report(line, 'url-without-extinf', size);
      this.#skipUrl = false;
    } else {
      if (isHashLine && isHeaderLine(bytes, start, length)) this.#header(start, length, line);
      if (!this.#passedOver) this.#report(this.#entryLine, 'comments-too-long', size);
    }
    this.#passedOver = true;
    this.#open = 0;
    this.#skipLine = limit < length;
    this.#startEntry(length, line);
  }

  /** Decides by the first line end; false when more text is needed for it. A lone `\r` becomes `\n` in place. */
  #settleLineEnds(bytes: Buffer, length: number, final: boolean): boolean {
    if (this.#lineEnds === 'unknown') {
      const text = bytes.subarray(0, length);
      const lineFeed = text.indexOf(LINE_FEED);
      const carriageReturn = text.indexOf(CARRIAGE_RETURN);
      if (carriageReturn < 0 || (lineFeed >= 0 && lineFeed <= carriageReturn + 1)) {
        if (lineFeed >= 0) this.#lineEnds = 'line-feed';
      } else if (carriageReturn + 1 < length || final || length === bytes.length) {
        this.#lineEnds = 'carriage-return';
      } else {
        return false;
      }
    }
    if (this.#lineEnds === 'carriage-return') {
      for (let at = 0; at < length; at++) if (bytes[at] === CARRIAGE_RETURN) bytes[at] = LINE_FEED;
    }
    return true;
  }

  #openName(): string {
    const { table, count } = this.#batch;
    return this.#detail(table[count * ROW]!, table[count * ROW + 1]!);
  }

  #detail(start: number, end: number): string {
    return this.#options.onProblem === undefined
      ? ''
      : this.#batch.bytes.toString('utf8', start, Math.min(end, start + DETAIL_BYTES));
  }

  #report(line: number, kind: ProblemKind, detail: string): void {
    this.#counts[kind]++;
    this.#options.onProblem?.(line, kind, detail);
  }
}

/** A byte order mark; inside a file it stands where two were joined. */
function isMark(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf;
}

/** What may follow `#EXTINF`: a colon, or, when it was forgotten, white space, a comma or a number. */
function endsTag(byte: number): boolean {
  return byte === 58 || isWhite(byte) || byte === 44 || byte === 45 || (byte > 47 && byte < 58);
}
