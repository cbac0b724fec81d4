// A byte-wise LZ77 in the manner of LZ4's block format (github.com/lz4/lz4, doc/lz4_Block_format.md): a token with two lengths, literals, an offset of two bytes. Matches are found by a table of
// the last place of each hash of four bytes; the search takes longer steps the longer it finds nothing.

const HASH_BITS: u32 = 12;
const table = memory.data(8192, 2);
const SHORTEST: i32 = 4;
/** So many bytes at the end are literals: matches are looked at four bytes at a time. */
const TAIL: i32 = 12;
const FARTHEST: usize = 65535;

/** What `compress` may write at most, and some that `fetch` may copy beyond. */
export function boundOf(length: i32): usize {
  return <usize>(length + length / 255 + 2048);
}

/** Compresses at most 64 KiB, or all as literals; returns the length. */
export function compress(from: usize, length: i32, to: usize): i32 {
  const end = from + <usize>length;
  let out = to;
  let literals = from;
  if (length > TAIL && length <= 65536) {
    memory.fill(table, 0, 8192);
    const last = end - TAIL;
    let misses: u32 = 0;
    let at = from + 1;
    while (at < last) {
      const four = load<u32>(at);
      const slot = table + ((<usize>((four * 2654435761) >> (32 - HASH_BITS))) << 1);
      const before = from + <usize>load<u16>(slot);
      store<u16>(slot, <u16>(at - from));
      if (load<u32>(before) !== four || at - before > FARTHEST) {
        at += 1 + (misses++ >> 5);
        continue;
      }
      misses = 0;
      const size = 4 + matchLength(at + 4, before + 4, last);
      out = putSequence(out, literals, <i32>(at - literals), size, <u32>(at - before));
      at += <usize>size;
      literals = at;
    }
  }
  return <i32>(putSequence(out, literals, <i32>(end - literals), 0, 0) - to);
}

/** False when the bytes are none that `compress` makes, or do not come to `length`. */
export function decompress(from: usize, size: i32, to: usize, length: i32): bool {
  const fromEnd = from + <usize>size;
  const end = to + <usize>length;
  let at = from;
  let out = to;
  while (at < fromEnd) {
    const token = <u32>load<u8>(at++);
    let literals = token >> 4;
    if (literals === 15) {
      let more: u32;
      do {
        if (at >= fromEnd) return false;
        more = load<u8>(at++);
        literals += more;
      } while (more === 255);
    }
    if (<usize>literals > fromEnd - at || <usize>literals > end - out) return false;
    memory.copy(out, at, <usize>literals);
    at += <usize>literals;
    out += <usize>literals;
    if (at === fromEnd) return out === end;
    if (fromEnd - at < 2) return false;
    const offset = <usize>load<u16>(at);
    at += 2;
    let match = (token & 15) + <u32>SHORTEST;
    if ((token & 15) === 15) {
      let more: u32;
      do {
        if (at >= fromEnd) return false;
        more = load<u8>(at++);
        match += more;
      } while (more === 255);
    }
    if (offset === 0 || offset > out - to || <usize>match > end - out) return false;
    out = repeat(out, offset, <usize>match);
  }
  return false;
}

function matchLength(at: usize, before: usize, end: usize): i32 {
  const from = at;
  while (at + 8 <= end) {
    const different = load<u64>(at) ^ load<u64>(before);
    if (different !== 0) return <i32>(at - from) + <i32>(ctz(different) >> 3);
    at += 8;
    before += 8;
  }
  while (at < end && load<u8>(at) === load<u8>(before)) {
    at++;
    before++;
  }
  return <i32>(at - from);
}

/** Literals and a match; a match of 0 is the end. */
function putSequence(out: usize, literals: usize, count: i32, match: i32, offset: u32): usize {
  const token = out++;
  const matchCode = match === 0 ? 0 : match - SHORTEST;
  store<u8>(token, (min(count, 15) << 4) | min(matchCode, 15));
  if (count >= 15) out = putLength(out, count - 15);
  memory.copy(out, literals, <usize>count);
  out += <usize>count;
  if (match === 0) return out;
  store<u16>(out, <u16>offset);
  out += 2;
  return matchCode >= 15 ? putLength(out, matchCode - 15) : out;
}

function putLength(out: usize, rest: i32): usize {
  for (; rest >= 255; rest -= 255) store<u8>(out++, 255);
  store<u8>(out++, rest);
  return out;
}

/** Copies `length` bytes from `offset` bytes before: what is copied may be what was just written. */
function repeat(out: usize, offset: usize, length: usize): usize {
  if (offset >= length) {
    memory.copy(out, out - offset, length);
    return out + length;
  }
  for (const end = out + length; out < end; out++) store<u8>(out, load<u8>(out - offset));
  return out;
}
