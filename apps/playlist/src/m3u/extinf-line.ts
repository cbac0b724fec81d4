import { Column, FIELD_COUNT, Field, Flag } from '../channels/entry-batch.ts';
import { isKeyByte, isWhite, skipWhite, trimEnd } from './ascii.ts';
import { beginsWithAttribute, fieldOfKey, ODD_SPELLING } from './attribute-key.ts';
import { AttributeTokenizer } from './attribute-tokenizer.ts';

const LINE_FEED = 10;
const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const EQUALS = 61;
const SPANS_END = Column.line;

const NAME = 2 * Field.name;

/**
 * Fills the spans of one `#EXTINF` line into a row of the table. Canonical lines take one pass; anything else is read again by the tokenizer.
 * Allocates nothing per line.
 */
export class ExtinfLine {
  readonly #tokenizer = new AttributeTokenizer();

  /**
   * Reads the line whose text after `#EXTINF` begins at `at`; a line feed must follow somewhere in `bytes`. `base` is the row's first
   * column. Sets every span but the URL's and the `#` lines' to what stands there, all others to absent, and the flags. Returns where
   * the line feed stands.
   */
  read(bytes: Uint8Array, at: number, table: Int32Array, base: number): number {
    for (let column = 0; column < SPANS_END; column++) table[base + column] = -1;
    table[base + Column.flags] = 0;
    if (bytes[at] === COLON) at++;
    while (isWhite(bytes[at])) at++;
    table[base + Column.durationStart] = at;
    while (isDurationByte(bytes[at]!)) at++;
    table[base + Column.durationEnd] = at;
    table[base + Column.attrsStart] = at;
    const comma = readCanonical(bytes, at, table, base);
    if (comma < 0) return this.#readLoose(bytes, at, table, base);
    table[base + Column.attrsEnd] = comma;
    return readName(bytes, comma + 1, table, base);
  }

  #readLoose(bytes: Uint8Array, at: number, table: Int32Array, base: number): number {
    for (let column = 0; column < 2 * FIELD_COUNT; column++) table[base + column] = -1;
    let lineEnd = at;
    while (bytes[lineEnd] !== LINE_FEED) lineEnd++;
    const tokenizer = this.#tokenizer.start(bytes, at, lineEnd);
    let tidy = true;
    while (tokenizer.next()) {
      const code = fieldOfKey(bytes, tokenizer.keyStart, tokenizer.keyEnd);
      if (code < 0) continue;
      if (code >= ODD_SPELLING) tidy = false;
      const column = base + 2 * (code & (ODD_SPELLING - 1));
      if (table[column]! >= 0) {
        tidy = false;
        if (table[column + 1]! > table[column]!) continue;
      }
      table[column] = tokenizer.valueStart;
      table[column + 1] = tokenizer.valueEnd;
    }
    if (!tidy || !tokenizer.canonical) table[base + Column.flags] = Flag.untidy;
    if (tokenizer.comma >= 0) {
      table[base + Column.attrsEnd] = tokenizer.comma;
      return readName(bytes, tokenizer.comma + 1, table, base);
    }
    this.#nameWithoutComma(bytes, at, lineEnd, table, base);
    return lineEnd;
  }

  /** No comma: what follows the last attribute is the name; of `#EXTINF:24h News` all of it, for 24 is no duration there. */
  #nameWithoutComma(bytes: Uint8Array, at: number, lineEnd: number, table: Int32Array, base: number): void {
    let end = this.#tokenizer.end;
    if (end === at && at < lineEnd && !isWhite(bytes[at])) {
      end = table[base + Column.durationStart]!;
      table[base + Column.durationEnd] = end;
      table[base + Column.attrsStart] = end;
    }
    table[base + Column.attrsEnd] = end;
    const start = skipWhite(bytes, end, lineEnd);
    table[base + NAME] = start;
    table[base + NAME + 1] = trimEnd(bytes, start, lineEnd);
    table[base + Column.flags] = table[base + Column.flags]! | Flag.untidy;
  }
}

function isDurationByte(byte: number): boolean {
  return (byte < 58 && byte > 47) || byte === 45 || byte === 46 || byte === 43;
}

/** Reads ` key="value"` pairs; returns the comma that follows them, -1 as soon as anything is not canonical or needs a second look. */
function readCanonical(bytes: Uint8Array, at: number, table: Int32Array, base: number): number {
  for (;;) {
    const before = bytes[at];
    if (before === COMMA) break;
    if (before !== SPACE) return -1;
    const keyStart = at + 1;
    let keyEnd = keyStart;
    while (isKeyByte(bytes[keyEnd])) keyEnd++;
    if (keyEnd === keyStart || bytes[keyEnd] !== EQUALS || bytes[keyEnd + 1] !== QUOTE) return -1;
    const start = keyEnd + 2;
    let end = start;
    let byte = bytes[end];
    while (byte !== QUOTE && byte !== LINE_FEED) byte = bytes[++end];
    if (byte === LINE_FEED || (bytes[end - 1] === EQUALS && end > start)) return -1;
    at = end + 1;
    const field = fieldOfKey(bytes, keyStart, keyEnd);
    if (field < 0) continue;
    if (field >= ODD_SPELLING || table[base + 2 * field] !== -1) return -1;
    table[base + 2 * field] = start;
    table[base + 2 * field + 1] = end;
  }
  let next = at + 1;
  while (isWhite(bytes[next])) next++;
  // Only a name that begins with t or g can turn out to be one more attribute.
  const first = bytes[next]! | 32;
  if (first !== 116 && first !== 103) return at;
  let lineEnd = next;
  while (bytes[lineEnd] !== LINE_FEED) lineEnd++;
  return beginsWithAttribute(bytes, next, lineEnd) ? -1 : at;
}

function readName(bytes: Uint8Array, start: number, table: Int32Array, base: number): number {
  while (isWhite(bytes[start])) start++;
  let lineEnd = start;
  while (bytes[lineEnd] !== LINE_FEED) lineEnd++;
  table[base + NAME] = start;
  table[base + NAME + 1] = trimEnd(bytes, start, lineEnd);
  return lineEnd;
}
