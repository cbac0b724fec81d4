import type { Reservation } from 'plimsoll';
import type { EntryBatch } from './entry-batch.ts';

/** Edits need more room than the batch has: a larger buffer, reserved first; the old one is freed at once. */
export function enlargeBatch(batch: EntryBatch, bytes: number, room: Reservation): void {
  const before = batch.bytes;
  const size = Math.max(Math.ceil(before.length * 1.5), batch.used + bytes);
  room.grow(size);
  const larger = Buffer.allocUnsafeSlow(size);
  before.copy(larger, 0, 0, batch.used);
  batch.bytes = larger;
  const freed = before.byteLength;
  before.buffer.transfer(0);
  // What the batch was made with stays on its maker's account; only the surplus is held here.
  room.shrink(Math.min(room.bytes, freed));
}
