/** Text and attribute values of XML as bytes: the five named entities and the numeric ones are understood, nothing else is expanded. */

const LT = 0x3c;
const AMPERSAND = 0x26;
const SEMICOLON = 0x3b;
const NAMED: Readonly<Record<string, number>> = { amp: 0x26, lt: 0x3c, gt: 0x3e, quot: 0x22, apos: 0x27 };
/** The longest reference that is looked at: `&#x0010FFFF;` with some zeros to spare. */
const MAX_REFERENCE_BYTES = 16;

/** The decoded text of a span, in a buffer that is used again for the next one. At most `MAX_BYTES`, what is longer is cut. */
export class XmlText {
  static readonly MAX_BYTES = 64 * 1024;
  /** The text is `bytes[start, end)`: in the buffer it came from when nothing had to be decoded, else in one of this object's. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  #own: Buffer | undefined;
  #to = 0;

  /** Decodes an attribute value. */
  ofAttribute(buffer: Buffer, start: number, end: number): this {
    for (let at = start; at < end; at++) {
      if (buffer[at] === AMPERSAND) return this.#decode(buffer, start, end);
    }
    return this.#take(buffer, start, end);
  }

  /** Decodes an element's content: text and CDATA sections; comments, instructions and tags in it are left out. White space around is trimmed. */
  ofContent(buffer: Buffer, start: number, end: number): this {
    let plain = true;
    for (let at = start; at < end && plain; at++) plain = buffer[at] !== AMPERSAND && buffer[at] !== LT;
    if (plain) this.#take(buffer, start, end);
    else this.#decode(buffer, start, end);
    while (this.start < this.end && this.bytes[this.start]! <= 0x20) this.start++;
    while (this.end > this.start && this.bytes[this.end - 1]! <= 0x20) this.end--;
    return this;
  }

  toString(): string {
    return this.bytes.toString('utf8', this.start, this.end);
  }

  #take(buffer: Buffer, start: number, end: number): this {
    this.bytes = buffer;
    this.start = start;
    this.end = end;
    return this;
  }

  #decode(buffer: Buffer, start: number, end: number): this {
    this.#own ??= Buffer.allocUnsafeSlow(XmlText.MAX_BYTES);
    this.#to = 0;
    let at = start;
    while (at < end) {
      const byte = buffer[at]!;
      if (byte === AMPERSAND) {
        at = this.#reference(buffer, at, end);
      } else if (byte === LT) {
        at = this.#markup(buffer, at, end);
      } else {
        this.#put(byte);
        at++;
      }
    }
    return this.#take(this.#own, 0, this.#to);
  }

  #reference(buffer: Buffer, at: number, end: number): number {
    const limit = Math.min(end, at + MAX_REFERENCE_BYTES);
    let close = at + 1;
    while (close < limit && buffer[close] !== SEMICOLON) close++;
    const point = close < limit ? codePoint(buffer.toString('latin1', at + 1, close)) : -1;
    if (point < 0) {
      this.#put(AMPERSAND);
      return at + 1;
    }
    this.#putPoint(point);
    return close + 1;
  }

  #markup(buffer: Buffer, at: number, end: number): number {
    const isSection = buffer[at + 1] === 0x21 && buffer[at + 2] === 0x5b;
    const isComment = buffer[at + 1] === 0x21 && buffer[at + 2] === 0x2d;
    const close = isSection ? ']]>' : isComment ? '-->' : '>';
    const from = isSection ? Math.min(end, at + 9) : at + 1;
    let to = buffer.indexOf(close, from, 'latin1');
    if (to < 0 || to > end) to = end;
    if (isSection) for (let i = from; i < to; i++) this.#put(buffer[i]!);
    return Math.min(end, to + close.length);
  }

  #put(byte: number): void {
    if (this.#to < XmlText.MAX_BYTES) this.#own![this.#to++] = byte;
  }

  #putPoint(point: number): void {
    if (point < 0x80) this.#put(point);
    else if (point < 0x800) {
      this.#put(0xc0 | (point >> 6));
      this.#put(0x80 | (point & 0x3f));
    } else {
      if (point < 0x10000) this.#put(0xe0 | (point >> 12));
      else {
        this.#put(0xf0 | (point >> 18));
        this.#put(0x80 | ((point >> 12) & 0x3f));
      }
      this.#put(0x80 | ((point >> 6) & 0x3f));
      this.#put(0x80 | (point & 0x3f));
    }
  }
}

/** Code point of a reference's name, -1 when it is none that is understood. */
function codePoint(name: string): number {
  if (!name.startsWith('#')) return NAMED[name] ?? -1;
  const hex = /^#x([0-9a-f]+)$/i.exec(name);
  const decimal = /^#([0-9]+)$/.exec(name);
  const point = hex ? Number.parseInt(hex[1]!, 16) : decimal ? Number.parseInt(decimal[1]!, 10) : -1;
  const exists = point > 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
  return exists ? point : -1;
}

/** Text for an element or, with either quote, an attribute. What XML cannot hold becomes a space. */
export function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, ' ')
    .replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};
