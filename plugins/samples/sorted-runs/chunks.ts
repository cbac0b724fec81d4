// Records on their way to a store, in chunks: as many whole ones as fit. A run is a chain of chunks.
import { fail, give, take } from '../../sdk/index';

/** Node of a chain: what the store calls the chunk, its bytes, the next node. */
const NODE_BYTES: usize = 12;

/** Keeps a chunk: what to call it, negative when there is no room. */
let keep: (at: usize, length: i32) => i32 = nowhere;
/** Brings a chunk back, and lets go of it; false when that failed. */
let fetch: (chunk: i32, into: usize, length: i32) => bool = fromNowhere;
let chunkBytes: i32 = 0;

let buffer: usize = 0;
let used: i32 = 0;
let first: usize = 0;
let last: usize = 0;

/** Says where chunks go; `bytes` for each, a longer record has one for itself. */
export function storeWith(
  bytes: i32,
  keeper: (at: usize, length: i32) => i32,
  fetcher: (chunk: i32, into: usize, length: i32) => bool,
): void {
  chunkBytes = bytes;
  keep = keeper;
  fetch = fetcher;
}

/** Adds a record, its length before it, to the run that is being written. */
export function putRecord(at: usize, length: i32): bool {
  if (used > 0 && used + length > chunkBytes && !closeChunk()) return false;
  // Longer than a chunk: it goes as it is.
  if (length > chunkBytes) return link(keep(at, length), length);
  if (buffer === 0) buffer = take(<usize>chunkBytes);
  memory.copy(buffer + <usize>used, at, <usize>length);
  used += length;
  return true;
}

/** Ends the run; its chain, 0 when something failed. */
export function closeRun(): usize {
  if (used > 0 && !closeChunk()) return 0;
  give(buffer);
  buffer = 0;
  const run = first;
  first = 0;
  last = 0;
  return run;
}

/** Bytes of the first chunk of a chain. */
export function chunkSize(node: usize): i32 {
  return load<i32>(node, 4);
}

/** Brings the first chunk of a chain back; the chain is then what this gives, 0 at its end and -1 when it failed. */
export function fetchChunk(node: usize, into: usize): isize {
  if (!fetch(load<i32>(node), into, load<i32>(node, 4))) return -1;
  const next = load<usize>(node, 8);
  give(node);
  return <isize>next;
}

function closeChunk(): bool {
  const length = used;
  used = 0;
  return link(keep(buffer, length), length);
}

function link(chunk: i32, length: i32): bool {
  if (chunk < 0) return false;
  const node = take(NODE_BYTES);
  store<i32>(node, chunk);
  store<i32>(node, length, 4);
  store<usize>(node, 0, 8);
  if (last === 0) first = node;
  else store<usize>(last, node, 8);
  last = node;
  return true;
}

function nowhere(_at: usize, _length: i32): i32 {
  fail('there is no store');
  return -1;
}

function fromNowhere(_chunk: i32, _into: usize, _length: i32): bool {
  return false;
}
