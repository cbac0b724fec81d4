import { randomFillSync } from 'node:crypto';
import { join } from 'node:path';
import { BufferPool, type Lease } from 'plimsoll/pool';
import { runInLimit } from '../cgroup/run-in-limit.ts';
import { demand, type Gate, mib } from './gate.ts';

const MIB = 1_048_576;
const CHURN = join(import.meta.dirname, '../../bench/subjects/pool-churn.mjs');
const LIVE = 2_000;
const REPLACEMENTS = [20_000, 200_000] as const;
/** Between two runs: the young generation grows with the work, to 16 MiB three times over. 180,000 buffers more would be 2.8 GiB. */
const SLACK_BYTES = 24 * MIB;

const LOANS = 100_000;
const LARGEST = 100_000;
const AT_A_TIME = 50;

/** What the pool is for, at full size: nothing is read across loans, and memory does not follow the number of loans. */
export const pooledBuffersGate: Gate = {
  name: 'pooled-buffers',
  promise: `${LOANS} loans of random lengths, each full of random bytes, begin with zeros; ten times the loans take no more memory`,
  async run(say) {
    const hits = [true, false].map((detach) => checkZeros(detach));
    say(`${hits.join(' and ')} loans were of buffers that others had had`);
    const [few, many] = [await peakOf(REPLACEMENTS[0]), await peakOf(REPLACEMENTS[1])];
    demand(many < few + SLACK_BYTES, `peak RSS grew from ${mib(few)} to ${mib(many)} with ten times the loans`);
    return `peak RSS ${mib(few)} after ${REPLACEMENTS[0]} loans, ${mib(many)} after ${REPLACEMENTS[1]}; ${LOANS} loans zeroed, either way of returning`;
  },
};

function checkZeros(detach: boolean): number {
  const zeros = new Uint8Array(2 * LARGEST);
  const noise = randomFillSync(new Uint8Array(2 * LARGEST));
  const pool = new BufferPool({ name: 'gate', maxBytes: 16 * MIB, detach });
  const held: Lease<Buffer>[] = [];
  for (let i = 0; i < LOANS / 2; i++) {
    const lease = pool.lease(1 + Math.floor(Math.random() ** 4 * LARGEST));
    const store = new Uint8Array(lease.value.buffer);
    const same = Buffer.compare(store, zeros.subarray(0, store.length)) === 0;
    demand(same, `loan ${i} of ${lease.value.length} bytes began with bytes of an earlier one`);
    store.set(noise.subarray(0, store.length));
    held.push(lease);
    if (held.length > AT_A_TIME) held.splice(Math.floor(Math.random() * held.length), 1)[0]!.release();
  }
  for (const lease of held) lease.release();
  const { hits, leased, bytes, idleBytes } = pool.stats;
  demand(hits > LOANS / 4, `only ${hits} of ${LOANS / 2} loans were of buffers that others had had`);
  demand(leased === 0 && bytes === idleBytes, `${leased} are lent after all have come back`);
  pool[Symbol.dispose]();
  demand(pool.stats.bytes === 0, `${pool.stats.bytes} bytes are left after all have gone`);
  return hits;
}

async function peakOf(replacements: number): Promise<number> {
  const args = [CHURN, 'pool', String(LIVE), String(replacements)];
  const run = await runInLimit({ command: process.execPath, args, env: { NODE_OPTIONS: undefined } });
  demand(run.exitCode === 0, `the program ended with ${run.exitCode ?? run.signal}: ${run.stderr.slice(-300)}`);
  return run.rssPeakBytes;
}
