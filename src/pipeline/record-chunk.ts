/** Before each entry of a chunk: the length of the key and that of the record, 32 bits each. */
const HEADER_BYTES = 8;
const SLOT_BYTES = 4;
/** From there on `copy` beats a loop. */
const LONG_COPY = 32;

/**
 * Records with their keys in one buffer, as they came: entries grow from the front, each `[key length][record length][key][record]` at a multiple of four; their places
 * grow from the back, in an order that a sort may change. No object for each record. 12 to 15 bytes for each record besides its own.
 */
export class RecordChunk {
  capacity: number;
  maxCount: number;
  bytes: Buffer<ArrayBuffer>;
  /** The same memory as numbers of the machine's byte order. */
  words: Uint32Array<ArrayBuffer>;
  count = 0;
  #usedBytes = 0;

  /** Allocates `capacity` bytes, a multiple of four: reserve them first. Takes no more than `maxCount` records. */
  constructor(capacity: number, maxCount: number) {
    this.capacity = capacity;
    this.maxCount = maxCount;
    this.bytes = Buffer.allocUnsafeSlow(capacity);
    this.words = new Uint32Array(this.bytes.buffer);
  }

  /** What an entry takes, with its place. */
  static entryBytes(keyBytes: number, recordBytes: number): number {
    return (HEADER_BYTES + SLOT_BYTES + keyBytes + recordBytes + 3) & ~3;
  }

  /** Copies a record and its key in; false, and nothing is done, where they do not fit. */
  tryAdd(key: Buffer, keyStart: number, keyEnd: number, source: Buffer, start: number, end: number): boolean {
    const keyBytes = keyEnd - keyStart;
    const recordBytes = end - start;
    const at = this.#usedBytes;
    const used = at + ((HEADER_BYTES + keyBytes + recordBytes + 3) & ~3);
    const { count, words, bytes, capacity } = this;
    if (count === this.maxCount || used > capacity - SLOT_BYTES * (count + 1)) return false;
    words[at >> 2] = keyBytes;
    words[(at >> 2) + 1] = recordBytes;
    let into = at + HEADER_BYTES;
    for (let from = keyStart; from < keyEnd; ) bytes[into++] = key[from++]!;
    if (recordBytes < LONG_COPY) for (let from = start; from < end; ) bytes[into++] = source[from++]!;
    else source.copy(bytes, into, start, end);
    words[words.length - 1 - count] = at >> 2;
    this.count = count + 1;
    this.#usedBytes = used;
    return true;
  }

  /** Makes it larger, with what is in it; for a moment both are there. */
  grow(capacity: number, maxCount: number): void {
    const { bytes, words, count } = this;
    this.capacity = capacity;
    this.maxCount = maxCount;
    this.bytes = Buffer.allocUnsafeSlow(capacity);
    this.words = new Uint32Array(this.bytes.buffer);
    bytes.copy(this.bytes, 0, 0, this.#usedBytes);
    this.words.set(words.subarray(words.length - count), this.words.length - count);
    release(bytes);
  }

  clear(): void {
    this.count = this.#usedBytes = 0;
  }

  /** Lets go of its memory at once where this Node can (22 up), else when it is collected. It is of no use any more. */
  free(): void {
    this.clear();
    const { bytes } = this;
    this.bytes = NOTHING;
    this.words = NO_WORDS;
    release(bytes);
  }
}

const NOTHING = Buffer.alloc(0);
const NO_WORDS = new Uint32Array(0);

function release({ buffer }: Buffer<ArrayBuffer>): void {
  if (buffer.byteLength > 0 && typeof buffer.transfer === 'function') buffer.transfer(0);
}
