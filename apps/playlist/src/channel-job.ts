/** The channels' part of a run: from the lists to the spool, in one flow. */
import type { Consumer, Governor } from 'plimsoll';
import type { Flow, Pipeline, RecordBatch, Source, Stage } from 'plimsoll/pipeline';
import { ChannelNumbers } from './channels/channel-numbers.ts';
import type { EntryBatch } from './channels/entry-batch.ts';
import type { PlaylistConfig } from './config/config.ts';
import type { WantedChannels } from './guide/wanted.ts';
import type { FileSink } from './output/file-sink.ts';
import type { PlaylistInputs } from './playlist-inputs.ts';
import type { PluginJob } from './plugin-job.ts';
import { compileFilterProgram } from './plugins/filter-program.ts';
import type { ProblemLog } from './report/problem-log.ts';
import { onChannels, type RuleSet } from './rules/rule-set.ts';
import { sourceLabel } from './sources/source-content.ts';
import { type DuplicateCounts, type DuplicateOptions, dropDuplicates } from './stages/drop-duplicates.ts';
import { filterChannels } from './stages/filter-channels.ts';
import { groupByPlugins } from './stages/group-by-plugins.ts';
import { loadSources } from './stages/load-sources.ts';
import { mapData } from './stages/map-data.ts';
import { type NumberingCounts, numberChannels } from './stages/number-channels.ts';
import type { NumberDeskOptions } from './stages/number-desk.ts';
import { type PackCounts, packChannels } from './stages/pack-channels.ts';
import { sortChannels } from './stages/sort-channels.ts';
import { type Spooled, spoolChannels } from './stages/spool-channels.ts';
import { type TidyCounts, tidyNames } from './stages/tidy-names.ts';

export interface ChannelJobOptions {
  readonly config: PlaylistConfig;
  readonly rules: RuleSet;
  readonly inputs: PlaylistInputs;
  readonly batchBytes: number;
  /** What each operator may hold before it goes to the disk. */
  readonly operatorBytes: number;
  /** Absent when there is no guide. */
  readonly wanted: WantedChannels | undefined;
  /** Absent when plugins are off. */
  readonly plugins: PluginJob | undefined;
  readonly problems: ProblemLog;
  readonly warn: (line: string) => void;
}

export class ChannelJob implements Disposable {
  /** Numbers in use; the playlist writer takes the free ones. */
  readonly numbers: ChannelNumbers;
  readonly entriesBySource: number[];
  readonly counts: TidyCounts & PackCounts & DuplicateCounts & NumberingCounts = {
    tidied: 0,
    blankUrls: 0,
    duplicates: 0,
    explicitNumbers: 0,
    movedNumbers: 0,
    labels: 0,
    unreadableNumbers: 0,
  };
  readonly #options: ChannelJobOptions;
  #toldOfGuide = false;

  /** `consumer` holds the numbers for as long as the job lives. */
  constructor(options: ChannelJobOptions, consumer: Consumer) {
    this.#options = options;
    this.numbers = new ChannelNumbers(consumer);
    this.entriesBySource = options.config.sources.map(() => 0);
  }

  /** What the playlist writer needs to go on with the numbers. */
  get desk(): Omit<NumberDeskOptions, 'name'> {
    const { config, plugins } = this.#options;
    return { numbers: this.numbers, startNumber: config.numbering.start, workers: plugins?.workersFor('numbering') };
  }

  /** Fills the spool. */
  run(pipeline: Pipeline, spool: FileSink): Promise<Spooled> {
    const { config, batchBytes, wanted } = this.#options;
    const { counts } = this;
    const { sort } = config.output;
    const bounds = { maxBytes: this.#options.operatorBytes, maxRecordBytes: longestRecord(batchBytes) };
    const packed = this.#edited(pipeline).through(
      packChannels({ batchBytes, forGuide: wanted !== undefined, withGroup: sort === 'group' }, counts),
    );
    const numbered = packed
      .through(dropDuplicates(bounds, counts))
      .through(numberChannels({ ...this.desk, wanted }, counts));
    const sorted = sort === 'none' ? numbered : numbered.through(this.#sorting(sort, bounds));
    return sorted.into(spoolChannels(spool));
  }

  [Symbol.dispose](): void {
    this.numbers[Symbol.dispose]();
  }

  /** As rules and filters leave them. */
  #edited(pipeline: Pipeline): Flow<EntryBatch> {
    const { config, rules } = this.#options;
    const loaded = pipeline.from(this.#loading());
    const tidied = config.mapping.tidyNames ? loaded.through(this.#tidying()) : loaded;
    return tidied.through(mapData(rules.rules.filter(({ rule }) => onChannels(rule)))).through(this.#filtering());
  }

  #tidying(): Stage<EntryBatch, EntryBatch> {
    return tidyNames(this.counts, this.#options.plugins?.workersFor('data_mapping'));
  }

  #filtering(): Stage<EntryBatch, EntryBatch> {
    const { config, rules, plugins, warn } = this.#options;
    const tallies = rules.filters.filter(({ filter }) => onChannels(filter));
    const workers = tallies.length === 0 ? undefined : plugins?.workersFor('filtering');
    if (workers === undefined) return filterChannels(tallies);
    const program = compileFilterProgram(config.filters);
    if (program !== undefined) return filterChannels(tallies, { workers, program });
    warn(
      'no plugin is used for the filters: they ask for something, such as `matches`, that only the program itself can do',
    );
    return filterChannels(tallies);
  }

  #sorting(by: 'name' | 'group', bounds: DuplicateOptions): Stage<RecordBatch, RecordBatch> {
    const { batchBytes, plugins } = this.#options;
    const workers = by === 'group' ? plugins?.workersFor('grouping') : undefined;
    return workers === undefined ? sortChannels({ by, ...bounds }) : groupByPlugins({ workers, batchBytes, ...bounds });
  }

  #loading(): Source<EntryBatch> {
    const { inputs, problems, batchBytes, warn } = this.#options;
    return loadSources({
      inputs,
      problems,
      batchBytes,
      onNote: warn,
      onHeader: ({ origin }, header) => this.#noteGuideOf(origin.name, header),
      onInput: ({ sourceIndex }, entryCount) => {
        this.entriesBySource[sourceIndex] = this.entriesBySource[sourceIndex]! + entryCount;
      },
    });
  }

  /** A list that names its guide when the configuration has none: the user may not know of it. Said once. */
  #noteGuideOf(source: string, header: string): void {
    if (this.#options.config.guides.length > 0 || this.#toldOfGuide) return;
    const url = /(?:x-tvg-url|url-tvg)\s*=\s*["']?([^"',\s]+)/i.exec(header)?.[1];
    if (url === undefined) return;
    this.#toldOfGuide = true;
    this.#options.warn(
      `${sourceLabel('playlist', source)} names a guide and none is configured: add [[guide]] url = "${url.slice(0, 200)}"`,
    );
  }
}

/** A batch takes this part of the limit, within bounds in which neither calls nor caches cost. */
const BATCH_SHARE = 1 / 512;
const SMALLEST_BATCH = 128 * 1024;
const LARGEST_BATCH = 512 * 1024;

/** What a batch of this run takes at `optimal`: as configured, or a part of the limit. */
export function batchBytesOf({ memory }: PlaylistConfig, governor: Governor): number {
  const share = governor.limitBytes * BATCH_SHARE;
  return memory.batchBytes ?? Math.round(Math.min(LARGEST_BATCH, Math.max(SMALLEST_BATCH, share)));
}

/** An operator may hold this part of the limit, within what it needs and what pays. */
const OPERATOR_SHARE = 1 / 8;
const LEAST_OPERATOR_BYTES = 4 * 1024 ** 2;
const MOST_OPERATOR_BYTES = 64 * 1024 ** 2;

export function operatorBytesOf(governor: Governor): number {
  const share = Math.round(governor.limitBytes * OPERATOR_SHARE);
  return Math.min(MOST_OPERATOR_BYTES, Math.max(LEAST_OPERATOR_BYTES, share));
}

/** An entry fills one and a half batches at most, and a record takes twice that at most; and its key. */
function longestRecord(batchBytes: number): number {
  return Math.min(16 * 1024 ** 2, 3 * batchBytes + 4096);
}
