import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { whyNoLimits } from '../../../../test/cgroup/memory-group.ts';
import { demand, demandEqual, type Gate, GateSkipped, mib, seconds } from '../../../../test/gates/gate.ts';
import type { RunReport } from '../../src/report/run-report.ts';
import { freshDir, listFixture } from './fixtures.ts';
import { type AppRun, RULES, runApp } from './run-app.ts';
import { checkSortedPlaylist, readWishes } from './sorted-playlist.ts';

const MIB = 1 << 20;
export const SORTED_LIMIT_BYTES = 128 * MIB;
const CHANNELS = 1_000_000;
/** Goes on with the table of the list, which is the last one. Ten million channels are more than a list may have if nothing is said. */
const BIG_LIST = 'max_size = "4GiB"\n';
const TIMEOUT_MS = 3_600_000;
/** Memory is read every 10 ms; the disk, which takes longer to look at and changes slower, at each of so many readings. */
const READINGS_A_LOOK = 10;
/** `NumberDesk` asks for so many channels at once, at most. */
const NUMBERS_A_BATCH = 4096;

export interface SortedRun extends AppRun {
  readonly report: RunReport;
  /** Everything in the folder of the run, the list that it reads left aside: spill, spool and output. Seen from outside, ten times a second. */
  readonly diskPeakBytes: number;
}

/** Sorts by name, removes duplicates and numbers by a plugin, in the limit; holds what was written against what was made. Throws `GateFailure`. */
export async function sortInLimit(channels: number, env: Readonly<Record<string, string>> = {}): Promise<SortedRun> {
  const list = await listFixture(channels);
  const dir = freshDir(`sorted-${channels}`);
  const name = `${channels} channels sorted in ${mib(SORTED_LIMIT_BYTES)}`;
  let diskPeakBytes = 0;
  let readings = 0;
  try {
    const run = await runApp({
      dir,
      lists: [list.path],
      settings: `${BIG_LIST}${RULES}`,
      flags: ['--sort', 'name', '--plugins'],
      limitBytes: SORTED_LIMIT_BYTES,
      env,
      timeoutMs: TIMEOUT_MS,
      onSample() {
        if (readings++ % READINGS_A_LOOK === 0) diskPeakBytes = Math.max(diskPeakBytes, bytesBelow(dir));
      },
    });
    demand(!run.oomKilled, `${name}: the kernel killed it after ${seconds(run.elapsedMs)}`);
    demand(run.exitCode === 0, `${name}: exit ${run.exitCode ?? run.signal}: ${run.stderr.slice(-500)}`);
    const report = run.report as RunReport | undefined;
    demand(report !== undefined, `${name}: no report was written`);
    const wishes = await readWishes(list.path);
    // An entry without a URL right before a URL without an entry is a channel: of ten thousand made at random a few are.
    const joined = wishes.entries - list.channels - list.duplicates;
    checkReport(name, report, {
      channels: list.channels + joined,
      duplicates: list.duplicates,
      skipped: list.bad - 2 * joined,
      explicit: wishes.byUrl.size,
      moved: wishes.moved,
    });
    await checkSortedPlaylist(run.playlistPath, list.channels + joined, wishes);
    return { ...run, report, diskPeakBytes };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The figures, and that nobody but the plugin gave the numbers. */
function checkReport(name: string, report: RunReport, expected: Readonly<Record<string, number>>): void {
  demandEqual(name, { ...report, ...report.numbers }, expected);
  const { workers, plugins } = report;
  const atWork = workers.last.filter(({ stage }) => stage === 'Numbering' || stage === 'Playlist Generation');
  demand(
    workers.count === workers.last.length && atWork.length === 2 && atWork.every(({ to }) => to === 'number-channels'),
    `${name}: the numbers were given by ${atWork.map(({ stage, to }) => `${to} (${stage})`).join(', ')}`,
  );
  const numbering = plugins.find(({ stage }) => stage === 'numbering');
  const { batches = 0, failures = 0 } = numbering ?? {};
  const least = Math.ceil(report.channels / NUMBERS_A_BATCH);
  demand(
    batches >= least && failures === 0,
    `${name}: the plugin for numbers did ${batches} batches, at least ${least} were to do, and failed ${failures} times`,
  );
}

function bytesBelow(dir: string): number {
  let bytes = 0;
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const stats = statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false });
    bytes += (stats?.blocks ?? 0) * 512;
  }
  return bytes;
}

export const sortedFigures = ({ report, diskPeakBytes, elapsedMs, ...peaks }: SortedRun): string =>
  `${report.channels} channels in ${seconds(elapsedMs)}, charged without page cache ${mib(peaks.anonymousPeakBytes)}, VmHWM ${mib(peaks.rssPeakBytes)}, ` +
  `at most ${mib(diskPeakBytes)} on the disk as seen from outside; ${mib(report.spill.rawBytes)} spilled in ${report.spill.files} files, by the report at most ${mib(report.spill.peakDiskBytes)} at once`;

export const millionSortedGate: Gate = {
  name: 'million-sorted',
  promise:
    '1,000,000 channels, made distinct, sorted by name and numbered by a plugin, finish in 128 MiB; order, numbers and that none is there twice are checked from outside',
  async run() {
    const whyNot = await whyNoLimits();
    if (whyNot !== undefined) throw new GateSkipped(whyNot);
    return `${sortedFigures(await sortInLimit(CHANNELS))}, oom_kill 0`;
  },
};
