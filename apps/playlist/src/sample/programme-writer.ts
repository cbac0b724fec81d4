import type { ByteWriter } from './byte-writer.ts';
import { SeededRandom } from './seeded-random.ts';
import { CATEGORIES, LANGUAGE_CODES, SENTENCES, SUB_TITLES, TITLES } from './vocabulary.ts';

const text = (value: string): Buffer => Buffer.from(value);
const START = text('  <programme start="');
const STOP = text('" stop="');
const CHANNEL = text('" channel="');
const CHANNEL_FIRST = text('  <programme channel="');
const START_AFTER = text('" start="');
const CHANNEL_SINGLE = text('" channel=\'');
const TITLE = text('    <title lang="');
const TITLE_CLOSE = text('</title>\n');
const SUB = text('    <sub-title lang="');
const SUB_CLOSE = text('</sub-title>\n');
const DESC = text('    <desc lang="');
const DESC_CLOSE = text('</desc>\n');
const CDATA = text('"><![CDATA[');
const CDATA_CLOSE = text(' <b>Live</b> & direct.]]></desc>\n');
const CATEGORY = text('    <category lang="en">');
const CATEGORY_CLOSE = text('</category>\n');
const EPISODE = text('    <episode-num system="xmltv_ns">');
const EPISODE_CLOSE = text('</episode-num>\n');
const ICON = text('    <icon src="https://img.lantern.example/shows/');
const ICON_CLOSE = text('.jpg"/>\n');
const TAG_END = text('">\n');
const TAG_END_SINGLE = text("'>\n");
const PROGRAMME_CLOSE = text('  </programme>\n');
const OFFSETS = ['+0000', '+0100', '-0500', '+0930'].map((offset) => text(` ${offset}`));
const NOTE = text('  <!-- schedule may change & <move> -->\n');

const FIRST_DAY = Date.UTC(2026, 0, 5);
const DAY_MS = 86_400_000;
const DAY_MINUTES = 1440;

/** Writes the programmes of one channel after the other in order of time, each beginning when the one before ends. */
export class ProgrammeWriter {
  readonly #out: ByteWriter;
  readonly #seed: number;
  readonly #random = new SeededRandom();
  readonly #dates: number[] = [];
  #channelId: Buffer = Buffer.alloc(0);
  #minute = 0;
  #offset = OFFSETS[0]!;
  #language = LANGUAGE_CODES[0]!;

  constructor(out: ByteWriter, seed: number) {
    this.#out = out;
    this.#seed = seed;
  }

  /** Turns to a channel; its id is copied. */
  begin(index: number, channelId: Buffer): void {
    const random = this.#random.restart(this.#seed ^ 0x27d4eb2f, index);
    this.#channelId = Buffer.from(channelId);
    this.#minute = random.below(12) * 5;
    this.#offset = random.pick(OFFSETS);
    this.#language = random.pick(LANGUAGE_CODES);
  }

  /** One programme: 250 to 900 bytes. */
  write(): void {
    const out = this.#out;
    const random = this.#random;
    const style = random.below(100);
    if (style === 99) out.put(NOTE);
    this.#openTag(style);
    out.put(TITLE).put(this.#language).put(QUOTE_END).put(random.pick(TITLES)).put(TITLE_CLOSE);
    if (style < 35) out.put(SUB).put(this.#language).put(QUOTE_END).put(random.pick(SUB_TITLES)).put(SUB_CLOSE);
    if (style < 90) this.#description(style);
    for (let left = 1 + random.below(2); left > 0; left--)
      out.put(CATEGORY).put(random.pick(CATEGORIES)).put(CATEGORY_CLOSE);
    if (style >= 20 && style < 60) {
      out.put(EPISODE).digits(random.below(12)).byte(DOT).digits(random.below(24)).put(PART_ONE).put(EPISODE_CLOSE);
    }
    if (style >= 50) out.put(ICON).hex(random.next()).put(ICON_CLOSE);
    out.put(PROGRAMME_CLOSE);
  }

  /** Mostly `start stop channel` in double quotes; now and then another order, or single quotes. */
  #openTag(style: number): void {
    const out = this.#out;
    const start = this.#minute;
    const stop = start + 15 + this.#random.below(8) * 5;
    this.#minute = stop;
    if (style % 10 === 3) {
      out.put(CHANNEL_FIRST).put(this.#channelId).put(START_AFTER);
      this.#time(start);
      out.put(STOP);
      this.#time(stop);
      out.put(TAG_END);
      return;
    }
    out.put(START);
    this.#time(start);
    out.put(STOP);
    this.#time(stop);
    if (style === 7) out.put(CHANNEL_SINGLE).put(this.#channelId).put(TAG_END_SINGLE);
    else out.put(CHANNEL).put(this.#channelId).put(TAG_END);
  }

  #description(style: number): void {
    const out = this.#out;
    out
      .put(DESC)
      .put(this.#language)
      .put(style === 11 || style === 12 ? CDATA : QUOTE_END);
    for (let left = 1 + this.#random.below(3); left > 0; left--) {
      out.put(this.#random.pick(SENTENCES));
      if (left > 1) out.byte(SPACE);
    }
    out.put(style === 11 || style === 12 ? CDATA_CLOSE : DESC_CLOSE);
  }

  /** `20260105060000 +0100`: minutes since the first day, as local time of the channel. */
  #time(minute: number): void {
    const day = Math.floor(minute / DAY_MINUTES);
    const ofDay = minute - day * DAY_MINUTES;
    this.#out
      .digits(this.#date(day), 8)
      .digits(Math.floor(ofDay / 60), 2)
      .digits(ofDay % 60, 2)
      .put(SECONDS)
      .put(this.#offset);
  }

  #date(day: number): number {
    const known = this.#dates[day];
    if (known !== undefined) return known;
    const date = new Date(FIRST_DAY + day * DAY_MS);
    const number = date.getUTCFullYear() * 10_000 + (date.getUTCMonth() + 1) * 100 + date.getUTCDate();
    // Kept for a year; a longer schedule is worked out each time.
    if (day < 366) this.#dates[day] = number;
    return number;
  }
}

const QUOTE_END = text('">');
const SECONDS = text('00');
const PART_ONE = text('.0/1');
const DOT = 0x2e;
const SPACE = 0x20;
