/** What a registered resource costs, in time and bytes, beside an object in a Map: in fresh processes, one after the other in turn. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR } from '../measure.ts';
import { table, writeSection } from '../results-file.ts';

const ROUNDS = 5;
const SCRIPT = join(BENCH_DIR, 'subjects', 'registry-ops.mjs');

/** How many are there in each. */
const SUBJECTS: Readonly<Record<string, number>> = {
  'a Map and an object': 100_000,
  'registry, by id': 100_000,
  'registry, handles kept': 100_000,
  'the same, tracker off': 100_000,
  'the same, tracker simple': 100_000,
  'the same, tracker paranoid': 10_000,
};

interface Run {
  readonly bytesEach: number;
  readonly mostBytesEach?: number;
  readonly churnNs: number;
  readonly touchNs: number;
}

export async function benchRegistry(): Promise<void> {
  const runs = new Map<string, Run[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, count] of Object.entries(SUBJECTS)) {
      const env = { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' };
      const text = execFileSync(process.execPath, ['--expose-gc', SCRIPT, name, String(count)], {
        encoding: 'utf8',
        env,
      });
      runs.set(name, [...(runs.get(name) ?? []), JSON.parse(text) as Run]);
    }
  }
  const rows = [...runs].map(([name, each]) => {
    const churn = each.map((run) => run.churnNs);
    const most = each.flatMap((run) => (run.mostBytesEach === undefined ? [] : [run.mostBytesEach]));
    return [
      name,
      median(each.map((run) => run.bytesEach)).toFixed(0),
      most.length === 0 ? '-' : median(most).toFixed(0),
      time(median(churn)),
      `${time(Math.min(...churn))}-${time(Math.max(...churn))}`,
      time(median(each.map((run) => run.touchNs))),
    ];
  });
  const head = ['', 'bytes', 'bytes, most', 'register and release', 'least-most', 'touch'];
  writeSection({
    id: 'lifetime-registry',
    title: 'What a registered resource costs',
    command: 'npm run bench -- lifetime registry',
    body: `Medians of ${ROUNDS} fresh processes in turn. Bytes are heap and array buffers after a collection, for each of 100,000 resources (10,000 with the tracker at \`paranoid\`) with a name, a kind, a
size, a priority, the time of its last use, a value and a disposer; names, value and disposer are there before and not counted. "Most" is right behind a step of the arrays' growth, at 106,710. The Map holds an object
with the same seven fields by number, has no order of use, no bounds and no queue. Where handles are kept, their array is not counted. Registering and releasing is done among
those 100,000, with a disposer that does not wait; a turn of the event loop after each 1,000 is in the figure.

${table(head, rows)}`,
  });
}

const time = (ns: number): string => (ns >= 1_000 ? `${(ns / 1_000).toFixed(1)} µs` : `${ns.toFixed(0)} ns`);
