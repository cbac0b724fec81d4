import { type Governor, systemClock } from 'plimsoll';
import type { PipelineProgress } from 'plimsoll/pipeline';
import type { PlaylistConfig } from './config/config.ts';
import { generate, openGovernor } from './generate.ts';
import { describeError } from './report/describe-error.ts';
import type { RunReport } from './report/run-report.ts';
import { compileRuleSet } from './rules/rule-set.ts';
import { createLog } from './serve/log.ts';
import type { MemoryBoard } from './serve/memory-board.ts';
import { startServer } from './serve/start-server.ts';
import { maskText } from './sources/mask.ts';
import { stageNames } from './stage-names.ts';

export interface ServePlaylistOptions {
  /** Only warnings and errors. */
  readonly quiet: boolean;
  /** Ends it: the schedule stops, a run is interrupted and cleans up, answers get 5 seconds. */
  readonly signal: AbortSignal;
}

/** Serves the two files and makes them anew at the start, on the schedule and when asked. Resolves when it was told to end. */
export async function servePlaylist(config: PlaylistConfig, options: ServePlaylistOptions): Promise<void> {
  // A mistake in a rule is the user's, to be told now and not by each run.
  compileRuleSet(config.rules, config.filters);
  using governor = openGovernor(config);
  const log = createLog(options);
  for (const line of config.warnings) log.warn(line);
  await using board = await openBoard(config, governor, (line) => log.warn(line));
  await using server = await startServer({
    config,
    dashboard: board?.dashboard,
    clock: systemClock,
    describeError,
    warn: (line) => log.warn(line),
    onOutcome: ({ ok, error, elapsedMs }) => {
      if (!ok) log.error({ elapsedMs }, `the run failed: ${error}`);
    },
    regenerate: async (signal) => {
      const report = await runOnce(config, { governor, signal, board });
      const { channels, programmes, elapsedMs, warnings } = report;
      for (const warning of warnings) log.warn(warning);
      const headline = `${channels} channels and ${programmes} programmes in ${elapsedMs}ms`;
      log.info({ channels, programmes, skipped: report.skipped, peakRssBytes: report.peakRssBytes }, headline);
      // No more than this is told to whoever asks for /health.
      return { channels, programmes, elapsedMs, warnings: warnings.map(maskText) };
    },
  });
  log.info(`serving ${server.origin}/${config.output.name}.m3u8 and ${config.output.name}.xmltv`);
  if (board !== undefined) log.info(`memory at ${server.origin}/dashboard/`);
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  options.signal.addEventListener('abort', () => resolve(), { once: true });
  if (options.signal.aborted) resolve();
  await ended;
}

/** Loaded only where it is wanted: it takes about 2 MiB. */
async function openBoard(
  config: PlaylistConfig,
  governor: Governor,
  warn: (line: string) => void,
): Promise<MemoryBoard | undefined> {
  if (!config.serve.dashboard) return undefined;
  const { MemoryBoard } = await import('./serve/memory-board.ts');
  try {
    return new MemoryBoard(governor, config.serve, config.output.name);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    warn(`there is no dashboard: ${describeError(error)}`);
    return undefined;
  }
}

interface RunParts {
  readonly governor: Governor;
  readonly signal: AbortSignal;
  readonly board: MemoryBoard | undefined;
}

async function runOnce(config: PlaylistConfig, { governor, signal, board }: RunParts): Promise<RunReport> {
  const events = board?.beginRun(config.output.name, stageNames(config));
  const onProgress = events && ((progress: PipelineProgress) => events.progress(progress));
  try {
    const { report, pipeline } = await generate(config, {
      governor,
      dryRun: false,
      signal,
      ...(onProgress && { onProgress }),
    });
    events?.end(pipeline, `${report.channels} channels, ${report.programmes} programmes`);
    return report;
  } catch (error) {
    events?.end(undefined, describeError(error));
    throw error;
  }
}
