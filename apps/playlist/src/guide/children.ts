import { MarkupFinder } from './markup.ts';
import { TagWalker, tagEnd } from './tag-walker.ts';

const LT = 0x3c;

/** Goes through the child elements of an element, one `next` a child. For elements that the scanner has seen to be balanced. */
export class Children {
  /** The child is `buffer[start, end)`, its name `[start + 1, nameEnd)`, its content `[contentStart, contentEnd)`. */
  start = 0;
  nameEnd = 0;
  contentStart = 0;
  contentEnd = 0;
  end = 0;
  selfClosed = false;
  readonly #walker = new TagWalker();
  readonly #markup = new MarkupFinder();
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  #until = 0;

  /** Begins with the content `buffer[from, until)`. */
  begin(buffer: Buffer, from: number, until: number): this {
    this.#buffer = buffer;
    this.#at = from;
    this.#until = until;
    this.#markup.restart();
    return this;
  }

  /** The next child; false when there is none left. */
  next(): boolean {
    const buffer = this.#buffer;
    const until = this.#until;
    let at = this.#at;
    for (;;) {
      while (at < until && buffer[at] !== LT) at++;
      this.#at = until;
      if (at + 1 >= until) return false;
      const byte = buffer[at + 1]!;
      if (byte === 0x2f) return false;
      if (byte !== 0x21 && byte !== 0x3f) break;
      at = this.#markup.end(buffer, at, until);
      if (at < 0) return false;
    }
    this.start = at;
    let nameEnd = at + 1;
    while (nameEnd < until && buffer[nameEnd]! > 0x20 && buffer[nameEnd] !== 0x3e && buffer[nameEnd] !== 0x2f)
      nameEnd++;
    this.nameEnd = nameEnd;
    this.contentStart = tagEnd(buffer, nameEnd, until);
    if (this.contentStart < 0) return false;
    this.selfClosed = buffer[this.contentStart - 2] === 0x2f;
    this.contentEnd = this.end = this.contentStart;
    if (!this.selfClosed) {
      this.end = this.#walker.end(buffer, at + 1, nameEnd, this.contentStart, until, this.#markup);
      if (this.end < 0) return false;
      this.contentEnd = this.#walker.contentEnd;
    }
    this.#at = this.end;
    return true;
  }

  /** Whether the child's name is this one. */
  is(name: Buffer): boolean {
    if (this.nameEnd - this.start - 1 !== name.length) return false;
    for (let i = 0; i < name.length; i++) if (this.#buffer[this.start + 1 + i] !== name[i]) return false;
    return true;
  }
}
