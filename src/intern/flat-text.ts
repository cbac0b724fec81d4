/**
 * V8 makes a slice of 13 characters or more by pointing into its parent, and what was joined by pointing at its parts: whoever keeps 20 characters of a file keeps the file. There
 * is no way to ask, so texts are copied, through bytes: what a buffer is decoded to has memory of its own. Of the ways tried (through JSON, arrays of codes, `' ' + text` and a look
 * at a character, `structuredClone`) this is the cheapest of those that work: 0.1 to 0.2 µs for 20 characters.
 */
import { Buffer } from 'node:buffer';
import { invalidOption } from '../invalid-option.ts';

/** Units of UTF-16 that find room in the buffer that is kept: three bytes each as UTF-8. */
const KEPT_LENGTH = 1_024;
export const SCRATCH_BYTES = 3 * KEPT_LENGTH;

/** Copies and decodes. Keeps `SCRATCH_BYTES` for it; longer texts go through a buffer of their own. */
export class FlatText {
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

  /** The same text in memory of its own; `wide` as `isWide` says. */
  copy(text: string, wide: boolean): string {
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
    if (!(bytes instanceof Uint8Array)) throw invalidOption('bytes', 'a Uint8Array', bytes);
    if (!Number.isSafeInteger(start)) throw invalidOption('start', 'a whole number', start);
    if (!Number.isSafeInteger(end)) throw invalidOption('end', 'a whole number', end);
    const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = start; i < end; i++) {
      if (bytes[i]! > 0x7f) return this.#decodeWide(buffer, start, end);
    }
    return buffer.toString('latin1', start, end);
  }

  #decodeWide(buffer: Buffer, start: number, end: number): string {
    const text = buffer.toString('utf8', start, end);
    // Decoded through UTF-16 it may have two bytes for each character where one is enough.
    return isWide(text) ? text : this.copy(text, false);
  }
}

/** Whether V8 needs two bytes for each unit. About 1 ns a unit. */
export function isWide(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return true;
  return false;
}

/** What V8 takes for a flat text of its own, without a pointer to it: 16 bytes and the units, in steps of 8. */
export function flatBytes(length: number, wide: boolean): number {
  return (16 + (wide ? 2 * length : length) + 7) & ~7;
}
