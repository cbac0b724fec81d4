import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { constants, createGzip, createZstdCompress } from 'node:zlib';

/** Where a generator's bytes go. `write` is done with the bytes when it resolves: the buffer can be used again. */
export interface FileWriter {
  /** Bytes given so far, before compression. */
  readonly writtenBytes: number;
  write(bytes: Buffer): Promise<void>;
  /** Finishes the file under its own name. */
  close(): Promise<void>;
  /** Removes what was begun. */
  discard(): Promise<void>;
}

/**
 * Writes to `path`, compressed when it ends in `.gz` or `.zst`. With `whole`, under a temporary name until `close`, so that a file
 * with its own name is a whole one; without it straight to the path, which may then be a FIFO.
 */
export async function openFileWriter(path: string, whole = true): Promise<FileWriter> {
  const target = whole ? `${path}.part` : path;
  const writer = /\.(gz|zst)$/.test(path) ? new CompressedWriter(target) : new PlainWriter(await open(target, 'w'));
  const finish = writer.close.bind(writer);
  return {
    get writtenBytes() {
      return writer.writtenBytes;
    },
    write: (bytes) => writer.write(bytes),
    close: async () => {
      await finish();
      if (whole) await rename(target, path);
    },
    discard: async () => {
      await finish().catch(() => undefined);
      if (whole) await rm(target, { force: true });
    },
  };
}

class PlainWriter {
  readonly #file: FileHandle;
  writtenBytes = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) at += (await this.#file.write(bytes, at, bytes.length - at)).bytesWritten;
    this.writtenBytes += bytes.length;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

class CompressedWriter {
  readonly #input: Writable;
  readonly #done: Promise<unknown>;
  writtenBytes = 0;

  constructor(path: string) {
    const compressor = path.includes('.zst')
      ? createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } })
      : createGzip({ level: 1 });
    const output = createWriteStream(path);
    compressor.on('error', (error) => output.destroy(error));
    output.on('error', (error) => compressor.destroy(error));
    this.#done = once(output, 'close');
    this.#done.catch(() => undefined);
    compressor.pipe(output);
    this.#input = compressor;
  }

  async write(bytes: Buffer): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#input.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
    this.writtenBytes += bytes.length;
  }

  async close(): Promise<void> {
    this.#input.end();
    await this.#done;
  }
}
