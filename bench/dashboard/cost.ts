/** What a dashboard takes, in fresh processes in turn: with nobody, one and thirty who watch. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { median, mib } from '../../test/gates/gate.ts';
import { BENCH_DIR } from '../measure.ts';
import { table, writeSection } from '../results-file.ts';

const ROUNDS = 5;
const WATCHERS = [0, 1, 30];
const SCRIPT = join(BENCH_DIR, 'subjects', 'dashboard-cost.mjs');

type Run = Readonly<Record<'observeRss' | 'ownRss' | 'heap' | 'point' | 'lookChars' | 'lookUs', number>>;

export async function benchDashboard(): Promise<void> {
  const runs = new Map<number, Run[]>(WATCHERS.map((watchers) => [watchers, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const watchers of WATCHERS) {
      const env = { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' };
      const text = execFileSync(process.execPath, ['--expose-gc', SCRIPT, String(watchers)], { encoding: 'utf8', env });
      runs.get(watchers)!.push(JSON.parse(text) as Run);
    }
  }
  const all = [...runs.values()].flat();
  const spread = (of: readonly Run[], field: keyof Run, show: (value: number) => string) => {
    const values = of.map((run) => run[field]);
    return [show(median(values)), `${show(Math.min(...values))}-${show(Math.max(...values))}`];
  };
  const whole = (value: number) => value.toFixed(0);
  writeSection({
    id: 'dashboard-cost',
    title: 'What a dashboard takes',
    command: 'npm run bench -- dashboard',
    body: `In a process with a server and a governor of 20 consumers; ${ROUNDS} fresh processes in turn of the built code, medians with least and most.

${table(
  ['', 'median', 'least-most'],
  [
    ['RSS by loading `plimsoll/observe`, on which it stands', ...spread(all, 'observeRss', mib)],
    ['RSS by the dashboard itself, listening', ...spread(all, 'ownRss', mib)],
    ['of V8’s heap, both', ...spread(all, 'heap', mib)],
    ['a point that is kept, bytes', ...spread(all, 'point', whole)],
    ['a look as JSON, characters', ...spread(all, 'lookChars', whole)],
  ],
)}

Processor time for a look, taking it, making JSON of it and writing it to all who watch (who read in the same process, which is in it too):

${table(
  ['watch', 'a look, µs', 'least-most'],
  WATCHERS.map((watchers) => [String(watchers), ...spread(runs.get(watchers)!, 'lookUs', whole)]),
)}`,
  });
}
