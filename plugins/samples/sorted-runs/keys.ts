// Keyed records: id, length of the key, key, rest (apps/playlist/src/plugins/keyed-record.ts). Here `record` is where the length before it stands, as in a batch.

export const FRAME: usize = 4;
export const SMALLEST: i32 = 8;

export function isKeyed(at: usize, length: i32): bool {
  return length >= SMALLEST && load<u32>(at, 4) <= <u32>(length - SMALLEST);
}

export function wholeLength(record: usize): i32 {
  return <i32>FRAME + load<i32>(record);
}

/** The first eight bytes of the key as a number that compares as they do; zeros behind a shorter key. */
export function prefixOf(record: usize): u64 {
  const length = load<u32>(record, 8);
  const key = record + 12;
  if (length >= 8) return bswap<u64>(load<u64>(key));
  let prefix: u64 = 0;
  for (let i: u32 = 0; i < length; i++) prefix |= (<u64>load<u8>(key + <usize>i)) << (56 - 8 * i);
  return prefix;
}

/** The order of two keys whose prefixes are the same: below 0, 0, above 0. */
export function compareKeys(a: usize, b: usize): i32 {
  const aLength = load<u32>(a, 8);
  const bLength = load<u32>(b, 8);
  const order = memory.compare(a + 12, b + 12, <usize>min(aLength, bLength));
  return order !== 0 ? order : aLength < bLength ? -1 : aLength > bLength ? 1 : 0;
}
