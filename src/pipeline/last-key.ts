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

  /** The longest that it can keep. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** Makes room for longer keys, after somebody has reserved what that is more. */
  grow(capacity: number): void {
    this.#bytes = Buffer.allocUnsafeSlow(capacity);
    this.forget();
  }

  /** Whether it is the key at the cursor. False when none has been kept. */
  is({ number, bytes, keyStart, keyEnd }: RunCursor): boolean {
    if (number !== this.#number || number === Number.POSITIVE_INFINITY) return false;
    return isWhole(number) || compareTails(bytes, keyStart, keyEnd, this.#bytes, 0, this.#length) === 0;
  }

  forget(): void {
    this.#number = Number.POSITIVE_INFINITY;
  }

  /** Its key must be no longer than `capacity`. */
  keep({ number, bytes, keyStart, keyEnd }: RunCursor): void {
    const length = keyEnd - keyStart;
    const into = this.#bytes;
    for (let index = 0, from = keyStart; from < keyEnd; ) into[index++] = bytes[from++]!;
    this.#length = length;
    this.#number = number;
  }
}
