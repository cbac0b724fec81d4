import { INCOMPLETE } from './markup.ts';

/** The tag cannot be read. */
export const MALFORMED = -2;

/**
 * The attributes of a `<channel>` or `<programme>` start tag that matter, as spans [start, end) of the buffer it was read from; start
 * -1 when absent. Any order, either quote, white space around `=`, `>` inside values. Of a repeated attribute the first counts.
 */
export class StartTag {
  /** `id` of a channel. */
  idStart = -1;
  idEnd = -1;
  /** `channel` of a programme. */
  channelStart = -1;
  channelEnd = -1;
  startStart = -1;
  startEnd = -1;
  stopStart = -1;
  stopEnd = -1;
  selfClosed = false;

  /** Reads from behind the name; returns the offset behind `>`, INCOMPLETE or MALFORMED. About 1 ns a byte. */
  read(buffer: Buffer, from: number, used: number): number {
    this.idStart = this.channelStart = this.startStart = this.stopStart = -1;
    this.selfClosed = false;
    let at = from;
    for (;;) {
      while (at < used && isSpace(buffer[at]!)) at++;
      if (at + 1 >= used && !(at < used && buffer[at] === 0x3e)) return INCOMPLETE;
      const byte = buffer[at]!;
      if (byte === 0x3e) return at + 1;
      if (byte === 0x2f) {
        this.selfClosed = true;
        return buffer[at + 1] === 0x3e ? at + 2 : MALFORMED;
      }
      const nameStart = at;
      while (at < used && isNameByte(buffer[at]!)) at++;
      const nameEnd = at;
      while (at < used && isSpace(buffer[at]!)) at++;
      if (at >= used) return INCOMPLETE;
      if (nameEnd === nameStart || buffer[at] !== 0x3d) return MALFORMED;
      at++;
      while (at < used && isSpace(buffer[at]!)) at++;
      if (at >= used) return INCOMPLETE;
      const quote = buffer[at];
      if (quote !== 0x22 && quote !== 0x27) return MALFORMED;
      const valueStart = ++at;
      while (at < used && buffer[at] !== quote) {
        if (buffer[at] === 0x3c) return MALFORMED;
        at++;
      }
      if (at >= used) return INCOMPLETE;
      this.#note(buffer, nameStart, nameEnd, valueStart, at);
      at++;
    }
  }

  #note(buffer: Buffer, start: number, end: number, valueStart: number, valueEnd: number): void {
    const length = end - start;
    if (length === 5 && this.startStart < 0 && isWord(buffer, start, START)) {
      this.startStart = valueStart;
      this.startEnd = valueEnd;
    } else if (length === 4 && this.stopStart < 0 && isWord(buffer, start, STOP)) {
      this.stopStart = valueStart;
      this.stopEnd = valueEnd;
    } else if (length === 7 && this.channelStart < 0 && isWord(buffer, start, CHANNEL)) {
      this.channelStart = valueStart;
      this.channelEnd = valueEnd;
    } else if (length === 2 && this.idStart < 0 && isWord(buffer, start, ID)) {
      this.idStart = valueStart;
      this.idEnd = valueEnd;
    }
  }
}

const START = Buffer.from('start');
const STOP = Buffer.from('stop');
const CHANNEL = Buffer.from('channel');
const ID = Buffer.from('id');

function isWord(buffer: Buffer, at: number, word: Buffer): boolean {
  for (let i = 0; i < word.length; i++) if (buffer[at + i] !== word[i]) return false;
  return true;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 9 && byte <= 13);
}

function isNameByte(byte: number): boolean {
  return (
    byte > 0x20 && byte !== 0x3d && byte !== 0x3e && byte !== 0x2f && byte !== 0x3c && byte !== 0x22 && byte !== 0x27
  );
}
