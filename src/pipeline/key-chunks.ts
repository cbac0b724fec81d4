const NOTHING = Buffer.alloc(0);
/** A key of no fixed length stands behind its length, at a multiple of that. */
const UNIT_BYTES = 4;

/** Where a key stands: valid until the next is asked for. */
export interface KeyWindow {
  bytes: Buffer;
  start: number;
  end: number;
}

/** Keys one behind the other in chunks. The place of a key is a number, counted in units of its fixed length or of four bytes. */
export class KeyChunks {
  readonly #keyBytes: number | undefined;
  readonly #unit: number;
  /** Units in a chunk: a power of two. A key that is longer has a chunk of its own. */
  readonly #perChunk: number;
  readonly #chunks: Buffer<ArrayBuffer>[] = [];
  /** Units in use, for each chunk. */
  readonly #used: number[] = [];

  /** `keyBytes` is the length of all keys, if they have one; `chunkBytes` a power of two. */
  constructor(chunkBytes: number, keyBytes?: number) {
    this.#keyBytes = keyBytes;
    this.#unit = keyBytes ?? UNIT_BYTES;
    this.#perChunk = 2 ** Math.max(0, Math.floor(Math.log2(chunkBytes / this.#unit)));
  }

  /** Above all places there are. */
  get places(): number {
    return this.#chunks.length * this.#perChunk;
  }

  /** Copies a key in and says its place; -1, and nothing is done, where `take` says no to the bytes of another chunk. */
  append(key: Buffer, length: number, take: (bytes: number) => boolean): number {
    const units = this.#unitsFor(length);
    let index = this.#chunks.length - 1;
    if (index < 0 || (this.#used[index]! + units) * this.#unit > this.#chunks[index]!.length) {
      const bytes = Math.max(this.#perChunk, units) * this.#unit;
      if (!take(bytes)) return -1;
      this.#chunks.push(Buffer.allocUnsafeSlow(bytes));
      this.#used.push(0);
      index++;
    }
    const chunk = this.#chunks[index]!;
    const used = this.#used[index]!;
    let at = used * this.#unit;
    if (this.#keyBytes === undefined) at = chunk.writeUInt32LE(length, at);
    for (let from = 0; from < length; ) chunk[at++] = key[from++]!;
    this.#used[index] = used + units;
    return index * this.#perChunk + used;
  }

  /** Whether the key at a place is this one. */
  is(place: number, key: Buffer, length: number): boolean {
    const offset = place & (this.#perChunk - 1);
    const chunk = this.#chunks[(place - offset) / this.#perChunk]!;
    let at = offset * this.#unit;
    if (this.#keyBytes === undefined) {
      if (chunk.readUInt32LE(at) !== length) return false;
      at += UNIT_BYTES;
    }
    for (let from = 0; from < length; from++) if (chunk[at++] !== key[from]) return false;
    return true;
  }

  /** Calls for each key, in order, with its place. */
  forEach(see: (place: number, bytes: Buffer, start: number, end: number) => void): void {
    for (let index = 0; index < this.#chunks.length; index++) {
      const chunk = this.#chunks[index]!;
      const used = this.#used[index]!;
      for (let unit = 0; unit < used; ) {
        const start = this.#startAt(unit);
        const length = this.#lengthAt(chunk, unit);
        see(index * this.#perChunk + unit, chunk, start, start + length);
        unit += this.#unitsFor(length);
      }
    }
  }

  /** Gives all keys, in order, and lets go of each chunk when it is through with it: `give` is told how many bytes that is. */
  *drain(give: (bytes: number) => void): Generator<KeyWindow, void, undefined> {
    const window: KeyWindow = { bytes: NOTHING, start: 0, end: 0 };
    for (;;) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) return;
      window.bytes = chunk;
      const used = this.#used[0]!;
      for (let unit = 0; unit < used; ) {
        const length = this.#lengthAt(chunk, unit);
        window.start = this.#startAt(unit);
        window.end = window.start + length;
        yield window;
        unit += this.#unitsFor(length);
      }
      this.#chunks.shift();
      this.#used.shift();
      const bytes = chunk.length;
      free(chunk);
      give(bytes);
    }
  }

  /** Lets go of all. */
  clear(): void {
    for (const chunk of this.#chunks.splice(0)) free(chunk);
    this.#used.length = 0;
  }

  #unitsFor(length: number): number {
    return this.#keyBytes === undefined ? 1 + Math.ceil(length / UNIT_BYTES) : 1;
  }

  #startAt(unit: number): number {
    return unit * this.#unit + (this.#keyBytes === undefined ? UNIT_BYTES : 0);
  }

  #lengthAt(chunk: Buffer, unit: number): number {
    return this.#keyBytes ?? chunk.readUInt32LE(unit * this.#unit);
  }
}

/** At once where this Node can (22 up), else when it is collected. */
function free(chunk: Buffer<ArrayBuffer>): void {
  const { buffer } = chunk;
  if (typeof buffer.transfer === 'function') buffer.transfer(0);
}
