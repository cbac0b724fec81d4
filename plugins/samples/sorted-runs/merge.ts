// Several runs are read as one, in order, a chunk of each in memory at a time.
import { give, take } from '../../sdk/index';
import { chunkSize, fetchChunk } from './chunks';
import { compareKeys, prefixOf, wholeLength } from './keys';

/** How many runs are merged at once. */
export const FAN_IN: i32 = 16;

/** Of one run: prefix of its next record, that record, where its chunk ends, the chunk, the rest of the chain. */
const CURSOR: usize = 32;
const cursors = memory.data(FAN_IN * CURSOR, 8);
/** Numbers of runs that have something, the smallest on top: a heap. Runs are numbered in the order in which their records came. */
const heap = memory.data(FAN_IN * 4, 4);
let live: i32 = 0;
let failed: bool = false;

/** Begins with `count` runs, the earliest first, at `runs`; false when one cannot be read. */
export function openMerge(runs: usize, count: i32): bool {
  live = 0;
  failed = false;
  for (let i = 0; i < count; i++) {
    const cursor = cursorAt(i);
    store<usize>(cursor, 0, 16);
    store<usize>(cursor, load<usize>(runs + <usize>(i << 2)), 20);
    if (!nextChunk(cursor)) return false;
    store<i32>(heap + <usize>(live << 2), i);
    siftUp(live++);
  }
  return true;
}

/** The next record of all, its length before it; 0 at the end, or when something failed (`hasMergeFailed`). Valid until `passRecord`. */
export function peekRecord(): usize {
  return live === 0 || failed ? 0 : load<usize>(cursorAt(load<i32>(heap)), 8);
}

/** Goes past what `peekRecord` gave. */
export function passRecord(): void {
  const cursor = cursorAt(load<i32>(heap));
  const record = load<usize>(cursor, 8);
  const next = record + <usize>wholeLength(record);
  if (next < load<usize>(cursor, 12)) {
    store<usize>(cursor, next, 8);
    store<u64>(cursor, prefixOf(next));
  } else if (load<usize>(cursor, 20) === 0 || !nextChunk(cursor)) {
    give(load<usize>(cursor, 16));
    store<usize>(cursor, 0, 16);
    store<i32>(heap, load<i32>(heap + <usize>(--live << 2)));
  }
  if (live > 1) siftDown();
}

export function hasMergeFailed(): bool {
  return failed;
}

function nextChunk(cursor: usize): bool {
  const node = load<usize>(cursor, 20);
  const size = <usize>chunkSize(node);
  give(load<usize>(cursor, 16));
  const chunk = take(size);
  store<usize>(cursor, chunk, 16);
  const rest = fetchChunk(node, chunk);
  if (rest < 0) {
    failed = true;
    return false;
  }
  store<usize>(cursor, <usize>rest, 20);
  store<usize>(cursor, chunk, 8);
  store<usize>(cursor, chunk + size, 12);
  store<u64>(cursor, prefixOf(chunk));
  return true;
}

function cursorAt(run: i32): usize {
  return cursors + CURSOR * <usize>run;
}

/** Whether the next record of run `a` comes before that of run `b`. */
function isBefore(a: i32, b: i32): bool {
  const left = cursorAt(a);
  const right = cursorAt(b);
  const aPrefix = load<u64>(left);
  const bPrefix = load<u64>(right);
  if (aPrefix !== bPrefix) return aPrefix < bPrefix;
  const order = compareKeys(load<usize>(left, 8), load<usize>(right, 8));
  return order === 0 ? a < b : order < 0;
}

function siftUp(at: i32): void {
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (!swapIfBefore(at, above)) return;
    at = above;
  }
}

function siftDown(): void {
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    if (below >= live) return;
    if (below + 1 < live && isBefore(runAt(below + 1), runAt(below))) below++;
    if (!swapIfBefore(below, at)) return;
    at = below;
  }
}

function runAt(place: i32): i32 {
  return load<i32>(heap + <usize>(place << 2));
}

function swapIfBefore(lower: i32, upper: i32): bool {
  const a = runAt(lower);
  const b = runAt(upper);
  if (!isBefore(a, b)) return false;
  store<i32>(heap + <usize>(lower << 2), b);
  store<i32>(heap + <usize>(upper << 2), a);
  return true;
}
