/** What it costs to lend a connection, alone and in a crowd, beside other pools. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR, installRivals } from '../measure.ts';
import { table, writeSection } from '../results-file.ts';
import { times, us } from './run-ways.ts';

const ROUNDS = 5;
const SUBJECT = join(BENCH_DIR, 'subjects', 'pool-connections.mjs');
const OURS = 'plimsoll';
const RIVALS = ['generic-pool', 'tarn', 'lightning-pool'];
const ALONE = [
  'nothing: a promise',
  OURS,
  'plimsoll: tryAcquire',
  'plimsoll: with a signal',
  'plimsoll: use',
  'plimsoll: use, deadlocks not looked for',
  'plimsoll: with a stack of each borrower',
  ...RIVALS,
];
const CROWD = [OURS, ...RIVALS];
const ALONE_COUNT = 300_000;
const CROWD_COUNT = 150_000;
const POOLED = 10_000;

interface Run {
  readonly nsEach: number;
  readonly p999Ms: number;
  readonly bytesEach: number;
}

export async function benchConnections(): Promise<void> {
  installRivals();
  const alone = measureWay('alone', ALONE, ALONE_COUNT);
  const crowd = measureWay('crowd', CROWD, CROWD_COUNT);
  const pooled = measureWay('bytes', CROWD, POOLED);
  const bytes = [...pooled].map(([name, runs]) => [name, median(runs.map((run) => run.bytesEach)).toFixed(0)]);
  writeSection({
    id: 'pool-connections',
    title: 'Lending a connection',
    command: 'npm run bench -- pool connections',
    body: `Medians of ${ROUNDS} fresh processes in turn, with least and most. Connections that cost nothing, so that what is left is the pool: 25 of them, each wait bounded to 30 s,
nothing validated. p99.9 is of a run of its own, from asking to having.

One user, warm: borrow, give back, again.

${rows(alone)}

1,000 users on the 25, each of whom wants one again as soon as he has given one back: nearly all of them wait all the time, and who waits for 975 others waits
for as long as those take.

${rows(crowd)}

Heap that a pool keeps for a connection that lies idle in it, the connection itself left out, ${POOLED} of them:

${table(['', 'bytes'], bytes)}`,
  });
}

function measureWay(way: string, names: readonly string[], count: number): Map<string, Run[]> {
  const runs = new Map<string, Run[]>(names.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of names) {
      const env = { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' };
      const args = ['--expose-gc', SUBJECT, way, name, String(count)];
      runs.get(name)!.push(JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', env })) as Run);
    }
    console.log(`  ${way}: round ${round + 1} of ${ROUNDS}`);
  }
  return runs;
}

function rows(runs: ReadonlyMap<string, readonly Run[]>): string {
  const nsOf = (name: string): number => median(runs.get(name)!.map((run) => run.nsEach));
  const own = nsOf(OURS);
  const cells = [...runs].map(([name, each]) => {
    const ns = each.map((run) => run.nsEach);
    return [
      name,
      us(nsOf(name)),
      `${us(Math.min(...ns))}-${us(Math.max(...ns))}`,
      `${Math.round(1e9 / nsOf(name) / 1_000)}k`,
      p999(median(each.map((run) => run.p999Ms))),
      times(nsOf(name) / own),
    ];
  });
  return table(['', 'each', 'least-most', 'a second', 'p99.9', 'of ours'], cells);
}

/** What does not wait was not timed. */
const p999 = (ms: number): string => (ms === 0 ? '-' : `${ms.toFixed(3)} ms`);
