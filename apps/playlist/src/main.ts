#!/usr/bin/env node
/** The program: reads the command line, starts Node anew with flags that fit the limit, runs the command, and turns errors into one line. */
import { readFileSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandLine } from './cli.ts';
import type { PlaylistConfig } from './config/config.ts';
import { EXIT } from './exit-codes.ts';
import { relaunchWithHeapFlags, takeHandover } from './launch.ts';
import { describeError, exitCodeOf } from './report/describe-error.ts';

/** It has native `using` and zstd. */
const OLDEST_NODE = 24;

type Generate = Extract<CommandLine, { kind: 'generate' }>;
type Serve = Extract<CommandLine, { kind: 'serve' }>;

/**
 * The first process reads the command line and the configuration and is replaced by one with fitting flags, which is handed both, so that
 * the one that works never loads what reads them.
 */
async function main(argv: readonly string[]): Promise<number> {
  const [major = 0] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE) {
    process.stderr.write(
      `plimsoll-playlist needs Node ${OLDEST_NODE} or newer, this is ${process.versions.node}: start it with npm start\n`,
    );
    return EXIT.usage;
  }
  const handover = takeHandover();
  if (handover !== undefined) return run(handover.command, handover.config);
  const { parseCommandLine } = await import('./cli.ts');
  const command = parseCommandLine(argv, version());
  if (command.kind === 'print') {
    process.stdout.write(`${command.text}\n`);
    return EXIT.ok;
  }
  if (command.kind === 'migrate-config') return migrate(command.file);
  const configFile = command.configFile ?? (await sampleConfig(command.quiet));
  await relaunchWithHeapFlags({ configFile, overrides: command.overrides, command });
  const { loadConfig } = await import('./config/load-config.ts');
  return run(command, loadConfig({ file: configFile, env: process.env, overrides: command.overrides }));
}

async function run(command: CommandLine, config: PlaylistConfig): Promise<number> {
  if (command.kind === 'generate') return generateOnce(command, config);
  if (command.kind === 'serve') return serveUntilStopped(command, config);
  return EXIT.ok;
}

/** Without a configuration the bundled sample is run; its sources are made when they are missing. */
async function sampleConfig(quiet: boolean): Promise<string> {
  const { ensureSample } = await import('./sample/ensure-sample.ts');
  const { configPath } = await ensureSample(({ file, fraction }) => {
    if (!quiet && process.stderr.isTTY)
      process.stderr.write(`\r\x1b[2Kmaking the sample: ${file} ${Math.round(fraction * 100)}%`);
  });
  if (!quiet && process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
  return configPath;
}

/** The new file alone on standard output, so that it can be redirected. */
async function migrate(file: string): Promise<number> {
  const { migrateConfig } = await import('./config/migrate-config.ts');
  const { text, warnings, isComplete } = migrateConfig(file);
  for (const line of warnings) process.stderr.write(`warning: ${line}\n`);
  process.stdout.write(text);
  return isComplete ? EXIT.ok : EXIT.failed;
}

async function generateOnce(command: Generate, config: PlaylistConfig): Promise<number> {
  const [{ generate, openGovernor }, { liveLine }, { formatRunReport, warningLines }] = await Promise.all([
    import('./generate.ts'),
    import('./report/live-line.ts'),
    import('./report/run-report.ts'),
  ]);
  for (const line of config.warnings) process.stderr.write(`warning: ${line}\n`);
  if (command.reportFile !== undefined) await checkReportFile(command.reportFile);
  using governor = openGovernor(config);
  using interruption = onInterruption();
  using live = liveLine(process.stderr, command.quiet);
  const { report, pipeline } = await generate(config, {
    governor,
    dryRun: command.dryRun,
    signal: interruption.signal,
    onProgress: (progress, limitBytes) => live.show(progress, limitBytes),
  });
  live[Symbol.dispose]();
  if (command.reportFile !== undefined) await writeFile(command.reportFile, `${JSON.stringify(report, null, 2)}\n`);
  if (!command.quiet) process.stdout.write(`${formatRunReport(report, pipeline)}\n`);
  else for (const line of warningLines(report)) process.stderr.write(`${line}\n`);
  return EXIT.ok;
}

async function serveUntilStopped(command: Serve, config: PlaylistConfig): Promise<number> {
  const { servePlaylist } = await import('./serve-playlist.ts');
  using interruption = onInterruption();
  await servePlaylist(config, { quiet: command.quiet, signal: interruption.signal });
  return EXIT.ok;
}

/** A report that cannot be written is found out before the run, not after. The file is not changed by it. */
async function checkReportFile(file: string): Promise<void> {
  try {
    await (await open(file, 'a')).close();
  } catch (cause) {
    const { ConfigError } = await import('./config/config-error.ts');
    throw new ConfigError([`--report ${file}: cannot be written (${(cause as NodeJS.ErrnoException).code})`], cause);
  }
}

/** Whoever reads our output may leave (`| head`): that ends nothing. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
}

/** Aborts on the first SIGINT or SIGTERM, so that the run can clean up; a second one ends the process as usual. */
function onInterruption(): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const abort = (name: NodeJS.Signals) => controller.abort(name);
  process.once('SIGINT', abort);
  process.once('SIGTERM', abort);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      process.off('SIGINT', abort);
      process.off('SIGTERM', abort);
    },
  };
}

function version(): string {
  const file = join(import.meta.dirname, '..', 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

outliveReaders();
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = exitCodeOf(error);
}
