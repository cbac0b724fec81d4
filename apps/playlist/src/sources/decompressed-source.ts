/**
 * gzip and zstd as they are pulled. For maintainers: Node's zlib streams allocate a fresh output buffer for every `chunkSize` bytes; left
 * to the collector those add up to tens of megabytes. A buffer that has been filled to its end and copied out belongs to
 * nobody but us, so it is freed at once (`transfer(0)`). With `readableHighWaterMark: 1` at most one chunk is inflated
 * ahead of the reader, on the thread pool. Node ends a zstd stream at the end of each frame, so frames (and gzip
 * members, whose wrapping is read here) are chained by hand: one inflater each.
 */
import { crc32, createInflateRaw, createZstdDecompress } from 'node:zlib';
import type { ByteSource } from './byte-source.ts';
import { GzipHeader, GzipTrailer } from './gzip-frame.ts';
import { SourceError } from './source-error.ts';

const INPUT_BYTES = 64 * 1024;
const OUTPUT_BYTES = 128 * 1024;

type Inflater = ReturnType<typeof createInflateRaw> | ReturnType<typeof createZstdDecompress>;

class Truncated extends Error {}
class Damaged extends Error {}

/**
 * The content of a compressed source. Several gzip members or zstd frames in a row are one content; what follows the last of them and is
 * none is left out. Holds about 300 KiB. Errors: `SourceError` with `truncated` or `damaged` and the number of content
 * bytes that came before: all there are when it is truncated, up to 128 KiB less than there are when it is damaged. Owns `raw`.
 */
export class DecompressedSource implements ByteSource {
  readonly label: string;
  readonly sizeBytes: number | undefined;
  readonly #raw: ByteSource;
  readonly #format: 'gzip' | 'zstd';
  readonly #input = Buffer.allocUnsafeSlow(INPUT_BYTES);
  #inputAt = 0;
  #inputEnd = 0;
  #inflater: Inflater | undefined;
  /** The inflater's content is complete and has been taken. */
  #complete = false;
  #frameBytes = 0;
  #frameCrc = 0;
  #chunk: Buffer | undefined;
  #chunkAt = 0;
  #givenBytes = 0;
  #failure: unknown;
  #ended = false;
  #wakeReader: (() => void) | undefined;
  #wakePump: (() => void) | undefined;

  constructor(raw: ByteSource, format: 'gzip' | 'zstd') {
    this.label = raw.label;
    this.sizeBytes = raw.sizeBytes;
    this.#raw = raw;
    this.#format = format;
    this.#pump().then(
      () => this.#finish(undefined),
      (error: unknown) => this.#finish(error),
    );
  }

  async read(target: Buffer, offset: number, length: number): Promise<number> {
    while (this.#chunk === undefined && !this.#takeChunk()) {
      if (this.#ended) {
        if (this.#failure !== undefined) throw this.#explain(this.#failure);
        return 0;
      }
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
    const chunk = this.#chunk!;
    const count = chunk.copy(target, offset, this.#chunkAt, Math.min(chunk.length, this.#chunkAt + length));
    this.#chunkAt += count;
    this.#givenBytes += count;
    if (this.#chunkAt === chunk.length) {
      this.#chunk = undefined;
      if (chunk.byteOffset + chunk.length === chunk.buffer.byteLength) (chunk.buffer as ArrayBuffer).transfer(0);
    }
    return count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#finish(undefined);
    this.#inflater?.destroy();
    await this.#raw[Symbol.asyncDispose]();
  }

  #takeChunk(): boolean {
    const chunk = this.#inflater?.read() as Buffer | null | undefined;
    if (chunk === null || chunk === undefined) return false;
    this.#chunk = chunk;
    this.#chunkAt = 0;
    this.#frameBytes += chunk.length;
    if (this.#format === 'gzip') this.#frameCrc = crc32(chunk, this.#frameCrc);
    return true;
  }

  /** Frame after frame, until the input ends or is no frame any more. */
  async #pump(): Promise<void> {
    for (let frame = 0; await this.#fill(); frame++) {
      if (this.#format === 'gzip' && !(await this.#readHeader())) {
        if (frame > 0) return;
        throw new Damaged('wrong header');
      }
      this.#frameBytes = 0;
      this.#frameCrc = 0;
      try {
        await this.#inflateFrame();
      } catch (error) {
        if (frame > 0 && this.#format === 'zstd' && this.#frameBytes === 0 && !(error instanceof Truncated)) return;
        throw error;
      }
      if (this.#ended) return;
      if (this.#format === 'gzip') await this.#readTrailer();
    }
  }

  /** Makes sure there is unused input; false at its end. */
  async #fill(): Promise<boolean> {
    if (this.#inputAt < this.#inputEnd) return true;
    this.#inputAt = 0;
    this.#inputEnd = this.#ended ? 0 : await this.#raw.read(this.#input, 0, INPUT_BYTES);
    return this.#inputEnd > 0;
  }

  async #readHeader(): Promise<boolean> {
    const header = new GzipHeader();
    while (header.part !== 'done') {
      if (header.part === 'invalid') return false;
      if (!(await this.#fill())) throw new Truncated();
      this.#inputAt = header.read(this.#input, this.#inputAt, this.#inputEnd);
    }
    return true;
  }

  async #readTrailer(): Promise<void> {
    const trailer = new GzipTrailer();
    while (!trailer.complete) {
      if (!(await this.#fill())) throw new Truncated();
      this.#inputAt = trailer.read(this.#input, this.#inputAt, this.#inputEnd);
    }
    if (!trailer.confirms(this.#frameCrc, this.#frameBytes)) throw new Damaged('its checksum differs');
  }

  /** Resolves when all of the frame has been taken by the reader. */
  async #inflateFrame(): Promise<void> {
    const options = { chunkSize: OUTPUT_BYTES, readableHighWaterMark: 1, writableHighWaterMark: 1 };
    const inflater = this.#format === 'gzip' ? createInflateRaw(options) : createZstdDecompress(options);
    let failure: Error | undefined;
    this.#complete = false;
    inflater.on('readable', () => this.#wakeReader?.());
    inflater.on('end', () => {
      this.#complete = true;
      this.#wakePump?.();
    });
    inflater.on('error', (error) => {
      failure = error;
      this.#wakePump?.();
    });
    this.#inflater = inflater;
    while (!this.#complete && !this.#ended) {
      const more = await this.#fill();
      const given = this.#inputEnd - this.#inputAt;
      const before = inflater.bytesWritten;
      await this.#step((done) => {
        if (more) inflater.write(this.#input.subarray(this.#inputAt, this.#inputEnd), done);
        else inflater.end();
      });
      const used = inflater.bytesWritten - before;
      this.#inputAt += used;
      // What is left over is not this frame's: it is complete as soon as the reader has taken the rest of it.
      while (used < given && !this.#complete && !this.#ended && failure === undefined) await this.#step(() => {});
      if (failure !== undefined) throw failure;
    }
    inflater.destroy();
  }

  /** Starts something and waits until it is done, or the inflater has ended or failed. */
  #step(start: (done: () => void) => void): Promise<void> {
    return new Promise<void>((resolve) => {
      this.#wakePump = resolve;
      start(() => resolve());
      // The stream announces its end only to somebody who reads.
      this.#wakeReader?.();
    });
  }

  #finish(failure: unknown): void {
    if (!this.#ended) this.#failure = failure;
    this.#ended = true;
    this.#wakePump?.();
    this.#wakeReader?.();
  }

  #explain(error: unknown): unknown {
    if (error instanceof SourceError) return error;
    const { code = '', message } = error as NodeJS.ErrnoException;
    const truncated =
      error instanceof Truncated ||
      code === 'Z_BUF_ERROR' ||
      /unexpected end|src_?size_?wrong/i.test(`${code} ${message}`);
    const place = `after ${this.#givenBytes} bytes of content`;
    return new SourceError(
      this.label,
      truncated
        ? `the ${this.#format} content ends early, ${place}: get the file again`
        : `the ${this.#format} content is damaged ${place} (${message})`,
      { fault: truncated ? 'truncated' : 'damaged', offsetBytes: this.#givenBytes, cause: error },
    );
  }
}
