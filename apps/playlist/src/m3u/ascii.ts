/** Questions about single bytes of a playlist's text, answered by table or comparison: they run once per byte. */

const WHITE = 1;
const KEY = 2;
const CLASS = new Uint8Array(256);
for (const byte of [9, 11, 12, 13, 32]) CLASS[byte] = WHITE;
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-') {
  CLASS[character.charCodeAt(0)] = KEY;
}

/** White space inside a line: tab, vertical tab, form feed, carriage return, space. Not the line feed. */
export function isWhite(byte: number | undefined): boolean {
  return CLASS[byte!] === WHITE;
}

/** A byte of an attribute's key: a letter or digit of ASCII, `_`, `.`, `:` or `-`. */
export function isKeyByte(byte: number | undefined): boolean {
  return CLASS[byte!] === KEY;
}

/** First byte in [start, end) that is not white, `end` when there is none. */
export function skipWhite(bytes: Uint8Array, start: number, end: number): number {
  while (start < end && CLASS[bytes[start]!] === WHITE) start++;
  return start;
}

/** End of [start, end) without the white space at its end, `start` at least. */
export function trimEnd(bytes: Uint8Array, start: number, end: number): number {
  while (end > start && CLASS[bytes[end - 1]!] === WHITE) end--;
  return end;
}

/** Whether `word` (lower case) stands at `start`, upper and lower case of ASCII letters alike. Reads no further than it matches. */
export function startsWithWord(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start < word.length) return false;
  for (let i = 0; i < word.length; i++) {
    const byte = bytes[start + i]!;
    if ((byte > 64 && byte < 91 ? byte | 32 : byte) !== word[i]) return false;
  }
  return true;
}
