// A block of records is filled, sorted by an index of 16 bytes each, and written out as a run.
import { give, take, widen } from '../../sdk/index';
import { closeRun, putRecord } from './chunks';
import { compareKeys, FRAME, prefixOf, wholeLength } from './keys';

/** Of the index: prefix of the key, place of the record. */
const ENTRY: usize = 16;
const MOST_RECORDS: i32 = 8191;

let blockBytes: usize = 0;
let block: usize = 0;
let used: usize = 0;
let index: usize = 0;
let count: i32 = 0;

/** How much is sorted at once. */
export function sortBy(bytes: usize): void {
  blockBytes = bytes;
}

/** Whether a record of so many bytes must wait until what is there has become a run. */
export function isBlockFull(length: i32): bool {
  return count === MOST_RECORDS || (count > 0 && used + FRAME + <usize>length > blockBytes);
}

export function addToBlock(at: usize, length: i32): void {
  block = widen(block, max(blockBytes, FRAME + <usize>length), 0);
  if (index === 0) index = take(2 * ENTRY * MOST_RECORDS);
  const record = block + used;
  store<i32>(record, length);
  memory.copy(record + FRAME, at, <usize>length);
  used += FRAME + <usize>length;
  const entry = index + ENTRY * <usize>count;
  count++;
  store<u64>(entry, prefixOf(record));
  store<usize>(entry, record, 8);
}

export function isBlockEmpty(): bool {
  return count === 0;
}

/** Sorts what is there and writes it; the run, 0 when that failed. */
export function closeBlock(): usize {
  const sorted = sortIndex();
  let sound = true;
  for (let i = 0; i < count && sound; i++) {
    const record = load<usize>(sorted + ENTRY * <usize>i, 8);
    sound = putRecord(record, wholeLength(record));
  }
  used = 0;
  count = 0;
  return sound ? closeRun() : 0;
}

/** What was needed for filling is not needed for merging. */
export function dropBlock(): void {
  give(block);
  give(index);
  block = 0;
  index = 0;
}

/** Merges neighbours of 1, 2, 4, ... entries from one half of the index to the other and back: equal keys stay in the order in which they came. Returns where the result is. */
function sortIndex(): usize {
  let from = index;
  let to = index + ENTRY * MOST_RECORDS;
  const other = to;
  for (let width = 1; width < count; width <<= 1) {
    for (let left = 0; left < count; left += width << 1) {
      mergePair(from, to, left, min(left + width, count), min(left + (width << 1), count));
    }
    from = to;
    to = to === other ? index : other;
  }
  return from;
}

function mergePair(from: usize, to: usize, left: i32, right: i32, end: i32): void {
  let a = from + ENTRY * <usize>left;
  let b = from + ENTRY * <usize>right;
  const aEnd = b;
  const bEnd = from + ENTRY * <usize>end;
  let into = to + ENTRY * <usize>left;
  while (a < aEnd && b < bEnd) {
    if (isBefore(b, a)) {
      copyEntry(into, b);
      b += ENTRY;
    } else {
      copyEntry(into, a);
      a += ENTRY;
    }
    into += ENTRY;
  }
  if (a < aEnd) memory.copy(into, a, aEnd - a);
  else if (b < bEnd) memory.copy(into, b, bEnd - b);
}

function isBefore(a: usize, b: usize): bool {
  const aPrefix = load<u64>(a);
  const bPrefix = load<u64>(b);
  return aPrefix === bPrefix ? compareKeys(load<usize>(a, 8), load<usize>(b, 8)) < 0 : aPrefix < bPrefix;
}

function copyEntry(into: usize, entry: usize): void {
  v128.store(into, v128.load(entry));
}
