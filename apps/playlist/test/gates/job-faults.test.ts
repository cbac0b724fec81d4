import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { FILE_CALLS } from './failing-fs.ts';
import { FaultyJob, WITHOUT_PLUGINS } from './faulty-job.ts';
import { freshDir } from './fixtures.ts';

const dir = freshDir('job-faults-test');
afterAll(() => rmSync(dir, { recursive: true, force: true }));

// Every call of a run, and runs with plugins, are the gate `job-faults` of `npm run verify`.
it('ends in the right output or in a clear error with the old one, whichever call fails', async () => {
  using job = await FaultyJob.make(join(dir, 'job'), WITHOUT_PLUGINS);
  const outcomes = new Set<string>();
  for (const call of FILE_CALLS) {
    for (const nth of call === 'read' ? [2, 9, 15, 20, 24, 38] : [2, 9]) {
      outcomes.add(await job.run({ call, nth, code: call === 'read' ? 'EIO' : 'ENOSPC', forGood: call === 'write' }));
      expect(job.hits, `${call} ${nth}`).toBeGreaterThan(0);
    }
  }
  for (const nth of [5, 120]) {
    outcomes.add(await job.run({ call: 'reservation', nth }));
    expect(job.hits).toBe(1);
  }
  expect([...outcomes].sort()).toEqual(['error', 'right']);
  expect(await job.run({ call: 'rename', nth: 1_000, code: 'EIO', forGood: false })).toBe('right');
  expect(job.hits).toBe(0);
});
