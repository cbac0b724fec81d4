import { compareTails, isWhole } from './key-order.ts';
import type { RunCursor } from './run-cursor.ts';

const FIRST_BYTES = 1_024;

/** What the key of the record before costs at first, bytes. */
export const LAST_KEY_BYTES = FIRST_BYTES;

/** A copy of a key, to tell whether the next record has the same. */
export class LastKey {
  #bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #length = 0;
  #number = Number.POSITIVE_INFINITY;
  readonly #onGrow: (bytes: number) => void;

  /** `onGrow` is told before it takes more than 1,024 bytes. */
  constructor(onGrow: (bytes: number) => void) {
    this.#onGrow = onGrow;
  }

  /** Whether it is the key at the cursor. False when none has been kept. */
  is({ number, bytes, keyStart, keyEnd }: RunCursor): boolean {
    if (number !== this.#number || number === Number.POSITIVE_INFINITY) return false;
    return isWhole(number) || compareTails(bytes, keyStart, keyEnd, this.#bytes, 0, this.#length) === 0;
  }

  forget(): void {
    this.#number = Number.POSITIVE_INFINITY;
  }

  keep({ number, bytes, keyStart, keyEnd }: RunCursor): void {
    const length = keyEnd - keyStart;
    if (length > this.#bytes.length) {
      const size = Math.max(length, 2 * this.#bytes.length);
      this.#onGrow(size - this.#bytes.length);
      this.#bytes = Buffer.allocUnsafeSlow(size);
    }
    const into = this.#bytes;
    for (let index = 0, from = keyStart; from < keyEnd; ) into[index++] = bytes[from++]!;
    this.#length = length;
    this.#number = number;
  }
}
