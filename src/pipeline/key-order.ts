/**
 * Keys as numbers. The first six bytes of a key, zeros where it is shorter, and how many it has (7 for "more than six") make a number below 2^51, exact in a double:
 * where two numbers differ, so do the keys, the same way round; where they are equal and the keys are no longer than six bytes, the keys are equal. So most comparisons
 * touch no key. The idea is that of normalised key prefixes (Nyberg et al., AlphaSort, 1994), here with the length in it.
 */

/** Bytes of a key that stand in its number. */
const HEAD_BYTES = 6;
const LOW_RANGE = 2 ** 27;

/** The number of the key `bytes[start .. end)`. */
export function keyNumber(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length >= HEAD_BYTES) {
    const high = (bytes[start]! << 16) | (bytes[start + 1]! << 8) | bytes[start + 2]!;
    const low = (bytes[start + 3]! << 16) | (bytes[start + 4]! << 8) | bytes[start + 5]!;
    return high * LOW_RANGE + low * 8 + (length > HEAD_BYTES ? 7 : 6);
  }
  let high = 0;
  let low = 0;
  for (let index = 0; index < 3; index++) high = (high << 8) | (index < length ? bytes[start + index]! : 0);
  for (let index = 3; index < HEAD_BYTES; index++) low = (low << 8) | (index < length ? bytes[start + index]! : 0);
  return high * LOW_RANGE + low * 8 + length;
}

/** Whether all of a key stands in its number. (`%` of doubles is a call.) */
export const isWhole = (number: number): boolean => number - Math.floor(number / 8) * 8 < 7;

/** Below 0, 0, or above, for two keys whose numbers are equal. */
export function compareTails(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  let i = aStart + HEAD_BYTES;
  let j = bStart + HEAD_BYTES;
  for (; i < aEnd && j < bEnd; i++, j++) {
    const difference = a[i]! - b[j]!;
    if (difference !== 0) return difference;
  }
  return aEnd - aStart - (bEnd - bStart);
}

/** What a key at hand is known by, as a cursor has it. */
interface KeyAtHand {
  readonly bytes: Uint8Array;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly number: number;
}

/** Below 0, 0, or above. */
export function compareKeys(a: KeyAtHand, b: KeyAtHand): number {
  if (a.number !== b.number) return a.number < b.number ? -1 : 1;
  return isWhole(a.number) ? 0 : compareTails(a.bytes, a.keyStart, a.keyEnd, b.bytes, b.keyStart, b.keyEnd);
}
