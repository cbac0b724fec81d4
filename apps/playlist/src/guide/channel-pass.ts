import type { ElementHandler } from './guide-input.ts';
import type { IndexedGuide } from './index-guides.ts';
import { Token } from './scanner.ts';
import type { SinkWriter } from './sink-writer.ts';
import { SlotKind, SlotMark } from './slot-table.ts';
import type { WantedChannels } from './wanted.ts';
import type { GuideStats } from './write-guide.ts';
import { escapeXml, XmlText } from './xml-text.ts';

export interface ChannelPassOptions {
  readonly writer: SinkWriter;
  readonly wanted: WantedChannels;
  readonly guide: number;
  readonly head: IndexedGuide;
  readonly stats: GuideStats;
}

/** Writes the kept `<channel>` elements of one guide, up to the last one that the index knows. */
export class ChannelPass implements ElementHandler {
  readonly #options: ChannelPassOptions;
  readonly #text = new XmlText();

  constructor(options: ChannelPassOptions) {
    this.#options = options;
  }

  readonly wants = (): boolean => false;

  readonly onDamage = (): void => {};

  readonly beforeRefill = (): Promise<void> | undefined => this.#options.writer.settle();

  readonly onElement = (token: number): 'go' | 'pause' | 'stop' => {
    const { writer, wanted, guide, head, stats } = this.#options;
    const { scanner } = writer;
    if (token === Token.channel && scanner.tag.idStart >= 0) {
      const id = this.#text.ofAttribute(scanner.buffer, scanner.tag.idStart, scanner.tag.idEnd);
      const count = wanted.outputsOf(guide, id.bytes, id.start, id.end, false);
      for (let i = 0; i < count; i++) {
        const slot = wanted.outputs[i]!;
        if (wanted.slots.guide[slot] !== guide || (wanted.slots.marks[slot]! & SlotMark.written) !== 0) continue;
        wanted.slots.marks[slot] = wanted.slots.marks[slot]! | SlotMark.written;
        writeElement(writer, wanted, slot, scanner.tag.idStart, scanner.tag.idEnd);
        stats.channelsKept++;
      }
    }
    if (scanner.offsetOf(scanner.end) >= head.headBytes) return 'stop';
    return writer.isWaiting ? 'pause' : 'go';
  };
}

/** Writes the scanner's element for a slot: as it stands, or with the slot's id in the place of the attribute value `[idStart, idEnd)`. */
export function writeElement(
  writer: SinkWriter,
  wanted: WantedChannels,
  slot: number,
  idStart: number,
  idEnd: number,
): void {
  if (wanted.slots.kind[slot] !== SlotKind.rewritten) {
    writer.keepElement();
    return;
  }
  const { lead, end } = writer.scanner;
  writer.keepSpan(lead, idStart);
  writer.put(Buffer.from(escapeXml(wanted.rewrittenId(slot).toString('utf8'))));
  writer.keepSpan(idEnd, end);
}
