import type { FieldAccess } from '../rules/field-access.ts';
import { FIRST_PROGRAMME_FIELD, FIRST_READ_ONLY_FIELD } from '../rules/field-access.ts';
import { Children } from './children.ts';
import { escapeXml, XmlText } from './xml-text.ts';

/** Decides on a programme of the guide and may change its title, description and categories. Called only when there are rules for that. */
export interface ProgrammeEditor {
  edit(view: FieldAccess): 'keep' | 'drop';
}

const TITLE = 0;
const DESCRIPTION = 1;
const CATEGORY = 2;
const NAMES = [Buffer.from('title'), Buffer.from('desc'), Buffer.from('category')] as const;
/** What stands before a description and before a category in the order of the DTD. */
const BEFORE = [[], ['title', 'sub-title'], ['title', 'sub-title', 'desc', 'credits', 'date']].map((names) =>
  names.map((name) => Buffer.from(name)),
);
const MAX_CATEGORIES = 64;
const SEPARATOR = ';';
/** Numbers of a child in `#spans`. */
const SPAN = 5;

/**
 * A programme as rules see it. `programme_title` is its first title, `programme_description` its first description, `programme_category` all its
 * categories joined by `;`, entities and CDATA decoded, white space around trimmed; nothing is decoded before it is asked for. The other
 * fields are those of the playlist's channel and cannot be changed from here: `set` passes over them.
 *
 * What is set changes the text of the element concerned and leaves every other byte; a missing element is put where the DTD has it, categories
 * are set one for each part of the list.
 */
export class ProgrammeView implements FieldAccess {
  /** After `edit`: whether `pieces` differs from the source. */
  edited = false;

  readonly #children = new Children();
  readonly #text = new XmlText();
  readonly #values: (string | undefined)[] = [undefined, undefined, undefined];
  readonly #lower: (string | undefined)[] = [undefined, undefined, undefined];
  readonly #changed = [false, false, false];
  /** By child: start, tag end, content end, end, of the first title, the first description and the categories. -1: none. */
  readonly #spans = new Int32Array(SPAN * (2 + MAX_CATEGORIES));
  /** Where a missing description and category belong. */
  readonly #insertAt = [0, 0, 0];
  #categories = 0;
  #parsed = false;
  #buffer: Buffer = Buffer.alloc(0);
  #tagEnd = 0;
  #contentEnd = 0;
  #channel: FieldAccess | undefined;

  /** Turns to the programme whose content is `buffer[tagEnd, contentEnd)`. */
  begin(buffer: Buffer, tagEnd: number, contentEnd: number, channel: FieldAccess | undefined): this {
    this.#buffer = buffer;
    this.#tagEnd = tagEnd;
    this.#contentEnd = contentEnd;
    this.#channel = channel;
    this.#parsed = false;
    this.edited = false;
    for (let i = 0; i < 3; i++) {
      this.#values[i] = this.#lower[i] = undefined;
      this.#changed[i] = false;
    }
    return this;
  }

  get(field: number): string {
    const own = field - FIRST_PROGRAMME_FIELD;
    if (own < 0 || field >= FIRST_READ_ONLY_FIELD) return this.#channel?.get(field) ?? '';
    return (this.#values[own] ??= this.#decode(own));
  }

  lower(field: number): string {
    const own = field - FIRST_PROGRAMME_FIELD;
    if (own < 0 || field >= FIRST_READ_ONLY_FIELD) return this.#channel?.lower(field) ?? '';
    return (this.#lower[own] ??= this.get(field).toLowerCase());
  }

  set(field: number, value: string): void {
    const own = field - FIRST_PROGRAMME_FIELD;
    if (own < 0 || field >= FIRST_READ_ONLY_FIELD || this.get(field) === value) return;
    this.#values[own] = value;
    this.#lower[own] = undefined;
    this.#changed[own] = true;
    this.edited = true;
  }

  /**
   * The edited content, as what is to stand between `tagEnd` and `contentEnd`: calls `copy` for what stays as it is in the buffer and `put` for what is new,
   * in order.
   */
  render(copy: (start: number, end: number) => void, put: (text: string) => void): void {
    const edits: Edit[] = [];
    for (const own of [TITLE, DESCRIPTION]) {
      if (this.#changed[own]) this.#editChild(edits, own, own, this.#values[own]!);
    }
    if (this.#changed[CATEGORY]) this.#editCategories(edits);
    edits.sort((a, b) => a.start - b.start || a.end - b.end);
    let at = this.#tagEnd;
    for (const edit of edits) {
      copy(at, edit.start);
      put(edit.text);
      at = edit.end;
    }
    copy(at, this.#contentEnd);
  }

  #decode(own: number): string {
    this.#parse();
    if (own !== CATEGORY) return this.#textOf(own);
    let joined = '';
    for (let i = 0; i < this.#categories; i++)
      joined += i === 0 ? this.#textOf(CATEGORY) : SEPARATOR + this.#textOf(CATEGORY + i);
    return joined;
  }

  #textOf(child: number): string {
    const at = child * SPAN;
    if (this.#spans[at]! < 0) return '';
    return this.#text.ofContent(this.#buffer, this.#spans[at + 1]!, this.#spans[at + 2]!).toString();
  }

  #parse(): void {
    if (this.#parsed) return;
    this.#parsed = true;
    this.#spans[0] = this.#spans[SPAN] = -1;
    this.#insertAt.fill(this.#tagEnd);
    this.#categories = 0;
    const children = this.#children.begin(this.#buffer, this.#tagEnd, this.#contentEnd);
    while (children.next()) {
      for (const own of [DESCRIPTION, CATEGORY]) {
        if (BEFORE[own]!.some((name) => children.is(name))) this.#insertAt[own] = children.end;
      }
      if (children.is(NAMES[TITLE]) && this.#spans[0]! < 0) this.#note(TITLE);
      else if (children.is(NAMES[DESCRIPTION]) && this.#spans[SPAN]! < 0) this.#note(DESCRIPTION);
      else if (children.is(NAMES[CATEGORY]) && this.#categories < MAX_CATEGORIES)
        this.#note(CATEGORY + this.#categories++);
    }
  }

  #note(child: number): void {
    const children = this.#children;
    const at = child * SPAN;
    this.#spans[at] = children.start;
    this.#spans[at + 1] = children.contentStart;
    this.#spans[at + 2] = children.contentEnd;
    this.#spans[at + 3] = children.end;
    this.#spans[at + 4] = children.nameEnd;
  }

  /** Replaces the text of a child, or puts in a new one. */
  #editChild(edits: Edit[], own: number, child: number, value: string): void {
    const at = child * SPAN;
    const spans = this.#spans;
    const name = NAMES[own]!.toString();
    if (spans[at]! < 0) {
      const where = this.#insertAt[own]!;
      edits.push({
        start: where,
        end: where,
        text: `${this.#leadBefore(where)}<${name}>${escapeXml(value)}</${name}>`,
      });
    } else if (spans[at + 3] === spans[at + 1]) {
      // Self-closed: `/>` becomes `>`, the text and an end tag.
      const slash = this.#buffer.lastIndexOf('/', spans[at + 1]! - 1);
      edits.push({ start: slash, end: spans[at + 3]!, text: `>${escapeXml(value)}</${name}>` });
    } else edits.push({ start: spans[at + 1]!, end: spans[at + 2]!, text: escapeXml(value) });
  }

  #editCategories(edits: Edit[]): void {
    const spans = this.#spans;
    const parts = this.#values[CATEGORY]!.split(SEPARATOR)
      .map((part) => part.trim())
      .filter((part) => part !== '');
    for (let i = 0; i < this.#categories; i++) {
      const at = (CATEGORY + i) * SPAN;
      const part = parts[i];
      if (part === undefined) edits.push({ start: this.#leadStart(spans[at]!), end: spans[at + 3]!, text: '' });
      else if (part !== this.#textOf(CATEGORY + i)) this.#editChild(edits, CATEGORY, CATEGORY + i, part);
    }
    const missing = parts.slice(this.#categories);
    if (missing.length === 0) return;
    const where =
      this.#categories === 0 ? this.#insertAt[CATEGORY]! : spans[(CATEGORY + this.#categories - 1) * SPAN + 3]!;
    const lead = this.#leadBefore(where);
    edits.push({
      start: where,
      end: where,
      text: missing.map((part) => `${lead}<category>${escapeXml(part)}</category>`).join(''),
    });
  }

  /** Where the white space before an offset begins. */
  #leadStart(offset: number): number {
    let at = offset;
    while (at > this.#tagEnd && isSpace(this.#buffer[at - 1]!)) at--;
    return at;
  }

  /** The white space that a child put in at `where` should have before it: that of the first child. */
  #leadBefore(where: number): string {
    let at = this.#tagEnd;
    while (at < this.#contentEnd && isSpace(this.#buffer[at]!)) at++;
    return at < this.#contentEnd || where > this.#tagEnd ? this.#buffer.toString('latin1', this.#tagEnd, at) : '';
  }
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 9 && byte <= 13);
}
