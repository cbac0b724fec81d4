import { Digest } from '../channels/digest.ts';
import { Children } from './children.ts';
import type { StartTag } from './start-tag.ts';
import { xmltvTime } from './xmltv-time.ts';

const TITLE = Buffer.from('title');
const SLOT_AT = 0;
const TITLE_AT = 4;
const START_AT = 16;
const STOP_AT = 29;
const KEY_BYTES = 42;

/** What makes a programme the same as another one: the channel it is written for, when it starts and stops, and the bytes of its first title. */
export class ProgrammeKey {
  readonly #digest = new Digest();
  readonly #children = new Children();
  readonly #bytes = Buffer.alloc(KEY_BYTES);

  /** Takes in the programme whose content is `buffer[tagEnd, contentEnd)`. */
  begin(buffer: Buffer, tag: StartTag, tagEnd: number, contentEnd: number): void {
    const children = this.#children.begin(buffer, tagEnd, contentEnd);
    let found = children.next();
    while (found && !children.is(TITLE)) found = children.next();
    if (found) this.#putDigest(buffer, children.contentStart, children.contentEnd, TITLE_AT);
    else this.#bytes.fill(0, TITLE_AT, TITLE_AT + 12);
    this.#putTime(buffer, tag.startStart, tag.startEnd, START_AT);
    this.#putTime(buffer, tag.stopStart, tag.stopEnd, STOP_AT);
  }

  /** Digest of the programme as written for a slot; valid until the next call. */
  of(slot: number): Digest {
    this.#bytes.writeUInt32LE(slot, SLOT_AT);
    return this.#digest.of(this.#bytes, 0, KEY_BYTES);
  }

  /** An instant, whatever offset it was written with; what is no time counts by its bytes. */
  #putTime(buffer: Buffer, start: number, end: number, at: number): void {
    const bytes = this.#bytes;
    const instant = start < 0 ? -2 : xmltvTime(buffer, start, end);
    bytes.fill(0, at, at + 13);
    if (instant === -1) {
      bytes[at] = 1;
      this.#putDigest(buffer, start, end, at + 1);
    } else bytes.writeDoubleLE(instant, at + 1);
  }

  #putDigest(buffer: Buffer, start: number, end: number, at: number): void {
    const digest = this.#digest.of(buffer, start, end);
    this.#bytes.writeUInt32LE(digest.a, at);
    this.#bytes.writeUInt32LE(digest.b, at + 4);
    this.#bytes.writeUInt32LE(digest.c, at + 8);
  }
}
