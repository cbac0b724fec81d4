/**
 * Writing an entry back as canonical M3U, in two pieces, because its guide id and its number are known only in a later pass:
 *
 *     [# lines before]\n#EXTINF:-1            head; then the caller puts ` tvg-id="..."` and ` tvg-chno="..."`
 *      group-title="News",Name\n[# lines after]\nhttp://...\n       tail
 *
 * Bytes are written without looking for the end of `out` (a typed array ignores what falls outside); the offset tells afterwards.
 */
import { copyBytes } from '../channels/copy-bytes.ts';
import { Column, type EntryBatch, Field, Flag, ROW } from '../channels/entry-batch.ts';
import { isKeyByte, skipWhite, trimEnd } from './ascii.ts';
import { beginsWithAttribute, fieldOfKey, isTellingKey, ODD_SPELLING } from './attribute-key.ts';
import { AttributeTokenizer } from './attribute-tokenizer.ts';
import { extgrpValue, isHeaderLine, isHlsTag } from './hash-line.ts';

const LINE_FEED = 10;
const SPACE = 32;
const QUOTE = 34;
const HASH = 35;
const APOSTROPHE = 39;
const COMMA = 44;
const COLON = 58;
const EQUALS = 61;

const EXTINF = Buffer.from('#EXTINF:');
const EXTGRP = Buffer.from('#EXTGRP:');
const NO_DURATION = Buffer.from('-1');
const ESCAPED_HASH = Buffer.from('%23');
/** Length of ` tvg-id="`, and of ` tvg-chno="`. */
const ID_OPENING = 9;
const CHNO_OPENING = 11;

const ADDABLE = [Field.group, Field.tvgName, Field.tvgLogo, Field.tvgShift] as const;
const KEYS: readonly (Buffer | undefined)[] = [
  undefined,
  Buffer.from('group-title'),
  undefined,
  Buffer.from('tvg-name'),
  Buffer.from('tvg-logo'),
  undefined,
  Buffer.from('tvg-shift'),
];
/** Changed bits of the fields that stand in the attribute section. */
const ATTRIBUTE_BITS = 0b0111_1110 << Flag.changedShift;
const changedBit = (field: number): number => 1 << (Flag.changedShift + field);
const NAME_CHANGED = changedBit(Field.name);
const GROUP_CHANGED = changedBit(Field.group);
const URL_CHANGED = changedBit(Field.url);

const tokenizer = new AttributeTokenizer();

/**
 * Writes the `#` lines before the entry and `#EXTINF:<duration>` (`-1` where there was none) at `out[at]`.
 * Returns the offset after it, -1 when `out` is too small. `#EXTM3U` headers and tags that would make an HLS stream of the list are left out;
 * an `#EXTGRP:` line follows a changed group.
 */
export function renderHead(batch: EntryBatch, row: number, out: Buffer, at: number): number {
  if (at < 0) return -1;
  const { bytes, table } = batch;
  const base = row * ROW;
  const end = table[base + Column.beforeEnd]!;
  if (end > table[base + Column.beforeStart]!)
    at = putLines(batch, base, table[base + Column.beforeStart]!, end, out, at);
  at = copyBytes(out, at, EXTINF, 0, EXTINF.length);
  const durationStart = table[base + Column.durationStart]!;
  const durationEnd = table[base + Column.durationEnd]!;
  at =
    durationEnd > durationStart
      ? copyBytes(out, at, bytes, durationStart, durationEnd)
      : copyBytes(out, at, NO_DURATION, 0, 2);
  return at > out.length ? -1 : at;
}

/**
 * Writes ` <attributes>,<name>\n<# lines after><url>\n` at `out[at]`, without `tvg-id` and `tvg-chno`. Returns the offset after it, -1
 * when `out` is too small (or `at` is -1). It takes at most twice the bytes of the entry's spans, and 128.
 *
 * A canonical attribute section whose fields no rule touched is copied as it stands. Any other is written anew: `key="value"`, known keys in
 * lower case and once, `"` in a value as `'`; a changed field with its new value, at its old place if it had one, left out when it is blank.
 * Control characters in new values become spaces. A new URL that is blank makes an entry without a URL: drop it before.
 */
export function renderTail(batch: EntryBatch, row: number, out: Buffer, at: number): number {
  if (at < 0) return -1;
  const { bytes, table } = batch;
  const base = row * ROW;
  const flags = table[base + Column.flags]!;
  const urlStart = table[base + 2 * Field.url]!;
  const urlEnd = table[base + 2 * Field.url + 1]!;
  if ((flags & (Flag.untidy | ATTRIBUTE_BITS)) !== 0) {
    at = putName(batch, base, out, putAttributes(batch, base, out, at));
  } else {
    const attrsEnd = table[base + Column.attrsEnd]!;
    const nameStart = table[base]!;
    const asItStood =
      (flags & (NAME_CHANGED | URL_CHANGED)) === 0 && nameStart === attrsEnd + 1 && urlStart === table[base + 1]! + 1;
    // Comma, name, line feed and URL stand there as they are to be written: one copy for all.
    at = copyAttributes(bytes, table, base, asItStood ? urlEnd : attrsEnd, out, at);
    if (asItStood) {
      out[at++] = LINE_FEED;
      return at > out.length ? -1 : at;
    }
    at = putName(batch, base, out, at);
  }
  const end = table[base + Column.afterEnd]!;
  if (end > table[base + Column.afterStart]!)
    at = putLines(batch, base, table[base + Column.afterStart]!, end, out, at);
  at =
    (flags & URL_CHANGED) === 0
      ? copyBytes(out, at, bytes, urlStart, urlEnd)
      : putNewUrl(bytes, urlStart, urlEnd, out, at);
  out[at++] = LINE_FEED;
  return at > out.length ? -1 : at;
}

/** Copies from the attributes on to `end`, leaving out the canonical ` tvg-id="..."` and ` tvg-chno="..."`. */
function copyAttributes(bytes: Buffer, table: Int32Array, base: number, end: number, out: Buffer, at: number): number {
  let from = table[base + Column.attrsStart]!;
  const id = table[base + 2 * Field.tvgId]!;
  const chno = table[base + 2 * Field.tvgChno]!;
  const idEnd = table[base + 2 * Field.tvgId + 1]! + 1;
  const chnoEnd = table[base + 2 * Field.tvgChno + 1]! + 1;
  if (id >= 0 && (chno < 0 || id < chno)) {
    at = copyBytes(out, at, bytes, from, id - ID_OPENING);
    from = idEnd;
  }
  if (chno >= 0) {
    at = copyBytes(out, at, bytes, from, chno - CHNO_OPENING);
    from = chnoEnd;
  }
  if (id >= 0 && chno >= 0 && id > chno) {
    at = copyBytes(out, at, bytes, from, id - ID_OPENING);
    from = idEnd;
  }
  return copyBytes(out, at, bytes, from, end);
}

function putAttributes(batch: EntryBatch, base: number, out: Buffer, at: number): number {
  const { bytes, table } = batch;
  const flags = table[base + Column.flags]!;
  const attrsEnd = table[base + Column.attrsEnd]!;
  // Which quote closes a value depends on the whole line.
  let lineEnd = attrsEnd;
  while (bytes[lineEnd] !== LINE_FEED) lineEnd++;
  // Of a group that comes from #EXTGRP, it is that line that follows the change.
  let done = 0;
  if ((flags & Flag.groupFromExtgrp) !== 0) done |= 1 << Field.group;
  tokenizer.start(bytes, table[base + Column.attrsStart]!, lineEnd);
  while (tokenizer.next() && tokenizer.keyStart < attrsEnd) {
    const { keyStart, keyEnd } = tokenizer;
    const code = fieldOfKey(bytes, keyStart, keyEnd);
    if (code < 0) {
      at = putAttribute(bytes, keyStart, keyEnd, tokenizer.valueStart, tokenizer.valueEnd, false, out, at);
      continue;
    }
    const field = code & (ODD_SPELLING - 1);
    if ((done & (1 << field)) !== 0) continue;
    done |= 1 << field;
    at = putField(batch, base, field, out, at);
  }
  for (const field of ADDABLE) {
    if ((done & (1 << field)) === 0 && (flags & changedBit(field)) !== 0) at = putField(batch, base, field, out, at);
  }
  return at;
}

function putField(batch: EntryBatch, base: number, field: number, out: Buffer, at: number): number {
  const key = KEYS[field];
  if (key === undefined) return at;
  const { bytes, table } = batch;
  const start = table[base + 2 * field]!;
  const end = table[base + 2 * field + 1]!;
  const changed = (table[base + Column.flags]! & changedBit(field)) !== 0;
  if (changed && isBlank(bytes, start, end)) return at;
  out[at] = SPACE;
  at = copyBytes(out, at + 1, key, 0, key.length);
  return putValue(bytes, start, end, changed, out, at);
}

function putAttribute(
  bytes: Buffer,
  keyStart: number,
  keyEnd: number,
  valueStart: number,
  valueEnd: number,
  changed: boolean,
  out: Buffer,
  at: number,
): number {
  out[at] = SPACE;
  at = copyBytes(out, at + 1, bytes, keyStart, keyEnd);
  return putValue(bytes, valueStart, valueEnd, changed, out, at);
}

function putValue(bytes: Buffer, start: number, end: number, changed: boolean, out: Buffer, at: number): number {
  out[at++] = EQUALS;
  out[at++] = QUOTE;
  for (let from = start; from < end; from++) {
    const byte = bytes[from]!;
    out[at++] = byte === QUOTE ? APOSTROPHE : changed && isControl(byte) ? SPACE : byte;
  }
  // `... tvg-logo="` at the end would read as a value that was never closed.
  if (endsLikeKey(bytes, start, end)) out[at++] = SPACE;
  out[at++] = QUOTE;
  return at;
}

function endsLikeKey(bytes: Buffer, start: number, end: number): boolean {
  if (end <= start || bytes[end - 1] !== EQUALS) return false;
  let key = end - 1;
  while (key > start && isKeyByte(bytes[key - 1])) key--;
  return key > start && isTellingKey(bytes, key, end - 1);
}

function putName(batch: EntryBatch, base: number, out: Buffer, at: number): number {
  const { bytes, table } = batch;
  out[at++] = COMMA;
  let start = table[base]!;
  let end = table[base + 1]!;
  if ((table[base + Column.flags]! & NAME_CHANGED) === 0) {
    at = copyBytes(out, at, bytes, start, end);
  } else {
    start = skipBlank(bytes, start, end);
    end = trimBlank(bytes, start, end);
    const first = at;
    for (let from = start; from < end; from++) out[at++] = isControl(bytes[from]!) ? SPACE : bytes[from]!;
    // A name that begins like a further attribute would become one.
    if (beginsWithAttribute(out, first, at)) out[out.indexOf(EQUALS, first)] = COLON;
  }
  out[at++] = LINE_FEED;
  return at;
}

function putNewUrl(bytes: Buffer, start: number, end: number, out: Buffer, at: number): number {
  for (let from = -1; from !== start; ) {
    from = start;
    start = skipMarks(bytes, skipBlank(bytes, start, end), end);
  }
  end = trimBlank(bytes, start, end);
  if (start < end && bytes[start] === HASH) {
    at = copyBytes(out, at, ESCAPED_HASH, 0, ESCAPED_HASH.length);
    start++;
  }
  for (let from = start; from < end; from++) out[at++] = isControl(bytes[from]!) ? SPACE : bytes[from]!;
  return at;
}

/** Writes `#` lines one by one, trimmed, without empty ones. */
function putLines(batch: EntryBatch, base: number, start: number, end: number, out: Buffer, at: number): number {
  const { bytes, table } = batch;
  const groupChanged = (table[base + Column.flags]! & GROUP_CHANGED) !== 0;
  let groupDone = groupChanged && start === table[base + Column.afterStart]! && hasGroupBefore(bytes, table, base);
  for (let from = start; from < end; ) {
    let lineEnd = from;
    while (lineEnd < end && bytes[lineEnd] !== LINE_FEED) lineEnd++;
    const first = skipMarks(bytes, from, lineEnd);
    const last = trimEnd(bytes, first, lineEnd);
    from = lineEnd + 1;
    if (first === last || isHeaderLine(bytes, first, last) || isHlsTag(bytes, first, last)) continue;
    if (groupChanged && extgrpValue(bytes, first, last) >= 0) {
      if (!groupDone) at = putGroupLine(batch, base, out, at);
      groupDone = true;
      continue;
    }
    at = copyBytes(out, at, bytes, first, last);
    out[at++] = LINE_FEED;
  }
  return at;
}

function putGroupLine(batch: EntryBatch, base: number, out: Buffer, at: number): number {
  const { bytes, table } = batch;
  const start = skipBlank(bytes, table[base + 2 * Field.group]!, table[base + 2 * Field.group + 1]!);
  const end = trimBlank(bytes, start, table[base + 2 * Field.group + 1]!);
  if (start >= end) return at;
  at = copyBytes(out, at, EXTGRP, 0, EXTGRP.length);
  for (let from = start; from < end; from++) out[at++] = isControl(bytes[from]!) ? SPACE : bytes[from]!;
  out[at++] = LINE_FEED;
  return at;
}

function hasGroupBefore(bytes: Buffer, table: Int32Array, base: number): boolean {
  const end = table[base + Column.beforeEnd]!;
  for (let from = table[base + Column.beforeStart]!; from < end; ) {
    let lineEnd = from;
    while (lineEnd < end && bytes[lineEnd] !== LINE_FEED) lineEnd++;
    if (extgrpValue(bytes, skipMarks(bytes, from, lineEnd), lineEnd) >= 0) return true;
    from = lineEnd + 1;
  }
  return false;
}

function skipMarks(bytes: Buffer, start: number, end: number): number {
  start = skipWhite(bytes, start, end);
  while (end - start > 2 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf) {
    start = skipWhite(bytes, start + 3, end);
  }
  return start;
}

function isControl(byte: number): boolean {
  return byte < 32 || byte === 127;
}

function isBlank(bytes: Buffer, start: number, end: number): boolean {
  return skipBlank(bytes, start, end) >= end;
}

/** Like white space, but with every control character: they become spaces. */
function skipBlank(bytes: Buffer, start: number, end: number): number {
  while (start < end && (isControl(bytes[start]!) || bytes[start] === SPACE)) start++;
  return start;
}

function trimBlank(bytes: Buffer, start: number, end: number): number {
  while (end > start && (isControl(bytes[end - 1]!) || bytes[end - 1] === SPACE)) end--;
  return end;
}
