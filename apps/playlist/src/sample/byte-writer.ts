/** UTF-8 text put together in one reused buffer, without a string per line. The caller empties it before it is full. */
export class ByteWriter {
  readonly bytes: Buffer;
  used = 0;

  constructor(capacityBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacityBytes);
  }

  get room(): number {
    return this.bytes.length - this.used;
  }

  /** Copies; short pieces byte by byte, which is faster than the native call. */
  put(piece: Uint8Array): this {
    const length = piece.length;
    if (length > 48) {
      this.bytes.set(piece, this.used);
    } else {
      const target = this.bytes;
      let at = this.used;
      for (let i = 0; i < length; i++) target[at++] = piece[i]!;
    }
    this.used += length;
    return this;
  }

  /** As `put`, with `&` and `<` escaped as XML asks for in text. */
  putXml(piece: Uint8Array, start: number, end: number): this {
    for (let i = start; i < end; i++) {
      const byte = piece[i]!;
      if (byte === 0x26) this.put(AMPERSAND);
      else if (byte === 0x3c) this.put(LESS_THAN);
      else this.bytes[this.used++] = byte;
    }
    return this;
  }

  byte(code: number): this {
    this.bytes[this.used++] = code;
    return this;
  }

  /** Decimal digits of a whole number from 0, padded with zeros to `width`. */
  digits(value: number, width = 1): this {
    let length = 1;
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) length++;
    if (length < width) length = width;
    let at = this.used + length;
    for (let rest = value, i = 0; i < length; i++) {
      this.bytes[--at] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
    this.used += length;
    return this;
  }

  /** Eight hexadecimal digits. */
  hex(value: number): this {
    for (let shift = 28; shift >= 0; shift -= 4) this.bytes[this.used++] = HEX.charCodeAt((value >>> shift) & 15);
    return this;
  }
}

const HEX = '0123456789abcdef';
const AMPERSAND = Buffer.from('&amp;');
const LESS_THAN = Buffer.from('&lt;');
