import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { whyNoLimits } from '../../../../test/cgroup/memory-group.ts';
import { runInLimit } from '../../../../test/cgroup/run-in-limit.ts';
import { demand, demandEqual, type Gate, GateSkipped, mib, seconds } from '../../../../test/gates/gate.ts';
import { freshDir, type GuideShape, guideFixture, listFixture, PROJECT_DIR } from './fixtures.ts';
import { type AppRun, countInFile, runApp } from './run-app.ts';

const MIB = 1 << 20;

export interface SurvivalCase {
  readonly channels: number;
  readonly guideBytes: number;
  readonly limitBytes: number;
  readonly guide?: GuideShape;
}

export const SMALL_CASE: SurvivalCase = { channels: 100_000, guideBytes: 100_000_000, limitBytes: 96 * MIB };
export const BIG_CASE: SurvivalCase = { channels: 1_000_000, guideBytes: 1_000_000_000, limitBytes: 192 * MIB };
/** The same, packed, and one programme in seven twice: duplicates have to be found exactly, in two passes. */
export const HARD_CASE: SurvivalCase = { ...BIG_CASE, guide: { ending: 'xml.gz', repeatEvery: 7 } };

/** Runs the job in the limit and holds what it wrote against what was made. Throws `GateFailure`. */
export async function surviveInLimit(size: SurvivalCase): Promise<AppRun> {
  const list = await listFixture(size.channels);
  const guide = await guideFixture(size.guideBytes, size.channels, size.guide);
  const dir = freshDir(`survival-${size.channels}`);
  try {
    const run = await runApp({ dir, lists: [list.path], guides: [guide.path], limitBytes: size.limitBytes });
    const name = `${size.channels} channels in ${mib(size.limitBytes)}`;
    demand(!run.oomKilled, `${name}: the kernel killed it after ${seconds(run.elapsedMs)}`);
    demand(run.exitCode === 0, `${name}: exit ${run.exitCode ?? run.signal}: ${run.stderr.slice(-500)}`);
    demand(run.report !== undefined, `${name}: no report was written`);
    const programmes = guide.programmesById + guide.programmesByName;
    demandEqual(
      `${name}, report`,
      { ...run.report },
      {
        channels: list.channels,
        duplicates: list.duplicates,
        skipped: list.bad,
        programmes,
      },
    );
    const [entries] = await countInFile(run.playlistPath, '#EXTINF:');
    const [written, ends] = await countInFile(run.guidePath, '</programme>', '</tv>');
    demandEqual(
      `${name}, files`,
      { entries, programmes: written, ends },
      { entries: list.channels, programmes, ends: 1 },
    );
    return run;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Runs the two whole-file scripts in the same limit: both must be killed by the kernel, or the limit proves nothing. */
export async function naiveIsKilled(size: SurvivalCase): Promise<void> {
  const list = await listFixture(size.channels);
  const guide = await guideFixture(size.guideBytes, size.channels, size.guide);
  const dir = freshDir(`naive-${size.channels}`);
  const scripts = join(PROJECT_DIR, 'bench', 'naive');
  try {
    for (const args of [
      [join(scripts, 'naive-playlist.mjs'), list.path, join(dir, 'out.m3u8')],
      [join(scripts, 'naive-guide.mjs'), list.path, guide.path, join(dir, 'out.xmltv')],
    ]) {
      const run = await runInLimit({
        command: process.execPath,
        args,
        limitBytes: size.limitBytes,
        env: { NODE_OPTIONS: undefined },
        timeoutMs: 120_000,
      });
      demand(
        run.oomKilled,
        `the whole-file script survived in ${mib(size.limitBytes)}: exit ${run.exitCode}, ${run.stderr.slice(-200)}`,
      );
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

export const survivalGate: Gate = {
  name: 'survival',
  promise:
    '1,000,000 channels and a 1 GB guide finish in 192 MiB, 100,000 and 100 MB in 96 MiB; whole-file scripts are killed there',
  async run(say) {
    const whyNot = await whyNoLimits();
    if (whyNot !== undefined) throw new GateSkipped(whyNot);
    const figures: string[] = [];
    for (const size of [SMALL_CASE, BIG_CASE, HARD_CASE]) {
      const { ending = 'xml', repeatEvery } = size.guide ?? {};
      const guide = `${size.guideBytes / 1e6} MB of guide (.${ending}${repeatEvery ? ', with repeats' : ''})`;
      say(`${size.channels} channels and ${guide} in ${mib(size.limitBytes)}`);
      const run = await surviveInLimit(size);
      // Nobody told it.
      demandEqual('the limit that was found', { limitBytes: run.report?.limitBytes }, { limitBytes: size.limitBytes });
      // The scripts cannot read packed guides at all.
      if (size !== HARD_CASE) await naiveIsKilled(size);
      figures.push(
        `${size.channels} channels, .${ending} in ${mib(size.limitBytes)}: ${seconds(run.elapsedMs)}, VmHWM ${mib(run.rssPeakBytes)}, ` +
          `charged without page cache ${mib(run.anonymousPeakBytes)}, oom_kill 0${size === HARD_CASE ? '' : '; whole-file scripts: oom_kill'}`,
      );
    }
    return figures.join(' | ');
  },
};
