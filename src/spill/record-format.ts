/**
 * How a record stands in a segment file. All numbers are little endian.
 *
 * | at | bytes | what |
 * | --- | --- | --- |
 * | 0 | 4 | `PSR1` |
 * | 4 | 4 | length of the payload |
 * | 8 | 8 | number of the record, never used twice in a folder |
 * | 16 | 4 | CRC-32 of bytes 4 to 15 and of the payload |
 * | 20 | | payload |
 *
 * Who reads knows number and length already, so that a record that is sound and not the one that was asked for is found out too.
 */
import { crc32 } from 'node:zlib';

export const RECORD_HEADER_BYTES = 20;
/** 4 GiB less one. */
export const MAX_RECORD_BYTES = 0xffff_ffff;

const MAGIC = 0x3152_5350;

/** What is wrong with a record: too few bytes; no record begins here; another length or another record; bytes have changed. */
export type RecordFault = 'short' | 'magic' | 'length' | 'id' | 'checksum';

/** Writes the header of a record into the first 20 bytes of `target`. Reads the payload once: about 1 GB/s or more. */
export function writeRecordHeader(target: Uint8Array, id: number, payload: readonly Uint8Array[]): void {
  let length = 0;
  for (const part of payload) length += part.byteLength;
  const view = viewOf(target);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, length, true);
  view.setBigUint64(8, BigInt(id), true);
  let sum = crc32(target.subarray(4, 16));
  for (const part of payload) sum = crc32(part, sum);
  view.setUint32(16, sum, true);
}

/** What is wrong with the record that begins at the first byte of `bytes`; undefined when nothing is. Its payload is then `length` bytes behind the header. */
export function recordFault(bytes: Uint8Array, id: number, length: number): RecordFault | undefined {
  if (bytes.byteLength < RECORD_HEADER_BYTES + length) return 'short';
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== MAGIC) return 'magic';
  if (view.getUint32(4, true) !== length) return 'length';
  if (view.getBigUint64(8, true) !== BigInt(id)) return 'id';
  const sum = crc32(bytes.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + length), crc32(bytes.subarray(4, 16)));
  return view.getUint32(16, true) === sum ? undefined : 'checksum';
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);
