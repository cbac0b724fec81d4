import { join } from 'node:path';
import { runInLimit } from '../cgroup/run-in-limit.ts';
import { demand, demandEqual, type Gate, mib, seconds } from './gate.ts';

const COUNT = 100_000;
const TIMEOUT_MS = 50;
const SCRIPT = join(import.meta.dirname, 'drain-resources.ts');
const START_WITHIN_MS = 100;
const END_WITHIN_MS = 30_000;
/** More than the same process needs that has a thousandth of them. Measured: 43 MiB, with what the test itself notes of each, 2,000 errors and their stacks. */
const MORE_RSS_BYTES = 120 * 1_048_576;

/** Everything that is registered is cleaned up, or it is said what was not. */
export const lifetimeDrainGate: Gate = {
  name: 'lifetime-drain',
  promise: `of ${COUNT} resources, 1% of which fail and 1% hang, none is lost at shutdown: cleaned up once, or reported with its error`,
  async run(say) {
    const few = await drain(COUNT / 1_000);
    const all = await drain(COUNT);
    say(`${COUNT / 1_000} resources: peak RSS ${mib(few.rssPeakBytes)}; ${COUNT}: ${mib(all.rssPeakBytes)}`);
    demandEqual('the drain', all.report, {
      count: COUNT,
      cleaned: COUNT * 0.98,
      failed: COUNT / 100,
      hung: COUNT / 100,
      complete: true,
      failures: COUNT / 50,
      failuresLeftOut: 0,
      unfinished: 0,
      left: 0,
      lost: 0,
      twice: 0,
      outOfOrder: 0,
    });
    const { firstCallMs = Number.NaN, elapsedMs = Number.NaN, longestPauseMs = Number.NaN } = all.report;
    demand(firstCallMs < START_WITHIN_MS, `cleanup began after ${firstCallMs.toFixed(0)} ms, not ${START_WITHIN_MS}`);
    demand(elapsedMs < END_WITHIN_MS, `it took ${seconds(elapsedMs)}`);
    const more = all.rssPeakBytes - few.rssPeakBytes;
    demand(more < MORE_RSS_BYTES, `${COUNT} resources made the process ${mib(more)} larger`);
    return (
      `${COUNT} in ${seconds(elapsedMs)}, begun after ${firstCallMs.toFixed(1)} ms; 0 lost, 0 twice; longest pause of the event loop ` +
      `${longestPauseMs.toFixed(0)} ms; ${mib(more)} more RSS than with ${COUNT / 1_000}`
    );
  },
};

async function drain(count: number) {
  const run = await runInLimit({
    command: process.execPath,
    args: ['--conditions=source', SCRIPT, String(count), String(TIMEOUT_MS)],
    env: { NODE_OPTIONS: undefined, PLIMSOLL: undefined },
    timeoutMs: 60_000,
  });
  demand(run.exitCode === 0, `the process ended with ${run.exitCode ?? run.signal}: ${run.stderr.slice(-500)}`);
  const report = JSON.parse(run.stdout.trim().split('\n').at(-1)!) as Record<string, number>;
  return { report, rssPeakBytes: run.rssPeakBytes };
}
