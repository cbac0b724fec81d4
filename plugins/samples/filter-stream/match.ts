// Comparing bytes as the rules compare texts. `folded`: capital letters of ASCII count as small ones, the Kelvin sign as `k`, and `İ` as `i` with a dot above, of which only the `i` can be
// asked for. The value is in lower case, and what stands in it beyond ASCII has no case: the playlist compiles nothing else.

const LETTER_K: u32 = 0x6b;
const LETTER_I: u32 = 0x69;

export function contains(text: usize, length: i32, value: usize, size: i32, folded: bool): bool {
  if (size === 0) return true;
  if (size > length) return false;
  const first = <u32>load<u8>(value);
  const end = text + <usize>length;
  // A value is never longer than what it is found in.
  const last = end - <usize>size;
  let other = first;
  let odd = first;
  if (folded) {
    if (first - 0x61 <= 25) other = first - 0x20;
    if (first === LETTER_K) odd = 0xe2;
    else if (first === LETTER_I) odd = 0xc4;
  }
  let at = text;
  const a = i8x16.splat(<i8>first);
  const b = i8x16.splat(<i8>other);
  const c = i8x16.splat(<i8>odd);
  while (end - at >= 16 && at <= last) {
    const sixteen = v128.load(at);
    let hits = i8x16.bitmask(v128.or(v128.or(i8x16.eq(sixteen, a), i8x16.eq(sixteen, b)), i8x16.eq(sixteen, c)));
    while (hits !== 0) {
      const from = at + <usize>ctz(hits);
      if (from <= last && matches(from, end, value, size, folded, false) !== 0) return true;
      hits &= hits - 1;
    }
    at += 16;
  }
  for (; at <= last; at++) {
    const byte = <u32>load<u8>(at);
    if ((byte === first || byte === other || byte === odd) && matches(at, end, value, size, folded, false) !== 0)
      return true;
  }
  return false;
}

export function equals(text: usize, length: i32, value: usize, size: i32, folded: bool): bool {
  if (size === 0) return length === 0;
  const end = text + <usize>length;
  return size <= length && matches(text, end, value, size, folded, true) === end;
}

export function startsWith(text: usize, length: i32, value: usize, size: i32, folded: bool): bool {
  return size === 0 || (size <= length && matches(text, text + <usize>length, value, size, folded, false) !== 0);
}

export function endsWith(text: usize, length: i32, value: usize, size: i32, folded: bool): bool {
  if (size > length) return false;
  let at = text + <usize>length;
  let left = value + <usize>size;
  while (left > value) {
    if (at === text) return false;
    left--;
    const wanted = <u32>load<u8>(left);
    const byte = <u32>load<u8>(at - 1);
    if (byte === wanted || (folded && byte - 0x41 <= 25 && byte + 0x20 === wanted)) at--;
    // What an `İ` ends with is the dot.
    else if (folded && wanted === LETTER_K && at - text >= 3 && isKelvin(at - 3)) at -= 3;
    else return false;
  }
  return true;
}

/** Where the value ends that begins at `at`, 0 when it does not stand there. `whole`: nothing may follow it. */
function matches(at: usize, end: usize, value: usize, size: i32, folded: bool, whole: bool): usize {
  const valueEnd = value + <usize>size;
  while (value < valueEnd) {
    if (at === end) return 0;
    const wanted = <u32>load<u8>(value++);
    const byte = <u32>load<u8>(at);
    if (byte === wanted || (folded && byte - 0x41 <= 25 && byte + 0x20 === wanted)) {
      at++;
    } else if (folded && wanted === LETTER_K && end - at >= 3 && isKelvin(at)) {
      at += 3;
    } else if (folded && wanted === LETTER_I && end - at >= 2 && load<u16>(at) === 0xb0c4) {
      return value === valueEnd && !whole ? at + 2 : 0;
    } else {
      return 0;
    }
  }
  return at;
}

function isKelvin(at: usize): bool {
  return load<u16>(at) === 0x84e2 && load<u8>(at + 2) === 0xaa;
}
