/**
 * What stands around the deflated bytes of a gzip member (RFC 1952), read byte by byte, so that it may be cut anywhere. Node's Gunzip throws
 * away the last output of a member when something that is no member follows; with the frame read here it does not.
 */
const FLAG_CRC = 2;
const FLAG_EXTRA = 4;
const FLAG_NAME = 8;
const FLAG_COMMENT = 16;
const FIXED_BYTES = 10;

type Part = 'fixed' | 'extra-length' | 'extra' | 'name' | 'comment' | 'crc' | 'done' | 'invalid';

/** Reads a member's header. */
export class GzipHeader {
  part: Part = 'fixed';
  #seen = 0;
  #flags = 0;
  #extraLength = 0;

  /** True before the first byte. */
  get untouched(): boolean {
    return this.part === 'fixed' && this.#seen === 0;
  }

  /** Takes bytes until `part` is `done` or `invalid`; returns where it stopped. */
  read(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && this.part !== 'done' && this.part !== 'invalid') this.#take(bytes[at++]!);
    return at;
  }

  #take(byte: number): void {
    const seen = this.#seen++;
    switch (this.part) {
      case 'fixed':
        if ((seen === 0 && byte !== 0x1f) || (seen === 1 && byte !== 0x8b) || (seen === 2 && byte !== 8))
          this.part = 'invalid';
        else if (seen === 3 && (byte & 0xe0) !== 0) this.part = 'invalid';
        else if (seen === 3) this.#flags = byte;
        else if (seen === FIXED_BYTES - 1) this.#next('extra-length');
        break;
      case 'extra-length':
        this.#extraLength |= byte << (8 * seen);
        if (seen === 1) this.#next(this.#extraLength === 0 ? 'name' : 'extra');
        break;
      case 'extra':
        if (seen + 1 === this.#extraLength) this.#next('name');
        break;
      case 'name':
        if (byte === 0) this.#next('comment');
        break;
      case 'comment':
        if (byte === 0) this.#next('crc');
        break;
      default:
        if (seen === 1) this.#next('done');
    }
  }

  /** Goes to `part`, or past it when the flags say it is absent. */
  #next(part: Part): void {
    this.#seen = 0;
    if (part === 'extra-length' && (this.#flags & FLAG_EXTRA) === 0) part = 'name';
    if (part === 'name' && (this.#flags & FLAG_NAME) === 0) part = 'comment';
    if (part === 'comment' && (this.#flags & FLAG_COMMENT) === 0) part = 'crc';
    if (part === 'crc' && (this.#flags & FLAG_CRC) === 0) part = 'done';
    this.part = part;
  }
}

/** Collects a member's last 8 bytes. */
export class GzipTrailer {
  readonly #bytes = Buffer.alloc(8);
  #seen = 0;

  get complete(): boolean {
    return this.#seen === 8;
  }

  read(bytes: Buffer, start: number, end: number): number {
    const count = bytes.copy(this.#bytes, this.#seen, start, Math.min(end, start + 8 - this.#seen));
    this.#seen += count;
    return start + count;
  }

  /** Whether content of this checksum and length (modulo 2^32) is what was packed. */
  confirms(crc: number, lengthBytes: number): boolean {
    return this.#bytes.readUInt32LE(0) === crc >>> 0 && this.#bytes.readUInt32LE(4) === lengthBytes % 0x1_0000_0000;
  }
}
