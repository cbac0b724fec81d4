/**
 * How everything stands on the disk: records of a folder, batches of a segment, and the trailer that seals a segment, each behind the same header. All numbers
 * are little endian.
 *
 * | at | bytes | what |
 * | --- | --- | --- |
 * | 0 | 4 | `PSF1` |
 * | 4 | 1 | kind: 1 record, 2 batch, 3 trailer |
 * | 5 | 1 | codec of the payload: 0 none, 1 zstd, 2 deflate |
 * | 6 | 2 | 0 |
 * | 8 | 4 | bytes of the payload as it stands here |
 * | 12 | 4 | bytes of it before compression: never less |
 * | 16 | 4 | number within: of the batch in its segment, from 0 up; low half of the record's |
 * | 20 | 4 | number of the segment; high half of the record's |
 * | 24 | 4 | CRC-32 of bytes 4 to 23 and of the payload |
 * | 28 | | payload |
 *
 * A trailer's payload is three numbers of 8 bytes: how many batches stand before it, their bytes before compression, and the bytes of the file before it.
 *
 * Who reads knows what has to stand there, so that a frame that is sound and not the one that was asked for is found out too; and lengths are judged by the header
 * alone, before anything is read or allocated for them.
 */
import { crc32 } from 'node:zlib';
import { SPILL_CODECS, type SpillCodec } from './frame-codec.ts';

export const FRAME_HEADER_BYTES = 28;
export const TRAILER_PAYLOAD_BYTES = 24;
/** What sealing a segment takes. */
export const TRAILER_BYTES = FRAME_HEADER_BYTES + TRAILER_PAYLOAD_BYTES;
/** 4 GiB less one. */
export const MAX_PAYLOAD_BYTES = 0xffff_ffff;

const MAGIC = 0x3146_5350;
const CRC_FROM = 4;
const CRC_AT = 24;
const HIGH = 2 ** 32;

export const FRAME_KINDS = { record: 1, batch: 2, trailer: 3 } as const;
export type FrameKind = keyof typeof FRAME_KINDS;

/**
 * What is wrong on the disk. `short`: it ends too early. `magic`: no frame begins here. `kind`, `codec`, `length`, `id`: the header says what cannot be or was not asked for. `checksum`: bytes
 * have changed. `content`: it does not decompress to what it was. `trailer`: the segment is not what its trailer says. `surplus`: something stands behind the end.
 */
export type SpillFault =
  | 'short'
  | 'magic'
  | 'kind'
  | 'codec'
  | 'length'
  | 'id'
  | 'checksum'
  | 'content'
  | 'trailer'
  | 'surplus';

export interface FrameHeader {
  readonly kind: FrameKind;
  readonly codec: SpillCodec;
  readonly storedBytes: number;
  readonly rawBytes: number;
  readonly low: number;
  readonly high: number;
}

/** Of a record: the halves of its number. */
export const recordHeader = (id: number, bytes: number): FrameHeader => ({
  kind: 'record',
  codec: 'none',
  storedBytes: bytes,
  rawBytes: bytes,
  low: id % HIGH,
  high: Math.floor(id / HIGH),
});

/** Writes a header into the first 28 bytes of `target`. Reads the payload once: about 5 GB/s. */
export function writeFrameHeader(target: Buffer, header: FrameHeader, payload: readonly Uint8Array[]): void {
  target.writeUInt32LE(MAGIC, 0);
  target[4] = FRAME_KINDS[header.kind];
  target[5] = SPILL_CODECS.indexOf(header.codec);
  target.writeUInt16LE(0, 6);
  target.writeUInt32LE(header.storedBytes, 8);
  target.writeUInt32LE(header.rawBytes, 12);
  target.writeUInt32LE(header.low >>> 0, 16);
  target.writeUInt32LE(header.high >>> 0, 20);
  let sum = crc32(target.subarray(CRC_FROM, CRC_AT));
  for (const part of payload) sum = crc32(part, sum);
  target.writeUInt32LE(sum, CRC_AT);
}

/** What may stand at a place. */
export interface FrameExpectation {
  readonly kind: FrameKind;
  readonly low: number;
  readonly high: number;
  /** The one that compressed payloads have; those that did not shrink have none. */
  readonly codec: SpillCodec;
  readonly minRawBytes: number;
  readonly maxRawBytes: number;
}

/** What is wrong with a header, by itself; undefined when nothing is. `bytes` holds 28 from `at` on. */
export function headerFault(bytes: Buffer, at: number, expected: FrameExpectation): SpillFault | undefined {
  if (bytes.readUInt32LE(at) !== MAGIC) return 'magic';
  if (bytes[at + 4] !== FRAME_KINDS[expected.kind] || bytes.readUInt16LE(at + 6) !== 0) return 'kind';
  const codec = SPILL_CODECS[bytes[at + 5]!];
  if (codec !== 'none' && codec !== expected.codec) return 'codec';
  const stored = storedBytesAt(bytes, at);
  const raw = rawBytesAt(bytes, at);
  const isSound = raw >= expected.minRawBytes && raw <= expected.maxRawBytes;
  if (!isSound || (codec === 'none' ? stored !== raw : stored >= raw)) return 'length';
  const isIt =
    bytes.readUInt32LE(at + 16) === expected.low >>> 0 && bytes.readUInt32LE(at + 20) === expected.high >>> 0;
  return isIt ? undefined : 'id';
}

export const kindAt = (bytes: Buffer, at: number): number => bytes[at + 4]!;
export const codecAt = (bytes: Buffer, at: number): SpillCodec => SPILL_CODECS[bytes[at + 5]!] ?? 'none';
export const storedBytesAt = (bytes: Buffer, at: number): number => bytes.readUInt32LE(at + 8);
export const rawBytesAt = (bytes: Buffer, at: number): number => bytes.readUInt32LE(at + 12);

/** Whether header and payload are what was written. */
export function isIntact(bytes: Buffer, at: number, storedBytes: number): boolean {
  const payloadAt = at + FRAME_HEADER_BYTES;
  const sum = crc32(bytes.subarray(at + CRC_FROM, at + CRC_AT));
  return bytes.readUInt32LE(at + CRC_AT) === crc32(bytes.subarray(payloadAt, payloadAt + storedBytes), sum);
}

/** What is wrong with the record that begins at the first byte; undefined when nothing is. Its payload is then `length` bytes behind the header. */
export function recordFault(bytes: Buffer, id: number, length: number): SpillFault | undefined {
  if (bytes.byteLength < FRAME_HEADER_BYTES + length) return 'short';
  const { low, high } = recordHeader(id, length);
  const fault = headerFault(bytes, 0, {
    kind: 'record',
    codec: 'none',
    low,
    high,
    minRawBytes: length,
    maxRawBytes: length,
  });
  return fault ?? (isIntact(bytes, 0, length) ? undefined : 'checksum');
}

/** What a trailer says. */
export interface SegmentSeal {
  readonly batchCount: number;
  readonly rawBytes: number;
  /** Of the file, up to the trailer. */
  readonly bytesBefore: number;
}

/** A trailer, header and payload. */
export function trailerFrame(segment: number, { batchCount, rawBytes, bytesBefore }: SegmentSeal): Buffer {
  const frame = Buffer.alloc(TRAILER_BYTES);
  const payload = frame.subarray(FRAME_HEADER_BYTES);
  [batchCount, rawBytes, bytesBefore].forEach((value, i) => {
    payload.writeBigUInt64LE(BigInt(value), 8 * i);
  });
  const sizes = { storedBytes: TRAILER_PAYLOAD_BYTES, rawBytes: TRAILER_PAYLOAD_BYTES };
  writeFrameHeader(frame, { kind: 'trailer', codec: 'none', ...sizes, low: batchCount, high: segment }, [payload]);
  return frame;
}

/** The payload of a trailer whose header begins at `at`. */
export function sealAt(bytes: Buffer, at: number): SegmentSeal {
  const value = (i: number) => Number(bytes.readBigUInt64LE(at + FRAME_HEADER_BYTES + 8 * i));
  return { batchCount: value(0), rawBytes: value(1), bytesBefore: value(2) };
}
