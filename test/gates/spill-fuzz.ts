import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { FuzzOutcome } from '../spill/fuzz-segments.ts';
import { demand, type Gate, GateFailure, mib } from './gate.ts';

const SEGMENTS = 200_000;
const PROCESSES = 2;
/** What the process's peak may grow by while bombs of up to 64 MiB are read: a batch, its buffers, and what the collector has not come to. */
const MOST_GROWTH_BYTES = 96 * 1_048_576;
const TIMEOUT_MS = 110_000;
const SCRIPT = join(import.meta.dirname, '../spill/fuzz-child.ts');

type Run = FuzzOutcome & { readonly warmPeakBytes: number; readonly peakBytes: number };

/** 200,000 damaged and forged segments, read through the doors of the room: see `test/spill/mutate-segment.ts`. A seed may be given in `PLIMSOLL_FUZZ_SEED`. */
export const spillFuzzGate: Gate = {
  name: 'spill-fuzz',
  promise: `of ${SEGMENTS} damaged and forged segments each reads right or names its fault, within a bound of memory`,
  patient: true,
  async run(say) {
    const seed = Number(process.env.PLIMSOLL_FUZZ_SEED ?? randomInt(1, 2 ** 30));
    say(`seed ${seed}; again with: PLIMSOLL_FUZZ_SEED=${seed} npm run verify -- spill-fuzz`);
    const runs = await Promise.all(Array.from({ length: PROCESSES }, (_, i) => fuzz(seed + i, SEGMENTS / PROCESSES)));
    const wrong = runs.flatMap((run) => run.wrong);
    for (const line of wrong) say(line);
    demand(wrong.length === 0, `${wrong.length} or more segments were neither right nor had their fault named`);
    const cases = runs.reduce((sum, run) => sum + run.cases, 0);
    demand(cases === SEGMENTS, `only ${cases} of ${SEGMENTS} segments were read`);
    const growth = Math.max(...runs.map((run) => run.peakBytes - run.warmPeakBytes));
    demand(
      growth <= MOST_GROWTH_BYTES,
      `the peak grew by ${mib(growth)}, which is more than ${mib(MOST_GROWTH_BYTES)}`,
    );
    const faults: Record<string, number> = {};
    for (const run of runs) for (const [name, n] of Object.entries(run.faults)) faults[name] = (faults[name] ?? 0) + n;
    const named = Object.entries(faults).toSorted((a, b) => b[1] - a[1]);
    return `${cases} segments, ${named.map(([name, n]) => `${n} ${name}`).join(', ')}; ${runs.reduce((sum, { right }) => sum + right, 0)} right; peak grew by ${mib(growth)}`;
  },
};

function fuzz(seed: number, count: number): Promise<Run> {
  const args = ['--conditions=source', '--no-warnings', '--max-semi-space-size=4', SCRIPT, String(seed), String(count)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
  let text = '';
  child.stdout.on('data', (data) => (text += data));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(JSON.parse(text) as Run);
      else reject(new GateFailure(`the process with seed ${seed} ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}
