import { Column, type EntryBatch, Flag, ROW } from '../../src/channels/entry-batch.ts';

/** Sets a field as a rule does: the text is appended to the batch and the row's span pointed at it. */
export function editEntry(batch: EntryBatch, row: number, field: number, value: string): void {
  const base = row * ROW;
  const start = batch.used;
  batch.used += batch.bytes.write(value, start);
  if (batch.used - start !== Buffer.byteLength(value)) throw new Error('no room for edits');
  batch.table[base + 2 * field] = start;
  batch.table[base + 2 * field + 1] = batch.used;
  batch.table[base + Column.flags]! |= 1 << (Flag.changedShift + field);
}
