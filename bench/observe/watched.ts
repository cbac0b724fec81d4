/** What it costs to be looked at: the main job and the service of docs/adoption.md with a feed and without, in turn, how many looks there were, and what samples took. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freshDir, guideFixture, listFixture } from '../../apps/playlist/test/gates/fixtures.ts';
import { runApp } from '../../apps/playlist/test/gates/run-app.ts';
import { FeedReader, isObservation, type Observation } from '../../src/observe/index.ts';
import { median } from '../../test/gates/gate.ts';
import { installShelf } from '../../test/gates/shelf.ts';
import { BARE, type Contender, MOST_CONNECTIONS } from '../../test/shelf/service/contenders.ts';
import { runService, startDatabase } from '../../test/shelf/service/run-service.ts';
import { type RatioInterval, ratioInterval } from '../governor/main-job.ts';
import { PROJECT_DIR } from '../measure.ts';
import { ms, table, writeSection } from '../results-file.ts';

const CHANNELS = 100_000;
const GUIDE_BYTES = 100_000_000;
const JOB_ROUNDS = Number(process.env.WATCHED_ROUNDS ?? 10);
const SERVICE_ROUNDS = Number(process.env.WATCHED_SERVICE_ROUNDS ?? 5);
const RATE = 1_000;
const PHASES = [
  { seconds: 3, rate: RATE },
  { seconds: 10, rate: RATE },
] as const;
const ARMS = ['as it is', 'watched', 'as it is, once more'] as const;

interface Cost {
  readonly wallMs: number;
  /** What the last look of its feed says, and how many there were. */
  readonly looks?: { readonly count: number; readonly samplesMs: number };
}

export async function benchWatched(): Promise<void> {
  const job = await jobRounds();
  const service = await serviceRounds();
  write(job, service);
}

const auto = `--import=${join(PROJECT_DIR, 'dist', 'auto.js')}`;

async function jobRounds(): Promise<Cost[][]> {
  const dir = freshDir('bench-watched');
  try {
    const list = await listFixture(CHANNELS);
    const guide = await guideFixture(GUIDE_BYTES, CHANNELS);
    const runs: Cost[][] = ARMS.map(() => []);
    for (let round = 0; round < JOB_ROUNDS; round++) {
      for (const [i, arm] of ARMS.entries()) {
        const feed = mkdtempSync(join(tmpdir(), 'plimsoll-bench-'));
        const env = arm === 'watched' ? { NODE_OPTIONS: auto, PLIMSOLL_FEED: feed } : {};
        const run = await runApp({
          dir,
          lists: [list.path],
          guides: [guide.path],
          flags: ['--memory-limit', '192MiB'],
          env,
        });
        if (run.exitCode !== 0) throw new Error(`exit ${run.exitCode}: ${run.stderr}`);
        runs[i]!.push({ wallMs: run.elapsedMs, ...looksIn(feed) });
        rmSync(feed, { recursive: true });
      }
      console.log(`  round ${round + 1} of ${JOB_ROUNDS}: ${runs.map((of) => ms(of[round]!.wallMs)).join(', ')}`);
    }
    return runs;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Of the process that looked longest. */
function looksIn(feed: string): Pick<Cost, 'looks'> {
  const looks = readdirSync(feed)
    .filter((name) => name.endsWith('.feed'))
    .map((name) => {
      using reader = new FeedReader(join(feed, name));
      return reader.read().filter((line): line is Observation => isObservation(line));
    })
    .sort((a, b) => b.length - a.length)[0];
  const last = looks?.at(-1);
  if (last === undefined) return {};
  return { looks: { count: last.number, samplesMs: last.snapshot.samples.spentMs } };
}

interface ServiceCost {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUs: number;
}

async function serviceRounds(): Promise<ServiceCost[][]> {
  await installShelf(console.log);
  await using database = await startDatabase(4_000);
  const feed = mkdtempSync(join(tmpdir(), 'plimsoll-bench-'));
  const WATCHED: Contender = {
    ...BARE,
    name: 'watched',
    nodeArgs: ['--import', 'plimsoll/auto'],
    env: { PLIMSOLL: 'observe', PLIMSOLL_FEED: feed },
  };
  const runs: ServiceCost[][] = ARMS.map(() => []);
  try {
    for (let round = 0; round < SERVICE_ROUNDS; round++) {
      for (const [i, arm] of [BARE, WATCHED, BARE].entries()) {
        const limits = { limitBytes: 256 * 2 ** 20, connections: MOST_CONNECTIONS };
        const ran = await runService({ ...arm, ...limits, database, seed: round + 1, phases: [...PHASES] });
        const measured = ran.phases[1];
        if (ran.died || measured === undefined)
          throw new Error(`${arm.name} did not live: ${ran.run.stderr.slice(-500)}`);
        runs[i]!.push({ p50Ms: measured.p50Ms, p99Ms: measured.p99Ms, cpuUs: (ran.cpuMs * 1_000) / ran.served });
      }
      console.log(
        `  round ${round + 1} of ${SERVICE_ROUNDS}: ${runs.map((of) => `${of[round]!.cpuUs.toFixed(0)} µs`).join(', ')}`,
      );
    }
    return runs;
  } finally {
    rmSync(feed, { recursive: true, force: true });
  }
}

const against = (runs: readonly (readonly number[])[]): string[] =>
  runs.map((of, i) => (i === 0 ? '' : interval(ratioInterval([...of], [...runs[0]!]))));
const interval = ({ ratio, low, high }: RatioInterval): string =>
  `${ratio.toFixed(3)} (${low.toFixed(3)}-${high.toFixed(3)})`;

function write(job: readonly Cost[][], service: readonly ServiceCost[][]): void {
  const walls = job.map((of) => of.map(({ wallMs }) => wallMs));
  const jobRatios = against(walls);
  const looks = job[1]!.flatMap(({ looks }) => looks ?? []);
  const count = median(looks.map((look) => look.count));
  const samplesMs = median(looks.map((look) => look.samplesMs));
  const figures = (['p50Ms', 'p99Ms', 'cpuUs'] as const).map((key) => {
    const values = service.map((of) => of.map((cost) => cost[key]));
    return { values, ratios: against(values) };
  });
  writeSection({
    id: 'observe-watched',
    title: 'What it costs to be watched',
    command: 'npm run bench -- observe watched',
    body: `With \`plimsoll/auto\` and a feed (\`PLIMSOLL_FEED\`), as \`plimsoll run\` starts a program, against the program alone, in fresh processes in turn; medians, and the median of the ratios (aim: 1.02)
to the first of the same round with its 95% interval by bootstrap. The last row is the same program as the first: what it differs by is the machine.

The main job, ${CHANNELS.toLocaleString('en')} channels and a guide of ${GUIDE_BYTES / 1e6} MB, ${JOB_ROUNDS} rounds, from the start of the process to its end:

${table(
  ['', 'median', 'ratio'],
  ARMS.map((name, i) => [name, ms(median(walls[i]!)), jobRatios[i]!]),
)}

Counted: ${count.toFixed(0)} looks, and samples of ${samplesMs.toFixed(1)} ms in all (${((samplesMs / median(walls[0]!)) * 100).toFixed(1)}% of the run), which the governor of the job takes anyway. What a look takes is in \`npm run bench -- observe cost\`.
Not counted: the entry being loaded, once more where the program starts itself anew.

The service, ${RATE.toLocaleString('en')} requests a second for ${PHASES[1].seconds} s after ${PHASES[0].seconds} s of warming up, ${SERVICE_ROUNDS} rounds:

${table(
  ['', 'p50', 'p99', 'processor time a request'],
  ARMS.map((name, i) => [
    name,
    ...figures.map(({ values, ratios }, column) => {
      const unit = column === 2 ? `${median(values[i]!).toFixed(0)} µs` : `${median(values[i]!).toFixed(2)} ms`;
      return i === 0 ? unit : `${unit}, ${ratios[i]}`;
    }),
  ]),
)}`,
  });
}
