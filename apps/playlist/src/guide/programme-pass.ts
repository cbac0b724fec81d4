import type { FieldAccess } from '../rules/field-access.ts';
import { SourceError } from '../sources/source-error.ts';
import { ChannelId } from './channel-id.ts';
import { type ChannelPassOptions, writeElement } from './channel-pass.ts';
import { Children } from './children.ts';
import type { DuplicateFinder } from './duplicate-finder.ts';
import type { GuideDamage } from './guide-damage.ts';
import type { ElementHandler } from './guide-input.ts';
import { ProgrammeKey } from './programme-key.ts';
import { type ProgrammeEditor, ProgrammeView } from './programme-view.ts';
import { MAX_REWRITES_PER_ID } from './rewrite-table.ts';
import { Token } from './scanner.ts';
import { SlotKind } from './slot-table.ts';
import { escapeXml, XmlText } from './xml-text.ts';
import { xmltvTime } from './xmltv-time.ts';

export interface ProgrammePassOptions extends ChannelPassOptions {
  readonly editor?: ProgrammeEditor;
  readonly channelFields?: (slot: number) => FieldAccess | undefined;
  readonly onProgress?: (guide: number, readBytes: number, programmesKept: number) => void;
}

const DISPLAY_NAME = Buffer.from('display-name');
const SHOWN_DAMAGE = 20;

/**
 * Writes the kept programmes of one guide. Starts out for a guide in order; when that fails it stops (`reader.read` resolves to false) and is used twice
 * more: after `collect`, and after `writeRest`.
 *
 * Each kept programme has an ordinal in each of these passes, the same one; a programme that is written under two ids has two.
 */
export class ProgrammePass implements ElementHandler {
  /** The guide has what the index, made from the heads of the guides, did not know. */
  needsFullIndex = false;

  readonly #options: ProgrammePassOptions;
  readonly #fromHead: boolean;
  readonly #channelId = new ChannelId();
  readonly #text = new XmlText();
  readonly #children = new Children();
  readonly #key = new ProgrammeKey();
  readonly #view = new ProgrammeView();
  /** Slots that the current channel is written for. */
  readonly #slots = new Int32Array(MAX_REWRITES_PER_ID + 1);
  #slotCount = 0;
  #isNews = false;
  #mode: 'ordered' | 'collect' | 'rest' = 'ordered';
  #finder: DuplicateFinder | undefined;
  #ordinal = 0;
  /** What comes before this ordinal has been written. */
  #firstUnwritten = 0;
  #fieldsSlot = -1;
  #fields: FieldAccess | undefined;

  constructor(options: ProgrammePassOptions) {
    this.#options = options;
    this.#fromHead = !options.head.whole;
  }

  /** Turns to collecting the keys of all programmes of an unordered guide. */
  collect(finder: DuplicateFinder): void {
    this.#firstUnwritten = this.#ordinal;
    this.#mode = 'collect';
    this.#finder = finder;
    this.#restart();
  }

  /** Turns to writing what was not written before and is no duplicate. */
  writeRest(): void {
    this.#mode = 'rest';
    this.#options.stats.duplicates = this.#finder!.duplicateCount;
    this.#restart();
  }

  /** Makes sure that the guide was the same in all passes. */
  endRest(): void {
    if (this.#ordinal === this.#finder!.count) return;
    throw new SourceError(this.#options.stats.label, 'changed while it was read', { fault: 'damaged' });
  }

  readonly wants = (): boolean => {
    const { buffer, tag } = this.#options.writer.scanner;
    if (this.#channelId.changed(buffer, tag.channelStart, tag.channelEnd)) this.#lookUp();
    return this.#slotCount > 0;
  };

  readonly onElement = (token: number): 'go' | 'pause' | 'stop' => {
    const { stats, writer } = this.#options;
    if (token === Token.channel) {
      stats.channelsIn++;
      if (this.#fromHead && this.#isLate()) this.needsFullIndex = true;
    } else {
      stats.programmesIn++;
      if (this.#isNews) this.needsFullIndex = true;
      else if (writer.scanner.wanted && !this.#programme()) return 'stop';
    }
    if (this.needsFullIndex) return 'stop';
    return writer.isWaiting ? 'pause' : 'go';
  };

  readonly beforeRefill = (): Promise<void> | undefined => {
    const { stats, writer, guide, onProgress } = this.#options;
    stats.bytesIn = writer.scanner.readBytes;
    stats.declaresEntities = writer.scanner.declaresEntities;
    onProgress?.(guide, stats.bytesIn, stats.programmesKept);
    return writer.settle();
  };

  readonly onDamage = (damage: GuideDamage): void => {
    const { stats } = this.#options;
    stats.damageCount++;
    if (stats.damage.length < SHOWN_DAMAGE) stats.damage.push(damage);
  };

  #restart(): void {
    const { stats } = this.#options;
    stats.channelsIn = 0;
    stats.programmesIn = 0;
    stats.damageCount = 0;
    stats.damage.length = 0;
    this.#ordinal = 0;
    this.#channelId.forget();
  }

  #lookUp(): void {
    const { wanted, guide, writer } = this.#options;
    const { buffer, tag } = writer.scanner;
    this.#slotCount = 0;
    this.#isNews = false;
    if (tag.channelStart < 0) return;
    const id = this.#text.ofAttribute(buffer, tag.channelStart, tag.channelEnd);
    const count = wanted.outputsOf(guide, id.bytes, id.start, id.end, this.#fromHead);
    this.#isNews = count < 0;
    for (let i = 0; i < count; i++) {
      const slot = wanted.outputs[i]!;
      const owner = wanted.slots.programmeGuide[slot]!;
      if (owner === 0 || owner === guide + 1) this.#slots[this.#slotCount++] = slot;
    }
  }

  /** Whether a `<channel>` that stands behind the head could have a part in any decision. */
  #isLate(): boolean {
    const { writer, wanted, head } = this.#options;
    const { scanner } = writer;
    const { buffer, tag } = scanner;
    if (scanner.offsetOf(scanner.end) <= head.headBytes || tag.idStart < 0) return false;
    const id = this.#text.ofAttribute(buffer, tag.idStart, tag.idEnd);
    if (wanted.concernsId(id.bytes, id.start, id.end)) return true;
    const children = this.#children.begin(buffer, scanner.tagEnd, scanner.contentEnd);
    while (children.next()) {
      if (!children.is(DISPLAY_NAME)) continue;
      const name = this.#text.ofContent(buffer, children.contentStart, children.contentEnd);
      if (wanted.concernsName(name.bytes, name.start, name.end)) return true;
    }
    return false;
  }

  /** False when the guide turns out not to be in order. */
  #programme(): boolean {
    const { wanted, guide, writer } = this.#options;
    const { programmeGuide, lastStart } = wanted.slots;
    const { scanner } = writer;
    const { tag } = scanner;
    if (this.#mode === 'collect') this.#key.begin(scanner.buffer, tag, scanner.tagEnd, scanner.contentEnd);
    const start =
      this.#mode === 'ordered' && tag.startStart >= 0 ? xmltvTime(scanner.buffer, tag.startStart, tag.startEnd) : -1;
    for (let i = 0; i < this.#slotCount; i++) {
      const slot = this.#slots[i]!;
      programmeGuide[slot] = guide + 1;
      if (this.#mode === 'collect') {
        this.#finder!.add(this.#key.of(slot));
        this.#ordinal++;
        continue;
      }
      if (this.#mode === 'ordered') {
        if (start <= lastStart[slot]!) return false;
        lastStart[slot] = start;
        this.#write(slot);
      } else if (this.#ordinal >= this.#firstUnwritten && !this.#finder!.isDuplicate(this.#ordinal)) this.#write(slot);
      this.#ordinal++;
    }
    return true;
  }

  #write(slot: number): void {
    const { stats, writer, wanted, editor } = this.#options;
    const { scanner } = writer;
    if (editor !== undefined) {
      const view = this.#view.begin(scanner.buffer, scanner.tagEnd, scanner.contentEnd, this.#fieldsOf(slot));
      if (editor.edit(view) === 'drop') {
        stats.dropped++;
        return;
      }
      if (view.edited) {
        stats.edited++;
        stats.programmesKept++;
        this.#writeEdited(slot);
        return;
      }
    }
    stats.programmesKept++;
    writeElement(writer, wanted, slot, scanner.tag.channelStart, scanner.tag.channelEnd);
  }

  #fieldsOf(slot: number): FieldAccess | undefined {
    if (slot !== this.#fieldsSlot) {
      this.#fieldsSlot = slot;
      this.#fields = this.#options.channelFields?.(slot);
    }
    return this.#fields;
  }

  #writeEdited(slot: number): void {
    const { writer, wanted } = this.#options;
    const { lead, tagEnd, contentEnd, end, tag } = writer.scanner;
    const headEnd = tag.selfClosed ? tagEnd - 2 : tagEnd;
    if (wanted.slots.kind[slot] === SlotKind.rewritten) {
      writer.keepSpan(lead, tag.channelStart);
      writer.put(Buffer.from(escapeXml(wanted.rewrittenId(slot).toString('utf8'))));
      writer.keepSpan(tag.channelEnd, headEnd);
    } else writer.keepSpan(lead, headEnd);
    if (tag.selfClosed) writer.put(Buffer.from('>'));
    this.#view.render(
      (start, stop) => writer.keepSpan(start, stop),
      (text) => writer.put(Buffer.from(text)),
    );
    if (tag.selfClosed) writer.put(Buffer.from('</programme>'));
    else writer.keepSpan(contentEnd, end);
  }
}
