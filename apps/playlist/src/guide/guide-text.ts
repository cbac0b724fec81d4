import type { ByteSource } from '../sources/byte-source.ts';
import { utf8Source } from '../sources/text-source.ts';

const SNIFF_BYTES = 1024;
const RAW_BYTES = 64 * 1024;
const MARK = Buffer.from('\ufeff');

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
 * Gives a guide in UTF-8 according to its byte order mark or XML declaration. One that is in UTF-8, says so, or names an encoding that is not known goes
 * through `otherwise`, which gets the source from its beginning; by default `utf8Source`, which believes the bytes more than the declaration.
 *
 * UTF-8 passes straight through; 64 KiB are held for others, read and turned into strings piece by piece. When the source fails, everything it
 * gave before comes first, then its error. Disposing disposes the wrapped source.
 */
export async function guideText(
  source: ByteSource,
  otherwise: (source: ByteSource) => ByteSource = utf8Source,
): Promise<ByteSource> {
  const raw = new RawText(source);
  const encoding = declaredEncoding(raw.head, await raw.peek());
  const decoder = encoding === undefined ? undefined : decoderFor(encoding);
  return new LateFailure(raw, decoder === undefined ? otherwise(raw) : new Recoded(raw, decoder));
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

/** A source whose first bytes can be looked at, and that ends where it fails. */
class RawText implements ByteSource {
  readonly head = Buffer.alloc(SNIFF_BYTES);
  hasFailed = false;
  failure: unknown;
  readonly #source: ByteSource;
  #length = 0;
  #at = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  get label(): string {
    return this.#source.label;
  }

  get sizeBytes(): number | undefined {
    return this.#source.sizeBytes;
  }

  /** Fills `head`; how many bytes there are in it. */
  async peek(): Promise<number> {
    for (;;) {
      const got = await this.#read(this.head, this.#length, SNIFF_BYTES - this.#length);
      this.#length += got;
      if (got === 0 || this.#length === SNIFF_BYTES) return this.#length;
    }
  }

  read(target: Buffer, offset: number, length: number): Promise<number> {
    if (this.#at === this.#length) return this.#read(target, offset, length);
    const count = this.head.copy(target, offset, this.#at, Math.min(this.#length, this.#at + length));
    this.#at += count;
    return Promise.resolve(count);
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#source[Symbol.asyncDispose]();
  }

  async #read(target: Buffer, offset: number, length: number): Promise<number> {
    if (this.hasFailed) return 0;
    try {
      return await this.#source.read(target, offset, length);
    } catch (failure) {
      this.hasFailed = true;
      this.failure = failure;
      return 0;
    }
  }
}

/**
 * Gives what `text` gives and then, if that is why it ended, the failure of `raw`. Puts back a byte order mark of UTF-8, so that offsets are those of
 * the guide.
 */
class LateFailure implements ByteSource {
  readonly #raw: RawText;
  readonly #text: ByteSource;
  #markBytes: number;

  constructor(raw: RawText, text: ByteSource) {
    this.#raw = raw;
    this.#text = text;
    this.#markBytes = raw.head.compare(MARK, 0, MARK.length, 0, MARK.length) === 0 ? MARK.length : 0;
  }

  get label(): string {
    return this.#text.label;
  }

  get sizeBytes(): number | undefined {
    return this.#text.sizeBytes;
  }

  async read(target: Buffer, offset: number, length: number): Promise<number> {
    if (this.#markBytes > 0) {
      const from = MARK.length - this.#markBytes;
      const count = MARK.copy(target, offset, from, Math.min(MARK.length, from + length));
      this.#markBytes -= count;
      return count;
    }
    const got = await this.#text.read(target, offset, length);
    if (got === 0 && this.#raw.hasFailed) throw this.#raw.failure;
    return got;
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#text[Symbol.asyncDispose]();
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
