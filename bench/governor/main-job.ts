/** What the governor costs the main job: calls times measured time, and the whole job with and without it in turn. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SeededRandom } from '../../apps/playlist/src/sample/seeded-random.ts';
import { freshDir, guideFixture, listFixture } from '../../apps/playlist/test/gates/fixtures.ts';
import { type AppRun, runApp } from '../../apps/playlist/test/gates/run-app.ts';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR } from '../measure.ts';
import { ms, table, writeSection } from '../results-file.ts';
import { measureOperations, type OperationCost } from './operations.ts';

const CHANNELS = 100_000;
const GUIDE_BYTES = 100_000_000;
const FLAGS = ['--memory-limit', '192MiB'];
const PAIRS = 20;
const RESAMPLES = 10_000;
const COST_ROUNDS = 3;

interface Counts {
  readonly calls: Readonly<Record<string, number>>;
  readonly samples: { readonly count: number; readonly spentMs: number };
  readonly collections: { readonly count: number; readonly spentMs: number };
}

type Job = (env: Record<string, string>) => Promise<AppRun>;

export async function benchMainJob(): Promise<void> {
  const dir = freshDir('bench-governor');
  try {
    const list = await listFixture(CHANNELS);
    const guide = await guideFixture(GUIDE_BYTES, CHANNELS);
    const job: Job = async (env) => {
      const run = await runApp({ dir, lists: [list.path], guides: [guide.path], flags: FLAGS, env });
      if (run.exitCode !== 0 || run.report === undefined) throw new Error(`exit ${run.exitCode}: ${run.stderr}`);
      return run;
    };
    const share = await shareOfJob(job, dir);
    const walls = await inTurn(job);
    write(share, walls);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The counts of one real run times what each call costs. */
async function shareOfJob(job: Job, dir: string) {
  const path = join(dir, 'counts.json');
  const preload = join(BENCH_DIR, 'subjects', 'count-calls.mjs');
  await job({ NODE_OPTIONS: `--import=${preload}`, PLIMSOLL_BENCH_COUNTS: path });
  const counts = JSON.parse(readFileSync(path, 'utf8')) as Counts;
  const plain = await job({});
  const costs = measureOperations(COST_ROUNDS);
  const ns = (name: string): OperationCost['nsEach'] => costs.get(name)!.nsEach;
  const sum = (...names: readonly string[]) => names.reduce((total, name) => total + (counts.calls[name] ?? 0), 0);
  const rows: [string, number, number][] = [
    // What stands on another verb is counted twice: the sum is an upper bound.
    ['reservations', sum('reserve', 'tryReserve', 'admit'), ns('tryReserve and dispose')],
    ['changes of size', sum('grow', 'tryGrow', 'shrink', 'resize', 'transfer'), ns('tryGrow and shrink')],
    ['samples', counts.samples.count, ns('one sample')],
    ['snapshots', sum('snapshot'), ns('snapshot, 20 consumers')],
  ];
  return { rows, wallMs: plain.report!.elapsedMs, collections: counts.collections, sampleMs: counts.samples.spentMs };
}

/** The job with the governor off, on and off again: the last against the first shows what of a difference is noise. */
async function inTurn(job: Job): Promise<Record<'off' | 'on' | 'again', number[]>> {
  const walls = { off: [] as number[], on: [] as number[], again: [] as number[] };
  for (let i = 0; i < PAIRS; i++) {
    for (const arm of ['off', 'on', 'again'] as const) {
      walls[arm].push((await job({ PLIMSOLL: arm === 'on' ? 'on' : 'off' })).elapsedMs);
    }
    console.log(
      `  pair ${i + 1} of ${PAIRS}: off ${ms(walls.off[i]!)}, on ${ms(walls.on[i]!)}, off ${ms(walls.again[i]!)}`,
    );
  }
  return walls;
}

export interface RatioInterval {
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
}

/** The median of the ratios of pairs, and the 95% interval of it by the percentile bootstrap (Efron) over pairs. */
export function ratioInterval(over: readonly number[], under: readonly number[], seed = 1): RatioInterval {
  const ratios = over.map((value, i) => value / under[i]!);
  const random = new SeededRandom().restart(seed, 0);
  const medians: number[] = [];
  for (let i = 0; i < RESAMPLES; i++) {
    medians.push(median(ratios.map(() => random.pick(ratios))));
  }
  medians.sort((a, b) => a - b);
  return {
    ratio: median(ratios),
    low: medians[Math.floor(RESAMPLES * 0.025)]!,
    high: medians[Math.floor(RESAMPLES * 0.975)]!,
  };
}

function write(share: Awaited<ReturnType<typeof shareOfJob>>, walls: Awaited<ReturnType<typeof inTurn>>): void {
  const totalMs = share.rows.reduce((total, [, count, ns]) => total + (count * ns) / 1e6, 0);
  const rows = share.rows.map(([name, count, ns]) => [
    name,
    count.toLocaleString('en'),
    `${ns.toFixed(0)} ns`,
    `${((count * ns) / 1e6).toFixed(2)} ms`,
  ]);
  const on = ratioInterval(walls.on, walls.off);
  const control = ratioInterval(walls.again, walls.off);
  writeSection({
    id: 'governor-main-job',
    title: "The governor's part of the main job",
    command: 'npm run bench -- governor main-job',
    body: `${CHANNELS.toLocaleString('en')} channels and a guide of ${GUIDE_BYTES / 1e6} MB, \`--memory-limit 192MiB\`, as built. What a run calls, counted in a real one, times what each costs
(a reservation with its end; the governor's own sampling included):

${table(['', 'calls', 'each', 'together'], rows)}

${totalMs.toFixed(2)} ms of ${ms(share.wallMs)}: ${((totalMs / share.wallMs) * 100).toFixed(3)}% (aim: at most 1%). The samples of that run took
${share.sampleMs.toFixed(1)} ms by its own clock, ${share.collections.count} collections ${share.collections.spentMs.toFixed(1)} ms.

The whole job, from the start of the process to its end, ${PAIRS} times in turn (median of the ratios of neighbours, 95% interval by bootstrap):

${table(
  ['', 'median', 'ratio', '95% interval'],
  [
    ['`PLIMSOLL=off`', ms(median(walls.off)), '', ''],
    ['`PLIMSOLL=on`', ms(median(walls.on)), on.ratio.toFixed(3), `${on.low.toFixed(3)}-${on.high.toFixed(3)}`],
    [
      'off once more',
      ms(median(walls.again)),
      control.ratio.toFixed(3),
      `${control.low.toFixed(3)}-${control.high.toFixed(3)}`,
    ],
  ],
)}

Aim: an upper bound of at most 1.05. The last row is the same program as the first: what it differs by is the machine.`,
  });
}
