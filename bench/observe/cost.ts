/** What observing costs: each thing that is done often, in fresh processes in turn, and what is kept of it. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR } from '../measure.ts';
import { table, writeSection } from '../results-file.ts';

const ROUNDS = 5;
const SCRIPT = join(BENCH_DIR, 'subjects', 'observe-ops.mjs');

/** How often each is done in one process: tens to hundreds of milliseconds. */
const OPERATIONS: Readonly<Record<string, number>> = {
  'record, without a sink': 1_000_000,
  'record, with a message of 100 characters': 300_000,
  'record, left out by sampling': 3_000_000,
  'record, and handed to a sink': 500_000,
  'an event on a channel that nobody hears': 30_000_000,
  'an event on a channel, heard by a monitor': 500_000,
  'an event on a channel, counted by alerts': 500_000,
  'evaluate, eight rules': 100_000,
  'take, of a watch of collections': 20_000,
  'a look of a feed, 20 consumers': 2_000,
  'a sample of a profiler': 5_000,
  'a checkpoint': 5_000,
  'a checkpoint, with a governor of 20 consumers': 2_000,
};

/** What is looked at for what stays alone, and how many collections there are. */
const KEPT: Readonly<Record<string, number>> = {
  'a monitor of 1,000 events': 0,
  'a monitor of 1,000 events, five texts of 200 characters in each': 0,
  'a collection that a watch has not yet given': 5_000,
};

interface Run {
  readonly nsEach: number;
  readonly allocatedBytes: number;
  readonly keptBytes: number;
}

function runAll(): Map<string, Run[]> {
  const runs = new Map<string, Run[]>();
  const everything = { ...OPERATIONS, ...KEPT };
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, count] of Object.entries(everything)) {
      // A young generation in which nothing of what is measured is collected.
      const young = ['--min-semi-space-size=64', '--max-semi-space-size=64'];
      const args = ['--expose-gc', ...young, '--conditions=source', SCRIPT, name, String(count)];
      const env = { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' };
      const run = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', env })) as Run;
      runs.set(name, [...(runs.get(name) ?? []), run]);
    }
  }
  return runs;
}

export async function benchObserving(): Promise<void> {
  const runs = runAll();
  const rows = Object.keys(OPERATIONS).map((name) => {
    const of = runs.get(name)!;
    const ns = of.map((run) => run.nsEach);
    return [name, us(median(ns)), `${us(Math.min(...ns))}-${us(Math.max(...ns))}`, bytes(of, 'allocatedBytes')];
  });
  const kept = [...Object.keys(KEPT), ...Object.keys(OPERATIONS).filter((name) => name.startsWith('a checkpoint'))];
  writeSection({
    id: 'observe-cost',
    title: 'What observing costs',
    command: 'npm run bench -- observe cost',
    body: `Medians of ${ROUNDS} fresh processes in turn, with least and most. An event is a stage with three figures, made for the call, which is in its time and bytes; where it is handed to a
sink, 500 go at a time. Bytes are what a call allocates in the heap, what it keeps included. A sample and a take stand for those between which nothing was collected.

${table(['', 'each, µs', 'least-most', 'bytes'], rows)}

What stays. Of a monitor and a checkpoint in the heap, after a collection; of a collection outside it, by the RSS with a watch and without.

${table(
  ['', 'bytes'],
  kept.map((name) => [name, bytes(runs.get(name)!, 'keptBytes')]),
)}`,
  });
}

function bytes(runs: readonly Run[], of: 'allocatedBytes' | 'keptBytes'): string {
  return median(runs.map((run) => run[of])).toFixed(0);
}

function us(ns: number): string {
  return ns >= 100_000 ? (ns / 1_000).toFixed(0) : (ns / 1_000).toPrecision(2);
}
