/**
 * A hash of UTF-8 bytes, four at a time: multiply and shift after the mixing steps of MurmurHash3 (Appleby, public domain). Good enough to spread names and addresses; whoever
 * chooses texts on purpose finds some that collide, seed or no seed. So nothing rests on it: texts are compared, and probing is bounded.
 */
const SPREAD = 0x9e3779b1;
const MIX_A = 0x85ebca6b;
const MIX_B = 0xc2b2ae35;

/** 32 bits with sign. */
export function hashBytes(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed;
  let at = start;
  for (const whole = end - 3; at < whole; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash = Math.imul(hash ^ word, SPREAD);
    hash ^= hash >>> 15;
  }
  let rest = 0;
  for (let shift = 0; at < end; at++, shift += 8) rest |= bytes[at]! << shift;
  return finish(hash, rest, end - start);
}

/** The same for a text of ASCII alone as `hashBytes` for its bytes; undefined for any other. */
export function hashAscii(text: string, seed: number): number | undefined {
  const end = text.length;
  let hash = seed;
  let seen = 0;
  let at = 0;
  for (const whole = end - 3; at < whole; at += 4) {
    const a = text.charCodeAt(at);
    const b = text.charCodeAt(at + 1);
    const c = text.charCodeAt(at + 2);
    const d = text.charCodeAt(at + 3);
    seen |= a | b | c | d;
    hash = Math.imul(hash ^ (a | (b << 8) | (c << 16) | (d << 24)), SPREAD);
    hash ^= hash >>> 15;
  }
  let rest = 0;
  for (let shift = 0; at < end; at++, shift += 8) {
    const code = text.charCodeAt(at);
    seen |= code;
    rest |= code << shift;
  }
  return seen > 0x7f ? undefined : finish(hash, rest, end);
}

function finish(hash: number, rest: number, length: number): number {
  hash = Math.imul(hash ^ rest, MIX_A);
  hash ^= hash >>> 13;
  hash = Math.imul(hash ^ length, MIX_B);
  return hash ^ (hash >>> 16);
}
