/**
 * Attributes of an `#EXTINF` line as people really write them. One line at a time; linear in its length whatever stands in it.
 *
 * For maintainers. Nobody escapes quotes, so which quote closes a value is a guess, made in this order:
 * 1. a quote before a comma, the line's end, or white space and a further `key=`: closing;
 * 2. a quote that opens another attribute (`key="` after white space): the value was never closed and is cut before that key;
 * 3. when 1 and 2 find nothing, the first quote before white space: closing, and what follows is stray;
 * 4. else the value runs to the first comma, or to the line's end.
 * 1 before 3 keeps `"The "Best" One"` whole. Whether a quote satisfies 1, 2 or 3 depends on its place alone, not on where the value began:
 * that makes it right to keep the next such place for each kind of quote, and the whole linear.
 */
import { isKeyByte, isWhite, skipWhite, trimEnd } from './ascii.ts';
import { beginsWithAttribute, isTellingKey } from './attribute-key.ts';

const COMMA = 44;
const EQUALS = 61;
const DOUBLE = 34;
const SINGLE = 39;

/** Walks over `key=value` pairs. One object serves for any number of lines and allocates nothing. */
export class AttributeTokenizer {
  keyStart = 0;
  keyEnd = 0;
  /** The value without its quotes. */
  valueStart = 0;
  valueEnd = 0;
  /** False once something was seen that is not ` key="value"` after exactly one space. */
  canonical = true;
  /** End of the last attribute with its closing quote; where it began when there was none. */
  end = 0;
  /** The comma before the name, -1 when there is none; known when `next` has answered false. */
  comma = -1;

  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #to = 0;
  // Per kind of quote: where the search stops (rules 1 and 2) and the next quote before white space (rule 3), -1 = not known yet.
  readonly #stop = new Int32Array(2);
  readonly #weak = new Int32Array(2);

  /** Begins with what follows the duration, [from, to): no line end in it. */
  start(bytes: Uint8Array, from: number, to: number): this {
    this.#bytes = bytes;
    this.#at = from;
    this.#to = to;
    this.end = from;
    this.comma = -1;
    this.canonical = true;
    this.#stop.fill(-1);
    this.#weak.fill(-1);
    return this;
  }

  /** Moves to the next attribute; false when the comma before the name, or the line's end, is reached. */
  next(): boolean {
    const bytes = this.#bytes;
    const to = this.#to;
    for (;;) {
      const from = this.#at;
      const at = skipWhite(bytes, from, to);
      if (at >= to) {
        this.#at = to;
        if (at > from) this.canonical = false;
        return false;
      }
      if (bytes[at] === COMMA) {
        if (!beginsWithAttribute(bytes, at + 1, to)) {
          this.#at = at;
          this.comma = at;
          if (at > from) this.canonical = false;
          return false;
        }
        this.canonical = false;
        this.#at = at + 1;
        continue;
      }
      if (at !== from + 1 || bytes[from] !== 32) this.canonical = false;
      if (this.#readAttribute(at)) return true;
      this.canonical = false;
      this.#skipStray(at);
    }
  }

  /** A word without `=`: passed over, up to white space or a comma. */
  #skipStray(at: number): void {
    const bytes = this.#bytes;
    const to = this.#to;
    while (at < to && bytes[at] !== COMMA && !isWhite(bytes[at])) at++;
    this.#at = at;
  }

  #readAttribute(at: number): boolean {
    const bytes = this.#bytes;
    const to = this.#to;
    const keyStart = at;
    while (at < to && isKeyByte(bytes[at])) at++;
    if (at === keyStart) return false;
    const keyEnd = at;
    at = skipWhite(bytes, at, to);
    if (at >= to || bytes[at] !== EQUALS) return false;
    if (at > keyEnd) this.canonical = false;
    this.keyStart = keyStart;
    this.keyEnd = keyEnd;
    const afterEquals = at + 1;
    at = skipWhite(bytes, afterEquals, to);
    if (at > afterEquals) this.canonical = false;
    const quote = at < to ? bytes[at]! : 0;
    if (quote === DOUBLE || quote === SINGLE) {
      if (quote === SINGLE) this.canonical = false;
      this.#readQuoted(at + 1, quote);
    } else {
      this.canonical = false;
      this.#readBare(afterEquals, at);
    }
    this.end = this.#at;
    return true;
  }

  /** `key=value`, up to white space or a comma; `key= next=...` has no value. */
  #readBare(afterEquals: number, at: number): void {
    const bytes = this.#bytes;
    const to = this.#to;
    let end = at;
    while (end < to && bytes[end] !== COMMA && !isWhite(bytes[end])) end++;
    if (at > afterEquals && (end === at || this.#keyFollows(at))) {
      at = afterEquals;
      end = afterEquals;
    }
    this.valueStart = at;
    this.valueEnd = end;
    this.#at = end;
  }

  #readQuoted(start: number, quote: number): void {
    const bytes = this.#bytes;
    const to = this.#to;
    const kind = quote === DOUBLE ? 0 : 1;
    this.valueStart = start;
    if (this.#stop[kind]! < start) this.#stop[kind] = this.#findStop(start, quote);
    const stop = this.#stop[kind]!;
    if (stop < to && !this.#opens(stop)) {
      this.#close(stop, stop + 1);
      // A quote in the value would end it early for the next reader.
      if (this.canonical && this.#has(start, stop, quote)) this.canonical = false;
      return;
    }
    this.canonical = false;
    if (this.#weak[kind]! < start) this.#weak[kind] = this.#findWeak(start, quote);
    const weak = this.#weak[kind]!;
    if (weak < stop) {
      this.#close(weak, weak + 1);
      return;
    }
    let end = start;
    if (stop < to) {
      end = stop - 1;
      while (end > start && isKeyByte(bytes[end - 1])) end--;
    } else {
      while (end < to && bytes[end] !== COMMA) end++;
    }
    this.#close(trimEnd(bytes, start, end), end);
  }

  #close(valueEnd: number, at: number): void {
    this.valueEnd = valueEnd;
    this.#at = at;
  }

  #has(start: number, end: number, byte: number): boolean {
    for (let at = start; at < end; at++) if (this.#bytes[at] === byte) return true;
    return false;
  }

  #findStop(from: number, quote: number): number {
    const bytes = this.#bytes;
    for (let at = from; at < this.#to; at++) {
      if (bytes[at] === quote && (this.#opens(at) || this.#closes(at))) return at;
    }
    return this.#to;
  }

  #findWeak(from: number, quote: number): number {
    const bytes = this.#bytes;
    for (let at = from; at < this.#to; at++) {
      if (bytes[at] === quote && at + 1 < this.#to && isWhite(bytes[at + 1])) return at;
    }
    return this.#to;
  }

  /** Whether the quote at `at` stands at the end of `key=` where a key may begin. */
  #opens(at: number): boolean {
    const bytes = this.#bytes;
    if (bytes[at - 1] !== EQUALS) return false;
    let key = at - 1;
    while (isKeyByte(bytes[key - 1])) key--;
    if (key === at - 1) return false;
    const before = bytes[key - 1]!;
    const white = isWhite(before);
    if (!white && before !== COMMA && before !== DOUBLE && before !== SINGLE) return false;
    // `... base64=" next="..."`: it could be either; only a key that is no accident makes it an opening quote.
    return !this.#endsHere(at) || (white && isTellingKey(bytes, key, at - 1));
  }

  /** Rule 1, and a missing space: `"a"key="b"`. */
  #closes(at: number): boolean {
    const bytes = this.#bytes;
    const to = this.#to;
    let next = at + 1;
    if (next >= to || bytes[next] === COMMA) return true;
    if (isWhite(bytes[next])) {
      next = skipWhite(bytes, next, to);
      return next >= to || bytes[next] === COMMA || this.#keyFollows(next);
    }
    while (next < to && isKeyByte(bytes[next])) next++;
    return (
      next > at + 1 &&
      next + 1 < to &&
      bytes[next] === EQUALS &&
      (bytes[next + 1] === DOUBLE || bytes[next + 1] === SINGLE)
    );
  }

  #endsHere(at: number): boolean {
    const next = at + 1;
    return next >= this.#to || this.#bytes[next] === COMMA || isWhite(this.#bytes[next]);
  }

  #keyFollows(at: number): boolean {
    const bytes = this.#bytes;
    const to = this.#to;
    const start = at;
    while (at < to && isKeyByte(bytes[at])) at++;
    if (at === start) return false;
    at = skipWhite(bytes, at, to);
    return at < to && bytes[at] === EQUALS;
  }
}
