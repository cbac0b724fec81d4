const KIB = 1_024;

/** Bytes of chance, different for each number, in blocks of 64 of which so many are filled and the rest is zeros. */
function blocks(number: number, bytes: number, filled: number): Buffer {
  const words = new Uint32Array(Math.ceil(bytes / 64) * 16);
  let state = (number + 1) * 0x9e37_79b9;
  for (let at = 0; at < words.length; at++) {
    if (at % 16 >= filled / 4) continue;
    // xorshift, George Marsaglia 2003.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  return Buffer.from(words.buffer).subarray(0, bytes);
}

/** Bytes that compress to a bit more than a half. */
export function content(number: number, bytes = 64 * KIB): Buffer {
  return blocks(number, bytes, 32);
}

/** Bytes that do not compress. */
export function noise(number: number, bytes = 64 * KIB): Buffer {
  return blocks(number, bytes, 64);
}
