/** Batches of channels for tests: out of plain fields, out of lists that are at hand, at random. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { CHANNEL_FIELDS, Column, EntryBatch, Flag, ROW } from '../../src/channels/entry-batch.ts';
import { M3uScanner } from '../../src/m3u/scan.ts';

export type Fields = readonly (string | undefined)[];

const DATA = join(import.meta.dirname, '../../../../../shared/data/m3u');
export const REAL_LISTS = existsSync(DATA);

/** A batch with these channels; `room` bytes are left for edits. */
export function batchOf(channels: readonly Fields[], { room = 0, dropped = [] as readonly number[] } = {}): EntryBatch {
  const texts = channels.map((fields) => CHANNEL_FIELDS.map((_, field) => fields[field]));
  const bytes = texts.flat().reduce((sum, text) => sum + Buffer.byteLength(text ?? ''), 0);
  const batch = new EntryBatch(bytes + room, Math.max(1, channels.length));
  batch.table.fill(-1);
  for (const [row, fields] of texts.entries()) {
    for (const [field, text] of fields.entries()) {
      if (text === undefined) continue;
      batch.table[row * ROW + 2 * field] = batch.used;
      batch.used += batch.bytes.write(text, batch.used);
      batch.table[row * ROW + 2 * field + 1] = batch.used;
    }
    batch.table[row * ROW + Column.flags] = dropped.includes(row) ? Flag.dropped : 0;
  }
  batch.count = channels.length;
  batch.live = channels.length - new Set(dropped).size;
  return batch;
}

/** The fields as texts; a dropped channel is undefined. */
export function fieldsOf(batch: EntryBatch): (Fields | undefined)[] {
  return Array.from({ length: batch.count }, (_, row) => {
    if ((batch.table[row * ROW + Column.flags]! & Flag.dropped) !== 0) return undefined;
    return CHANNEL_FIELDS.map((_, field) => {
      const start = batch.table[row * ROW + 2 * field]!;
      return start < 0 ? undefined : batch.bytes.toString('utf8', start, batch.table[row * ROW + 2 * field + 1]);
    });
  });
}

/** Everything that counts of a batch. */
export function stateOf(batch: EntryBatch): unknown {
  return {
    fields: fieldsOf(batch),
    live: batch.live,
    flags: Array.from({ length: batch.count }, (_, row) => batch.table[row * ROW + Column.flags]),
    originalIds: Array.from({ length: batch.count }, (_, row) => {
      const from = batch.table[row * ROW + Column.originalIdStart]!;
      return from < 0 ? undefined : batch.bytes.toString('utf8', from, batch.table[row * ROW + Column.originalIdEnd]);
    }),
  };
}

/** Two batches of the same channels. */
export function copyOf(batch: EntryBatch, room = 0): EntryBatch {
  const copy = new EntryBatch(batch.bytes.length + room, batch.capacity);
  batch.bytes.copy(copy.bytes);
  copy.table.set(batch.table);
  copy.used = batch.used;
  copy.count = batch.count;
  copy.live = batch.live;
  return copy;
}

/** As a stage has it: larger by what is asked for. */
export function makeRoom(batch: EntryBatch, bytes: number): void {
  const larger = Buffer.allocUnsafeSlow(Math.max(batch.used + bytes, batch.bytes.length * 2));
  batch.bytes.copy(larger, 0, 0, batch.used);
  batch.bytes = larger;
}

/** The real lists as batches of about `batchBytes`. */
export function* realBatches(batchBytes = 256 * 1024): Generator<EntryBatch> {
  for (const file of globSync(['**/*.m3u', '**/*.m3u8'], { cwd: DATA }).sort()) {
    const text = readFileSync(join(DATA, file));
    const scanner = new M3uScanner();
    for (let at = 0; at < text.length; ) {
      const batch = new EntryBatch(batchBytes * 2, 20_000);
      const length = text.copy(batch.bytes, 0, at, at + batchBytes);
      const consumed = scanner.scan(batch, length, at + length === text.length);
      if (batch.count > 0) yield batch;
      if (consumed === 0) break;
      at += consumed;
    }
  }
}

const NAME_PARTS = [
  'BBC One',
  'HD',
  'ᶠᴴᴰ',
  'FHD',
  '4K',
  'UK:',
  '|DE|',
  '[FR]',
  '(1080p)',
  '[Not 24/7]',
  '[Geo-blocked]',
  '(HD 50fps)',
  ' - ',
  '|',
  ':',
  '*',
  ' ',
  '  ',
  '\u00a0',
  '\u200b',
  '\u3000',
  '\t',
  'Österreich',
  'İstanbul',
  'K',
  'ſ',
  'ß',
  '日本',
  '🎬',
  'ΣΑΣ',
  '(',
  ')',
  '[',
  ']',
  ';',
  'News;Sport',
  'US - ',
  'H.265',
  'ˢᴰ',
  '"',
  "'",
  'e\u0301',
  'i\u0307',
];
const namePart = fc.oneof(
  { arbitrary: fc.constantFrom(...NAME_PARTS), weight: 6 },
  { arbitrary: fc.string({ unit: 'binary', maxLength: 6 }), weight: 1 },
  { arbitrary: fc.string({ unit: 'grapheme', maxLength: 6 }), weight: 1 },
);
const wellFormed = (text: string): string => text.toWellFormed();
export const nameText = fc
  .array(namePart, { maxLength: 7 })
  .chain((parts) => fc.constantFrom('', ' ').map((gap) => wellFormed(parts.join(gap))));
const field = fc.option(
  fc.oneof({ arbitrary: nameText, weight: 9 }, { arbitrary: nameText.map((text) => text.repeat(300)), weight: 1 }),
  { nil: undefined, freq: 4 },
);

/** Channels with odd names, absent, empty and long fields. */
export const oddChannels = fc.array(
  fc.tuple(field, field, field, field, field, field, field, field) as fc.Arbitrary<Fields>,
  {
    maxLength: 12,
  },
);
