import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInLimit } from '../cgroup/run-in-limit.ts';
import { demand, demandEqual, type Gate, mib, seconds } from './gate.ts';

const OPERATORS = ['sort', 'distinct', 'group', 'join'] as const;
const FEW = 200_000;
const MANY = 2_000_000;
/** So little that the few go by way of the disk as well. */
const MAX_BYTES = 4 * 2 ** 20;
const IN_MEMORY_BYTES = 2 ** 29;
/** Peak RSS of ten times the records, against that of one time. */
const MOST_TIMES = 1.2;
const TIMEOUT_MS = 120_000;
const SCRIPT = join(import.meta.dirname, '../../bench/subjects/operator-records.mjs');

/** Ten times the records take no more memory, and what comes out is the same by way of the disk. */
export const operatorsGate: Gate = {
  name: 'operators',
  promise: `sort, distinct, group and join of ${MANY} records within ${mib(MAX_BYTES)} take no more than a tenth of them does, and give the bytes that they give in memory`,
  async run(say) {
    const parent = mkdtempSync(join(process.env.PLIMSOLL_TEST_DISK ?? tmpdir(), 'operators-'));
    const figures: string[] = [];
    try {
      for (const operator of OPERATORS) {
        const few = await run(operator, FEW, MAX_BYTES, parent);
        const many = await run(operator, MANY, MAX_BYTES, parent);
        const inMemory = await run(operator, FEW, IN_MEMORY_BYTES, parent);
        const { count, sum } = inMemory.said;
        demandEqual(`${operator} by way of the disk`, { ...few.said }, { count, sum });
        demand(few.said.diskBytes > 0 && inMemory.said.diskBytes === 0, `${operator} went another way than was meant`);
        demand(many.said.reservedBytes <= MAX_BYTES, `${operator} reserved ${mib(many.said.reservedBytes)}`);
        const times = many.rssPeakBytes / few.rssPeakBytes;
        demand(times <= MOST_TIMES, `${operator}: ${MANY} records took ${times.toFixed(2)} times the peak of ${FEW}`);
        say(
          `${operator}: ${mib(few.rssPeakBytes)} (in memory ${mib(inMemory.rssPeakBytes)}), ${mib(many.rssPeakBytes)} with ten times the records, ` +
            `in ${seconds(many.said.elapsedMs)} with ${mib(many.said.diskBytes)} on the disk`,
        );
        figures.push(`${operator} ${times.toFixed(2)}`);
      }
    } finally {
      rmSync(parent, { recursive: true, force: true });
    }
    return `peak at ${MANY} against ${FEW} records: ${figures.join(', ')}; equal bytes`;
  },
};

interface Said {
  readonly count: number;
  readonly sum: number;
  readonly elapsedMs: number;
  readonly diskBytes: number;
  readonly reservedBytes: number;
}

async function run(operator: string, count: number, maxBytes: number, parent: string) {
  const args = ['--max-semi-space-size=2', SCRIPT, operator, String(count), String(maxBytes), 'auto', parent];
  const run = await runInLimit({
    command: process.execPath,
    args,
    env: { NODE_OPTIONS: undefined, PLIMSOLL_FORCE_SPILL: undefined },
    timeoutMs: TIMEOUT_MS,
  });
  demand(run.exitCode === 0, `${operator} ended with ${run.exitCode ?? run.signal}: ${run.stderr}`);
  return { rssPeakBytes: run.rssPeakBytes, said: JSON.parse(run.stdout) as Said };
}
