/** What times, loading, calibration and tiers cost a cache, in fresh processes, one after the other in turn. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR, PROJECT_DIR } from '../measure.ts';
import { table, writeSection } from '../results-file.ts';

const ROUNDS = 3;
const SCRIPT = join(BENCH_DIR, 'subjects', 'cache-tiers.mjs');
const PIECES = process.env.PLIMSOLL_BENCH_JSON ?? join(PROJECT_DIR, '..', 'shared', 'data', 'json', 'twitter.json');

/** Each beside what it is compared with. */
const TIMES: readonly (readonly [name: string, beside: string])[] = [
  ['get, no times', 'get, no times'],
  ['get, time to live', 'get, no times'],
  ['get, time to be idle', 'get, no times'],
  ['getOrLoad, found', 'get, no times'],
  ['set again, no times', 'set again, no times'],
  ['set again, time to live', 'set again, no times'],
  ['set again, a time of its own', 'set again, no times'],
  ['set and evict, no times', 'set and evict, no times'],
  ['set and evict, time to live', 'set and evict, no times'],
  ['delete, no times', 'delete, no times'],
  ['expire by the wheel', 'delete, no times'],
  ['set, weighed', 'set, weighed'],
  ['set, weighed and calibrated', 'set, weighed'],
];
const BYTES = ['an entry, no times', 'an entry, time to live', 'an entry, time to be idle'] as const;
const MOVES = ['down to compressed', 'up from compressed', 'from compressed to disk', 'up from disk'] as const;

interface Run {
  readonly nsEach?: number;
  readonly bytesEach?: number;
  readonly ratio?: number;
  readonly bytes?: number;
}

export async function benchTiers(): Promise<void> {
  const names = [...TIMES.map(([name]) => name), ...BYTES, ...MOVES];
  const runs = new Map<string, Run[]>(names.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) for (const name of names) runs.get(name)!.push(runOnce(name));
  const ns = (name: string) => runs.get(name)!.map(({ nsEach }) => nsEach!);
  const spread = (values: readonly number[], show: (value: number) => string) =>
    `${show(Math.min(...values))}-${show(Math.max(...values))}`;
  const times = TIMES.map(([name, beside]) => [
    name,
    nanos(median(ns(name))),
    spread(ns(name), nanos),
    name === beside ? '' : `${(median(ns(name)) / median(ns(beside))).toFixed(2)}x`,
  ]);
  const bytesEach = (name: string) => median(runs.get(name)!.map(({ bytesEach }) => bytesEach!));
  const bytes = BYTES.map((name) => [
    name,
    bytesEach(name).toFixed(0),
    (bytesEach(name) - bytesEach(BYTES[0])).toFixed(0),
  ]);
  const moves = MOVES.map((name) => [name, nanos(median(ns(name))), spread(ns(name), nanos)]);
  const { ratio, bytes: size } = runs.get(MOVES[0])![0]!;
  writeSection({
    id: 'cache-tiers',
    title: 'What times, loading, calibration and tiers cost a cache',
    command: 'npm run bench -- cache tiers',
    body: `Medians of ${ROUNDS} fresh processes in turn, with least and most; of each process the fastest of five passes, in time of the processor. 100,000 entries, whole numbers as keys, \`lru\`, the clock of the machine. What expires does so within a minute, in 940 turns of the wheel.

${table(['', 'each', 'least-most', 'of the row it is compared with'], times)}

Bytes of an entry (heap and buffers after a collection), and how many more than without times.

${table(['', 'bytes', 'more'], bytes)}

Between tiers: 6,000 texts of ${size!.toFixed(0)} bytes (statuses of a social network as JSON), compressed to 1/${ratio!.toFixed(2)}, one after the other; a write and a read of the disk by the clock on the wall, with the wait for it.

${table(['', 'each', 'least-most'], moves)}`,
  });
}

function runOnce(name: string): Run {
  const args = ['--expose-gc', '--no-warnings', SCRIPT, name, PIECES];
  const text = execFileSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' },
  });
  return JSON.parse(text) as Run;
}

const nanos = (value: number): string =>
  value >= 1_000 ? `${(value / 1_000).toFixed(1)} µs` : `${value.toFixed(0)} ns`;
