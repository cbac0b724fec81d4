// Chunks, compressed, in pieces of one size, so that whatever has been let go serves for whatever comes.
import { give, take, widen } from '../../sdk/index';
import { boundOf, compress, decompress } from './lz';

const PIECE: usize = 1008;
/** Before the bytes of a piece: the next one. */
const LINK: usize = 4;
/** Before those of a chunk: how many there are; as many as it has raw when it could not be compressed. */
const SIZE: usize = 4;

let scratch: usize = 0;

/** Never negative: without memory the plugin ends. */
export function keep(at: usize, length: i32): i32 {
  scratch = widen(scratch, SIZE + boundOf(length), 0);
  let size = compress(at, length, scratch + SIZE);
  if (size >= length) {
    memory.copy(scratch + SIZE, at, <usize>length);
    size = length;
  }
  store<i32>(scratch, size);
  return <i32>cut(scratch, SIZE + <usize>size);
}

export function fetch(chunk: i32, into: usize, length: i32): bool {
  scratch = widen(scratch, SIZE + boundOf(length), 0);
  let to = scratch;
  for (let piece = <usize>chunk; piece !== 0; ) {
    const next = load<usize>(piece);
    memory.copy(to, piece + LINK, PIECE - LINK);
    to += PIECE - LINK;
    give(piece);
    piece = next;
  }
  const size = load<i32>(scratch);
  if (size < length) return decompress(scratch + SIZE, size, into, length);
  memory.copy(into, scratch + SIZE, <usize>length);
  return true;
}

function cut(at: usize, length: usize): usize {
  let first: usize = 0;
  let last: usize = 0;
  for (let from: usize = 0; from < length; from += PIECE - LINK) {
    const piece = take(PIECE);
    store<usize>(piece, 0);
    memory.copy(piece + LINK, at + from, min(PIECE - LINK, length - from));
    if (last === 0) first = piece;
    else store<usize>(last, piece);
    last = piece;
  }
  return first;
}
