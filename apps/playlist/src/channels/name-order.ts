/**
 * The order of names for people: without case and accents, numbers by their value (`Channel 9` before `Channel 10`), blanks in front left aside. The same on every
 * machine: no locale has a say in it.
 */
import type { KeyWriter } from 'plimsoll/pipeline';

/** As much of a name decides, bytes: names that are alike so far stay in the order in which they came. */
const DECIDING_BYTES = 512;
const MARKS = /\p{M}+/gu;

export class NameOrder {
  /** Each byte of a name makes three of a key at most, a digit that stands alone. */
  readonly #key = Buffer.allocUnsafeSlow(3 * DECIDING_BYTES);

  /** Puts the key of the name `bytes[start, end)` into `into`. About 0.1 µs, 1 µs for a name that is not ASCII. */
  write(bytes: Buffer, start: number, end: number, into: KeyWriter): void {
    let to = Math.min(end, start + DECIDING_BYTES);
    for (let at = start; at < to; at++) {
      if (bytes[at]! < 0x80) continue;
      const plain = bytes.toString('utf8', start, to).normalize('NFKD').replace(MARKS, '').toLowerCase();
      const folded = Buffer.from(plain);
      to = Math.min(folded.length, DECIDING_BYTES);
      into.fixed(this.#key, 0, this.#put(folded, 0, to));
      return;
    }
    into.fixed(this.#key, 0, this.#put(bytes, start, to));
  }

  #put(bytes: Uint8Array, start: number, end: number): number {
    const key = this.#key;
    let at = start;
    while (at < end && bytes[at]! <= 0x20) at++;
    let to = 0;
    while (at < end) {
      const byte = bytes[at]!;
      if (byte >= 0x30 && byte <= 0x39) {
        while (at < end && bytes[at] === 0x30) at++;
        const digits = at;
        while (at < end && bytes[at]! >= 0x30 && bytes[at]! <= 0x39) at++;
        // By their count, then by themselves: that is by value. The count of 512 digits needs two bytes.
        key[to++] = 0x30;
        key[to++] = (at - digits) >> 8;
        key[to++] = (at - digits) & 0xff;
        for (let digit = digits; digit < at; digit++) key[to++] = bytes[digit]!;
        continue;
      }
      key[to++] = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
      at++;
    }
    return to;
  }
}
