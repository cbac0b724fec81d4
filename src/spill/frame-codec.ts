/**
 * Batches made smaller and whole again, each for itself.
 *
 * What comes out of Node's compressor stands in a buffer of the size that it was given as its chunk. It is given one that holds all, so that there is one buffer, nobody else's, and it can be
 * freed as soon as it is done with instead of when it is collected. (What zstd makes smaller on the thread pool comes in two pieces, which Node puts together in a third; of the first only what was written to takes memory.)
 */
import { promisify } from 'node:util';
import zlib from 'node:zlib';

/** How batches stand on the disk: as they are, or compressed. */
export const SPILL_CODECS = ['none', 'zstd', 'deflate'] as const;
export type SpillCodec = (typeof SPILL_CODECS)[number];

/** Above that, of what it was, compressing is not worth keeping. */
const WORTH_IT = 0.9;
const LEVEL = 1;
/** What level 1 uses at most, as a power of two: a frame that wants more is none of ours, and would have the decompressor take as much memory. */
const WINDOW_LOG = 19;
/** Up to that it is done at once, in about 0.5 ms: on the thread pool it takes twice the processor time. Larger ones would have the process wait too long. */
const AT_ONCE_BYTES = 262_144;
const LEAST_CHUNK_BYTES = 64;
const MOST_LEAST_CHUNK_BYTES = 65_536;

/** What compressor and decompressor hold while they are at work, besides what goes in and comes out: what their sources come to at level 1, rounded up. */
const STATE_BYTES: Readonly<Record<SpillCodec, readonly [compress: number, decompress: number]>> = {
  none: [0, 0],
  zstd: [2_097_152, 1_048_576],
  deflate: [270_336, 49_152],
};

interface Coder {
  shrink(bytes: Uint8Array, chunkSize: number): Buffer | Promise<Buffer>;
  restore(bytes: Uint8Array, chunkSize: number, maxOutputLength: number): Buffer | Promise<Buffer>;
}

/** The one that is asked for, or deflate where this Node has no zstd (before 22.15, 23.8). */
export function codecAtHand(asked: SpillCodec, hasZstd = typeof zlib.zstdCompress === 'function'): SpillCodec {
  return asked === 'zstd' && !hasZstd ? 'deflate' : asked;
}

/** Compresses and decompresses with one codec. Holds nothing between calls. */
export class FrameCodec {
  readonly name: SpillCodec;
  readonly #coder: Coder | undefined;

  constructor(name: SpillCodec) {
    this.name = name;
    this.#coder = name === 'none' ? undefined : name === 'zstd' ? zstdCoder() : deflateCoder();
  }

  /** Memory that `shrink` takes for so many bytes, and `restore` to make so many, the result in it. */
  shrinkBytes(rawBytes: number): number {
    return this.#coder === undefined ? 0 : STATE_BYTES[this.name][0] + chunkFor(rawBytes);
  }

  restoreBytes(rawBytes: number): number {
    return this.#coder === undefined ? 0 : STATE_BYTES[this.name][1] + chunkFor(rawBytes + 1);
  }

  /** The same, smaller: free it when it is done with. Undefined when it is not worth it. */
  async shrink(bytes: Uint8Array): Promise<Buffer | undefined> {
    if (this.#coder === undefined || bytes.byteLength === 0) return undefined;
    const most = Math.floor(bytes.byteLength * WORTH_IT);
    try {
      const small = await this.#coder.shrink(bytes, chunkFor(bytes.byteLength));
      if (small.byteLength <= most) return small;
      freeChunk(small, bytes.byteLength);
    } catch {
      // It would have become larger than it is.
    }
    return undefined;
  }

  /** What it was: free it when it is done with. Undefined when it is not what was compressed, or would be of another length. */
  async restore(bytes: Uint8Array, rawBytes: number): Promise<Buffer | undefined> {
    if (this.#coder === undefined) return undefined;
    try {
      // One byte more, so that the last of them does not ask for another buffer.
      const raw = await this.#coder.restore(bytes, chunkFor(rawBytes + 1), Math.max(1, rawBytes));
      if (raw.byteLength === rawBytes) return raw;
      freeChunk(raw, rawBytes);
    } catch {
      // Damaged, or larger than it said.
    }
    return undefined;
  }
}

/** Frees what `shrink` or `restore` of so many raw bytes gave, at once. What stands in Node's pool is left to it. */
export function freeChunk(bytes: Buffer, rawBytes: number): void {
  const { byteLength } = bytes.buffer;
  const isChunk = byteLength === chunkFor(rawBytes) || byteLength === chunkFor(rawBytes + 1);
  if (isChunk && bytes.byteOffset === 0 && byteLength >= Buffer.poolSize >>> 1) freeBuffer(bytes);
}

/** Frees the memory of a buffer that is alone in its own: who still holds it has an empty one. */
export function freeBuffer(bytes: Buffer): void {
  const store = bytes.buffer as ArrayBuffer;
  // Moved to nobody. Node 20 has no `transfer`.
  if (typeof store.transfer === 'function') store.transfer(0);
  else structuredClone(store, { transfer: [store] });
}

/** Buffers of half a pool and more have memory of their own. Where somebody has made the pool large, small chunks stay in it. */
const chunkFor = (bytes: number): number => {
  const ownBytes = Buffer.poolSize >>> 1;
  return Math.max(ownBytes <= MOST_LEAST_CHUNK_BYTES ? ownBytes : LEAST_CHUNK_BYTES, bytes);
};

function zstdCoder(): Coder {
  const compress = promisify(zlib.zstdCompress);
  const decompress = promisify(zlib.zstdDecompress);
  const { ZSTD_c_compressionLevel, ZSTD_d_windowLogMax } = zlib.constants;
  const down = { [ZSTD_c_compressionLevel]: LEVEL };
  const up = { [ZSTD_d_windowLogMax]: WINDOW_LOG };
  return {
    shrink(bytes, chunkSize) {
      // Knowing the size it takes smaller tables for smaller batches.
      const options = { chunkSize, maxOutputLength: chunkSize, params: down, pledgedSrcSize: bytes.byteLength };
      return bytes.byteLength <= AT_ONCE_BYTES ? zlib.zstdCompressSync(bytes, options) : compress(bytes, options);
    },
    restore(bytes, chunkSize, maxOutputLength) {
      const options = { chunkSize, maxOutputLength, params: up };
      return chunkSize <= AT_ONCE_BYTES + 1 ? zlib.zstdDecompressSync(bytes, options) : decompress(bytes, options);
    },
  };
}

function deflateCoder(): Coder {
  const compress = promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.deflateRaw);
  const decompress = promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.inflateRaw);
  return {
    shrink(bytes, chunkSize) {
      const options = { chunkSize, maxOutputLength: chunkSize, level: LEVEL };
      return bytes.byteLength <= AT_ONCE_BYTES ? zlib.deflateRawSync(bytes, options) : compress(bytes, options);
    },
    restore(bytes, chunkSize, maxOutputLength) {
      const options = { chunkSize, maxOutputLength };
      return chunkSize <= AT_ONCE_BYTES + 1 ? zlib.inflateRawSync(bytes, options) : decompress(bytes, options);
    },
  };
}
