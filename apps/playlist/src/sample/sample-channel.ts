import type { ByteWriter } from './byte-writer.ts';
import { SeededRandom } from './seeded-random.ts';
import { BRANDS, COUNTRIES, COUNTRY_PREFIXES, GENRES, NAME_TAILS, QUALITIES, type Word } from './vocabulary.ts';

const DOT = 0x2e;
const SPACE = 0x20;
const FULL_HD = Buffer.from(' FHD');

/**
 * Who the nth channel of a made-up playlist is: a pure function of seed and number, so that the playlist, its repeats
 * and the guide agree without anything being kept. Every fourth channel is another quality of the one before and shares its id.
 */
export class SampleChannel {
  readonly #random = new SeededRandom();
  #brand: Word = BRANDS[0]!;
  #base = 0;
  #prefixed = false;
  #quality = -1;
  #tail = -1;
  genre = 0;
  country = 0;
  hasId = false;
  /** Another quality of the channel before. */
  isVariant = false;

  /** Becomes channel `number` (from 0) of the playlist with this seed. */
  become(seed: number, number: number): this {
    this.isVariant = number % 4 === 3;
    this.#base = this.isVariant ? number - 1 : number;
    const random = this.#random.restart(seed, this.#base);
    this.#brand = random.pick(BRANDS);
    this.genre = random.below(GENRES.length);
    this.country = random.below(COUNTRIES.length);
    this.hasId = random.chance(88);
    this.#prefixed = random.chance(20);
    this.#quality = random.chance(35) ? random.below(QUALITIES.length) : -1;
    this.#tail = random.chance(4) ? random.below(NAME_TAILS.length) : -1;
    return this;
  }

  /** The display name, as raw bytes (`&` not escaped). Parted from other channels by its number. */
  writeName(to: ByteWriter): void {
    if (this.#prefixed) to.put(COUNTRY_PREFIXES[this.country]!);
    to.put(this.#brand.shown)
      .byte(SPACE)
      .put(GENRES[this.genre]!.shown)
      .byte(SPACE)
      .digits(this.#base + 1);
    if (this.isVariant) to.put(FULL_HD);
    else if (this.#quality >= 0) to.byte(SPACE).put(QUALITIES[this.#quality]!);
    if (this.#tail >= 0) to.put(NAME_TAILS[this.#tail]!);
  }

  /** The id, ASCII: `NorthlightSport17.de`. Only meant when `hasId`. */
  writeId(to: ByteWriter): void {
    to.put(this.#brand.id)
      .put(GENRES[this.genre]!.id)
      .digits(this.#base + 1)
      .byte(DOT)
      .put(COUNTRIES[this.country]!);
  }
}
