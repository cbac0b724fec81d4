import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runInLimit } from '../../cgroup/run-in-limit.ts';
import { tempParents } from '../../spill/temp-parent.ts';

const SCRIPT = join(import.meta.dirname, '../../../bench/subjects/operator-records.mjs');
const FEW = 30_000;
const MAX_BYTES = 4 * 2 ** 20;
/** All of the records are 54 MB more. */
const MORE_RSS_BYTES = 20_000_000;

const parent = tempParents();

it.each(['sort', 'distinct'])(
  '%s takes the same memory for ten times the records, seen from outside',
  async (operator) => {
    const dir = parent();
    const peakWith = async (count: number): Promise<number> => {
      const args = ['--conditions=source', SCRIPT, operator, String(count), String(MAX_BYTES), 'auto', dir];
      const run = await runInLimit({ command: process.execPath, args, env: { NODE_OPTIONS: undefined } });
      expect([run.exitCode, run.stderr]).toEqual([0, '']);
      const said = JSON.parse(run.stdout) as { diskBytes: number; reservedBytes: number };
      expect(said.reservedBytes).toBeLessThanOrEqual(MAX_BYTES);
      if (count > FEW) expect(said.diskBytes).toBeGreaterThan(MAX_BYTES);
      return run.rssPeakBytes;
    };
    const few = await peakWith(FEW);
    const many = await peakWith(10 * FEW);
    expect(many - few).toBeLessThan(MORE_RSS_BYTES);
  },
);
