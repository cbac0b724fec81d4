import { RECORD_FRAME_BYTES, type RecordBatch } from './record-batch.ts';

/** A part of the wire form that ends where a record does. */
export interface WirePiece {
  readonly start: number;
  readonly end: number;
  readonly count: number;
}

/** Where each record of a wire form begins and ends, in order. Throws when the form ends in the middle of one: the text says where. */
export function* wireRecords(wire: Uint8Array): Generator<{ start: number; end: number }, void, undefined> {
  const view = new DataView(wire.buffer, wire.byteOffset, wire.byteLength);
  const record = { start: 0, end: 0 };
  for (let at = 0; at < wire.byteLength; at = record.end) {
    record.start = at + RECORD_FRAME_BYTES;
    const fits = record.start <= wire.byteLength && view.getUint32(at, true) <= wire.byteLength - record.start;
    if (!fits) throw new Error(`no whole record begins at byte ${at} of ${wire.byteLength}`);
    record.end = record.start + view.getUint32(at, true);
    yield record;
  }
}

/** The same in pieces of up to so many bytes, or one record where that is larger. Throws likewise, and for a record of more than `maxBytes` with its frame. */
export function* wirePieces(
  wire: Uint8Array,
  pieceBytes: number,
  maxBytes: number,
): Generator<WirePiece, void, undefined> {
  let start = 0;
  let end = 0;
  let count = 0;
  for (const record of wireRecords(wire)) {
    const from = record.start - RECORD_FRAME_BYTES;
    if (record.end - from > maxBytes) {
      throw new Error(`the record at byte ${from} takes ${record.end - from} bytes, and ${maxBytes} are the most`);
    }
    if (count > 0 && record.end - start > pieceBytes) {
      yield { start, end, count };
      start = from;
      count = 0;
    }
    end = record.end;
    count++;
  }
  if (count > 0) yield { start, end, count };
}

/** Fills a batch, emptied first, from its wire form. It must be large enough. */
export function readWire(wire: Uint8Array, into: RecordBatch): void {
  into.clear();
  for (const { start, end } of wireRecords(wire)) {
    if (!into.tryPush(wire, start, end)) throw new Error('a batch is too small for what was kept of it');
  }
}
