import { readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Consumer, Reservation } from 'plimsoll';
import type { BufferPool } from 'plimsoll/pool';
import { OutputError } from './output-error.ts';

/**
 * Writes a file through two buffers: while one is on its way to the disk the other is filled. Memory is the two buffers
 * (reserved before they are allocated, or lent by a pool), whatever the size of the file.
 *
 * The writer asks for room, puts bytes into `buffer` from `at` on, and moves `at`:
 *
 *     if (!sink.fits(bytes)) await sink.makeRoom(bytes);
 *     sink.at += put(sink.buffer, sink.at);
 */
export class FileSink implements AsyncDisposable {
  /** The buffer to fill, valid until the next `flush`. */
  buffer: Buffer;
  /** Where the next byte goes. */
  at = 0;
  readonly path: string;
  readonly #file: FileHandle;
  readonly #reservation: Reservation;
  /** What was lent; empty where the buffers are its own. */
  readonly #lent: DisposableStack;
  #spare: Buffer;
  #writing: Promise<unknown> | undefined;
  #flushedBytes = 0;
  #closed = false;

  private constructor(path: string, file: FileHandle, { reservation, lent, buffers }: SinkMemory) {
    this.path = path;
    this.#file = file;
    this.#reservation = reservation;
    this.#lent = lent;
    [this.buffer, this.#spare] = buffers;
  }

  /** Creates the file (it must not exist). Its two buffers are the pool's as long as it has some at rest; twice `bufferBytes` is reserved from `consumer` where it has none. */
  static async create(path: string, bufferBytes: number, consumer: Consumer, pool?: BufferPool): Promise<FileSink> {
    const memory = takeBuffers(bufferBytes, consumer, pool);
    try {
      return new FileSink(path, await open(path, 'wx+', 0o644), memory);
    } catch (cause) {
      memory.lent.dispose();
      memory.reservation[Symbol.dispose]();
      throw new OutputError(path, cause);
    }
  }

  /** Bytes written so far, those still in the buffer included. */
  get sizeBytes(): number {
    return this.#flushedBytes + this.at;
  }

  fits(bytes: number): boolean {
    return this.at + bytes <= this.buffer.length;
  }

  /** Hands the filled buffer to the disk and turns to the other one. Fails with `OutputError` if an earlier write failed. */
  async flush(): Promise<void> {
    await this.#settle();
    if (this.at === 0) return;
    const full = this.buffer;
    const bytes = this.at;
    const position = this.#flushedBytes;
    this.buffer = this.#spare;
    this.#spare = full;
    this.at = 0;
    this.#flushedBytes += bytes;
    this.#writing = writeAll(this.#file, full, bytes, position);
    // A failure is reported by the next flush; until then it must not count as unhandled.
    this.#writing.catch(() => {});
  }

  /** Flushes, and enlarges the buffers when `bytes` would not fit even then: for the rare record that is larger than a buffer. */
  async makeRoom(bytes: number): Promise<void> {
    await this.flush();
    if (bytes <= this.buffer.length) return;
    await this.#settle();
    this.#reservation.resize(2 * bytes);
    this.buffer = Buffer.allocUnsafeSlow(bytes);
    this.#spare = Buffer.allocUnsafeSlow(bytes);
    this.#lent.dispose();
  }

  /** Copies `source[start, end)` in. Gives a promise only when it had to wait for the disk. */
  write(source: Uint8Array, start: number, end: number): void | Promise<void> {
    if (this.at + end - start > this.buffer.length) return this.#writeInParts(source, start, end);
    this.buffer.set(source.subarray(start, end), this.at);
    this.at += end - start;
  }

  /** Writes what is left and, with `sync`, waits until the disk has it. */
  async finish(options: { readonly sync: boolean }): Promise<void> {
    await this.flush();
    await this.#settle();
    if (!options.sync) return;
    try {
      await this.#file.sync();
    } catch (cause) {
      throw new OutputError(this.path, cause);
    }
  }

  /** Reads back what was flushed; resolves to the bytes read. Fails with `OutputError`. */
  async readBack(target: Buffer, offset: number, length: number, position: number): Promise<number> {
    try {
      return (await this.#file.read(target, offset, length, position)).bytesRead;
    } catch (cause) {
      throw new OutputError(this.path, cause, 'read back');
    }
  }

  /** As `readBack`, for a caller that cannot wait; of a small piece. */
  readBackSync(target: Buffer, offset: number, length: number, position: number): number {
    try {
      return readSync(this.#file.fd, target, offset, length, position);
    } catch (cause) {
      throw new OutputError(this.path, cause, 'read back');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writing?.catch(() => {});
    await this.#file.close();
    this.#lent.dispose();
    this.#reservation[Symbol.dispose]();
  }

  async #settle(): Promise<void> {
    try {
      await this.#writing;
    } catch (cause) {
      throw new OutputError(this.path, cause);
    } finally {
      this.#writing = undefined;
    }
  }

  async #writeInParts(source: Uint8Array, start: number, end: number): Promise<void> {
    while (start < end) {
      const part = Math.min(end - start, this.buffer.length - this.at);
      this.buffer.set(source.subarray(start, start + part), this.at);
      this.at += part;
      start += part;
      if (this.at === this.buffer.length) await this.flush();
    }
  }
}

interface SinkMemory {
  readonly reservation: Reservation;
  readonly lent: DisposableStack;
  readonly buffers: readonly [Buffer, Buffer];
}

function takeBuffers(bufferBytes: number, consumer: Consumer, pool: BufferPool | undefined): SinkMemory {
  using lent = new DisposableStack();
  const one = pool?.tryLease(bufferBytes, { zero: false });
  if (one !== undefined) lent.use(one);
  const other = pool?.tryLease(bufferBytes, { zero: false });
  if (other !== undefined) lent.use(other);
  const ownCount = [one, other].filter((lease) => lease === undefined).length;
  const reservation = consumer.reserve(ownCount * bufferBytes);
  const bufferOf = (lease: typeof one): Buffer => lease?.value ?? Buffer.allocUnsafeSlow(bufferBytes);
  return { reservation, lent: lent.move(), buffers: [bufferOf(one), bufferOf(other)] };
}

/** A single write may take less than it was given (a nearly full disk does that): go on until all is written or it fails. */
async function writeAll(file: FileHandle, bytes: Buffer, length: number, position: number): Promise<void> {
  let done = 0;
  while (done < length) {
    const { bytesWritten } = await file.write(bytes, done, length - done, position + done);
    done += bytesWritten;
  }
}
