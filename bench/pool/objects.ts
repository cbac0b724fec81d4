/** What it costs to lend an object, beside an array that does nothing of what a pool is for. */
import { table, writeSection } from '../results-file.ts';
import { runWays, times, us } from './run-ways.ts';

const ROUNDS = 7;
const COUNT = 2_000_000;
const ARRAY = 'array: pop and push';

/** `using` takes ten times as long as the rest. */
const WAYS: readonly (readonly [string, number])[] = [
  [ARRAY, COUNT],
  ['pool: lease and release', COUNT],
  ['pool: with reset and validate', COUNT],
  ['pool: try and finally', COUNT],
  ['pool: `using`', COUNT / 10],
  ['`using` of nothing', COUNT / 10],
];

export async function benchPooledObjects(): Promise<void> {
  const ways = WAYS.map(([name, count]) => [name, String(count)]);
  const costs = runWays('pool-objects.mjs', ways, ROUNDS);
  const array = costs.get(`${ARRAY} | ${COUNT}`)!;
  const rows = [...costs].map(([key, cost]) => [
    key.split(' | ')[0]!,
    us(cost.nsEach),
    `${us(cost.leastNs)}-${us(cost.mostNs)}`,
    us(cost.cpuNsEach),
    us(cost.gcNsEach),
    times(cost.nsEach / array.nsEach),
    times(cost.cpuNsEach / array.cpuNsEach),
  ]);
  writeSection({
    id: 'pool-objects',
    title: 'Lending an object',
    command: 'npm run bench -- pool objects',
    body: `Medians of ${ROUNDS} fresh processes in turn, with least and most: one object is taken, changed and given back. CPU is that of all threads, which says more than time where others use the
machine. A lease is an object of its own, by which a second release is known; that, two counters and the check of the bound are what the array does without. \`using\` of
an object whose \`Symbol.dispose\` does nothing is in the last row: V8 takes that long for the statement itself, and in the hottest of loops
\`try\` and \`finally\` do the same without.

${table(['', 'each', 'least-most', 'CPU', 'in the collector', 'of the array', 'by CPU'], rows)}`,
  });
}
