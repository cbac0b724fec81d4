/**
 * The main job, from configuration to published files, as one pipeline:
 *
 *     lists -> Source Loading -> Data Mapping -> Filtering -> Packing -> Duplicate Removal -> Numbering -> Sorting -> spool
 *     spool -> Playlist Generation -> playlist         guides -> Guide Generation -> guide         -> Publish
 */
import { tmpdir } from 'node:os';
import { basename } from 'node:path';
import { type Consumer, createGovernor, formatBytes, type Governor, systemClock } from 'plimsoll';
import {
  MemoryCleanupCoordinator,
  type MemoryProbe,
  Pipeline,
  type PipelineMode,
  type PipelineProgress,
  type PipelineReport,
  type PluginRunner,
  type StageContext,
} from 'plimsoll/pipeline';
import type { BufferPool } from 'plimsoll/pool';
import { batchBytesOf, ChannelJob, type ChannelJobOptions, operatorBytesOf } from './channel-job.ts';
import type { EntryOrigin } from './channels/entry-batch.ts';
import type { PlaylistConfig } from './config/config.ts';
import { governorOptions } from './config/governor-options.ts';
import type { GuideJob } from './guide-job.ts';
import type { JobHistory } from './job-history.ts';
import { JobSpill } from './job-spill.ts';
import { FILE_BUFFER_BYTES, makeFileBuffers } from './output/file-buffers.ts';
import { FileSink } from './output/file-sink.ts';
import { removeOrphans, Workspace } from './output/workspace.ts';
import { PlaylistInputs } from './playlist-inputs.ts';
import type { PluginJob } from './plugin-job.ts';
import type { JobProgress } from './report/live-line.ts';
import { ProblemLog } from './report/problem-log.ts';
import type { RunReport, Tally } from './report/run-report.ts';
import { compileRuleSet, onChannels, type RuleSet } from './rules/rule-set.ts';
import { maskText } from './sources/mask.ts';
import type { SourceContext } from './sources/source-content.ts';
import { generatePlaylist, type PlaylistResult } from './stages/generate-playlist.ts';
import type { NumberDeskOptions } from './stages/number-desk.ts';
import type { Spooled } from './stages/spool-channels.ts';

export interface GenerateOptions {
  /** The budget of the process. One for all runs: what a run leaves in the heap is not the next one's baseline. */
  readonly governor: Governor;
  /** Do everything, publish nothing, leave nothing behind. */
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: JobProgress, limitBytes: number) => void;
  /** Where the pipeline reads level and memory. Default: the governor. For tests, which drive the level. */
  readonly probe?: MemoryProbe;
  /** In which mode stages work. Default: by pressure. For tests. */
  readonly mode?: 'auto' | PipelineMode;
  /** Put between the stages and the host of the plugins. For tests, which let plugins fail. */
  readonly wrapPlugins?: (runner: PluginRunner) => PluginRunner;
  /** Called before a worker is started; what it throws is as if it could not be. For tests. */
  readonly beforePluginStart?: () => void;
}

/** What a run is given besides its configuration; its owner disposes it. */
interface RunParts {
  readonly rules: RuleSet;
  readonly workspace: Workspace;
  readonly spill: JobSpill;
  readonly history: JobHistory | undefined;
}

export interface Generated {
  readonly report: RunReport;
  readonly pipeline: PipelineReport;
}

const LIST_BUFFER_BYTES = 16 * 1024;
const MAX_WARNINGS = 200;

/** The budget of the process: what the configuration says, or else what the container and the machine allow. The caller disposes. */
export function openGovernor({ memory }: PlaylistConfig): Governor {
  return createGovernor(governorOptions(memory));
}

/** Makes the files of a configuration. Rejects with an error whose message is one line; the old files are then untouched. */
export async function generate(config: PlaylistConfig, options: GenerateOptions): Promise<Generated> {
  const rules = compileRuleSet(config.rules, config.filters);
  const { dryRun } = options;
  if (!dryRun) await removeOrphans(tmpdir());
  await using workspace = await Workspace.open(dryRun ? tmpdir() : config.output.dir, config.output.name);
  await using spill = await JobSpill.open({ config, workspace, dryRun });
  // In a mode that it is told it shows nothing of those that come after it.
  const isFree = !spill.isForced && (options.mode ?? 'auto') === 'auto';
  const history = isFree ? await openHistory(config, options.governor) : undefined;
  await using run = new Run(config, options, { rules, workspace, spill, history });
  return await run.execute();
}

/** Undefined when runs are not remembered. What remembers them is loaded only then. */
async function openHistory(config: PlaylistConfig, governor: Governor): Promise<JobHistory | undefined> {
  if (!config.memory.rememberRuns) return undefined;
  const { JobHistory } = await import('./job-history.ts');
  return new JobHistory(config, governor);
}

class Run implements AsyncDisposable {
  readonly #config: PlaylistConfig;
  readonly #options: GenerateOptions;
  readonly #rules: RuleSet;
  readonly #governor: Governor;
  readonly #workspace: Workspace;
  readonly #spill: JobSpill;
  readonly #history: JobHistory | undefined;
  readonly #cleanup: MemoryCleanupCoordinator;
  readonly #pipeline: Pipeline;
  #plugins: PluginJob | undefined;
  #buffers: BufferPool | undefined;
  readonly #problems = new ProblemLog();
  readonly #warnings: string[] = [];
  readonly #held = new AsyncDisposableStack();

  constructor(config: PlaylistConfig, options: GenerateOptions, { rules, workspace, spill, history }: RunParts) {
    const { governor, onProgress, signal } = options;
    const { memory } = config;
    this.#config = config;
    this.#options = options;
    this.#rules = rules;
    this.#workspace = workspace;
    this.#spill = spill;
    this.#history = history;
    this.#governor = governor;
    this.#warnings.push(...config.warnings, ...rules.warnings);
    if (history?.trouble !== undefined) this.#warn(history.trouble);
    this.#cleanup = this.#held.use(
      new MemoryCleanupCoordinator({
        governor,
        strategy: memory.strategy,
        betweenStages: memory.cleanupBetweenStages,
        everyMs: memory.collectEveryMs ?? Number.POSITIVE_INFINITY,
      }),
    );
    this.#pipeline = new Pipeline({
      governor,
      probe: options.probe ?? { sample: () => governor.sample() },
      signal,
      sampleEveryMs: memory.checkEveryMs,
      batchBytes: history?.batchBytes ?? batchBytesOf(config, governor),
      leastMode: history?.ahead?.mode ?? 'plain',
      mode: options.mode ?? (spill.isForced ? 'spill' : 'auto'),
      cleanup: this.#cleanup,
      ...(spill.folder && { spill: spill.folder }),
      ...(onProgress && { onProgress: (progress) => onProgress(this.#withSpill(progress), governor.limitBytes) }),
    });
  }

  async execute(): Promise<Generated> {
    const { guides } = this.#config;
    const inputs = this.#held.use(new PlaylistInputs(this.#config.sources, this.#sourceContext()));
    await this.#makeBuffers();
    const spool = await this.#file('channels.spool', 'spool');
    const guideJob = guides.length === 0 ? undefined : this.#held.use(await this.#guideJob());
    this.#plugins = await this.#openPlugins();
    const channels = this.#held.use(this.#channelJob(inputs, guideJob));
    const spooled = await channels.run(this.#pipeline, spool);
    const { desk } = channels;
    const written = await this.#writeFiles({ spooled, desk, spool, guides: guideJob, origins: inputs.origins });
    const files = await this.#publish(written);
    if (!this.#options.dryRun) {
      await inputs.keep();
      await guideJob?.keep();
      await this.#remember(channels);
    }
    return this.#generated(channels, written, guideJob, files);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }

  async #remember({ entriesBySource }: ChannelJob): Promise<void> {
    const entries = entriesBySource.reduce((sum, count) => sum + count, 0);
    const trouble = await this.#history?.record(this.#pipeline.report(), entries);
    if (trouble !== undefined) this.#warn(trouble);
  }

  #withSpill(progress: PipelineProgress): JobProgress {
    const { rawBytes, files } = this.#spill.tally;
    return { ...progress, spilledBytes: rawBytes, spillFiles: files };
  }

  /** Undefined when they are off. What runs them is loaded only then. */
  async #openPlugins(): Promise<PluginJob | undefined> {
    const { plugins, memory } = this.#config;
    if (!plugins.enabled) return undefined;
    const { PluginJob } = await import('./plugin-job.ts');
    const { wrapPlugins, beforePluginStart } = this.#options;
    return this.#held.use(
      await PluginJob.open({
        config: plugins,
        governor: this.#governor,
        spill: this.#spill.folder,
        maxSpillBytes: memory.spill.maxBytes,
        warn: (line) => this.#warn(line),
        ...(wrapPlugins && { wrap: wrapPlugins }),
        ...(beforePluginStart && { beforeStart: beforePluginStart }),
      }),
    );
  }

  #asksForProgrammes(): boolean {
    const { rules, filters } = this.#rules;
    return rules.some(({ rule }) => !onChannels(rule)) || filters.some(({ filter }) => !onChannels(filter));
  }

  #consumer(name: string): Consumer {
    return this.#governor.consumer({ name, kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
  }

  /** As many as are asked for; loaded only then. */
  async #makeBuffers(): Promise<void> {
    const { preallocateBytes } = this.#config.memory;
    if (preallocateBytes === 0) return;
    this.#buffers = this.#held.use(await makeFileBuffers(preallocateBytes, this.#governor));
    const { bytes, maxBytes } = this.#buffers.stats;
    if (bytes < maxBytes) this.#warn(`[memory] pool_preallocate: there was room for ${formatBytes(bytes)} of it`);
  }

  async #file(file: string, consumer: string, bufferBytes = FILE_BUFFER_BYTES): Promise<FileSink> {
    const pool = bufferBytes === FILE_BUFFER_BYTES ? this.#buffers : undefined;
    const path = this.#workspace.path(file);
    return this.#held.use(await FileSink.create(path, bufferBytes, this.#consumer(consumer), pool));
  }

  #sourceContext(): SourceContext {
    return {
      cacheDir: this.#config.cache.dir,
      shrinkLimit: this.#config.cache.shrinkLimit,
      dryRun: this.#options.dryRun,
      tempDir: this.#workspace.dir,
      clock: systemClock,
      signal: this.#options.signal,
      warn: (line) => this.#warn(line),
    };
  }

  /** What works on guides is loaded only where there is one. */
  async #guideJob(): Promise<GuideJob> {
    const [{ GuideJob }, { readAliases }] = await Promise.all([
      import('./guide-job.ts'),
      import('./config/read-aliases.ts'),
    ]);
    const { guides, matching } = this.#config;
    return new GuideJob({
      guides,
      matching: {
        byName: matching.byName,
        ...(matching.aliasesPath !== undefined && { aliases: readAliases(matching.aliasesPath) }),
      },
      rules: this.#rules,
      sources: this.#sourceContext(),
      tempDir: this.#workspace.dir,
      consumer: this.#consumer('guide channels'),
    });
  }

  #warn(line: string): void {
    if (this.#warnings.length < MAX_WARNINGS) this.#warnings.push(maskText(line));
  }

  #channelJob(inputs: PlaylistInputs, guides: GuideJob | undefined): ChannelJob {
    const options: ChannelJobOptions = {
      config: this.#config,
      rules: this.#rules,
      inputs,
      batchBytes: batchBytesOf(this.#config, this.#governor),
      operatorBytes: operatorBytesOf(this.#governor),
      wanted: guides?.wanted,
      plugins: this.#plugins,
      problems: this.#problems,
      warn: (line) => this.#warn(line),
    };
    return new ChannelJob(options, this.#consumer('numbers'));
  }

  /** The playlist and, with guides, the guide. A guide that turns out to be out of order is indexed whole, and both are written once more. */
  async #writeFiles({ spooled, desk, spool, guides, origins }: Kept): Promise<Written> {
    for (let attempt = 1; ; attempt++) {
      await guides?.index(this.#pipeline, attempt > 1);
      guides?.prepareLookup(spool, spooled.largestRecordBytes, origins);
      const playlist = await this.#file(`playlist.${attempt}`, 'playlist');
      const unmatched = guides && (await this.#file(`unmatched.${attempt}`, 'playlist', LIST_BUFFER_BYTES));
      const phase = generatePlaylist({
        spool,
        largestRecordBytes: spooled.largestRecordBytes,
        ...desk,
        wanted: guides?.wanted,
        playlist,
        unmatched,
        guideUrl: guides && this.#config.output.guideUrl,
        ...(guides && { onMatched: (record, number) => guides.noteMatched(record, number) }),
      });
      const result = await this.#pipeline.measure(phase);
      if (guides === undefined) return { playlist, unmatched, guide: undefined, result };
      const guide = await this.#file(`guide.${attempt}`, 'guide');
      if (await guides.write(this.#pipeline, guide)) return { playlist, unmatched, guide, result };
    }
  }

  /** The guide first: a playlist never points at a guide that is older than itself. */
  async #publish({ playlist, unmatched, guide }: Written): Promise<string[]> {
    const run = async (context: StageContext): Promise<string[]> => {
      if (this.#options.dryRun) return [];
      const { name } = this.#config.output;
      const files: [FileSink, string][] = [[playlist, `${name}.m3u8`]];
      if (guide !== undefined) files.unshift([guide, `${name}.xmltv`]);
      if (unmatched !== undefined) files.push([unmatched, `${name}.unmatched.txt`]);
      for (const [file] of files) await file.finish({ sync: true });
      for (const [, as] of files) await this.#workspace.checkTarget(as);
      context.signal.throwIfAborted();
      const published = await this.#workspace.publish(files.map(([file, as]) => ({ file: basename(file.path), as })));
      context.advance({ itemsIn: files.length, itemsOut: published.length });
      return published;
    };
    return this.#pipeline.measure({ name: 'Publish', run });
  }

  #generated(
    { counts, entriesBySource }: ChannelJob,
    { result }: Written,
    guides: GuideJob | undefined,
    files: readonly string[],
  ): Generated {
    if (result.channels === 0) this.#warn('no channel is left: the playlist is empty');
    if (guides === undefined && this.#asksForProgrammes()) {
      this.#warn('there are rules or filters on programmes and no [[guide]]: they do nothing');
    }
    const pipeline = this.#pipeline.report();
    const tallies = guides?.tallies ?? [];
    const report: RunReport = {
      channels: result.channels,
      programmes: tallies.reduce((sum, { programmesKept }) => sum + programmesKept, 0),
      skipped: this.#problems.count + counts.blankUrls,
      duplicates: counts.duplicates,
      elapsedMs: pipeline.elapsedMs,
      peakRssBytes: pipeline.peakRssBytes,
      peakLedgerBytes: pipeline.peakLedgerBytes,
      limitBytes: this.#governor.limitBytes,
      limitFrom: this.#governor.limit.from,
      stages: pipeline.stages,
      modes: { count: pipeline.modeSwitchCount, last: pipeline.modeSwitches },
      workers: { count: pipeline.workerSwitchCount, last: pipeline.workerSwitches },
      cleanup: this.#cleanup.report(),
      spill: this.#spill.tally,
      ...(this.#history?.ahead && { ahead: this.#history.ahead }),
      plugins: this.#plugins?.tallies ?? [],
      dryRun: this.#options.dryRun,
      sources: this.#config.sources.map(({ name }, index) => ({ name, entries: entriesBySource[index]! })),
      guides: tallies,
      rules: this.#rules.rules.map(({ label, rule, changed }) => ({
        label,
        text: rule.text,
        count: changed,
        of: recordsOf(rule),
      })),
      filters: this.#rules.filters.map(({ label, filter, removed }, index) => ({
        label,
        text: `${this.#config.filters[index]!.mode} ${filter.text}`,
        count: removed,
        of: recordsOf(filter),
      })),
      numbers: {
        explicit: counts.explicitNumbers,
        moved: counts.movedNumbers,
        labels: counts.labels,
        unreadable: counts.unreadableNumbers,
      },
      matching: {
        byId: result.matchedById,
        byAlias: result.matchedByAlias,
        byName: result.matchedByName,
        unmatched: result.unmatched,
        firstUnmatched: result.shownUnmatched,
      },
      problems: { byKind: Object.fromEntries(this.#problems.byKind), first: this.#problems.shown },
      warnings: this.#warnings,
      files,
    };
    return { report, pipeline };
  }
}

/** What the first pass leaves for the second. */
interface Kept {
  readonly spooled: Spooled;
  readonly desk: Omit<NumberDeskOptions, 'name'>;
  readonly spool: FileSink;
  readonly guides: GuideJob | undefined;
  readonly origins: readonly EntryOrigin[];
}

interface Written {
  readonly playlist: FileSink;
  readonly unmatched: FileSink | undefined;
  readonly guide: FileSink | undefined;
  readonly result: PlaylistResult;
}

function recordsOf(compiled: { readonly usesProgrammeFields: boolean }): Tally['of'] {
  return compiled.usesProgrammeFields ? 'programmes' : 'channels';
}
