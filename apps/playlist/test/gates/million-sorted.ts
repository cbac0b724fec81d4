import { rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { whyNoLimits } from '../../../../test/cgroup/memory-group.ts';
import { demand, demandEqual, type Gate, GateSkipped, mib, seconds } from '../../../../test/gates/gate.ts';
import type { RunReport } from '../../src/report/run-report.ts';
import { freshDir, listFixture } from './fixtures.ts';
import { type AppRun, RULES, runApp } from './run-app.ts';

const MIB = 1 << 20;
export const SORTED_LIMIT_BYTES = 128 * MIB;
const CHANNELS = 1_000_000;

export interface SortedRun extends AppRun {
  readonly report: AppRun['report'] & Pick<RunReport, 'spill' | 'plugins' | 'numbers'>;
}

/** Sorts by name, removes duplicates and numbers by a plugin, in the limit; holds what was written against what was made. Throws `GateFailure`. */
export async function sortInLimit(channels: number, env: Readonly<Record<string, string>> = {}): Promise<SortedRun> {
  const list = await listFixture(channels);
  const dir = freshDir(`sorted-${channels}`);
  try {
    const run = await runApp({
      dir,
      lists: [list.path],
      settings: RULES,
      flags: ['--sort', 'name', '--plugins'],
      limitBytes: SORTED_LIMIT_BYTES,
      env,
      timeoutMs: 1_200_000,
    });
    const name = `${channels} channels sorted in ${mib(SORTED_LIMIT_BYTES)}`;
    demand(!run.oomKilled, `${name}: the kernel killed it after ${seconds(run.elapsedMs)}`);
    demand(run.exitCode === 0, `${name}: exit ${run.exitCode ?? run.signal}: ${run.stderr.slice(-500)}`);
    const report = run.report as SortedRun['report'] | undefined;
    demand(report !== undefined, `${name}: no report was written`);
    demandEqual(name, { ...report }, { channels: list.channels, duplicates: list.duplicates, skipped: list.bad });
    const numbering = report.plugins.find(({ stage }) => stage === 'numbering');
    demand(numbering !== undefined && numbering.failures === 0, `${name}: no plugin numbered the channels`);
    await checkPlaylist(run.playlistPath, list.channels, report.numbers.labels);
    return { ...run, report };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Reads the playlist line by line: all channels, by name, each number once. */
async function checkPlaylist(path: string, channels: number, labels: number): Promise<void> {
  const numbers = new Uint8Array(2 ** 27);
  let count = 0;
  let numbered = 0;
  let last = '';
  await using file = await open(path);
  for await (const line of file.readLines()) {
    if (!line.startsWith('#EXTINF:')) continue;
    count++;
    const name = nameKey(line.slice(line.lastIndexOf('",') + 2));
    demand(last <= name, `channel ${count} is out of order: ${JSON.stringify(line.slice(-80))}`);
    last = name;
    const number = Number(/ tvg-chno="(\d+)"/.exec(line)?.[1]);
    if (Number.isNaN(number)) continue;
    numbered++;
    const bit = 1 << (number & 7);
    demand((numbers[number >> 3]! & bit) === 0, `number ${number} is given twice`);
    numbers[number >> 3]! |= bit;
  }
  demandEqual('the playlist', { count, numbered: numbered + labels >= channels }, { count: channels, numbered: true });
}

/** What people go by, written down once more: without case and accents, numbers by their value. */
function nameKey(name: string): string {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .trimStart();
  return Buffer.from(plain.replace(/\d+/g, (digits) => digits.replace(/^0+(?=\d)/, '').padStart(20, '0'))).toString(
    'latin1',
  );
}

export const sortedFigures = ({ report, elapsedMs, anonymousPeakBytes, rssPeakBytes }: SortedRun): string =>
  `${report.channels} channels in ${seconds(elapsedMs)}, charged without page cache ${mib(anonymousPeakBytes)}, VmHWM ${mib(rssPeakBytes)}, ` +
  `at most ${mib(report.spill.peakDiskBytes)} of spill on the disk, ${report.spill.files} files`;

export const millionSortedGate: Gate = {
  name: 'million-sorted',
  promise: '1,000,000 channels, made distinct, sorted by name and numbered by a plugin, finish in 128 MiB',
  async run() {
    const whyNot = await whyNoLimits();
    if (whyNot !== undefined) throw new GateSkipped(whyNot);
    return `${sortedFigures(await sortInLimit(CHANNELS))}, oom_kill 0`;
  },
};
