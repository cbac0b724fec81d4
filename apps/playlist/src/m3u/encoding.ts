/**
 * Guessing the encoding of a playlist from its bytes, and the two conversions that need no decoder: single bytes of Windows-1252, and
 * UTF-8 with damage.
 *
 * For maintainers. The marks by which GB 18030 is known: two-byte characters are a lead 81-FE and a trail 40-7E or 80-FE, four-byte ones
 * 81-FE, 30-39, 81-FE, 30-39 (GB 18030-2005); nearly all of running Chinese text lies in rows B0-D7 (the 3,755 characters of level 1 of GB 2312, by
 * sound) and A1-A9 (punctuation, signs). Western text in one byte a letter has its high bytes one by one between ASCII letters.
 * The names and the table of windows-1252 are those of the WHATWG Encoding Standard.
 */

export const TEXT_ENCODINGS = ['utf-8', 'utf-16le', 'utf-16be', 'gb18030', 'windows-1252'] as const;
export type TextEncodingName = (typeof TEXT_ENCODINGS)[number];

export interface Mark {
  readonly encoding: TextEncodingName;
  /** Length of the byte order mark; 0 when it was recognised without one. */
  readonly bytes: number;
}

/** What the first bytes of a file say: a byte order mark, or the pattern of NUL bytes that UTF-16 makes of ASCII. Undefined: nothing. */
export function detectMark(bytes: Uint8Array, length: number): Mark | undefined {
  const first = length > 1 ? (bytes[0]! << 8) | bytes[1]! : 0;
  if (first === 0xefbb && length > 2 && bytes[2] === 0xbf) return { encoding: 'utf-8', bytes: 3 };
  if (first === 0xfffe) return { encoding: 'utf-16le', bytes: 2 };
  if (first === 0xfeff) return { encoding: 'utf-16be', bytes: 2 };
  const pairs = length >> 1;
  if (pairs < 2) return undefined;
  let even = 0;
  let odd = 0;
  for (let at = 0; at < 2 * pairs; at += 2) {
    if (bytes[at] === 0) even++;
    if (bytes[at + 1] === 0) odd++;
  }
  // Chinese in UTF-16 has few NULs, but `#EXTINF:-1 group-title=` stands in every entry.
  if (odd * 5 > pairs && even * 20 < odd) return { encoding: 'utf-16le', bytes: 0 };
  if (even * 5 > pairs && odd * 20 < even) return { encoding: 'utf-16be', bytes: 0 };
  return undefined;
}

/**
 * What UTF-8 before the first damage weighs. A Chinese character in GBK passes for two bytes of UTF-8 about once in five, for three hardly ever, and seldom stands
 * alone between ASCII letters, as an accented letter does: those weigh 3, other two-byte ones 1. From 5 on it is no accident however much damage
 * follows; from 3 on, unless there is much that reads as Chinese.
 */
const PROOF_OF_UTF8 = 5;
const SIGN_OF_UTF8 = 3;
const MUCH_CHINESE = 50;

/**
 * The encoding of text that is not valid UTF-8 and has only ASCII before it. `bytes[0, length)` begins with the first byte that is not
 * ASCII; the last character may be cut. Linear, allocates nothing.
 */
export function guessEncoding(bytes: Uint8Array, length: number): TextEncodingName {
  let valid = 0;
  let bad = 0;
  let weightBeforeDamage = 0;
  for (let at = 0; at < length; ) {
    const size = sequenceLength(bytes, at, length);
    if (size === 0) break;
    if (size > 1) {
      valid++;
      if (bad === 0) weightBeforeDamage += size > 2 || isAlone(bytes, at, length) ? 3 : 1;
    } else if (size < 0) {
      bad++;
    }
    at += Math.abs(size);
  }
  if (valid > bad || weightBeforeDamage >= PROOF_OF_UTF8) return 'utf-8';
  const chinese = countGb18030(bytes, length);
  if (chinese > 0 && (weightBeforeDamage < SIGN_OF_UTF8 || chinese >= MUCH_CHINESE)) return 'gb18030';
  return weightBeforeDamage > 0 ? 'utf-8' : 'windows-1252';
}

/** Whether the two bytes at `at` stand between ASCII. */
function isAlone(bytes: Uint8Array, at: number, length: number): boolean {
  return (at === 0 || bytes[at - 1]! < 0x80) && at + 2 < length && bytes[at + 2]! < 0x80;
}

/** Characters of GB 18030 in text that looks like it, 0 when it does not. */
function countGb18030(bytes: Uint8Array, length: number): number {
  let characters = 0;
  let common = 0;
  let bad = 0;
  for (let at = 0; at + 1 < length; ) {
    const lead = bytes[at]!;
    if (lead < 0x80) {
      at++;
      continue;
    }
    const trail = bytes[at + 1]!;
    if (lead === 0x80 || lead === 0xff || trail < 0x30 || trail === 0x7f || trail === 0xff) {
      bad++;
      at++;
    } else if (trail < 0x40) {
      const whole =
        trail < 0x3a && at + 3 < length && bytes[at + 2]! > 0x80 && bytes[at + 3]! > 0x2f && bytes[at + 3]! < 0x3a;
      if (whole) characters++;
      else if (at + 3 < length) bad++;
      at += whole ? 4 : 1;
    } else {
      characters++;
      if (trail > 0xa0 && ((lead > 0xaf && lead < 0xd8) || (lead > 0xa0 && lead < 0xaa))) common++;
      at += 2;
    }
  }
  return bad * 50 <= characters && common * 5 >= characters * 3 ? characters : 0;
}

/**
 * Length of the UTF-8 sequence at `at`: 1 to 4 when it is valid, minus the number of bytes to replace by one U+FFFD when it is not
 * (Unicode's "maximal subpart"), 0 when it is valid as far as it goes but cut by `end`.
 */
export function sequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return -1;
  const size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  let low = 0x80;
  let high = 0xbf;
  if (lead === 0xe0) low = 0xa0;
  else if (lead === 0xed) high = 0x9f;
  else if (lead === 0xf0) low = 0x90;
  else if (lead === 0xf4) high = 0x8f;
  for (let i = 1; i < size; i++) {
    if (at + i >= end) return 0;
    const byte = bytes[at + i]!;
    if (byte < low || byte > high) return -i;
    low = 0x80;
    high = 0xbf;
  }
  return size;
}

/** How many bytes at the end of [start, end) begin a UTF-8 sequence that is cut there: 0 to 3. */
export function cutBytes(bytes: Uint8Array, start: number, end: number): number {
  for (let back = 1; back <= 3 && end - back >= start; back++) {
    const byte = bytes[end - back]!;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return sequenceLength(bytes, end - back, end) === 0 ? back : 0;
  }
  return 0;
}

/** What one conversion took and gave; one object is filled again and again. */
export interface Converted {
  taken: number;
  written: number;
  replaced: number;
}

/**
 * Copies UTF-8 from `from[at, end)` to `to[offset, offset + room)`, each damaged piece as U+FFFD. Stops when `to` has no room for one more
 * character, or at a sequence cut by `end`, unless `final`.
 */
export function repairUtf8(
  from: Uint8Array,
  at: number,
  end: number,
  to: Uint8Array,
  offset: number,
  room: number,
  final: boolean,
  result: Converted,
): void {
  let out = offset;
  const start = at;
  const last = offset + room - 4;
  result.replaced = 0;
  while (at < end && out <= last) {
    let size = sequenceLength(from, at, end);
    if (size === 0) {
      if (!final) break;
      size = at - end;
    }
    if (size > 0) {
      for (let i = 0; i < size; i++) to[out++] = from[at + i]!;
    } else {
      to[out++] = 0xef;
      to[out++] = 0xbf;
      to[out++] = 0xbd;
      result.replaced++;
    }
    at += Math.abs(size);
  }
  result.taken = at - start;
  result.written = out - offset;
}

/** Code points of bytes 80 to 9F in windows-1252; those without a character keep their number. */
const WINDOWS_1252_HIGH = [
  0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d, 0x8f,
  0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178,
];

/** Writes windows-1252 from `from[at, end)` to `to[offset, offset + room)` as UTF-8: up to three bytes for one. */
export function convertWindows1252(
  from: Uint8Array,
  at: number,
  end: number,
  to: Uint8Array,
  offset: number,
  room: number,
  result: Converted,
): void {
  let out = offset;
  const start = at;
  const last = offset + room - 3;
  for (; at < end && out <= last; at++) {
    const byte = from[at]!;
    if (byte < 0x80) {
      to[out++] = byte;
      continue;
    }
    const point = byte < 0xa0 ? WINDOWS_1252_HIGH[byte - 0x80]! : byte;
    if (point < 0x800) {
      to[out++] = 0xc0 | (point >> 6);
    } else {
      to[out++] = 0xe0 | (point >> 12);
      to[out++] = 0x80 | ((point >> 6) & 0x3f);
    }
    to[out++] = 0x80 | (point & 0x3f);
  }
  result.taken = at - start;
  result.written = out - offset;
  result.replaced = 0;
}
