import { CHANNEL_FIELDS, Column, EntryBatch, Flag, ROW } from '../../src/channels/entry-batch.ts';
import { M3uScanner, type ProblemKind } from '../../src/m3u/scan.ts';

/** One entry as plain strings; an absent field is undefined. */
export interface ParsedEntry {
  fields: (string | undefined)[];
  duration: string;
  before: string;
  after: string;
  line: number;
  untidy: boolean;
  fromExtgrp: boolean;
  /** Where its URL ends in the whole text, bytes. */
  endsAt: number;
}

export interface ParsedText {
  entries: ParsedEntry[];
  problems: { line: number; kind: ProblemKind; detail: string }[];
  headers: string[];
  scanner: M3uScanner;
}

export interface ParseOptions {
  /** Size of the batch's text; default: room for all. */
  batchBytes?: number;
  rows?: number;
  /** Bytes given at a time; default: as many as fit. */
  chunkBytes?: number;
  onBatch?: (batch: EntryBatch) => void;
}

export function readEntry(batch: EntryBatch, row: number, position = 0): ParsedEntry {
  const { bytes, table } = batch;
  const base = row * ROW;
  const span = (column: number): string | undefined => {
    const start = table[base + column]!;
    return start < 0 ? undefined : bytes.toString('utf8', start, table[base + column + 1]!);
  };
  const flags = table[base + Column.flags]!;
  return {
    fields: CHANNEL_FIELDS.map((_, field) => span(2 * field)),
    duration: span(Column.durationStart) ?? '',
    before: span(Column.beforeStart) ?? '',
    after: span(Column.afterStart) ?? '',
    line: table[base + Column.line]!,
    untidy: (flags & Flag.untidy) !== 0,
    fromExtgrp: (flags & Flag.groupFromExtgrp) !== 0,
    endsAt: position + table[base + 15]!,
  };
}

/** Reads a whole text the way the application does: fill, scan, carry the rest. Throws when the scanner makes no progress. */
export function parseText(text: string | Buffer, options: ParseOptions = {}): ParsedText {
  const source = typeof text === 'string' ? Buffer.from(text) : text;
  const batch = new EntryBatch(options.batchBytes ?? source.length + 1, options.rows ?? 5000);
  const result: ParsedText = { entries: [], problems: [], headers: [], scanner: undefined as never };
  const scanner = new M3uScanner({
    onProblem: (line, kind, detail) => result.problems.push({ line, kind, detail }),
    onHeader: (header) => result.headers.push(header),
  });
  result.scanner = scanner;
  let at = 0;
  let carried = 0;
  for (let final = false; !final || carried > 0; ) {
    const room = Math.min(batch.bytes.length - carried, options.chunkBytes ?? Number.POSITIVE_INFINITY);
    const taken = source.copy(batch.bytes, carried, at, Math.min(source.length, at + room));
    const position = at - carried;
    at += taken;
    const length = carried + taken;
    if (at === source.length) final = true;
    const consumed = scanner.scan(batch, length, final);
    if (batch.used !== length || batch.live !== batch.count) throw new Error('used or live is wrong');
    if (consumed === 0 && length > 0 && (final || length === batch.bytes.length))
      throw new Error(`no progress at byte ${position}`);
    for (let row = 0; row < batch.count; row++) result.entries.push(readEntry(batch, row, position));
    if (batch.count > 0) options.onBatch?.(batch);
    batch.bytes.copyWithin(0, consumed, length);
    carried = length - consumed;
  }
  return result;
}

/** Only what must not depend on how a text was cut: everything but the positions. */
export function comparable(parsed: ParsedText): unknown {
  return { entries: parsed.entries, problems: parsed.problems, headers: parsed.headers };
}
