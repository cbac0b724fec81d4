/**
 * Names as people write them, out of names as providers write them: `|UK|  BBC One ᶠᴴᴰ [1080p]` is `BBC One`. On bytes, so that the plugin `tidy-names`, which has
 * neither strings nor tables of Unicode, does the same to the last byte; whoever changes something here changes `plugins/samples/tidy-names` as well.
 *
 * In a name, in this order: white space and control characters become single spaces, none at the ends; a country in front goes (`UK: `, `UK| `, `UK - `, `|UK|`, `[UK]`,
 * `(UK)`); brackets with nothing but quality in them go, and those that say `Not 24/7`, `Geo-blocked`, `Offline` or `Backup`; words of quality at the end go
 * (`HD`, `4K`, `H.265`, `1080p`, `ᴴᴰ`), and `-`, `|`, `:`, `,` and `*` that are then at an end. Where nothing would be left only the white space is put in order.
 *
 * In a group: white space as above, also around each `;`, and empty groups between `;` go.
 */

/** Longer values are left as they are. */
export const LONGEST_TIDIED = 4096;

const COUNTRIES =
  'AD AE AF AL AM AO AR AT AU AZ BA BD BE BG BH BO BR BY CA CH CL CN CO CR CU CY CZ DE DK DO DZ EC EE EG ES EU FI FR GB GE GH GR GT HK HN HR HU ID IE IL IN IQ IR IS IT JM JO JP KE KR KW KZ LB LT LU LV LY MA MD ME MK MT MX MY NG NI NL NO NZ OM PA PE PH PK PL PR PT PY QA RO RS RU SA SE SG SI SK SN SV SY TH TN TR TW TZ UA UK US UY UZ VE VN XK YE ZA';
const TAGS =
  ' HD FHD UHD SD HQ LQ 4K 8K HEVC AVC RAW H264 H265 H.264 H.265 480P 540P 576P 720P 1080P 1080I 1440P 2160P 4320P 50FPS 60FPS ';
const PHRASES = ';NOT 24/7;GEO-BLOCKED;GEO BLOCKED;OFFLINE;BACKUP;';

const SPACE = 0x20;
const SEMICOLON = 0x3b;
const LONGEST_WORD = 12;

/** Code units, so that both languages look at the same thing. */
const codesOf = (text: string): Uint16Array => Uint16Array.from(text, (character) => character.charCodeAt(0));
const COUNTRY_CODES = codesOf(COUNTRIES);
const TAG_CODES = codesOf(TAGS);
const PHRASE_CODES = codesOf(PHRASES);

/** A range of bytes, made smaller step by step. One for all names: it is filled anew by each. */
export class NameTidier {
  readonly #out = Buffer.alloc(LONGEST_TIDIED);
  readonly #word = new Uint8Array(LONGEST_WORD);
  #start = 0;
  #end = 0;

  /** The result of the last call that said true: `bytes[start .. end)`, valid until the next. */
  get bytes(): Buffer {
    return this.#out;
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  /** Tidies a name; false when it stays as it is. */
  tidyName(source: Uint8Array, start: number, end: number): boolean {
    if (!this.#collapse(source, start, end)) return false;
    this.#dropCountry();
    this.#dropBrackets();
    this.#dropLastWords();
    // Nothing is left: then only the white space.
    if (this.#start === this.#end) this.#collapse(source, start, end);
    return !this.#isSame(source, start, end);
  }

  /** Tidies a group or a list of groups; false when it stays as it is. */
  tidyGroup(source: Uint8Array, start: number, end: number): boolean {
    if (!this.#collapse(source, start, end)) return false;
    const out = this.#out;
    let to = 0;
    for (let at = 0; at < this.#end; at++) {
      const byte = out[at]!;
      const atBegin = to === 0 || out[to - 1] === SEMICOLON;
      if (atBegin && (byte === SPACE || byte === SEMICOLON)) continue;
      if (byte === SEMICOLON && out[to - 1] === SPACE) to--;
      out[to++] = byte;
    }
    while (to > 0 && (out[to - 1] === SEMICOLON || out[to - 1] === SPACE)) to--;
    this.#end = to;
    if (to === 0) this.#collapse(source, start, end);
    return !this.#isSame(source, start, end);
  }

  /** Copies with white space as single spaces; false for what is blank or too long. */
  #collapse(source: Uint8Array, start: number, end: number): boolean {
    this.#start = 0;
    this.#end = 0;
    if (end - start > LONGEST_TIDIED) return false;
    const out = this.#out;
    let to = 0;
    let gap = false;
    for (let at = start; at < end; ) {
      const white = whiteLength(source, at, end);
      if (white > 0) {
        gap = to > 0;
        at += white;
        continue;
      }
      if (gap) out[to++] = SPACE;
      gap = false;
      out[to++] = source[at++]!;
    }
    this.#end = to;
    return to > 0;
  }

  #isSame(source: Uint8Array, start: number, end: number): boolean {
    if (this.#end - this.#start !== end - start) return false;
    for (let i = 0; i < end - start; i++) if (this.#out[this.#start + i] !== source[start + i]) return false;
    return true;
  }

  #dropCountry(): void {
    const out = this.#out;
    const end = this.#end;
    let at = this.#start;
    const open = out[at]!;
    const close = open === 0x7c ? 0x7c : open === 0x5b ? 0x5d : open === 0x28 ? 0x29 : 0;
    if (close !== 0) at++;
    if (end - at < 4 || !isCountry(out[at]!, out[at + 1]!)) return;
    at += 2;
    if (close !== 0) {
      if (out[at++] !== close) return;
    } else {
      const spaced = out[at] === SPACE;
      if (spaced) at++;
      const mark = at < end ? out[at++]! : 0;
      const dashed = mark === 0x2d && spaced && at < end && out[at] === SPACE;
      if (mark !== 0x3a && mark !== 0x7c && !dashed) return;
    }
    while (at < end && out[at] === SPACE) at++;
    if (at < end) this.#start = at;
  }

  #dropBrackets(): void {
    const out = this.#out;
    const end = this.#end;
    let to = this.#start;
    for (let at = this.#start; at < end; ) {
      const byte = out[at]!;
      const close = byte === 0x28 || byte === 0x5b ? this.#closeOf(at, byte === 0x28 ? 0x29 : 0x5d) : 0;
      if (close === 0 || !this.#saysQuality(at + 1, close)) {
        out[to++] = byte;
        at++;
        continue;
      }
      at = close + 1;
      // One of the spaces around it goes with it.
      if ((to === this.#start || out[to - 1] === SPACE) && at < end && out[at] === SPACE) at++;
    }
    while (to > this.#start && out[to - 1] === SPACE) to--;
    this.#end = to;
  }

  /** Where the bracket that is open at `at` closes, 0 when it does not or has another one in it. */
  #closeOf(at: number, close: number): number {
    const out = this.#out;
    for (let i = at + 1; i < this.#end; i++) {
      const byte = out[i]!;
      if (byte === close) return i;
      if (byte === 0x28 || byte === 0x5b) return 0;
    }
    return 0;
  }

  /** Whether [from, to) is one of the phrases, or words of quality and nothing else. */
  #saysQuality(from: number, to: number): boolean {
    if (from === to) return false;
    if (this.#stands(PHRASE_CODES, SEMICOLON, from, to)) return true;
    for (let at = from; at < to; at++) {
      const first = at;
      while (at < to && this.#out[at] !== SPACE) at++;
      if (!this.#stands(TAG_CODES, SPACE, first, at)) return false;
    }
    return true;
  }

  #dropLastWords(): void {
    const out = this.#out;
    for (;;) {
      while (this.#end > this.#start && isMark(out[this.#end - 1]!)) this.#end--;
      let word = this.#end;
      while (word > this.#start && out[word - 1] !== SPACE) word--;
      if (word === this.#start || !this.#stands(TAG_CODES, SPACE, word, this.#end)) break;
      this.#end = word;
    }
    while (this.#start < this.#end && isMark(out[this.#start]!)) this.#start++;
  }

  /** Whether the bytes [from, to), in upper case and as plain letters, stand between two of `parting` in `list`. */
  #stands(list: Uint16Array, parting: number, from: number, to: number): boolean {
    const length = this.#foldWord(from, to);
    if (length === 0) return false;
    const word = this.#word;
    for (let at = 0; at + length + 1 < list.length; at++) {
      if (list[at] !== parting || list[at + 1 + length] !== parting) continue;
      let i = 0;
      while (i < length && list[at + 1 + i] === word[i]) i++;
      if (i === length) return true;
    }
    return false;
  }

  /** Puts a word into `#word`; returns its length, 0 when it is too long or has a letter that is in no list. */
  #foldWord(from: number, to: number): number {
    const out = this.#out;
    let length = 0;
    for (let at = from; at < to; length++) {
      if (length === LONGEST_WORD) return 0;
      const byte = out[at]!;
      if (byte < 0x80) {
        this.#word[length] = byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte;
        at++;
        continue;
      }
      const plain = plainLetter(byte, at + 1 < to ? out[at + 1]! : 0, at + 2 < to ? out[at + 2]! : 0);
      if (plain === 0) return 0;
      this.#word[length] = plain;
      at += byte === 0xcb ? 2 : 3;
    }
    return length;
  }
}

/** Bytes of the white space or control character at `at`, 0 when it is none. */
function whiteLength(bytes: Uint8Array, at: number, end: number): number {
  const byte = bytes[at]!;
  if (byte <= SPACE || byte === 0x7f) return 1;
  if (byte < 0xc2) return 0;
  const second = at + 1 < end ? bytes[at + 1]! : 0;
  if (byte === 0xc2) return second === 0xa0 ? 2 : 0;
  const third = at + 2 < end ? bytes[at + 2]! : 0;
  // U+2000 to U+200B (the joiners behind them belong to words), U+202F, U+3000, U+FEFF.
  if (byte === 0xe2 && second === 0x80) return (third >= 0x80 && third <= 0x8b) || third === 0xaf ? 3 : 0;
  if (byte === 0xe3 && second === 0x80) return third === 0x80 ? 3 : 0;
  return byte === 0xef && second === 0xbb && third === 0xbf ? 3 : 0;
}

function isCountry(first: number, second: number): boolean {
  for (let at = 0; at < COUNTRY_CODES.length; at += 3) {
    if (COUNTRY_CODES[at] === first && COUNTRY_CODES[at + 1] === second) return true;
  }
  return false;
}

/** Parting marks that mean nothing at an end: space - | : , * */
function isMark(byte: number): boolean {
  return byte === SPACE || byte === 0x2d || byte === 0x7c || byte === 0x3a || byte === 0x2c || byte === 0x2a;
}

/** The letter or digit that a raised one in UTF-8 stands for, 0 when it is none of those that quality is written with. */
function plainLetter(first: number, second: number, third: number): number {
  if (first === 0xcb) return second === 0xa2 ? 0x53 : 0;
  const three = (first << 16) | (second << 8) | third;
  switch (three) {
    case 0xe1b4ac:
      return 0x41;
    case 0xe1b4b0:
      return 0x44;
    case 0xe1b6a0:
      return 0x46;
    case 0xe1b4b4:
      return 0x48;
    case 0xe1b4b7:
      return 0x4b;
    case 0xe1b4bf:
      return 0x52;
    case 0xe1b581:
      return 0x55;
    case 0xe1b582:
      return 0x57;
    case 0xe281b4:
      return 0x34;
    case 0xe281b8:
      return 0x38;
    default:
      return 0;
  }
}
