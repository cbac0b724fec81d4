/** What a cleanup takes and brings by each strategy, part by part, in fresh processes in turn. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR } from '../measure.ts';
import { table, writeSection } from '../results-file.ts';

const ROUNDS = 5;
/** In one process: the first is on code that has not run yet. */
const TIMES = 6;
const LOADS = ['buffers', 'objects'] as const;
const STRATEGIES = ['basic', 'smart', 'aggressive'] as const;
const FIGURES = [
  'elapsedMs',
  'spentMs',
  'cleanMs',
  'collectMs',
  'trimMs',
  'freedBytes',
  'claimedBytes',
  'items',
] as const;

type Row = Readonly<Record<(typeof FIGURES)[number], number>>;

interface Run {
  readonly rows: readonly Row[];
  readonly bareMs: number;
  readonly askNs: number;
  readonly idleNs: number;
  readonly spared: number;
}

export async function benchCleanup(): Promise<void> {
  const runs = new Map<string, Run[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const load of LOADS) {
      for (const strategy of STRATEGIES)
        runs.set(`${load} ${strategy}`, [...(runs.get(`${load} ${strategy}`) ?? []), run(load, strategy)]);
    }
  }
  const all = [...runs.values()].flat();
  writeSection({
    id: 'pipeline-cleanup',
    title: 'Cleaning between stages',
    command: 'npm run bench -- cleanup',
    body: `A memo half of which is not in use, and as much again that was dropped and not collected yet: 64 MiB and 64 MiB in buffers of 16 KiB, or 50,000 and 50,000 small objects (each with
a text and an array). Medians of ${ROUNDS} fresh processes in turn, ${TIMES - 1} cleanups in each after a first one. Processor time is that of the main thread, with the memo's own code (a Map from which entries are deleted one by
one) and the trim; the columns behind \`the first\` are time that went by. \`basic\` gives up what is not in use, \`aggressive\` all of it, \`smart\` what has come since the last cleanup,
garbage first. Freed is what the machine saw (RSS without pages of files), claimed what the memo said.

${LOADS.map((load) => `${load === 'buffers' ? 'Buffers' : 'Objects'}:\n\n${strategyTable(load, runs)}`).join('\n\n')}

Aimed at, besides the collection: 1 ms for \`basic\`, 15 ms for \`aggressive\`. Measuring, books and train take ${median(all.map(({ bareMs }) => bareMs)).toFixed(2)} ms of processor time when one cleanup follows the other and finds nothing; by itself, 20 ms after other work, a cleanup runs on code and caches that are cold. Asking whether one is due: ${median(all.map(({ askNs }) => askNs)).toFixed(0)} ns. A stage that left nothing: ${(median(all.map(({ idleNs }) => idleNs)) / 1_000).toFixed(0)} µs.`,
  });
}

function run(load: string, strategy: string): Run {
  const script = join(BENCH_DIR, 'subjects', 'cleanup-strategies.mjs');
  const env = { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' };
  const args = ['--expose-gc', script, load, strategy, String(TIMES)];
  const result = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', env })) as Run;
  console.log(
    `  ${load} ${strategy}: ${result.rows.map(({ elapsedMs, collectMs }) => `${elapsedMs.toFixed(1)} (${collectMs.toFixed(1)})`).join(', ')} ms`,
  );
  return result;
}

function strategyTable(load: string, runs: ReadonlyMap<string, readonly Run[]>): string {
  const rows = STRATEGIES.map((strategy) => {
    const each = runs.get(`${load} ${strategy}`)!;
    const warm = each.flatMap(({ rows: [, ...later] }) => later);
    const of = (name: keyof Row): number => median(warm.map((row) => row[name]));
    const spent = warm.map(({ spentMs }) => spentMs);
    return [
      `\`${strategy}\``,
      ms(median(spent)),
      `${Math.min(...spent).toFixed(2)}-${ms(Math.max(...spent))}`,
      ms(median(each.map(({ rows: [row] }) => row!.spentMs))),
      ms(of('cleanMs')),
      ms(of('trimMs')),
      ms(of('collectMs')),
      ms(of('elapsedMs')),
      mb(of('freedBytes')),
      mb(of('claimedBytes')),
      of('items').toFixed(0),
    ];
  });
  const spent = ['processor time besides the collection', 'least-most', 'the first'];
  return table(['', ...spent, 'memo', 'trim', 'collection', 'in all', 'freed', 'claimed', 'items'], rows);
}

const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
