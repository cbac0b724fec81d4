/**
 * Finds the `<channel>` and `<programme>` elements of an XMLTV guide by scanning bytes.
 *
 * A buffer of a few hundred KiB moves over the guide. Of a wanted element the tags are walked (`TagWalker`). Of any other only the
 * start tag is read, and its end is sought (`ProgrammeEnd`).
 * Comments, CDATA sections and processing instructions inside an element are only looked for where the buffer has a `<!` or `<?`.
 *
 * Invariants: what the scanner reports does not depend on how the source cuts the guide into pieces; nothing is fetched, no
 * entity is expanded; after damage it goes on at the next place that can be an element; no byte is searched in vain twice, so no
 * guide makes it slow.
 */
import type { Consumer, Reservation } from 'plimsoll';
import type { ByteSource } from '../sources/byte-source.ts';
import type { DamageKind } from './guide-damage.ts';
import { doctypeEnd, INCOMPLETE, MarkupFinder } from './markup.ts';
import { isDelimiter, ProgrammeEnd, tagClose } from './programme-end.ts';
import { MALFORMED, StartTag } from './start-tag.ts';
import { nextTag, TagWalker, UNBALANCED, UNTERMINATED } from './tag-walker.ts';

/** What `next` found. */
export const Token = { more: 0, channel: 1, programme: 2, end: 3 } as const;

export interface ScannerOptions {
  /** First size of the buffer. Default 512 KiB. */
  readonly bufferBytes?: number;
  /** The longest element; the buffer grows up to this. Default 4 MiB. */
  readonly maxElementBytes?: number;
  readonly onDamage: (kind: DamageKind, byteOffset: number) => void;
  /**
   * Asked when the start tag of a programme has been read (`tag`, `start` and `tagEnd` are set), perhaps more than once. Programmes that are not wanted
   * are passed over faster, without a look at the tags in them. Default: all are wanted.
   */
  readonly wants?: () => boolean;
}

/** White space before an element that counts as part of it, so that kept elements keep their indentation. */
const MAX_LEAD_BYTES = 32;
/** How far a CDATA section between elements is searched for its end. */
const MAX_STRAY_SECTION_BYTES = 64 * 1024;
/** The longest `</tv>`, for white space. */
const MAX_END_TAG_BYTES = 1024;
/** Enough to tell any markup by its first bytes. */
const PEEK_BYTES = 12;

const LT = 0x3c;
const SLASH = 0x2f;
const BANG = 0x21;
const QUESTION = 0x3f;

const PROGRAMME = Buffer.from('programme');
const CHANNEL = Buffer.from('channel');
const TV = Buffer.from('tv');
const CDATA = Buffer.from('<![CDATA[');
const COMMENT = Buffer.from('<!--');
const DOCTYPE = Buffer.from('<!DOCTYPE');

const Phase = { prolog: 0, inside: 1, after: 2 } as const;

export class GuideScanner implements Disposable {
  /** The bytes around the element; valid until `refill`. */
  buffer: Buffer;
  /** The element is `buffer[start, end)`, its start tag ends before `tagEnd`; white space that goes with it begins at `lead`. */
  lead = 0;
  start = 0;
  tagEnd = 0;
  end = 0;
  /** Where the end tag of a wanted element begins; `tagEnd` of one that is self-closed. */
  contentEnd = 0;
  /** What `wants` said; true for channels. */
  wanted = true;
  /** The attributes of the element's start tag. */
  readonly tag = new StartTag();
  /** The guide declares entities of its own; references to them cannot be understood. */
  declaresEntities = false;

  readonly #maxElementBytes: number;
  readonly #onDamage: (kind: DamageKind, byteOffset: number) => void;
  readonly #reservation: Reservation;
  readonly #wants: () => boolean;
  readonly #markup = new MarkupFinder();
  readonly #walker = new TagWalker();
  readonly #programmeEnd = new ProgrammeEnd();
  /** Offset in the guide of `buffer[0]`. */
  #base = 0;
  /** Everything before has been dealt with. */
  #pos = 0;
  #used = 0;
  #final = false;
  #phase: 0 | 1 | 2 = Phase.prolog;
  /** Within something that was reported: silent until the next thing that is understood. */
  #lost = false;
  #hasDoctype = false;
  /** End that is being sought over several buffers: that of a comment (1) or an instruction (3) outside the elements. */
  #skipping: 0 | 1 | 3 = 0;
  #skippingFrom = 0;
  #walkedBytes = 0;

  /** The buffer is reserved from `consumer`; the caller disposes. */
  constructor(consumer: Consumer, options: ScannerOptions) {
    const bufferBytes = options.bufferBytes ?? 512 * 1024;
    this.#maxElementBytes = options.maxElementBytes ?? 4 * 1024 * 1024;
    this.#onDamage = options.onDamage;
    this.#wants = options.wants ?? (() => true);
    this.#reservation = consumer.reserve(bufferBytes);
    this.buffer = Buffer.allocUnsafeSlow(bufferBytes);
  }

  /** Bytes of content that were walked or searched so far, each time counted, for tests that bound the work. */
  get searchedBytes(): number {
    return this.#markup.searchedBytes + this.#programmeEnd.searchedBytes + this.#walkedBytes;
  }

  /** Bytes of the guide seen so far. */
  get readBytes(): number {
    return this.#base + this.#used;
  }

  /** Where in the guide an offset in `buffer` is. */
  offsetOf(at: number): number {
    return this.#base + at;
  }

  /** Turns to the start of another guide (or of the same again). */
  restart(): void {
    this.#base = 0;
    this.#pos = 0;
    this.#used = 0;
    this.#final = false;
    this.#phase = Phase.prolog;
    this.#lost = false;
    this.#skipping = 0;
    this.declaresEntities = false;
    this.#hasDoctype = false;
    this.#markup.restart();
    this.#programmeEnd.restart();
  }

  /**
   * Moves what is left to the front of the buffer and reads on until it is at least half full or the source ends. All spans are
   * void afterwards. A source that fails leaves the scanner as it was: call `endHere` and go on to find what is there.
   */
  async refill(source: ByteSource): Promise<void> {
    const keep = this.#pos;
    if (keep > 0) {
      this.buffer.copyWithin(0, keep, this.#used);
      this.#base += keep;
      this.#used -= keep;
      this.#pos = 0;
      this.#markup.moved(keep);
      this.#programmeEnd.moved(keep);
    }
    // What is left is an element that is not all there, and is looked at from its start again: when there is twice as much, not for every crumb.
    if (this.#used > this.buffer.length >> 1) this.#grow();
    if (this.#used === this.buffer.length) throw new Error('the scanner asked for more with a full buffer');
    const enough = Math.max(this.buffer.length >> 1, Math.min(2 * this.#used, this.buffer.length));
    while (this.#used < enough) {
      const got = await source.read(this.buffer, this.#used, this.buffer.length - this.#used);
      if (got === 0) {
        this.endHere();
        return;
      }
      this.#used += got;
    }
  }

  /** Nothing more comes. */
  endHere(): void {
    this.#final = true;
  }

  /** The next element, `Token.more` when `refill` is needed first, `Token.end` at the end. Synchronous. */
  next(): number {
    const buffer = this.buffer;
    if (this.#base === 0 && this.#pos === 0 && !this.#passMark()) return Token.more;
    for (;;) {
      if (this.#skipping !== 0 && !this.#skipOn()) return Token.more;
      const used = this.#used;
      let at = this.#pos;
      while (at < used && (buffer[at] === 0x20 || (buffer[at]! >= 9 && buffer[at]! <= 13))) at++;
      this.lead = this.#lost ? at : Math.max(this.#pos, at - MAX_LEAD_BYTES);
      this.#pos = this.lead;
      if (at === used) return this.#final ? this.#finish() : Token.more;
      if (buffer[at] !== LT) {
        this.#stray('stray-text', at);
        const tag = buffer.indexOf(LT, at);
        this.#pos = tag < 0 || tag > used ? used : tag;
        continue;
      }
      if (used - at < PEEK_BYTES && !this.#final) return Token.more;
      const token = this.#markupAt(at);
      if (token >= 0) return token;
    }
  }

  [Symbol.dispose](): void {
    this.buffer = Buffer.alloc(0);
    this.#used = 0;
    this.#reservation[Symbol.dispose]();
  }

  /** Passes over a byte order mark at the very start; false when more is needed to tell. */
  #passMark(): boolean {
    if (this.#used < 3) return this.#final;
    if (this.buffer[0] === 0xef && this.buffer[1] === 0xbb && this.buffer[2] === 0xbf) this.#pos = 3;
    return true;
  }

  /** Deals with the `<` at `at`: a token to return, or -1 to go on from `#pos`. */
  #markupAt(at: number): number {
    const byte = at + 1 < this.#used ? this.buffer[at + 1] : 0;
    if (byte === 0x70 && this.#isName(PROGRAMME, at + 1)) return this.#element(at, Token.programme);
    if (byte === 0x63 && this.#isName(CHANNEL, at + 1)) return this.#element(at, Token.channel);
    if (byte === BANG) return this.#declaration(at);
    if (byte === QUESTION) return this.#skip(3, at, at + 2);
    if (byte === SLASH) return this.#endTag(at);
    if (byte === 0x74 && this.#isName(TV, at + 1)) return this.#root(at);
    this.#stray(this.#phase === Phase.prolog ? 'not-xmltv' : 'unexpected-element', at);
    this.#pos = at + 1;
    return -1;
  }

  #element(at: number, token: number): number {
    const nameEnd = at + 1 + (token === Token.programme ? PROGRAMME.length : CHANNEL.length);
    // Nothing is read beyond the bound, so that what is found does not depend on how much happens to be in the buffer.
    const limit = Math.min(this.#used, at + this.#maxElementBytes);
    const tagEnd = this.tag.read(this.buffer, nameEnd, limit);
    this.start = at;
    this.tagEnd = this.contentEnd = tagEnd;
    this.wanted = token === Token.channel || (tagEnd >= 0 && this.#wants());
    this.#walker.sectionEnd = 0;
    const end = tagEnd >= 0 ? this.#elementEnd(at, nameEnd, tagEnd, limit) : tagEnd;
    if (end === INCOMPLETE) {
      const tooLong = limit === at + this.#maxElementBytes;
      if (!tooLong && !this.#final) return Token.more;
      return this.#damaged(tooLong ? 'element-too-long' : 'unterminated-element', at, tagEnd);
    }
    if (end === MALFORMED) return this.#damaged('bad-tag', at, INCOMPLETE);
    if (end === UNTERMINATED) return this.#damaged('unterminated-element', at, tagEnd);
    if (end === UNBALANCED) return this.#damaged('unbalanced-element', at, tagEnd);
    if (this.#phase !== Phase.inside) {
      this.#stray(this.#phase === Phase.prolog ? 'not-xmltv' : 'after-end', at);
      this.#phase = Phase.inside;
    }
    this.#lost = false;
    this.end = end;
    this.#pos = end;
    return token;
  }

  #elementEnd(at: number, nameEnd: number, tagEnd: number, limit: number): number {
    if (this.wanted && nextTag(this.buffer, at + 1, tagEnd) < tagEnd) return MALFORMED;
    if (this.tag.selfClosed) return tagEnd;
    if (!this.wanted) return this.#programmeEnd.of(this.buffer, tagEnd, limit, this.#markup, this.#used);
    const end = this.#walker.end(this.buffer, at + 1, nameEnd, tagEnd, limit, this.#markup, this.#used);
    this.contentEnd = this.#walker.contentEnd;
    this.#walkedBytes += this.#walker.tag - tagEnd;
    return end;
  }

  /**
   * Reports a damaged element and goes on behind its start tag or, if that is what is damaged, behind its `<`. Where the walk saw that no element
   * begins up to the end of a CDATA section, it goes on there: what looks like elements in the section would each be walked as far, in vain.
   */
  #damaged(kind: DamageKind, at: number, tagEnd: number): number {
    this.#onDamage(kind, this.#base + at);
    this.#lost = true;
    this.#pos = tagEnd >= 0 ? Math.max(tagEnd, this.#walker.sectionEnd) : at + 1;
    return -1;
  }

  #declaration(at: number): number {
    if (this.#startsWith(COMMENT, at)) return this.#skip(1, at, at + COMMENT.length);
    if (this.#startsWith(CDATA, at)) {
      // Text has no place here, nor what stands in it; but without an end in sight it may be an element's that broke off.
      const end = this.#markup.endOf(
        2,
        this.buffer,
        at + CDATA.length,
        Math.min(this.#used, at + MAX_STRAY_SECTION_BYTES),
      );
      if (end < 0 && !this.#final && this.#used - at < MAX_STRAY_SECTION_BYTES) return Token.more;
      this.#stray('stray-text', at);
      this.#pos = end < 0 ? at + CDATA.length : end;
      return -1;
    }
    if (this.#phase === Phase.prolog && !this.#hasDoctype && this.#startsWith(DOCTYPE, at)) {
      const end = doctypeEnd(this.buffer, at + DOCTYPE.length, Math.min(this.#used, at + this.#maxElementBytes));
      if (end >= 0) {
        this.#hasDoctype = true;
        if (this.buffer.subarray(at, end).includes('<!ENTITY')) this.declaresEntities = true;
        this.#pos = end;
        return -1;
      }
      if (!this.#final && this.#used - at < this.#maxElementBytes) return Token.more;
      this.#hasDoctype = true;
    }
    this.#stray('unterminated-markup', at);
    this.#pos = at + 2;
    return -1;
  }

  #endTag(at: number): number {
    const isEnd = this.#isName(TV, at + 2);
    const limit = Math.min(this.#used, at + MAX_END_TAG_BYTES);
    const end = isEnd ? tagClose(this.buffer, at + 2 + TV.length, limit) : MALFORMED;
    if (end === INCOMPLETE && !this.#final && limit < at + MAX_END_TAG_BYTES) return Token.more;
    if (end >= 0 && this.#phase === Phase.inside) {
      this.#phase = Phase.after;
      this.#lost = false;
      this.#pos = end;
      return -1;
    }
    this.#stray('unexpected-element', at);
    this.#pos = at + 2;
    return -1;
  }

  #root(at: number): number {
    const limit = Math.min(this.#used, at + this.#maxElementBytes);
    const end = this.tag.read(this.buffer, at + 1 + TV.length, limit);
    if (end === INCOMPLETE && !this.#final && limit < at + this.#maxElementBytes) return Token.more;
    if (end < 0) {
      this.#stray('bad-tag', at);
      this.#pos = at + 1;
    } else {
      if (this.#phase !== Phase.prolog)
        this.#stray(this.#phase === Phase.after ? 'after-end' : 'unexpected-element', at);
      this.#phase = this.tag.selfClosed ? Phase.after : Phase.inside;
      this.#lost = false;
      this.#pos = end;
    }
    return -1;
  }

  /** Starts to look for the end of a comment (1) or processing instruction (3) outside the elements. */
  #skip(what: 1 | 3, at: number, from: number): number {
    this.#skipping = what;
    this.#skippingFrom = this.#base + at;
    this.#pos = from;
    return -1;
  }

  /** False when more is needed. */
  #skipOn(): boolean {
    const end = this.#markup.endOf(this.#skipping as 1 | 3, this.buffer, this.#pos, this.#used);
    if (end >= 0) {
      this.#pos = end;
    } else if (this.#final) {
      this.#onDamage('unterminated-markup', this.#skippingFrom);
      this.#lost = true;
      this.#pos = this.#used;
    } else {
      this.#pos = Math.max(this.#pos, this.#used - 2);
      return false;
    }
    this.#skipping = 0;
    return true;
  }

  #finish(): number {
    this.#pos = this.#used;
    if (this.#phase === Phase.inside) this.#onDamage('missing-end', this.#base + this.#used);
    if (this.#phase === Phase.prolog) this.#stray('not-xmltv', this.#used);
    this.#phase = Phase.after;
    return Token.end;
  }

  #stray(kind: DamageKind, at: number): void {
    if (!this.#lost) this.#onDamage(this.#phase === Phase.after ? 'after-end' : kind, this.#base + at);
    this.#lost = true;
  }

  #grow(): void {
    const size = Math.min(this.buffer.length * 2, this.#maxElementBytes + 64 * 1024);
    if (size <= this.buffer.length) return;
    this.#reservation.grow(size);
    const grown = Buffer.allocUnsafeSlow(size);
    this.buffer.copy(grown, 0, 0, this.#used);
    this.#reservation.shrink(this.buffer.length);
    this.buffer = grown;
  }

  /** A whole name stands at `at`: it, and then white space, `>` or `/`. */
  #isName(name: Buffer, at: number): boolean {
    const end = at + name.length;
    return end < this.#used && this.#startsWith(name, at) && isDelimiter(this.buffer[end]!);
  }

  #startsWith(text: Buffer, at: number): boolean {
    if (at + text.length > this.#used) return false;
    for (let i = 0; i < text.length; i++) if (this.buffer[at + i] !== text[i]) return false;
    return true;
  }
}
