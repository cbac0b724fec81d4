import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { formatBytes } from 'plimsoll';
import type { ByteSource } from './byte-source.ts';
import { DecompressedSource } from './decompressed-source.ts';
import { PipeSource } from './pipe-source.ts';
import { SourceError } from './source-error.ts';

const HEAD_BYTES = 16;
/** Content-encoded and then compressed once more is seen in the wild; deeper nesting is not meant. */
const MAX_LAYERS = 2;

export interface OpenFileOptions {
  /** Most content, counted after decompression. */
  readonly maxBytes: number;
  /** How messages call it; the path by default. */
  readonly label?: string;
}

/**
 * A local file as a source: plain, gzip or zstd by its first bytes, whatever it is called. Plain bytes are read straight
 * into the reader's buffer. More than `maxBytes` of content is refused (`too-large`) once so many bytes were given out.
 */
export async function openFile(path: string, options: OpenFileOptions): Promise<ByteSource> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (cause) {
    throw explain(options.label ?? path, cause);
  }
  try {
    return await sourceOf(handle, options.label ?? path, options.maxBytes, true);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** As `openFile`, of a regular file that is open already and stays open: each source reads it from the start, whatever became of its name. */
export async function readHeld(handle: FileHandle, label: string, maxBytes: number): Promise<ByteSource> {
  if (handle.fd < 0) throw new SourceError(label, 'is closed already', { fault: 'missing' });
  return await sourceOf(handle, label, maxBytes, false);
}

/** As `openFile`, of a named pipe: it is read once, and waiting for what is written ends with the signal. */
export async function openPipe(
  path: string,
  options: OpenFileOptions & { readonly signal: AbortSignal },
): Promise<ByteSource> {
  const pipe = await PipeSource.open(path, options.label ?? path, options.signal);
  try {
    return new BoundedSource(await unwrap(pipe), options.maxBytes);
  } catch (error) {
    await pipe[Symbol.asyncDispose]();
    throw error;
  }
}

async function sourceOf(handle: FileHandle, label: string, maxBytes: number, owned: boolean): Promise<ByteSource> {
  const stat = await handle.stat();
  if (stat.isDirectory())
    throw new SourceError(label, 'is a folder: name a file, or a pattern such as `lists/*.m3u`', {
      fault: 'unreadable',
    });
  const file = new FileSource(handle, label, stat.isFile() ? stat.size : undefined, owned);
  return new BoundedSource(await unwrap(file), maxBytes);
}

/** Takes compression off, by magic number, at most twice. Owns `source`. */
async function unwrap(source: ByteSource): Promise<ByteSource> {
  for (let layer = 0; layer < MAX_LAYERS; layer++) {
    const head = Buffer.alloc(HEAD_BYTES);
    let count = 0;
    while (count < HEAD_BYTES) {
      const got = await source.read(head, count, HEAD_BYTES - count);
      if (got === 0) break;
      count += got;
    }
    const peeked = new PeekedSource(source, head.subarray(0, count));
    const format = formatOf(head);
    if (format === undefined) return peeked;
    if (format !== 'gzip' && format !== 'zstd')
      throw new SourceError(source.label, `is ${format}, which is not read here: unpack it, or use gzip or zstd`, {
        fault: 'unsupported',
      });
    source = new DecompressedSource(peeked, format);
  }
  return source;
}

function formatOf(head: Buffer): string | undefined {
  const magic = head.readUInt32BE(0);
  if (magic >>> 16 === 0x1f8b) return 'gzip';
  if (magic === 0x28b52ffd || (head.readUInt32LE(0) & 0xfffffff0) >>> 0 === 0x184d2a50) return 'zstd';
  if (magic === 0xfd377a58) return 'xz';
  if (magic === 0x504b0304) return 'zip';
  if (magic >>> 8 === 0x425a68) return 'bzip2';
  if (magic === 0x377abcaf) return '7z';
  return undefined;
}

class FileSource implements ByteSource {
  readonly label: string;
  readonly sizeBytes: number | undefined;
  readonly #handle: FileHandle;
  #at = 0;
  /** Closes the handle when disposed of. */
  #owned: boolean;

  constructor(handle: FileHandle, label: string, sizeBytes: number | undefined, owned: boolean) {
    this.#handle = handle;
    this.#owned = owned;
    this.label = label;
    this.sizeBytes = sizeBytes;
  }

  async read(target: Buffer, offset: number, length: number): Promise<number> {
    try {
      const { bytesRead } = await this.#handle.read(
        target,
        offset,
        length,
        this.sizeBytes === undefined ? null : this.#at,
      );
      this.#at += bytesRead;
      return bytesRead;
    } catch (cause) {
      throw explain(this.label, cause, this.#at);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#owned) return;
    this.#owned = false;
    await this.#handle.close();
  }
}

/** Gives back the bytes that were read to look at, then the rest. */
class PeekedSource implements ByteSource {
  readonly label: string;
  readonly sizeBytes: number | undefined;
  readonly #source: ByteSource;
  #head: Buffer;

  constructor(source: ByteSource, head: Buffer) {
    this.label = source.label;
    this.sizeBytes = source.sizeBytes;
    this.#source = source;
    this.#head = head;
  }

  async read(target: Buffer, offset: number, length: number): Promise<number> {
    const count = this.#head.copy(target, offset, 0, Math.min(length, this.#head.length));
    this.#head = this.#head.subarray(count);
    // One read fills up behind the peeked bytes: readers that look at the first read see more than a few bytes.
    return count === length ? count : count + (await this.#source.read(target, offset + count, length - count));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source[Symbol.asyncDispose]();
  }
}

class BoundedSource implements ByteSource {
  readonly label: string;
  readonly sizeBytes: number | undefined;
  readonly #source: ByteSource;
  readonly #maxBytes: number;
  #given = 0;

  constructor(source: ByteSource, maxBytes: number) {
    this.label = source.label;
    this.sizeBytes = source.sizeBytes;
    this.#source = source;
    this.#maxBytes = maxBytes;
  }

  async read(target: Buffer, offset: number, length: number): Promise<number> {
    const count = await this.#source.read(target, offset, length);
    this.#given += count;
    if (this.#given > this.#maxBytes)
      throw new SourceError(
        this.label,
        `has more than ${formatBytes(this.#maxBytes)} of content: raise its \`max_size\` if that is meant`,
        {
          fault: 'too-large',
          offsetBytes: this.#given - count,
        },
      );
    return count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source[Symbol.asyncDispose]();
  }
}

function explain(label: string, cause: unknown, offsetBytes = 0): SourceError {
  const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new SourceError(label, 'no such file', { fault: 'missing', cause });
  const what =
    code === 'EACCES' || code === 'EPERM'
      ? 'permission denied'
      : code === 'EISDIR'
        ? 'is a folder'
        : `cannot be read (${code})`;
  return new SourceError(label, what, { fault: 'unreadable', offsetBytes, cause });
}
