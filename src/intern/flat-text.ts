/**
 * V8 makes a slice of 13 characters or more by pointing into its parent, and what was joined by pointing at its parts: whoever keeps 20 characters of a file keeps the file. There
 * is no way to ask, so texts are copied: short ones by the codes of their characters, longer ones through bytes.
 *
 * On Node 24 codes are the cheapest for short texts and the dearest for long ones, a buffer the cheapest from some 24 characters on; JSON is a little dearer, `structuredClone` by far. Each
 * of them leaves the parent to the collector, and what is left is the text. `' ' + text`, looked at and cut, is cheaper and lets the parent go too, but keeps more for each text.
 * `repeat(1)`, `normalize` and an empty `replace` copy nothing.
 */
import { Buffer } from 'node:buffer';
import { invalidOption } from '../invalid-option.ts';

/** Units of UTF-16 that find room in the buffer that is kept: three bytes each as UTF-8. */
const KEPT_LENGTH = 1_024;
/** Units of UTF-16 up to which codes are cheaper than bytes. */
const SHORT = 24;
export const SCRATCH_BYTES = 3 * KEPT_LENGTH;

/** Copies and decodes. Keeps `SCRATCH_BYTES` for it; longer texts go through a buffer of their own. */
export class FlatText {
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #isAscii = true;

  /** Of what was decoded last: whether its bytes were ASCII alone. */
  get isAscii(): boolean {
    return this.#isAscii;
  }

  /** The same text in memory of its own; `wide` as `isWide` says. */
  copy(text: string, wide: boolean): string {
    if (text.length <= SHORT) return copyCodes(text);
    const encoding = wide ? 'utf16le' : 'latin1';
    const length = wide ? 2 * text.length : text.length;
    const bytes = length <= SCRATCH_BYTES ? this.#scratch : Buffer.allocUnsafeSlow(length);
    return bytes.toString(encoding, 0, bytes.write(text, 0, length, encoding));
  }

  /** Its UTF-8, in a buffer that the next call may use again; a surrogate without its half is written as U+FFFD. */
  encode(text: string): Uint8Array {
    if (text.length > KEPT_LENGTH) return Buffer.from(text, 'utf8');
    return this.#scratch.subarray(0, this.#scratch.write(text, 'utf8'));
  }

  /** As `TextDecoder` with `ignoreBOM` does: U+FFFD for what is invalid, and a mark of byte order is a character. */
  decode(bytes: Uint8Array, start: number, end: number): string {
    if (!Number.isSafeInteger(start)) throw invalidOption('start', 'a whole number', start);
    if (!Number.isSafeInteger(end)) throw invalidOption('end', 'a whole number', end);
    this.#isAscii = true;
    // Also where the memory has been sent elsewhere.
    if (start === end) return '';
    const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = start; i < end; i++) {
      if (bytes[i]! > 0x7f) return this.#decodeWide(buffer, start, end);
    }
    return buffer.toString('latin1', start, end);
  }

  #decodeWide(buffer: Buffer, start: number, end: number): string {
    this.#isAscii = false;
    const text = buffer.toString('utf8', start, end);
    // Decoded through UTF-16 it may have two bytes for each character where one is enough.
    return isWide(text) ? text : this.copy(text, false);
  }
}

/** One byte a unit where that is enough, as V8 makes it from codes. */
function copyCodes(text: string): string {
  const codes: number[] = new Array(text.length);
  for (let i = 0; i < text.length; i++) codes[i] = text.charCodeAt(i);
  return String.fromCharCode.apply(null, codes);
}

/** Whether V8 needs two bytes for each unit. */
export function isWide(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return true;
  return false;
}

/** What V8 takes for a flat text of its own, without a pointer to it: 16 bytes and the units, in steps of 8. */
export function flatBytes(length: number, wide: boolean): number {
  return (16 + (wide ? 2 * length : length) + 7) & ~7;
}
