import { describe, expect, it } from 'vitest';
import { whyNoLimits } from '../../../../test/cgroup/memory-group.ts';
import { naiveIsKilled, SMALL_CASE, surviveInLimit } from './survival.ts';

const whyNot = await whyNoLimits();
if (whyNot !== undefined) console.warn(`Survival in a real memory limit is not tested: ${whyNot}.`);

// The full size, 1,000,000 channels and 1 GB in 192 MiB, is a gate of `npm run verify`.
describe.skipIf(whyNot !== undefined)('100,000 channels and a 100 MB guide in a kernel limit of 96 MiB', () => {
  it('finish, and every channel and programme is in the files', async () => {
    const run = await surviveInLimit(SMALL_CASE);
    expect(run.oomKilled).toBe(false);
    // Where the limit was found is not told by configuration: there is none.
    expect(run.report?.limitBytes).toBe(SMALL_CASE.limitBytes);
  }, 120_000);

  it('get whole-file scripts killed by the kernel', async () => {
    await naiveIsKilled(SMALL_CASE);
  }, 120_000);
});
