/**
 * Whether `text` is what the UTF-8 bytes from `start` to `end` say, found without decoding them. Invalid UTF-8 says nothing, so it matches no text.
 */
export function matchesBytes(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  // One to three bytes for each unit of UTF-16.
  if (text.length > length) return false;
  for (let i = 0; i < text.length; i++) {
    const byte = bytes[start + i]!;
    if (byte > 0x7f) return matchesWide(text, i, bytes, start + i, end);
    if (text.charCodeAt(i) !== byte) return false;
  }
  return text.length === length;
}

/** From the first byte on that is not ASCII. */
function matchesWide(text: string, unit: number, bytes: Uint8Array, at: number, end: number): boolean {
  while (at < end) {
    const code = codePointAt(bytes, at, end);
    if (code < 0 || unit >= text.length) return false;
    if (code <= 0xffff) {
      if (text.charCodeAt(unit++) !== code) return false;
    } else {
      const above = code - 0x10000;
      if (text.charCodeAt(unit++) !== 0xd800 + (above >> 10)) return false;
      if (unit >= text.length || text.charCodeAt(unit++) !== 0xdc00 + (above & 0x3ff)) return false;
    }
    at += code < 0x80 ? 1 : code < 0x800 ? 2 : code <= 0xffff ? 3 : 4;
  }
  return unit === text.length;
}

/** By table 3-7 of the Unicode standard: no surrogates, nothing longer than need be, nothing cut off. -1 for what is none. */
function codePointAt(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return first;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + length > end) return -1;
  let code = first & (0x7f >> length);
  for (let i = 1; i < length; i++) {
    const next = bytes[at + i]!;
    if ((next & 0xc0) !== 0x80) return -1;
    code = (code << 6) | (next & 0x3f);
  }
  if (length === 3 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff))) return -1;
  if (length === 4 && (code < 0x10000 || code > 0x10ffff)) return -1;
  return code;
}
