import type { Consumer } from 'plimsoll';
import type { Pipeline, StageMemory } from 'plimsoll/pipeline';
import { ChannelLookup } from './channels/channel-lookup.ts';
import type { SpoolRecord } from './channels/channel-spool.ts';
import type { EntryOrigin } from './channels/entry-batch.ts';
import type { GuideConfig } from './config/config.ts';
import { describeDamage } from './guide/guide-damage.ts';
import type { GuideInput } from './guide/guide-input.ts';
import { guideText } from './guide/guide-text.ts';
import { type GuideIndex, indexGuides } from './guide/index-guides.ts';
import type { ProgrammeEditor } from './guide/programme-view.ts';
import { WantedChannels, type WantedOptions } from './guide/wanted.ts';
import { type GuideStats, writeGuide } from './guide/write-guide.ts';
import type { FileSink } from './output/file-sink.ts';
import type { GuideTally } from './report/run-report.ts';
import { type FilterTally, onChannels, type RuleSet, type RuleTally } from './rules/rule-set.ts';
import type { ByteSource } from './sources/byte-source.ts';
import { openSource } from './sources/open-source.ts';
import { ReadAhead } from './sources/read-ahead.ts';
import type { SourceContent, SourceContext } from './sources/source-content.ts';

export interface GuideJobOptions {
  readonly guides: readonly GuideConfig[];
  readonly matching: WantedOptions;
  readonly rules: RuleSet;
  readonly sources: SourceContext;
  /** For unordered guides: a folder on the disk. */
  readonly tempDir: string;
  /** Holds what is wanted for as long as the job lives. */
  readonly consumer: Consumer;
}

/** As much as the scanner takes at once. */
const READ_AHEAD_BYTES = 512 * 1024;
const UP_TO_THE_LINE: StageMemory = { kind: 'external', maxBytes: Number.POSITIVE_INFINITY };

/** The guides' part of a run: fetch, index, write. Its stages stand in the run's pipeline. */
export class GuideJob implements AsyncDisposable {
  /** What the playlist asks of the guides. */
  readonly wanted: WantedChannels;
  readonly #options: GuideJobOptions;
  readonly #contents: SourceContent[] = [];
  #inputs: GuideInput[] | undefined;
  #index: GuideIndex | undefined;
  #lookup: ChannelLookup | undefined;
  #stats: readonly GuideStats[] = [];

  constructor(options: GuideJobOptions) {
    this.#options = options;
    this.wanted = new WantedChannels(options.consumer, options.matching);
  }

  /** What became of each guide, once it is written. */
  get tallies(): GuideTally[] {
    return this.#stats.map((stats) => ({
      label: stats.label,
      channelsIn: stats.channelsIn,
      channelsKept: stats.channelsKept,
      programmesIn: stats.programmesIn,
      programmesKept: stats.programmesKept,
      duplicates: stats.duplicates,
      edited: stats.edited,
      dropped: stats.dropped,
      unordered: stats.unordered,
      declaresEntities: stats.declaresEntities,
      damageCount: stats.damageCount,
      damage: stats.damage.map((damage) => ({
        byteOffset: damage.byteOffset,
        message: describeDamage(stats.label, damage),
      })),
    }));
  }

  /** Rules on programmes may ask for fields of the channel: then the playlist writer tells where each stands in the spool. */
  prepareLookup(spool: FileSink, largestRecordBytes: number, origins: readonly EntryOrigin[]): void {
    if (!this.#asksForChannels()) return;
    this.#lookup?.[Symbol.dispose]();
    this.#lookup = new ChannelLookup(spool, largestRecordBytes, origins, this.wanted, this.#options.consumer);
  }

  /** Part of Source Loading: gets the guides and learns which channels they have. `full` reads them whole. */
  async index(pipeline: Pipeline, full: boolean): Promise<void> {
    this.#index = await pipeline.measure({
      name: 'Source Loading',
      memory: UP_TO_THE_LINE,
      run: async (context) => {
        this.#inputs ??= await this.#open();
        return indexGuides(this.#inputs, this.wanted, context.memory, { full, signal: context.signal });
      },
    });
  }

  noteMatched(record: SpoolRecord, number: number): void {
    this.#lookup?.note(this.wanted.slot, record, number);
  }

  /** Writes the guide. False: a guide is out of order, everything has to be indexed whole and written again. */
  async write(pipeline: Pipeline, sink: FileSink): Promise<boolean> {
    const { rules, tempDir } = this.#options;
    const editor = programmeEditor(rules);
    const result = await pipeline.measure({
      name: 'Guide Generation',
      memory: UP_TO_THE_LINE,
      run: async (context) => {
        let readBefore = 0;
        let told = 0;
        const keptBefore = this.#inputs!.map(() => 0);
        const written = await writeGuide({
          guides: this.#inputs!,
          index: this.#index!,
          wanted: this.wanted,
          sink,
          consumer: context.memory,
          tempDir,
          signal: context.signal,
          ...(editor && { editor }),
          ...(this.#lookup && { channelFields: (slot: number) => this.#lookup?.find(slot) }),
          onProgress: (guide, readBytes, kept) => {
            const itemsOut = kept - keptBefore[guide]!;
            context.advance({ bytesIn: Math.max(0, readBytes - readBefore), itemsOut });
            readBefore = readBytes;
            keptBefore[guide] = kept;
            told += itemsOut;
          },
        });
        await sink.finish({ sync: false });
        if (written.needsFullIndex) {
          context.advance({ itemsOut: -told });
          return undefined;
        }
        const programmesIn = written.guides.reduce((sum, guide) => sum + guide.programmesIn, 0);
        context.advance({ itemsIn: programmesIn, itemsOut: written.programmes - told });
        return written;
      },
    });
    this.#stats = result?.guides ?? [];
    return result !== undefined;
  }

  /** What was read becomes the last good content. */
  async keep(): Promise<void> {
    for (const content of this.#contents) await content.keep();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lookup?.[Symbol.dispose]();
    this.wanted[Symbol.dispose]();
    for (const content of this.#contents) await content[Symbol.asyncDispose]();
  }

  async #open(): Promise<GuideInput[]> {
    const inputs: GuideInput[] = [];
    for (const guide of this.#options.guides) {
      const content = await openSource(guide, 'guide', this.#options.sources);
      this.#contents.push(content);
      for (const part of content.parts) {
        inputs.push({ label: part.label, onDamage: guide.onDamage, open: async () => this.#read(await part.open()) });
      }
    }
    return inputs;
  }

  async #read(source: ByteSource): Promise<ByteSource> {
    let ahead: ReadAhead;
    try {
      ahead = new ReadAhead(source, READ_AHEAD_BYTES, this.#options.consumer);
    } catch (refusal) {
      await source[Symbol.asyncDispose]();
      throw refusal;
    }
    return guideText(ahead);
  }

  #asksForChannels(): boolean {
    const { rules, filters } = this.#options.rules;
    const compiled = [...rules.map(({ rule }) => rule), ...filters.map(({ filter }) => filter)];
    return compiled.some(({ usesProgrammeFields, usesChannelFields }) => usesProgrammeFields && usesChannelFields);
  }
}

/** Rules and filters on programmes as the guide writer calls them; undefined when there are none. Counts start anew. */
function programmeEditor(set: RuleSet): ProgrammeEditor | undefined {
  const rules: RuleTally[] = set.rules.filter(({ rule }) => !onChannels(rule));
  const filters: FilterTally[] = set.filters.filter(({ filter }) => !onChannels(filter));
  if (rules.length + filters.length === 0) return undefined;
  for (const tally of rules) tally.changed = 0;
  for (const tally of filters) tally.removed = 0;
  return {
    edit(view) {
      for (const tally of rules) if (tally.rule.apply(view)) tally.changed++;
      for (const tally of filters) {
        if (tally.filter.keeps(view)) continue;
        tally.removed++;
        return 'drop';
      }
      return 'keep';
    },
  };
}
