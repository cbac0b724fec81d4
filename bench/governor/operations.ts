/** What each call of the governor costs, in fresh processes, one after the other in turn, beside a bare counter. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR, measure } from '../measure.ts';
import { mb, table, writeSection } from '../results-file.ts';

const ROUNDS = 7;
const IMPORT_ROUNDS = 15;
const SCRIPT = join(BENCH_DIR, 'subjects', 'governor-ops.mjs');

/** How often each is done in one process: tens to hundreds of milliseconds. */
export const OPERATIONS: Readonly<Record<string, number>> = {
  'bare counter: take and give': 20_000_000,
  'tryReserve and dispose': 2_000_000,
  'tryGrow and shrink': 4_000_000,
  shouldShed: 20_000_000,
  'one sample': 5_000,
  'snapshot, 20 consumers': 20_000,
};

export interface OperationCost {
  readonly nsEach: number;
  readonly leastNs: number;
  readonly mostNs: number;
  readonly bytesEach: number;
}

export function measureOperations(rounds = ROUNDS): Map<string, OperationCost> {
  const runs = new Map<string, { nsEach: number; bytesEach: number }[]>();
  for (let round = 0; round < rounds; round++) {
    for (const [name, count] of Object.entries(OPERATIONS)) {
      // A young generation in which nothing of what is measured is collected.
      const args = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=64', SCRIPT, name, String(count)];
      const env = { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' };
      const text = execFileSync(process.execPath, args, { encoding: 'utf8', env });
      const run = JSON.parse(text) as { nsEach: number; bytesEach: number };
      runs.set(name, [...(runs.get(name) ?? []), run]);
    }
  }
  return new Map([...runs].map(([name, each]) => [name, cost(each)]));
}

function cost(runs: readonly { nsEach: number; bytesEach: number }[]): OperationCost {
  const ns = runs.map((run) => run.nsEach);
  return {
    nsEach: median(ns),
    leastNs: Math.min(...ns),
    mostNs: Math.max(...ns),
    bytesEach: median(runs.map((run) => run.bytesEach)),
  };
}

export async function benchOperations(): Promise<void> {
  const costs = measureOperations();
  const bare = costs.get('bare counter: take and give')!;
  const rows = [...costs].map(([name, { nsEach, leastNs, mostNs, bytesEach }]) => [
    name,
    ns(nsEach),
    `${ns(leastNs)}-${ns(mostNs)}`,
    bytesEach < 1 ? '0' : bytesEach.toFixed(0),
    `${(nsEach / bare.nsEach).toFixed(1)}x`,
  ]);
  const imports = await measure(
    [
      { name: 'an empty module', args: [join(BENCH_DIR, 'subjects', 'governor-import.mjs'), './empty.mjs'] },
      { name: "import 'plimsoll'", args: [join(BENCH_DIR, 'subjects', 'governor-import.mjs'), 'plimsoll'] },
      { name: "import 'plimsoll/auto'", args: [join(BENCH_DIR, 'subjects', 'governor-import.mjs'), 'plimsoll/auto'] },
    ],
    IMPORT_ROUNDS,
  );
  const importRows = imports.map((figure) => [
    figure.name,
    `${figure.elapsedMs.toFixed(1)} ms`,
    `${figure.elapsedMinMs.toFixed(1)}-${figure.elapsedMaxMs.toFixed(1)}`,
    mb(figure.rssPeakBytes),
    `${((figure.rssPeakBytes - imports[0]!.rssPeakBytes) / 1e6).toFixed(1)} MB`,
  ]);
  writeSection({
    id: 'governor-operations',
    title: 'What the governor costs, call by call',
    command: 'npm run bench -- governor operations',
    body: `Medians of ${ROUNDS} fresh processes in turn, with least and most. A reservation is of 1 KiB two steps below the whole; every 8 MiB that are reserved one
sample is taken inside, which is in the figure. The bare counter is a class with two fields and the same checks of its argument. Bytes are
what a call leaves for the collector.

${table(['', 'each', 'least-most', 'bytes', 'of the bare counter'], rows)}

Medians of ${IMPORT_ROUNDS} fresh processes in turn; peak RSS (VmHWM) is seen from outside.

${table(['', 'time', 'least-most', 'peak RSS', 'more'], importRows)}`,
  });
}

const ns = (value: number): string => (value >= 1_000 ? `${(value / 1_000).toFixed(1)} µs` : `${value.toFixed(1)} ns`);
