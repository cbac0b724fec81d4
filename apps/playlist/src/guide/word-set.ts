const LONGEST = 5;

/** A set of short words (2 to 5 bytes of ASCII) that can be asked for bytes of a buffer without making a string of them. */
export class WordSet {
  /** First four bytes as a 32-bit integer -> the bytes that may follow, 0 for none. */
  readonly #words = new Map<number, number[]>();
  readonly #first = new Uint8Array(256);

  /** Words parted by one space. */
  constructor(words: string) {
    for (const word of words.split(' ')) {
      const bytes = Buffer.from(word);
      if (bytes.length < 2 || bytes.length > LONGEST)
        throw new RangeError(`Expected words of 2 to 5 bytes, got \`${word}\``);
      this.#first[bytes[0]!] = 1;
      const key = fourBytes(bytes, 0, bytes.length);
      const rests = this.#words.get(key) ?? [];
      rests.push(bytes[4] ?? 0);
      this.#words.set(key, rests);
    }
  }

  has(bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    if (length < 2 || length > LONGEST || this.#first[bytes[start]!] === 0) return false;
    const rests = this.#words.get(fourBytes(bytes, start, length));
    return rests?.includes(length === LONGEST ? bytes[start + 4]! : 0) ?? false;
  }
}

function fourBytes(bytes: Uint8Array, start: number, length: number): number {
  const third = length > 2 ? bytes[start + 2]! << 16 : 0;
  const fourth = length > 3 ? bytes[start + 3]! << 24 : 0;
  return bytes[start]! | (bytes[start + 1]! << 8) | third | fourth;
}
