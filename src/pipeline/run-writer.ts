import type { SegmentWriter, SpilledSegment } from '../spill/index.ts';
import type { RunCursor } from './run-cursor.ts';

/** The most that two lengths take in front of an entry. */
const HEADER_BYTES = 10;
/** From there on `copy` beats a loop. */
const LONG_COPY = 32;

/**
 * Writes records with their keys into a segment, in blocks: each entry is the length of the key, that of the record (7 bits to a byte, the last with the high bit clear),
 * the key, the record. An entry that is larger than a block is a block of its own. Whoever made it disposes it; without `finish` its file is gone.
 */
export class RunWriter implements AsyncDisposable {
  readonly #block: Buffer<ArrayBuffer>;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  readonly #segment: SegmentWriter;
  readonly #signal: AbortSignal;
  #used = 0;

  /** `block` is the writer's until it has finished. */
  constructor(segment: SegmentWriter, block: Buffer<ArrayBuffer>, signal: AbortSignal) {
    this.#segment = segment;
    this.#block = block;
    this.#signal = signal;
  }

  /** Adds the record at a cursor; false, and nothing is done, where the block has to be written first. */
  tryAdd({ bytes, keyStart, keyEnd, end }: RunCursor): boolean {
    return this.tryAddParts(bytes, keyStart, keyEnd, end);
  }

  /** The same for the key `bytes[keyStart .. keyEnd)` and the record behind it, up to `end`. */
  tryAddParts(bytes: Buffer, keyStart: number, keyEnd: number, end: number): boolean {
    const block = this.#block;
    let at = this.#used;
    const size = end - keyStart;
    if (at + size + HEADER_BYTES > block.length) return false;
    at = writeLength(block, at, keyEnd - keyStart);
    at = writeLength(block, at, end - keyEnd);
    if (size < LONG_COPY) for (let from = keyStart; from < end; ) block[at++] = bytes[from++]!;
    else at += bytes.copy(block, at, keyStart, end);
    this.#used = at;
    return true;
  }

  /** Writes the block, then adds. The bytes are read until it resolves. */
  async add({ bytes, keyStart, keyEnd, end }: RunCursor): Promise<void> {
    await this.addParts(bytes, keyStart, keyEnd, end);
  }

  async addParts(bytes: Buffer, keyStart: number, keyEnd: number, end: number): Promise<void> {
    if (this.tryAddParts(bytes, keyStart, keyEnd, end)) return;
    await this.#flush();
    if (this.tryAddParts(bytes, keyStart, keyEnd, end)) return;
    const header = this.#header.subarray(
      0,
      writeLength(this.#header, writeLength(this.#header, 0, keyEnd - keyStart), end - keyEnd),
    );
    await this.#segment.write([header, bytes.subarray(keyStart, end)], { signal: this.#signal });
  }

  async finish(): Promise<SpilledSegment> {
    await this.#flush();
    return await this.#segment.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#segment[Symbol.asyncDispose]();
  }

  async #flush(): Promise<void> {
    if (this.#used === 0) return;
    await this.#segment.write(this.#block.subarray(0, this.#used), { signal: this.#signal });
    this.#used = 0;
  }
}

function writeLength(target: Buffer, at: number, length: number): number {
  for (; length > 0x7f; length >>>= 7) target[at++] = (length & 0x7f) | 0x80;
  target[at++] = length;
  return at;
}
