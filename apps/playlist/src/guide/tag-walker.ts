import { INCOMPLETE, type MarkupFinder } from './markup.ts';
import { NO_NAME } from './start-tag.ts';

/** The element's end tag is missing: another one begins, or the guide ends, before it. */
export const UNTERMINATED = -3;
/** Tags in the element do not fit each other. */
export const UNBALANCED = -4;

const MAX_DEPTH = 64;
const LT = 0x3c;
const GT = 0x3e;
const SLASH = 0x2f;
const TV = Buffer.from('tv');
const NOT_NESTED = [Buffer.from('programme'), Buffer.from('channel')] as const;

/**
 * Walks from tag to tag through an element's content, sees that each end tag fits its start tag, and finds the element's end. Only tags are
 * read, and of those the names and quotes. About 1 ns a byte.
 */
export class TagWalker {
  /** After a walk that found the end: where the element's end tag begins. */
  contentEnd = 0;
  /** Where the last tag that was looked at begins. */
  tag = 0;
  /** Behind the last CDATA section that the walk passed; 0 when there was none. */
  sectionEnd = 0;
  readonly #starts = new Int32Array(MAX_DEPTH);
  readonly #ends = new Int32Array(MAX_DEPTH);

  /**
   * `from` is behind the start tag of the element whose name stands at `[name, nameEnd)`. Returns the offset behind its end tag, INCOMPLETE, UNTERMINATED
   * or UNBALANCED. The element must not be one that is self-closed. Nothing from `used` on is read, but `markup` may know the bytes up to `filled`.
   */
  end(
    buffer: Buffer,
    name: number,
    nameEnd: number,
    from: number,
    used: number,
    markup: MarkupFinder,
    filled: number = used,
  ): number {
    const starts = this.#starts;
    const ends = this.#ends;
    let depth = 1;
    starts[0] = name;
    ends[0] = nameEnd;
    this.sectionEnd = 0;
    let at = from;
    for (;;) {
      const tag = nextTag(buffer, at, used);
      this.tag = tag;
      at = tag + 1;
      if (at >= used) return INCOMPLETE;
      const byte = buffer[at]!;
      if (byte === SLASH) {
        const open = starts[depth - 1]!;
        const length = ends[depth - 1]! - open;
        at++;
        if (at + Math.max(length, TV.length) >= used) return INCOMPLETE;
        for (let i = 0; i < length; i++)
          if (buffer[at + i] !== buffer[open + i]) return isTv(buffer, at) ? UNTERMINATED : UNBALANCED;
        at += length;
        while (at < used && isSpace(buffer[at]!)) at++;
        if (at >= used) return INCOMPLETE;
        if (buffer[at++] !== GT) return UNBALANCED;
        if (--depth > 0) continue;
        this.contentEnd = tag;
        return at;
      }
      if (byte === 0x21 || byte === 0x3f) {
        at = markup.end(buffer, tag, filled);
        if (at < 0 || at > used) return INCOMPLETE;
        if (byte === 0x21 && buffer[tag + 2] === 0x5b) this.sectionEnd = at;
        continue;
      }
      const start = at;
      while (at < used && NO_NAME[buffer[at]!] === 0) at++;
      if (at >= used) return INCOMPLETE;
      if (at === start) return UNBALANCED;
      const end = at;
      if ((byte === 0x70 || byte === 0x63) && isNotNested(buffer, start, end)) return UNTERMINATED;
      at = tagEnd(buffer, at, used);
      if (at < 0) return at;
      if (buffer[at - 2] === SLASH) continue;
      if (depth === MAX_DEPTH) return UNBALANCED;
      starts[depth] = start;
      ends[depth++] = end;
    }
  }
}

/** The first `<` in `[at, used)`, else `used`. Eight bytes a turn take half the time of one. */
export function nextTag(buffer: Buffer, at: number, used: number): number {
  for (const last = used - 8; at <= last; at += 8) {
    if (buffer[at] === LT) return at;
    if (buffer[at + 1] === LT) return at + 1;
    if (buffer[at + 2] === LT) return at + 2;
    if (buffer[at + 3] === LT) return at + 3;
    if (buffer[at + 4] === LT) return at + 4;
    if (buffer[at + 5] === LT) return at + 5;
    if (buffer[at + 6] === LT) return at + 6;
    if (buffer[at + 7] === LT) return at + 7;
  }
  while (at < used && buffer[at] !== LT) at++;
  return at;
}

/** Behind the `>` of the start tag whose attributes begin at `at`; INCOMPLETE or UNBALANCED. */
export function tagEnd(buffer: Buffer, at: number, used: number): number {
  for (; at < used; at++) {
    const byte = buffer[at]!;
    if (byte === GT) return at + 1;
    if (byte === LT) return UNBALANCED;
    if (byte !== 0x22 && byte !== 0x27) continue;
    at++;
    while (at < used && buffer[at] !== byte) if (buffer[at++] === LT) return UNBALANCED;
  }
  return INCOMPLETE;
}

function isNotNested(buffer: Buffer, start: number, end: number): boolean {
  for (const name of NOT_NESTED) {
    if (end - start !== name.length) continue;
    let i = 0;
    while (i < name.length && buffer[start + i] === name[i]) i++;
    if (i === name.length) return true;
  }
  return false;
}

/** `</tv` inside an element: it is the element that has no end. */
function isTv(buffer: Buffer, at: number): boolean {
  return buffer[at] === 0x74 && buffer[at + 1] === 0x76 && (buffer[at + 2] === GT || isSpace(buffer[at + 2]!));
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 9 && byte <= 13);
}
