/** What a checkpoint of the leak finder costs, by what the heap is made of: fresh processes in turn. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { median, mib } from '../../test/gates/gate.ts';
import { BENCH_DIR } from '../measure.ts';
import { table, writeSection } from '../results-file.ts';

const ROUNDS = 3;
const SCRIPT = join(BENCH_DIR, 'subjects', 'leak-checkpoint.mjs');
const HEAPS: Readonly<Record<string, number>> = {
  'an idle program': 1,
  'small objects': 60_000,
  texts: 150_000,
  'parsed JSON': 40_000,
  'large arrays': 60,
};

interface Run {
  readonly heapBytes: number;
  readonly objects: number;
  readonly firstMs: number;
  readonly laterMs: number;
  readonly peakTimesHeap: number;
  readonly keptHeapBytes: number;
  readonly keptRssBytes: number;
}

export async function benchLeakFinder(): Promise<void> {
  const runs = new Map<string, Run[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, count] of Object.entries(HEAPS)) {
      const args = ['--expose-gc', SCRIPT, name, String(count)];
      const env = { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' };
      const run = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', env })) as Run;
      runs.set(name, [...(runs.get(name) ?? []), run]);
    }
  }
  const rows = [...runs].map(([name, of]) => {
    const mid = (pick: (run: Run) => number) => median(of.map(pick));
    return [
      name,
      mib(mid((run) => run.heapBytes)),
      mid((run) => run.objects).toFixed(0),
      mid((run) => run.firstMs).toFixed(0),
      mid((run) => run.laterMs).toFixed(0),
      mid((run) => (run.laterMs * 1_000) / run.objects).toFixed(1),
      mid((run) => run.peakTimesHeap).toFixed(1),
      mib(mid((run) => run.keptHeapBytes)),
      mib(mid((run) => run.keptRssBytes)),
    ];
  });
  writeSection({
    id: 'observe-leak-finder',
    title: 'What a checkpoint of the leak finder costs',
    command: 'npm run bench -- observe leaks',
    body: `Medians of ${ROUNDS} fresh processes in turn, three checkpoints each. The program stands while it lasts. The peak is how far the process went above what it had in RAM, by its heap: V8's snapshot and the
finder's own tables. What stays is after a collection, in the heap and in RAM: most of the latter is free and kept by the C library's allocator, as it is without a trim.

${table(['the heap is', 'used', 'objects', 'first, ms', 'later, ms', 'µs an object', 'peak, times the heap', 'stays in the heap', 'stays in RAM'], rows)}`,
  });
}
