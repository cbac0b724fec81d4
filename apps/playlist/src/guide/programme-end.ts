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
 * Finds where programmes end. Remembers how far a search came in vain, so that any number of programmes that break off within one CDATA section cost
 * no more than one.
 */
export class ProgrammeEnd {
  /** Bytes looked at so far, for tests that bound the work. */
  searchedBytes = 0;
  /** A search that stands at `#from` comes to `#to` and has not ended before. */
  #from = -1;
  #to = -1;

  restart(): void {
    this.#from = -1;
  }

  /** The buffer's content moved towards its start by `bytes`. */
  moved(bytes: number): void {
    this.#from = this.#from < bytes ? -1 : this.#from - bytes;
    this.#to -= bytes;
  }

  /**
   * End of the programme whose content begins at `from`: the offset behind its end tag, INCOMPLETE, or UNTERMINATED. The tags in it are passed over.
   *
   * Seeks the word `programme`, which finds the end tag and also a start tag that has no business there in one go over the bytes, at about 0.4 ns a
   * byte. Nothing from `limit` on is read, but `markup` may know the bytes up to `used`.
   */
  of(buffer: Buffer, from: number, limit: number, markup: MarkupFinder, used: number): number {
    let at = from;
    /** The first word from `at` on: sought again only once `at` has passed it, however many comments stand before it. */
    let hit = -1;
    /** Behind the first comment or the like. */
    let resumed = -1;
    for (;;) {
      if (hit < at) {
        hit = wordAt(buffer, at, limit);
        this.searchedBytes += hit - at;
      }
      const special = markup.next(buffer, at, used);
      if (special < hit) {
        at = markup.end(buffer, special, used);
        if (at < 0 || at > limit) return this.#inVain(INCOMPLETE, resumed, special);
        if (resumed < 0) resumed = at;
        if (at === this.#from) at = this.#to;
        continue;
      }
      if (hit === limit) return this.#inVain(INCOMPLETE, resumed, limit - PROGRAMME.length + 1);
      at = hit + PROGRAMME.length;
      if (at === limit) return this.#inVain(INCOMPLETE, resumed, hit);
      const before = buffer[hit - 1];
      if (before === SLASH && buffer[hit - 2] === LT) {
        const end = tagClose(buffer, at, limit);
        if (end >= 0) return end;
        if (end === INCOMPLETE) return this.#inVain(INCOMPLETE, resumed, hit);
      } else if (before === LT && isDelimiter(buffer[at]!)) return this.#inVain(UNTERMINATED, resumed, hit);
    }
  }

  #inVain(result: number, from: number, to: number): number {
    if (from >= 0 && to > from) {
      this.#from = from;
      this.#to = to;
    }
    return result;
  }
}

/** The first `programme` in `[at, limit)`, else `limit`. Horspool's algorithm (R. N. Horspool, "Practical fast searching in strings", 1980). */
function wordAt(buffer: Buffer, at: number, limit: number): number {
  let last = at + PROGRAMME.length - 1;
  while (last < limit) {
    const byte = buffer[last]!;
    if (byte === 0x65 && isProgramme(buffer, last)) return last - PROGRAMME.length + 1;
    last += SHIFT[byte]!;
  }
  return limit;
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
