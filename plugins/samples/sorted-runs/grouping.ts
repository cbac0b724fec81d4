// Brings keyed records in the order of their keys: filled blocks become sorted runs in a store, runs are merged, sixteen at a time, until one merge is enough for the output. Memory: one block and its
// index while it is filled, sixteen chunks while it is merged, 4 bytes for each run, 64 for each chunk.
import { fail, OK, Output, Records, widen } from '../../sdk/index';
import { closeRun, putRecord, storeWith } from './chunks';
import { isKeyed, wholeLength } from './keys';
import { FAN_IN, hasMergeFailed, openMerge, passRecord, peekRecord } from './merge';
import { addToBlock, closeBlock, dropBlock, isBlockEmpty, isBlockFull, sortBy } from './sort';

/** What is put out for one empty batch. */
const PIECE_BYTES: i32 = 1 << 20;

/** The runs, the earliest first. */
let runs: usize = 0;
let runCount: i32 = 0;
let merging: bool = false;

export function startGrouping(
  blockBytes: usize,
  chunkBytes: i32,
  keep: (at: usize, length: i32) => i32,
  fetch: (chunk: i32, into: usize, length: i32) => bool,
): void {
  sortBy(blockBytes);
  storeWith(chunkBytes, keep, fetch);
}

/** Takes a batch in; an empty one asks for the next piece of the output, of which there is none any more when it gives nothing. */
export function group(batch: usize, length: i32): i32 {
  if (length === 0) return giveOut(PIECE_BYTES);
  if (merging) return fail('a batch after the output has begun');
  Records.open(batch, length);
  while (Records.next()) {
    if (!isKeyed(Records.at, Records.length)) return fail('a record without a key');
    if (isBlockFull(Records.length) && !addRun(closeBlock())) return noRoom();
    addToBlock(Records.at, Records.length);
  }
  return Records.damaged ? fail('a batch that ends inside a record') : OK;
}

/** Gives out what is left, in one piece. */
export function giveOutRest(): i32 {
  return giveOut(i32.MAX_VALUE);
}

function giveOut(most: i32): i32 {
  if (!merging && !startMerging()) return noRoom();
  let given = 0;
  for (let record = peekRecord(); record !== 0; record = peekRecord()) {
    const length = wholeLength(record);
    // At least one for each call, or it would seem to be the end.
    if (given > 0 && given + length > most) break;
    Output.record(record + 4, length - 4);
    given = most === i32.MAX_VALUE ? 1 : given + length;
    passRecord();
  }
  Output.flush();
  return hasMergeFailed() ? fail('what was put away did not come back') : OK;
}

function startMerging(): bool {
  if (!isBlockEmpty() && !addRun(closeBlock())) return false;
  dropBlock();
  while (runCount > FAN_IN) if (!mergeOnce()) return false;
  merging = true;
  return openMerge(runs, runCount);
}

/** Makes one run of each sixteen neighbours. */
function mergeOnce(): bool {
  let made = 0;
  for (let from = 0; from < runCount; from += FAN_IN) {
    if (!openMerge(runs + <usize>(from << 2), min(FAN_IN, runCount - from))) return false;
    for (let record = peekRecord(); record !== 0; record = peekRecord()) {
      if (!putRecord(record, wholeLength(record))) return false;
      passRecord();
    }
    const run = closeRun();
    if (hasMergeFailed() || run === 0) return false;
    store<usize>(runs + <usize>(made++ << 2), run);
  }
  runCount = made;
  return true;
}

function addRun(run: usize): bool {
  if (run === 0) return false;
  runs = widen(runs, (<usize>(runCount + 1)) << 2, (<usize>runCount) << 2);
  store<usize>(runs + <usize>(runCount++ << 2), run);
  return true;
}

function noRoom(): i32 {
  return fail('there is no room left for what has to be put away');
}
