/** Names of files that were looked up fill a real group to its limit, and the kernel drops them by itself: that is no pressure. */
import { expect, it } from 'vitest';
import { whyNoLimits } from '../cgroup/memory-group.ts';
import { runInLimit } from '../cgroup/run-in-limit.ts';
import { MIB } from './fake-meter.ts';

const whyNot = await whyNoLimits();
if (whyNot !== undefined) console.warn(`The test of kernel memory in a real limit is skipped: ${whyNot}.`);

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

it.skipIf(whyNot !== undefined)(
  'more names than the limit holds, looked up, are no pressure',
  async () => {
    const flags = ['--max-old-space-size=32', '--max-semi-space-size=1', '--conditions=source'];
    const run = await runInLimit({
      command: process.execPath,
      args: [...flags, '--input-type=module', '-e', CHILD],
      cwd: import.meta.dirname,
      limitBytes: 128 * MIB,
    });
    expect(run).toMatchObject({ exitCode: 0, oomKilled: false });
    const { level, limitBytes, peakBytes } = JSON.parse(run.stdout) as Record<string, unknown>;
    console.log(
      `${run.anonymousPeakBytes} of processes, ${run.peakBytes} of ${limitBytes} bytes were charged, ${peakBytes} of them count: ${level}`,
    );
    expect(limitBytes).toBe(128 * MIB);
    expect(run.peakBytes).toBeGreaterThan(115 * MIB);
    expect(['optimal', 'moderate', 'high']).toContain(level);
  },
  60_000,
);
