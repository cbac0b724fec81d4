import { whyNoLimits } from '../cgroup/memory-group.ts';
import { runInLimit } from '../cgroup/run-in-limit.ts';
import { demand, type Gate, GateSkipped, mib } from './gate.ts';

const LIMIT_BYTES = 128 * 1_048_576;
/** Charged in all, names included: below this nothing was tried. */
const LEAST_CHARGED_BYTES = 115 * 1_048_576;

/** Says the highest level on the way, and the most that the meter saw. */
const CHILD = `
import { statSync } from 'node:fs';
import { createGovernor, PRESSURE_LEVELS } from 'plimsoll';
using governor = createGovernor({ terminationLog: false });
let highest = 0;
for (let i = 0; i < 900_000; i++) {
  statSync('/tmp/plimsoll-no-such-name-' + process.pid + '-' + i, { throwIfNoEntry: false });
  if (i % 10_000 === 0) highest = Math.max(highest, PRESSURE_LEVELS.indexOf(governor.sample().level));
}
const meter = governor.snapshot().meters.find(({ name }) => name === 'cgroup');
console.log(JSON.stringify({ level: PRESSURE_LEVELS[highest], limitBytes: governor.limitBytes, peakBytes: meter.peakBytes }));
`;

/** Names of files that were looked up fill a real group to its limit, and the kernel drops them by itself: that is no pressure. */
export const kernelMemoryGate: Gate = {
  name: 'kernel-memory',
  promise: 'more names than the limit holds, looked up, are no pressure',
  async run() {
    const whyNot = await whyNoLimits();
    if (whyNot !== undefined) throw new GateSkipped(whyNot);
    const flags = ['--max-old-space-size=32', '--max-semi-space-size=1', '--conditions=source'];
    const run = await runInLimit({
      command: process.execPath,
      args: [...flags, '--input-type=module', '-e', CHILD],
      cwd: import.meta.dirname,
      limitBytes: LIMIT_BYTES,
    });
    demand(run.exitCode === 0 && !run.oomKilled, `exit ${run.exitCode}, killed: ${run.oomKilled}, ${run.stderr}`);
    const { level, limitBytes, peakBytes } = JSON.parse(run.stdout) as Record<string, number | string>;
    demand(limitBytes === LIMIT_BYTES, `the limit that was found is ${limitBytes}`);
    demand(run.peakBytes > LEAST_CHARGED_BYTES, `only ${mib(run.peakBytes)} were charged`);
    demand(level === 'optimal' || level === 'moderate' || level === 'high', `the level rose to ${level}`);
    return `${mib(run.peakBytes)} charged, ${mib(run.anonymousPeakBytes)} of it of processes, ${mib(Number(peakBytes))} counted: ${level}`;
  },
};
