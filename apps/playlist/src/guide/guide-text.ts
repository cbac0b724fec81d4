import type { ByteSource } from '../sources/byte-source.ts';

const SNIFF_BYTES = 1024;
const RAW_BYTES = 64 * 1024;

/**
 * The encoding that an XML text is in by its first bytes: a byte order mark, the pattern of UTF-16, or the name in its declaration, in
 * lower case. Undefined when nothing is said, which means UTF-8. The name may be one that nobody knows.
 */
export function declaredEncoding(bytes: Uint8Array, length: number): string | undefined {
  const [a, b, c, d] = [bytes[0], bytes[1], bytes[2], bytes[3]];
  if (length >= 3 && a === 0xef && b === 0xbb && c === 0xbf) return 'utf-8';
  if (length >= 2 && a === 0xff && b === 0xfe) return 'utf-16le';
  if (length >= 2 && a === 0xfe && b === 0xff) return 'utf-16be';
  if (length >= 4 && a === 0x3c && b === 0 && c !== 0 && d === 0) return 'utf-16le';
  if (length >= 4 && a === 0 && b === 0x3c && c === 0 && d !== 0) return 'utf-16be';
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(length, SNIFF_BYTES)).toString('latin1');
  const declaration = /^\s*<\?xml\s[^>]*?encoding\s*=\s*(?:"([\w.:-]+)"|'([\w.:-]+)')[^>]*\?>/.exec(head);
  const name = (declaration?.[1] ?? declaration?.[2])?.toLowerCase();
  // Two bytes a character could not have been read as a declaration just now.
  return name !== undefined && /^(utf-?16|ucs-?2|iso-10646)/.test(name) ? undefined : name;
}

/**
 * Gives a guide in UTF-8 according to its XML declaration or byte order mark. One that is in UTF-8, says so, or names an encoding that is not known goes
 * through `otherwise` (default: as it is), which gets the source from its beginning and may know better.
 *
 * UTF-8 passes straight through; 64 KiB are held for others, read and turned into strings piece by piece. Disposing disposes the wrapped source.
 */
export async function guideText(
  source: ByteSource,
  otherwise: (source: ByteSource) => ByteSource = (same) => same,
): Promise<ByteSource> {
  const head = Buffer.allocUnsafe(SNIFF_BYTES);
  let length = 0;
  while (length < SNIFF_BYTES) {
    const got = await source.read(head, length, SNIFF_BYTES - length);
    if (got === 0) break;
    length += got;
  }
  const whole = new Replayed(source, head.subarray(0, length));
  const encoding = declaredEncoding(head, length);
  const decoder = encoding === undefined ? undefined : decoderFor(encoding);
  return decoder === undefined ? otherwise(whole) : new Recoded(whole, decoder);
}

type Decoder = InstanceType<typeof TextDecoder>;

/** Undefined for UTF-8 and what nobody knows. */
function decoderFor(encoding: string): Decoder | undefined {
  if (encoding === 'utf-8' || encoding === 'utf8' || encoding === 'us-ascii') return undefined;
  try {
    return new TextDecoder(encoding);
  } catch {
    return undefined;
  }
}

/** A source whose first bytes have been read already. */
class Replayed implements ByteSource {
  readonly #source: ByteSource;
  readonly #head: Buffer;
  #at = 0;

  constructor(source: ByteSource, head: Buffer) {
    this.#source = source;
    this.#head = head;
  }

  get label(): string {
    return this.#source.label;
  }

  get sizeBytes(): number | undefined {
    return this.#source.sizeBytes;
  }

  read(target: Buffer, offset: number, length: number): Promise<number> {
    if (this.#at === this.#head.length) return this.#source.read(target, offset, length);
    const count = this.#head.copy(target, offset, this.#at, Math.min(this.#head.length, this.#at + length));
    this.#at += count;
    return Promise.resolve(count);
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#source[Symbol.asyncDispose]();
  }
}

class Recoded implements ByteSource {
  readonly #source: ByteSource;
  readonly #decoder: Decoder;
  readonly #raw = Buffer.allocUnsafeSlow(RAW_BYTES);
  /** Text that has been decoded and not given out. */
  #text: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(source: ByteSource, decoder: Decoder) {
    this.#source = source;
    this.#decoder = decoder;
  }

  get label(): string {
    return this.#source.label;
  }

  get sizeBytes(): number | undefined {
    return this.#source.sizeBytes;
  }

  async read(target: Buffer, offset: number, length: number): Promise<number> {
    while (this.#text.length === 0) {
      if (this.#ended) return 0;
      const got = await this.#source.read(this.#raw, 0, RAW_BYTES);
      this.#ended = got === 0;
      this.#text = Buffer.from(this.#decoder.decode(this.#raw.subarray(0, got), { stream: got > 0 }));
    }
    const count = this.#text.copy(target, offset, 0, length);
    this.#text = this.#text.subarray(count);
    return count;
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#source[Symbol.asyncDispose]();
  }
}
