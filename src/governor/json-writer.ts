import { invalidOption } from '../invalid-option.ts';
import { ByteWriter } from './byte-writer.ts';

const MAX_DEPTH = 16;
const SMALLEST = 64;
const TRUNCATED = '"truncated":true';
/** Kept free at all times: that mark and its comma. */
const TAIL = TRUNCATED.length + 1;
const MAX_CHARACTERS = 512;
/** Longer texts are not even looked at: one that was put together from pieces is copied as a whole by the first look at a character. */
const LOOKED_AT = 65_536;
const HEX = '0123456789abcdef';
const QUOTE = 34;
const COMMA = 44;
const BACKSLASH = 92;

/**
 * Writes JSON into a buffer that was made beforehand, without making objects, and never past its end.
 *
 * A container may be a *section* with a bound of its own, the outermost one always is. What does not fit into its section is left out, with all that
 * follows in it: never half of a value, and never part of a container that stands directly in the section (a row). What follows after the section is
 * written again. When anything was left out and the outermost container is an object, its last member is `"truncated": true`.
 *
 * Invariant: after each call the brackets still owed and that mark fit below the bound of the section, so closing never fails.
 */
export class JsonWriter {
  readonly #out: ByteWriter;
  readonly #closers = new Uint8Array(MAX_DEPTH);
  readonly #filled = new Uint8Array(MAX_DEPTH);
  /** Per depth: the position that may not be passed, the depth of the section it belongs to, and where the row of that section began. */
  readonly #limits = new Int32Array(MAX_DEPTH);
  readonly #sections = new Uint8Array(MAX_DEPTH);
  readonly #rows = new Int32Array(MAX_DEPTH);
  #depth = 0;
  /** Where the value that is being written began, its comma and key included. */
  #mark = 0;
  #keyed = false;
  #full = false;
  /** Containers begun and not ended since the section was full. */
  #dropped = 0;
  #truncated = false;

  /** Throws `RangeError` for a buffer under 64 bytes. */
  constructor(buffer: Uint8Array) {
    if (buffer.length < SMALLEST) throw invalidOption('buffer', `of at least ${SMALLEST} bytes`, buffer.length);
    this.#out = new ByteWriter(buffer);
    this.reset();
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#out.at;
  }

  /** True when something was left out. */
  get truncated(): boolean {
    return this.#truncated;
  }

  /** Begins a new text in the same buffer. */
  reset(): this {
    this.#out.at = 0;
    this.#depth = 0;
    this.#limits[0] = this.#out.bytes.length;
    this.#sections[0] = 0;
    this.#filled[0] = 0;
    this.#keyed = this.#full = this.#truncated = false;
    this.#dropped = 0;
    return this;
  }

  /** Begins an object; `maxBytes` makes it a section. */
  object(maxBytes?: number): this {
    return this.#open(123, 125, maxBytes);
  }

  /** Begins an array; `maxBytes` makes it a section. */
  array(maxBytes?: number): this {
    return this.#open(91, 93, maxBytes);
  }

  /** Ends the container begun last. */
  end(): this {
    if (this.#dropped > 0) {
      this.#dropped--;
      return this;
    }
    const depth = this.#depth;
    if (depth === 0) return this;
    const out = this.#out;
    if (depth === 1 && this.#truncated && this.#closers[1] === 125) {
      if (this.#filled[1] === 1) out.byte(COMMA);
      out.ascii(TRUNCATED);
    }
    out.byte(this.#closers[depth]!);
    if (this.#sections[depth] === depth) this.#full = false;
    this.#depth = depth - 1;
    return this;
  }

  /** Ends all that is open. The text is complete then. */
  finish(): number {
    while (this.#depth > 0) this.end();
    return this.length;
  }

  /** The name of the member whose value comes next: characters below 128 that need no escape. */
  key(name: string): this {
    if (this.#full) return this;
    this.#begin();
    this.#out.byte(QUOTE).ascii(name).byte(QUOTE).byte(58);
    this.#keyed = true;
    return this;
  }

  /** A number rounded to 0 to 4 decimal places; `null` for what is no finite number. */
  number(value: number, places = 0): this {
    if (!Number.isFinite(value)) return this.#word('null');
    if (this.#full) return this;
    this.#begin();
    this.#out.number(value, places);
    return this.#commit();
  }

  boolean(value: boolean): this {
    return this.#word(value ? 'true' : 'false');
  }

  /** A text, cut after `maxCharacters` (default 512); of one longer than 65,536 only the length is told. */
  string(value: string, maxCharacters = MAX_CHARACTERS): this {
    if (this.#full) return this;
    this.#begin();
    const out = this.#out;
    out.byte(QUOTE);
    if (value.length > LOOKED_AT) out.ascii('a text of ').number(value.length).ascii(' characters');
    else this.#characters(value, maxCharacters);
    out.byte(QUOTE);
    return this.#commit();
  }

  #characters(value: string, maxCharacters: number): void {
    const out = this.#out;
    const count = Math.min(value.length, maxCharacters);
    for (let i = 0; i < count; i++) {
      const code = value.charCodeAt(i);
      if (code === QUOTE || code === BACKSLASH) out.byte(BACKSLASH).byte(code);
      else if (code < 32) this.#escape(code);
      else if (code < 0xd800 || code > 0xdfff) out.character(code);
      else {
        const next = value.charCodeAt(i + 1);
        if (code < 0xdc00 && next >= 0xdc00 && next <= 0xdfff && i + 1 < count) {
          out.character(0x10000 + ((code - 0xd800) << 10) + (next - 0xdc00));
          i++;
        } else this.#escape(code);
      }
    }
    if (count < value.length) out.ascii('...');
  }

  #escape(code: number): void {
    this.#out.ascii('\\u');
    for (let shift = 12; shift >= 0; shift -= 4) this.#out.byte(HEX.charCodeAt((code >> shift) & 15));
  }

  #word(text: string): this {
    if (this.#full) return this;
    this.#begin();
    this.#out.ascii(text);
    return this.#commit();
  }

  #begin(): void {
    if (this.#keyed) return;
    this.#mark = this.#out.at;
    if (this.#filled[this.#depth] === 1) this.#out.byte(COMMA);
  }

  #commit(): this {
    this.#keyed = false;
    if (this.#fits()) this.#filled[this.#depth] = 1;
    else this.#overflow();
    return this;
  }

  #fits(): boolean {
    return this.#out.at + this.#depth + TAIL <= this.#limits[this.#depth]!;
  }

  /** Takes back what did not fit, and the row it stands in. */
  #overflow(): void {
    const section = this.#sections[this.#depth]!;
    this.#truncated = this.#full = true;
    this.#keyed = false;
    this.#dropped = this.#depth - section;
    this.#out.at = this.#depth === section ? this.#mark : this.#rows[section]!;
    this.#depth = section;
    // When the row taken back was the first, the section is empty again: it ends with its own opening bracket.
    const last = this.#out.bytes[this.#out.at - 1];
    if (section > 0) this.#filled[section] = last === 123 || last === 91 ? 0 : 1;
  }

  #open(opener: number, closer: number, maxBytes: number | undefined): this {
    if (this.#full) {
      this.#dropped++;
      return this;
    }
    this.#begin();
    this.#keyed = false;
    this.#out.byte(opener);
    const depth = this.#depth;
    const limit = this.#limits[depth]!;
    // One more bracket is owed.
    if (depth + 1 >= MAX_DEPTH || this.#out.at + depth + 1 + TAIL > limit) {
      this.#overflow();
      this.#dropped++;
      return this;
    }
    const section = this.#sections[depth]!;
    if (section === depth) this.#rows[section] = this.#mark;
    this.#filled[depth] = 1;
    this.#depth = depth + 1;
    this.#closers[depth + 1] = closer;
    this.#filled[depth + 1] = 0;
    const own = depth === 0 || maxBytes !== undefined;
    this.#limits[depth + 1] = maxBytes === undefined ? limit : Math.min(limit, this.#mark + maxBytes);
    this.#sections[depth + 1] = own ? depth + 1 : section;
    return this;
  }
}
