import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGovernor, ManualClock } from 'plimsoll';
import { Pipeline, sortRecords } from 'plimsoll/pipeline';
import { SpillFolder } from 'plimsoll/spill';
import { describe, expect, it } from 'vitest';
import { breakable } from '../../contract/broken-governor.ts';
import { FaultyFs } from '../../spill/faulty-fs.ts';
import { tempParents } from '../../spill/temp-parent.ts';
import { writeKey } from './operator-cases.ts';
import { OPERATORS, operatorRecords } from './operator-subjects.ts';
import { discard, recordsFrom, runRecords, texts } from './record-flow.ts';

const parent = tempParents();
const RECORDS = operatorRecords(800);
const MEMORY = { maxBytes: 160_000 };
const FOLDER = { maxBytes: 2 ** 26, allowMemoryBacked: true } as const;
/** How many of the calls of a run are failed, spread over all of them. */
const FAILED_CALLS = 12;

describe.each(OPERATORS)('$name', ({ make, expected }) => {
  it.each([
    ['ENOSPC', 'PLIMSOLL_SPILL_NO_SPACE'],
    ['EIO', 'PLIMSOLL_SPILL_IO'],
  ])(
    'whichever call of the disk fails with %s, the run ends in that or in the right output, and nothing stays',
    async (code, own) => {
      const wanted = expected(RECORDS);
      const calls = await run(-1, code, (out) => expect(out).toBe(wanted));
      const step = Math.max(1, Math.floor(calls.total / FAILED_CALLS));
      let failed = 0;
      for (let at = 1; at <= calls.total; at += step) {
        await run(
          calls.before + at,
          code,
          (out) => expect(out).toBe(wanted),
          (error) => {
            failed++;
            expect(error.code).toBe('PLIMSOLL_STAGE_FAILED');
            // A read that fails is no full disk, whatever it says.
            expect([own, 'PLIMSOLL_SPILL_IO']).toContain((error.cause as { code: string }).code);
          },
        );
      }
      expect(failed).toBeGreaterThan(FAILED_CALLS / 4);
    },
  );

  async function run(
    failAt: number,
    code: string,
    check: (out: string) => void,
    onError: (error: { code: string; cause?: unknown }) => void = (error) => {
      throw error;
    },
  ): Promise<{ before: number; total: number }> {
    const faulty = new FaultyFs(failAt, code);
    await using folder = await SpillFolder.open(parent(), { ...FOLDER, fs: faulty.fs });
    const before = faulty.calls;
    try {
      const { out } = await runRecords(RECORDS, make({ memory: MEMORY, spill: folder }), { mode: 'spill' });
      check(out.join('\n'));
    } catch (error) {
      onError(error as { code: string; cause?: unknown });
    }
    const total = faulty.calls - before;
    // What could not be unlinked is counted, and goes with the folder.
    if (!faulty.failed.includes('unlink')) expect(folder.stats.runFileCount).toBe(0);
    return { before, total };
  }

  it('a full quota ends the run with its code', async () => {
    await using folder = await SpillFolder.open(parent(), { ...FOLDER, maxBytes: 65_536 });
    const stage = make({ memory: MEMORY, spill: folder });
    await expect(runRecords(operatorRecords(6_000), stage, { mode: 'spill' })).rejects.toMatchObject({
      code: 'PLIMSOLL_STAGE_FAILED',
      cause: { code: 'PLIMSOLL_SPILL_QUOTA' },
    });
    expect(folder.stats.runFileCount).toBe(0);
  });

  it('what has changed on the disk ends the run with its code', async () => {
    await using folder = await SpillFolder.open(parent(), FOLDER);
    let seen = 0;
    function* spoiling() {
      for (const record of RECORDS) {
        if (++seen === RECORDS.length) spoil(folder.dir);
        yield record;
      }
    }
    const stage = make({ memory: MEMORY, spill: folder });
    await expect(runRecords(spoiling(), stage, { mode: 'spill' })).rejects.toMatchObject({
      code: 'PLIMSOLL_STAGE_FAILED',
      cause: { code: 'PLIMSOLL_SPILL_CORRUPT' },
    });
    expect(folder.stats.runFileCount).toBe(0);
  });

  it('a governor that breaks in the middle ends the run, and nothing stays', async () => {
    await using folder = await SpillFolder.open(parent(), FOLDER);
    const options = { limitBytes: 2 ** 30, runtimeBytes: 0, clock: new ManualClock(), meters: [], mode: 'on' } as const;
    using whole = createGovernor(options);
    const { governor, breakIt } = breakable(whole);
    let seen = 0;
    function* breaking() {
      for (const record of RECORDS) {
        if (++seen === 400) breakIt();
        yield record;
      }
    }
    const pipeline = new Pipeline({ governor, probe: whole });
    const flow = pipeline.from(recordsFrom(breaking())).through(make({ memory: MEMORY, spill: folder }));
    await flow.into(discard).catch(() => {});
    expect(folder.stats.runFileCount).toBe(0);
  });
});

/** One bit in the middle of each file. */
function spoil(dir: string): void {
  for (const name of readdirSync(dir)) {
    if (!name.startsWith('run-')) continue;
    const path = join(dir, name);
    const bytes = readFileSync(path);
    if (bytes.length < 100) continue;
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(path, bytes);
  }
}

describe('a record that is too large', () => {
  const options = { name: 'Sorting', key: writeKey, memory: { maxBytes: 2 ** 20 } };

  it('ends the run with its code, and one within the bound comes in a batch of its own', async () => {
    const records = texts(`b|${'x'.repeat(3_000)}`, 'a|', `c|${'x'.repeat(300)}`);
    const sorted = await runRecords(records, sortRecords({ ...options, batchBytes: 1_000 }));
    expect(sorted.out.map((record) => record.length)).toEqual([2, 3_002, 302]);
    await expect(runRecords(records, sortRecords({ ...options, maxRecordBytes: 3_000 }))).rejects.toMatchObject({
      cause: { code: 'PLIMSOLL_RECORD_TOO_LARGE', maxBytes: 3_000 },
    });
  });

  it('has its code for a key too', async () => {
    const stage = sortRecords({ ...options, maxRecordBytes: 2_000 });
    await expect(runRecords(texts(`${'k'.repeat(2_100)}|`), stage)).rejects.toMatchObject({
      cause: { code: 'PLIMSOLL_RECORD_TOO_LARGE' },
    });
  });
});
