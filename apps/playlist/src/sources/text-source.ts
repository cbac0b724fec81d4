import { isAscii, isUtf8 } from 'node:buffer';
import {
  type Converted,
  convertWindows1252,
  cutBytes,
  detectMark,
  guessEncoding,
  repairUtf8,
  sequenceLength,
  type TextEncodingName,
} from '../m3u/encoding.ts';
import type { ByteSource } from './byte-source.ts';

export interface TextSourceOptions {
  /** How much of the text, from the first character that is not ASCII, is looked at to tell encodings apart. Whole number from 256 up, default 64 KiB. */
  readonly maxSniffBytes?: number;
  /** Called when the encoding turns out to be another one than UTF-8; at most once. */
  readonly onEncoding?: (encoding: TextEncodingName) => void;
}

export const TEXT_SOURCE_DEFAULTS = { maxSniffBytes: 64 * 1024 } as const;

/** Plain UTF-8 is read in pieces of at most this size, so that a piece that turns out to be none fits in a small buffer. */
const PIECE_BYTES = 256 * 1024;
/** What the other encodings are read into. */
const RAW_BYTES = 32 * 1024;
const FIRST_BYTES = 1024;
/** The least room in which every step can write at least one character. */
const LEAST_ROOM = 64;

type Mode = 'start' | 'utf-8' | 'repair' | 'windows-1252' | 'decoder' | 'end';

/**
 * Wraps a source and gives its text as valid UTF-8 without a byte order mark, whatever it was in: UTF-8, UTF-16 (with or without a mark), GB 18030
 * (and so GBK and GB 2312), else Windows-1252. As long as there was only ASCII, the choice is open; once a character of UTF-8 was given out,
 * damaged bytes become U+FFFD.
 *
 * Valid UTF-8 goes straight into the caller's buffer and is only checked (several GB/s). Others pass through 32 KiB; about 300 KiB are held while the
 * encoding is being told, none in valid UTF-8. Disposing disposes the wrapped source.
 */
export function utf8Source(source: ByteSource, options: TextSourceOptions = {}): Utf8Source {
  return new Utf8Source(source, options);
}

export class Utf8Source implements ByteSource {
  /** What the text was found to be so far. */
  encoding: TextEncodingName = 'utf-8';
  /** How many damaged pieces of UTF-8 were replaced by U+FFFD. */
  replacedCount = 0;

  readonly #source: ByteSource;
  readonly #maxSniffBytes: number;
  readonly #onEncoding: ((encoding: TextEncodingName) => void) | undefined;
  #mode: Mode = 'start';
  /** The source has nothing more. */
  #ended = false;
  /** A character beyond ASCII was given out as UTF-8. */
  #committed = false;
  /** Bytes of the source that were read but not given out: `#raw[#rawAt, #rawEnd)`. */
  #raw: Buffer | undefined;
  #rawAt = 0;
  #rawEnd = 0;
  /** Text for a caller with less room than `LEAST_ROOM`. */
  #small: Buffer | undefined;
  #smallAt = 0;
  #smallEnd = 0;
  #decoder: InstanceType<typeof TextDecoder> | undefined;
  readonly #converted: Converted = { taken: 0, written: 0, replaced: 0 };

  constructor(source: ByteSource, options: TextSourceOptions) {
    const { maxSniffBytes = TEXT_SOURCE_DEFAULTS.maxSniffBytes } = options;
    if (!Number.isInteger(maxSniffBytes) || maxSniffBytes < 256) {
      throw new RangeError(
        `Expected \`maxSniffBytes\` to be a whole number from 256 up, got \`${maxSniffBytes}\` (${typeof maxSniffBytes})`,
      );
    }
    this.#source = source;
    this.#maxSniffBytes = maxSniffBytes;
    this.#onEncoding = options.onEncoding;
  }

  get label(): string {
    return this.#source.label;
  }

  get sizeBytes(): number | undefined {
    return this.#source.sizeBytes;
  }

  async read(target: Buffer, offset: number, length: number): Promise<number> {
    if (length <= 0) return 0;
    if (this.#smallAt < this.#smallEnd || length < LEAST_ROOM) return this.#readSmall(target, offset, length);
    return this.#read(target, offset, length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#mode = 'end';
    this.#raw = undefined;
    this.#small = undefined;
    this.#smallEnd = this.#smallAt;
    await this.#source[Symbol.asyncDispose]();
  }

  async #readSmall(target: Buffer, offset: number, length: number): Promise<number> {
    if (this.#smallAt === this.#smallEnd) {
      this.#small ??= Buffer.allocUnsafeSlow(4 * LEAST_ROOM);
      this.#smallAt = 0;
      this.#smallEnd = await this.#read(this.#small, 0, this.#small.length);
    }
    const count = Math.min(length, this.#smallEnd - this.#smallAt);
    if (count > 0) this.#small!.copy(target, offset, this.#smallAt, this.#smallAt + count);
    this.#smallAt += count;
    return count;
  }

  async #read(target: Buffer, offset: number, length: number): Promise<number> {
    if (this.#mode === 'start') await this.#detect();
    while (this.#mode !== 'end') {
      const count =
        this.#mode === 'utf-8'
          ? await this.#check(target, offset, length)
          : await this.#convert(target, offset, length);
      if (count > 0) return count;
    }
    return 0;
  }

  async #detect(): Promise<void> {
    await this.#fill(FIRST_BYTES);
    const mark = detectMark(this.#raw!, this.#rawEnd);
    this.#mode = 'utf-8';
    if (mark === undefined) return;
    this.#rawAt = mark.bytes;
    if (mark.encoding === 'utf-8') this.#committed = true;
    else this.#settle(mark.encoding);
  }

  /** Reads UTF-8 straight into the target. 0 when something else has to be done first. */
  async #check(target: Buffer, offset: number, length: number): Promise<number> {
    const room = Math.min(length, PIECE_BYTES);
    let total = this.#takeRaw(target, offset, room);
    let cut = total;
    // What is in hand may be no more than the beginning of one character.
    while (!this.#ended && total < LEAST_ROOM) {
      const read = await this.#source.read(target, offset + total, room - total);
      if (read === 0) this.#ended = true;
      total += read;
      cut = cutBytes(target, offset, offset + total);
      if (total > cut) break;
    }
    if (total === 0) {
      this.#mode = 'end';
      return 0;
    }
    cut = this.#ended && this.#rawAt === this.#rawEnd ? 0 : cutBytes(target, offset, offset + total);
    const text = target.subarray(offset, offset + total - cut);
    if (isUtf8(text)) {
      if (!this.#committed && !isAscii(text)) this.#committed = true;
      this.#giveBack(target, offset + total - cut, offset + total);
      return total - cut;
    }
    const good = this.#committed ? validBytes(text) : asciiBytes(text);
    this.#giveBack(target, offset + good, offset + total);
    if (this.#committed) this.#mode = 'repair';
    else await this.#decide();
    return good;
  }

  /** Only ASCII was given out so far, and what comes next is not valid UTF-8. */
  async #decide(): Promise<void> {
    await this.#fill(this.#maxSniffBytes);
    const encoding = guessEncoding(
      this.#raw!.subarray(this.#rawAt),
      Math.min(this.#rawEnd - this.#rawAt, this.#maxSniffBytes),
    );
    if (encoding === 'utf-8') {
      this.#committed = true;
      this.#mode = 'repair';
    } else {
      this.#settle(encoding);
    }
  }

  #settle(encoding: TextEncodingName): void {
    this.encoding = encoding;
    this.#mode = encoding === 'windows-1252' ? 'windows-1252' : 'decoder';
    if (this.#mode === 'decoder') this.#decoder = new TextDecoder(encoding, { ignoreBOM: true });
    this.#onEncoding?.(encoding);
  }

  async #convert(target: Buffer, offset: number, length: number): Promise<number> {
    if (this.#rawAt === this.#rawEnd && this.#mode === 'repair') {
      this.#mode = 'utf-8';
      this.#raw = undefined;
      return 0;
    }
    if (this.#rawAt === this.#rawEnd) await this.#fill(1);
    if (this.#rawAt === this.#rawEnd) {
      this.#mode = 'end';
      return this.#decoder === undefined ? 0 : target.write(this.#decoder.decode(), offset, 'utf8');
    }
    const raw = this.#raw!;
    const result = this.#converted;
    if (this.#mode === 'decoder') {
      const end = Math.min(this.#rawEnd, this.#rawAt + RAW_BYTES, this.#rawAt + Math.floor((length - 16) / 3));
      const text = this.#decoder!.decode(raw.subarray(this.#rawAt, end), { stream: true });
      this.#rawAt = end;
      return target.write(text, offset, 'utf8');
    }
    if (this.#mode === 'windows-1252') {
      convertWindows1252(raw, this.#rawAt, this.#rawEnd, target, offset, length, result);
    } else {
      repairUtf8(raw, this.#rawAt, this.#rawEnd, target, offset, length, this.#ended, result);
      // What is left is the beginning of a character whose end has not been read.
      if (result.taken === 0) this.#mode = 'utf-8';
    }
    this.#rawAt += result.taken;
    this.replacedCount += result.replaced;
    return result.written;
  }

  /** Reads on until at least `count` raw bytes are in hand, or the source ends. */
  async #fill(count: number): Promise<void> {
    if (this.#raw === undefined) {
      this.#raw = Buffer.allocUnsafeSlow(Math.max(RAW_BYTES, count));
      this.#rawAt = this.#rawEnd = 0;
    } else if (this.#rawAt === this.#rawEnd) {
      this.#rawAt = this.#rawEnd = 0;
    }
    if (this.#raw.length - this.#rawAt < count) this.#regrow(count, 0);
    while (!this.#ended && this.#rawEnd - this.#rawAt < count) {
      const read = await this.#source.read(this.#raw, this.#rawEnd, this.#raw.length - this.#rawEnd);
      if (read === 0) this.#ended = true;
      this.#rawEnd += read;
    }
  }

  /** A buffer of at least `size` bytes in which what is in hand begins at `at`. */
  #regrow(size: number, at: number): void {
    const held = this.#rawEnd - this.#rawAt;
    const larger = Buffer.allocUnsafeSlow(Math.max(RAW_BYTES, size, at + held));
    this.#raw?.copy(larger, at, this.#rawAt, this.#rawEnd);
    this.#raw = larger;
    this.#rawAt = at;
    this.#rawEnd = at + held;
  }

  #takeRaw(target: Buffer, offset: number, room: number): number {
    const count = Math.min(room, this.#rawEnd - this.#rawAt);
    if (count > 0) this.#raw!.copy(target, offset, this.#rawAt, this.#rawAt + count);
    this.#rawAt += count;
    // A large one was needed to tell the encoding; UTF-8 only keeps the beginning of a character in it.
    if (this.#rawAt === this.#rawEnd && this.#raw !== undefined && this.#raw.length > LEAST_ROOM) this.#raw = undefined;
    return count;
  }

  /** Puts bytes of the target back in front of what is in hand. */
  #giveBack(target: Buffer, start: number, end: number): void {
    const count = end - start;
    if (count === 0) return;
    if (this.#rawAt === this.#rawEnd && count <= LEAST_ROOM) {
      this.#raw ??= Buffer.allocUnsafeSlow(LEAST_ROOM);
      this.#rawAt = 0;
      this.#rawEnd = count;
    } else {
      if (this.#raw === undefined || this.#rawAt < count) this.#regrow(0, count);
      this.#rawAt -= count;
    }
    target.copy(this.#raw!, this.#rawAt, start, end);
  }
}

function asciiBytes(text: Uint8Array): number {
  let at = 0;
  while (at < text.length && text[at]! < 0x80) at++;
  return at;
}

function validBytes(text: Uint8Array): number {
  for (let at = 0; at < text.length; ) {
    const size = sequenceLength(text, at, text.length);
    if (size <= 0) return at;
    at += size;
  }
  return text.length;
}
