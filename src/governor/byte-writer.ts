/** Powers of ten for the decimal places that `number` knows. */
const SCALES = [1, 10, 100, 1_000, 10_000] as const;
const BILLION = 1_000_000_000;
/** From here on a number is no small integer for V8, with room for rounding. */
const LARGEST_SMALL = 2_000_000_000;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;

/**
 * Writes text as UTF-8 into bytes that were made beforehand, without making objects: it works when there is no memory left. What goes past the
 * end is dropped while `at` goes on counting, so whoever writes looks at `overrun` afterwards and sets `at` back.
 *
 * Whole numbers are cut into parts of nine digits and divided without a remainder, because V8's interpreter makes a heap object of every number
 * that is not a small integer.
 */
export class ByteWriter {
  readonly bytes: Uint8Array;
  /** Where the next byte goes. */
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get overrun(): boolean {
    return this.at > this.bytes.length;
  }

  byte(value: number): this {
    this.bytes[this.at++] = value;
    return this;
  }

  /** Text of characters below 128, such as names of fields. */
  ascii(text: string): this {
    for (let i = 0; i < text.length; i++) this.bytes[this.at++] = text.charCodeAt(i);
    return this;
  }

  /** One code point, 0 to 0x10ffff. */
  character(code: number): this {
    if (code < 0x80) return this.byte(code);
    if (code < 0x800) return this.byte(0xc0 | (code >> 6)).byte(0x80 | (code & 0x3f));
    if (code < 0x10000) this.byte(0xe0 | (code >> 12));
    else this.byte(0xf0 | (code >> 18)).byte(0x80 | ((code >> 12) & 0x3f));
    return this.byte(0x80 | ((code >> 6) & 0x3f)).byte(0x80 | (code & 0x3f));
  }

  /** A finite number, rounded to 0 to 4 decimal places; whole ones show none, and those of some size (200,000 with 4 places) neither. */
  number(value: number, places = 0): this {
    const small = value | 0;
    if (small === value && small >= 0) return this.#digits(small, 1);
    if (value < 0) return this.#negative(value, places);
    const scale = SCALES[places] ?? 1;
    const scaled = Math.round(scale === 1 ? value : value * scale);
    if (!(scaled < LARGEST_SMALL)) return this.#large(value);
    const fraction = scaled % scale;
    this.#digits((scaled - fraction) / scale, 1);
    return fraction === 0 ? this : this.byte(POINT).#digits(fraction, places);
  }

  /** A time since 1970 as `2026-11-21T03:57:41Z`; civil date by the method of H. Hinnant, "chrono-compatible low-level date algorithms". */
  utcTime(wallMs: number): this {
    const seconds = Math.floor(wallMs / 1000);
    const days = Math.floor(seconds / 86_400);
    const secondOfDay = seconds - days * 86_400;
    // Days since 1 March of the year 0; an era has 400 years, and a year begins in March so that the leap day is its last.
    const shifted = days + 719_468;
    const era = Math.floor(shifted / 146_097);
    const dayOfEra = shifted - era * 146_097;
    const yearOfEra = Math.floor(
      (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
    );
    const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
    const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
    const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
    const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
    const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
    this.#digits(year, 4).ascii('-').#digits(month, 2).ascii('-').#digits(day, 2).ascii('T');
    this.#digits(Math.floor(secondOfDay / 3_600), 2)
      .ascii(':')
      .#digits(Math.floor(secondOfDay / 60) % 60, 2);
    return this.ascii(':')
      .#digits(secondOfDay % 60, 2)
      .ascii('Z');
  }

  #negative(value: number, places: number): this {
    const at = this.at;
    this.byte(MINUS).number(-value, places);
    // Rounded to nothing: that has no sign.
    if (this.at === at + 2 && this.bytes[at + 1] === ZERO) {
      this.at = at;
      this.byte(ZERO);
    }
    return this;
  }

  #large(value: number): this {
    // Rare: no byte count is as large as that.
    if (!(value <= Number.MAX_SAFE_INTEGER)) return this.ascii(String(value));
    const billions = (value / BILLION) | 0;
    const rest = (value % BILLION) | 0;
    return billions === 0 ? this.#digits(rest, 1) : this.#digits(billions, 1).#digits(rest, 9);
  }

  /** A whole number below 2 billion, with zeros in front up to `width`. */
  #digits(value: number, width: number): this {
    let count = 1;
    for (let rest = value; rest >= 10; rest = (rest - (rest % 10)) / 10) count++;
    if (count < width) count = width;
    for (let i = count - 1, rest = value; i >= 0; i--) {
      const digit = rest % 10;
      this.bytes[this.at + i] = ZERO + digit;
      rest = (rest - digit) / 10;
    }
    this.at += count;
    return this;
  }
}
