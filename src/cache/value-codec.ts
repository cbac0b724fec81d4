/**
 * Values as bytes, and smaller. What comes back is equal byte for byte or not there at all: each packed value bears its kind and the length of its bytes, and texts that
 * UTF-8 would change (lone halves of a pair) are kept as UTF-16.
 *
 * The compressor hands out a part of a larger buffer; what is kept is a copy of its own size.
 */
import zlib from 'node:zlib';

/** Turns values into bytes and back, for those that are no text and no buffer. */
export interface ValueCodec<V> {
  encode(value: V): Uint8Array;
  decode(bytes: Uint8Array): V;
}

export const COMPRESSIONS = ['zstd', 'deflate'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

/** What the bytes of a value were. */
type Sort = 'latin1' | 'utf8' | 'utf16' | 'buffer' | 'bytes' | 'encoded';

/** A value that has become bytes. */
export interface PackedValue {
  readonly sort: Sort;
  /** Before compression. */
  readonly rawBytes: number;
  readonly compressed: Compression | undefined;
  readonly bytes: Uint8Array;
}

/** Above that, of what it was, compressing is not worth keeping. */
const WORTH_IT = 0.9;
const WIDE = /[^\0-\xff]/;
const ASCII = /^[\0-\x7f]*$/;
const DEFLATE_LEVEL = 1;
const ZSTD_LEVEL = 1;
const LEAST_CHUNK_BYTES = 1_024;
const MOST_CHUNK_BYTES = 65_536;

/** Zstandard where this Node has it (from 22.15), else deflate. */
export function bestCompression(): Compression {
  return typeof zlib.zstdCompressSync === 'function' ? 'zstd' : 'deflate';
}

/** Packs and unpacks values. Holds nothing. */
export class ValuePacker<V> {
  readonly #codec: ValueCodec<V> | undefined;
  readonly #compression: Compression;

  constructor(codec: ValueCodec<V> | undefined, compression: Compression) {
    this.#codec = codec;
    this.#compression = compression;
  }

  /** A value as bytes: its own where it is a buffer, a copy else. Undefined for what is no text, no buffer, and has no codec. Throws what the codec throws. */
  pack(value: V): PackedValue | undefined {
    const given: unknown = value;
    if (typeof given === 'string') {
      const sort: Sort = ASCII.test(given) || !WIDE.test(given) ? 'latin1' : given.isWellFormed() ? 'utf8' : 'utf16';
      return packed(sort, Buffer.from(given, sort === 'utf16' ? 'utf16le' : sort));
    }
    if (Buffer.isBuffer(given)) return packed('buffer', given);
    if (given instanceof Uint8Array && Object.getPrototypeOf(given) === Uint8Array.prototype) {
      return packed('bytes', given);
    }
    if (this.#codec === undefined) return undefined;
    const bytes: unknown = this.#codec.encode(value);
    if (!(bytes instanceof Uint8Array)) throw new TypeError('encode gave no bytes');
    return packed('encoded', bytes);
  }

  /** The same, smaller; undefined when it is not worth it. 0.15 ms for 5 KB, most of it the compressor's own state, which is made anew each time; 3 to 10 ms a MiB. */
  compress(value: PackedValue): PackedValue | undefined {
    const { sort, rawBytes, bytes } = value;
    // Room for what comes out, made anew by each call: no more of it than what goes in.
    const chunkSize = Math.min(MOST_CHUNK_BYTES, Math.max(LEAST_CHUNK_BYTES, rawBytes));
    const params = { [zlib.constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL };
    const small =
      this.#compression === 'zstd'
        ? zlib.zstdCompressSync(bytes, { chunkSize, params })
        : zlib.deflateRawSync(bytes, { chunkSize, level: DEFLATE_LEVEL });
    if (small.byteLength > rawBytes * WORTH_IT) return undefined;
    return { sort, rawBytes, compressed: this.#compression, bytes: ownBytes(small) };
  }

  /** The value again. Throws when the bytes are not what was packed, and what the codec throws. */
  unpack({ sort, rawBytes, compressed, bytes }: PackedValue): V {
    const raw = compressed === undefined ? bytes : inflate(bytes, compressed, rawBytes);
    if (raw.byteLength !== rawBytes) throw new RangeError(`${raw.byteLength} bytes instead of ${rawBytes}`);
    const buffer = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
    switch (sort) {
      case 'latin1':
      case 'utf8':
        return buffer.toString(sort) as V;
      case 'utf16':
        return buffer.toString('utf16le') as V;
      case 'buffer':
        return buffer as V;
      case 'bytes':
        return new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength) as V;
      case 'encoded':
        return this.#codec!.decode(buffer);
    }
  }
}

/** A copy that keeps nothing else alive. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  const own = Buffer.allocUnsafeSlow(bytes.byteLength);
  own.set(bytes);
  return own;
}

function packed(sort: Sort, bytes: Uint8Array): PackedValue {
  return { sort, rawBytes: bytes.byteLength, compressed: undefined, bytes };
}

function inflate(bytes: Uint8Array, how: Compression, rawBytes: number): Uint8Array {
  // Nothing that is damaged may swell to more than there was.
  const chunkSize = Math.min(MOST_CHUNK_BYTES, Math.max(LEAST_CHUNK_BYTES, rawBytes));
  const options = { chunkSize, maxOutputLength: Math.max(1, rawBytes) };
  return how === 'zstd' ? zlib.zstdDecompressSync(bytes, options) : zlib.inflateRawSync(bytes, options);
}
