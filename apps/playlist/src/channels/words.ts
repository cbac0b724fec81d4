/**
 * 32-bit words, little endian, anywhere in a buffer: what records have their lengths and keys in. A record is written and read in some thirty of them, and none is
 * checked for its range, as Node's `writeUInt32LE` does. Where it does not fit, it is cut off at the end of the buffer.
 */

/** Writes a whole number from 0 to 2^32 - 1. */
export function putWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word;
  bytes[at + 1] = word >>> 8;
  bytes[at + 2] = word >>> 16;
  bytes[at + 3] = word >>> 24;
}

/** From 0 to 2^32 - 1. */
export function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
