/** What guards and lazy resources cost beside doing it by hand: in fresh processes, one after the other in turn. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR } from '../measure.ts';
import { table, writeSection } from '../results-file.ts';

const ROUNDS = 5;
const COUNT = 400_000;
const SCRIPT = join(BENCH_DIR, 'subjects', 'guard-ops.mjs');
const SUBJECTS = [
  'bare pool: pop and push',
  'MemoryGuard: make and release',
  'async function: call and await',
  'AsyncResourceGuard: make and release',
  'promise kept: await',
  'LazyResource: await get',
  'LazyResource: acquire and dispose',
];

interface Run {
  readonly nsEach: number;
  readonly bytesEach?: number;
}

export async function benchGuards(): Promise<void> {
  const runs = new Map<string, Run[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of SUBJECTS) {
      const env = { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' };
      const text = execFileSync(process.execPath, ['--expose-gc', SCRIPT, name, String(COUNT)], {
        encoding: 'utf8',
        env,
      });
      runs.set(name, [...(runs.get(name) ?? []), JSON.parse(text) as Run]);
    }
  }
  const rows = [...runs].map(([name, each]) => {
    const ns = each.map((run) => run.nsEach);
    const bytes = each.flatMap((run) => (run.bytesEach === undefined ? [] : [run.bytesEach]));
    const spread = `${Math.min(...ns).toFixed(0)}-${Math.max(...ns).toFixed(0)} ns`;
    return [name, `${median(ns).toFixed(0)} ns`, spread, bytes.length === 0 ? '-' : median(bytes).toFixed(0)];
  });
  writeSection({
    id: 'lifetime-guards',
    title: 'What guards and lazy resources cost',
    command: 'npm run bench -- lifetime guards',
    body: `Medians of ${ROUNDS} fresh processes in turn, ${COUNT.toLocaleString('en')} operations in each. Bytes are the heap that one takes while it is kept, without what it guards.

${table(['', 'each', 'least-most', 'bytes'], rows)}`,
  });
}
