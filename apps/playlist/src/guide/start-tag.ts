import { INCOMPLETE } from './markup.ts';

/** The tag cannot be read. */
export const MALFORMED = -2;

/** Bytes that end a name, or that cannot be in one. */
export const NO_NAME = new Uint8Array(256);
NO_NAME.fill(1, 0, 0x21);
for (const character of '<>/="\'&') NO_NAME[character.charCodeAt(0)] = 1;

/**
 * The attributes of a `<channel>` or `<programme>` start tag that matter, as spans [start, end) of the buffer it was read from; start
 * -1 when absent. Any order, either quote, white space around `=`, `>` inside values. Of a repeated attribute the first counts.
 * Whether a `<` stands in a value is left to be seen by who needs the element.
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
      while (at < used && NO_NAME[buffer[at]!] === 0) at++;
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
      at = quoteEnd(buffer, at, used, quote);
      if (at >= used) return INCOMPLETE;
      this.#note(buffer, nameStart, nameEnd, valueStart, at);
      at++;
    }
  }

  #note(buffer: Buffer, start: number, end: number, valueStart: number, valueEnd: number): void {
    const first = buffer[start];
    const last = buffer[end - 1];
    switch (end - start) {
      case 5:
        // start
        if (first !== 0x73 || buffer[start + 1] !== 0x74 || buffer[start + 2] !== 0x61) return;
        if (buffer[start + 3] !== 0x72 || last !== 0x74 || this.startStart >= 0) return;
        this.startStart = valueStart;
        this.startEnd = valueEnd;
        return;
      case 4:
        // stop
        if (first !== 0x73 || buffer[start + 1] !== 0x74 || buffer[start + 2] !== 0x6f) return;
        if (last !== 0x70 || this.stopStart >= 0) return;
        this.stopStart = valueStart;
        this.stopEnd = valueEnd;
        return;
      case 7:
        // channel
        if (first !== 0x63 || buffer[start + 1] !== 0x68 || buffer[start + 2] !== 0x61) return;
        if (buffer[start + 3] !== 0x6e || buffer[start + 4] !== 0x6e || buffer[start + 5] !== 0x65) return;
        if (last !== 0x6c || this.channelStart >= 0) return;
        this.channelStart = valueStart;
        this.channelEnd = valueEnd;
        return;
      case 2:
        // id
        if (first !== 0x69 || last !== 0x64 || this.idStart >= 0) return;
        this.idStart = valueStart;
        this.idEnd = valueEnd;
    }
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 9 && byte <= 13);
}

/** The first `quote` in `[at, used)`, else `used`. */
function quoteEnd(buffer: Buffer, at: number, used: number, quote: number): number {
  for (const last = used - 8; at <= last; at += 8) {
    if (buffer[at] === quote) return at;
    if (buffer[at + 1] === quote) return at + 1;
    if (buffer[at + 2] === quote) return at + 2;
    if (buffer[at + 3] === quote) return at + 3;
    if (buffer[at + 4] === quote) return at + 4;
    if (buffer[at + 5] === quote) return at + 5;
    if (buffer[at + 6] === quote) return at + 6;
    if (buffer[at + 7] === quote) return at + 7;
  }
  while (at < used && buffer[at] !== quote) at++;
  return at;
}
