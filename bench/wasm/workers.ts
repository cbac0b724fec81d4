/** What a plugin costs besides its work, in a thread and in a process, in fresh processes, one after the other in turn. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { median } from '../../test/gates/gate.ts';
import { BENCH_DIR } from '../measure.ts';
import { table, writeSection } from '../results-file.ts';

const ROUNDS = 5;
const SCRIPT = join(BENCH_DIR, 'subjects', 'wasm-host.mjs');
const ISOLATIONS = ['worker', 'process'] as const;

interface Run {
  readonly coldMs: number;
  readonly warmMs: number;
  readonly endMs: number;
  readonly bytes: number;
  /** A call with next to nothing, with 64 KiB, with 1 MiB there and back, µs. */
  readonly none: number;
  readonly k64: number;
  readonly m1: number;
}

const ROWS: readonly (readonly [string, keyof Run, number])[] = [
  ['a new worker with an instance, ms', 'coldMs', 1],
  ['the same with a warm worker, ms', 'warmMs', 1],
  ['a call with 4 bytes there and back, µs', 'none', 1],
  ['a call with 64 KiB there and back, µs', 'k64', 1],
  ['a call with 1 MiB there and back, µs', 'm1', 1],
  ['ending a guest that spins, ms', 'endMs', 1],
  ['memory of a worker besides a linear memory of 2.1 MiB that is not touched, MiB', 'bytes', 2 ** 20],
];

export async function benchPluginWorkers(): Promise<void> {
  const runs: Record<string, Run[]> = { worker: [], process: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const isolation of ISOLATIONS) {
      const env = { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' };
      const printed = execFileSync(process.execPath, ['--no-warnings', SCRIPT, isolation], { encoding: 'utf8', env });
      runs[isolation]!.push(JSON.parse(printed) as Run);
      console.log(`  ${isolation}: ${printed.trim()}`);
    }
  }
  const cell = (isolation: string, key: keyof Run, unit: number) => {
    const each = runs[isolation]!.map((run) => run[key] / unit);
    return `${median(each).toFixed(1)} (${Math.min(...each).toFixed(1)}-${Math.max(...each).toFixed(1)})`;
  };
  const rows = ROWS.map(([what, key, unit]) => [what, ...ISOLATIONS.map((isolation) => cell(isolation, key, unit))]);
  writeSection({
    id: 'wasm-workers',
    title: 'Plugins: what a worker costs',
    command: 'npm run bench -- wasm workers',
    body: `Medians of ${ROUNDS} processes, least and most in brackets.\n\n${table(['', 'thread', 'process'], rows)}`,
  });
}
