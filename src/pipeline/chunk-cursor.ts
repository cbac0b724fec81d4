import { keyNumber } from './key-order.ts';
import type { RecordChunk } from './record-chunk.ts';
import { RunCursor } from './run-cursor.ts';

const HEADER_WORDS = 2;

/** Reads a chunk in the order of its places. */
export class ChunkCursor extends RunCursor {
  readonly #chunk: RecordChunk;
  #index = 0;

  constructor(chunk: RecordChunk) {
    super();
    this.#chunk = chunk;
    this.bytes = chunk.bytes;
  }

  /** Back to before the first record. */
  rewind(): void {
    this.bytes = this.#chunk.bytes;
    this.#index = 0;
  }

  override advance(): boolean {
    const { words, count } = this.#chunk;
    const index = this.#index++;
    if (index >= count) {
      this.number = Number.POSITIVE_INFINITY;
      return true;
    }
    const place = words[words.length - 1 - index]!;
    const keyStart = (place + HEADER_WORDS) * 4;
    const keyEnd = keyStart + words[place]!;
    this.keyStart = keyStart;
    this.keyEnd = keyEnd;
    this.end = keyEnd + words[place + 1]!;
    this.number = keyNumber(this.bytes, keyStart, keyEnd);
    return true;
  }

  override async fill(): Promise<void> {}

  override async [Symbol.asyncDispose](): Promise<void> {}
}
