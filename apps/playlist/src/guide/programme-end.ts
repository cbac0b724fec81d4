import { INCOMPLETE, type MarkupFinder } from './markup.ts';
import { MALFORMED } from './start-tag.ts';
import { UNTERMINATED } from './tag-walker.ts';

const LT = 0x3c;
const GT = 0x3e;
const SLASH = 0x2f;
const PROGRAMME = Buffer.from('programme');

/** Horspool's shifts for `programme`. */
const SHIFT = new Uint8Array(256).fill(PROGRAMME.length);
for (let i = 0; i < PROGRAMME.length - 1; i++) SHIFT[PROGRAMME[i]!] = PROGRAMME.length - 1 - i;

/**
 * End of the programme whose content begins at `from`: the offset behind its end tag, INCOMPLETE, or UNTERMINATED. The tags in it are passed over.
 *
 * Seeks the word `programme` with Horspool's algorithm (R. N. Horspool, "Practical fast searching in strings", 1980), which finds the end tag and also a
 * start tag that has no business there in one go over the bytes, at about 0.4 ns a byte. Nothing from `limit` on is read, but `markup` may know the
 * bytes up to `used`.
 */
export function programmeEnd(buffer: Buffer, from: number, limit: number, markup: MarkupFinder, used: number): number {
  let at = from;
  for (;;) {
    let last = at + PROGRAMME.length - 1;
    for (;;) {
      if (last >= limit) break;
      const byte = buffer[last]!;
      if (byte === 0x65 && isProgramme(buffer, last)) break;
      last += SHIFT[byte]!;
    }
    const hit = last >= limit ? limit : last - PROGRAMME.length + 1;
    const special = markup.next(buffer, at, used);
    if (special < hit) {
      at = markup.end(buffer, special, used);
      if (at < 0) return INCOMPLETE;
      continue;
    }
    if (hit === limit) return INCOMPLETE;
    at = last + 1;
    if (at === limit) return INCOMPLETE;
    const before = buffer[hit - 1];
    if (before === SLASH && buffer[hit - 2] === LT) {
      const end = tagClose(buffer, at, limit);
      if (end !== MALFORMED) return end;
    } else if (before === LT && isDelimiter(buffer[at]!)) return UNTERMINATED;
  }
}

/** Behind the `>` that may follow white space at `at`; INCOMPLETE; MALFORMED when something else stands there. */
export function tagClose(buffer: Buffer, at: number, limit: number): number {
  while (at < limit && (buffer[at] === 0x20 || (buffer[at]! >= 9 && buffer[at]! <= 13))) at++;
  if (at >= limit) return INCOMPLETE;
  return buffer[at] === GT ? at + 1 : MALFORMED;
}

function isProgramme(buffer: Buffer, last: number): boolean {
  return (
    buffer[last - 1] === 0x6d &&
    buffer[last - 2] === 0x6d &&
    buffer[last - 3] === 0x61 &&
    buffer[last - 4] === 0x72 &&
    buffer[last - 5] === 0x67 &&
    buffer[last - 6] === 0x6f &&
    buffer[last - 7] === 0x72 &&
    buffer[last - 8] === 0x70
  );
}

/** White space, `>` or `/`: what ends the name of an element. */
export function isDelimiter(byte: number): boolean {
  return byte === 0x20 || byte === GT || byte === SLASH || (byte >= 9 && byte <= 13);
}
