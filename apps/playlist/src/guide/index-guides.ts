import type { Consumer } from 'plimsoll';
import { ChannelId } from './channel-id.ts';
import { Children } from './children.ts';
import { type ElementHandler, type GuideInput, GuideReader, type GuideReaderOptions } from './guide-input.ts';
import { type GuideScanner, Token } from './scanner.ts';
import { MAX_GUIDES, type WantedChannels } from './wanted.ts';
import { XmlText } from './xml-text.ts';

/** What the index pass leaves for the writing of the guides. */
export interface GuideIndex {
  readonly guides: readonly IndexedGuide[];
}

export interface IndexedGuide {
  /** Whether it was read whole. False: only up to its first programme. */
  readonly whole: boolean;
  /** Where the last `<channel>` that was indexed ends. */
  readonly headBytes: number;
}

export interface IndexOptions extends GuideReaderOptions {
  /** Read the guides whole: when `writeGuide` asked for it. Default false. */
  readonly full?: boolean;
}

const DISPLAY_NAME = Buffer.from('display-name');

/**
 * Tells `wanted` which channels the guides have, in the order of their priority. In a well-formed XMLTV guide they stand before the programmes, so
 * no more than that is read; a guide that begins with programmes is read whole. Nothing is kept in memory but what `wanted` keeps.
 *
 * Earlier claims are forgotten first; `resolve` may be asked afterwards. Damage is only noticed where a guide asks to be refused for it
 * (`GuideDamagedError`); the writing pass reports it.
 */
export async function indexGuides(
  guides: readonly GuideInput[],
  wanted: WantedChannels,
  consumer: Consumer,
  options: IndexOptions = {},
): Promise<GuideIndex> {
  if (guides.length > MAX_GUIDES)
    throw new RangeError(`Expected at most ${MAX_GUIDES} guides, got \`${guides.length}\``);
  const full = options.full ?? false;
  wanted.forgetClaims();
  using reader = new GuideReader(consumer, options);
  const indexed: IndexedGuide[] = [];
  for (const [number, guide] of guides.entries()) {
    const pass = new IndexPass(reader.scanner, wanted, number, full);
    const whole = await reader.read(guide, pass);
    indexed.push({ whole, headBytes: pass.headBytes });
  }
  return { guides: indexed };
}

class IndexPass implements ElementHandler {
  headBytes = 0;
  readonly #scanner: GuideScanner;
  readonly #wanted: WantedChannels;
  readonly #guide: number;
  readonly #full: boolean;
  readonly #channelId = new ChannelId();
  readonly #text = new XmlText();
  readonly #name = new XmlText();
  readonly #children = new Children();

  constructor(scanner: GuideScanner, wanted: WantedChannels, guide: number, full: boolean) {
    this.#scanner = scanner;
    this.#wanted = wanted;
    this.#guide = guide;
    this.#full = full;
  }

  readonly wants = (): boolean => false;

  readonly beforeRefill = (): undefined => {};

  readonly onDamage = (): void => {};

  readonly onElement = (token: number): 'go' | 'stop' => {
    if (token === Token.programme) {
      if (this.headBytes > 0 && !this.#full) return 'stop';
      this.#programme();
    } else this.#channel();
    return 'go';
  };

  #channel(): void {
    const scanner = this.#scanner;
    this.headBytes = scanner.offsetOf(scanner.end);
    const id = this.#text.ofAttribute(scanner.buffer, scanner.tag.idStart, scanner.tag.idEnd);
    if (scanner.tag.idStart < 0 || id.end === id.start) return;
    this.#wanted.claimId(this.#guide, id.bytes, id.start, id.end, true);
    const name = this.#name;
    const children = this.#children.begin(scanner.buffer, scanner.tagEnd, scanner.contentEnd);
    while (children.next()) {
      if (!children.is(DISPLAY_NAME)) continue;
      name.ofContent(scanner.buffer, children.contentStart, children.contentEnd);
      this.#wanted.claimName(this.#guide, id.bytes, id.start, id.end, name.bytes, name.start, name.end);
    }
  }

  #programme(): void {
    const { buffer, tag } = this.#scanner;
    if (!this.#channelId.changed(buffer, tag.channelStart, tag.channelEnd)) return;
    const id = this.#text.ofAttribute(buffer, tag.channelStart, tag.channelEnd);
    this.#wanted.claimId(this.#guide, id.bytes, id.start, id.end, false);
  }
}
