import { Field } from '../channels/entry-batch.ts';
import { isKeyByte, skipWhite, startsWithWord } from './ascii.ts';

interface KnownKey {
  readonly text: Uint8Array;
  readonly code: number;
}

/** Added to a field's number when the key is spelled in another way than the one that is written. */
export const ODD_SPELLING = 16;

/**
 * `ch-number` (Kodi's IPTV client) and `channel-number` (Channels, ErsatzTV) say what `tvg-chno` says, often beside it; they are read
 * as `tvg-chno`, and written as it: left as they were they would contradict the new number.
 */
const KNOWN: readonly KnownKey[] = [
  key('tvg-id', Field.tvgId),
  key('tvg-name', Field.tvgName),
  key('tvg-logo', Field.tvgLogo),
  key('tvg-chno', Field.tvgChno),
  key('tvg-shift', Field.tvgShift),
  key('group-title', Field.group),
  key('ch-number', Field.tvgChno | ODD_SPELLING),
  key('channel-number', Field.tvgChno | ODD_SPELLING),
];

function key(text: string, code: number): KnownKey {
  return { text: Buffer.from(text), code };
}

const BY_LENGTH: readonly (readonly KnownKey[])[] = Array.from({ length: 16 }, (_, length) =>
  KNOWN.filter((known) => known.text.length === length),
);

/**
 * The field of a key, -1 when it is none that has a column. Case does not matter, but a key that is not in lower case, or a synonym,
 * comes back with `ODD_SPELLING` added. Allocates nothing.
 */
export function fieldOfKey(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length > 15) return -1;
  const candidates = BY_LENGTH[length]!;
  for (let i = 0; i < candidates.length; i++) {
    const { text, code } = candidates[i]!;
    let odd = 0;
    let at = 0;
    for (; at < length; at++) {
      const byte = bytes[start + at]!;
      const wanted = text[at]!;
      if (byte === wanted) continue;
      if ((byte | 32) !== wanted || wanted < 97) break;
      odd = ODD_SPELLING;
    }
    if (at === length) return code | odd;
  }
  return -1;
}

const TVG = Buffer.from('tvg-');
const GROUP_TITLE = Buffer.from('group-title');

/** Whether a key is one that stands in no name by chance: `group-title` or `tvg-...`. */
export function isTellingKey(bytes: Uint8Array, start: number, end: number): boolean {
  if (startsWithWord(bytes, start, end, TVG)) return true;
  return end - start === GROUP_TITLE.length && startsWithWord(bytes, start, end, GROUP_TITLE);
}

/** Whether [start, end) begins with a telling key, `=` and a quote: then it is an attribute, although a comma stands before it. */
export function beginsWithAttribute(bytes: Uint8Array, start: number, end: number): boolean {
  let at = skipWhite(bytes, start, end);
  const first = bytes[at]! | 32;
  if (at >= end || (first !== 116 && first !== 103)) return false;
  const keyStart = at;
  while (at < end && isKeyByte(bytes[at])) at++;
  if (!isTellingKey(bytes, keyStart, at)) return false;
  at = skipWhite(bytes, at, end);
  if (at >= end || bytes[at] !== 61) return false;
  at = skipWhite(bytes, at + 1, end);
  return at < end && (bytes[at] === 34 || bytes[at] === 39);
}
