import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpillFolder } from 'plimsoll/spill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeStages } from '../../contract/stage.ts';
import { OPERATORS, operatorRecords } from './operator-subjects.ts';
import { discard, recordsFrom, runRecords } from './record-flow.ts';

const RECORDS = operatorRecords(3_000);
const MIB = 2 ** 20;

let parent: string;
let folder: SpillFolder;

beforeAll(async () => {
  parent = mkdtempSync(join(process.env.PLIMSOLL_TEST_DISK ?? tmpdir(), 'spill-parent-'));
  folder = await SpillFolder.open(parent, { maxBytes: 64 * MIB, allowMemoryBacked: true });
});
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
  rmSync(parent, { recursive: true, force: true });
});

describe.each(OPERATORS)('$name', ({ name, make, expected }) => {
  const small = () => make({ memory: { maxBytes: 160_000 }, spill: folder });

  describeStages(`${name} in memory`, {
    make: () => ({
      source: recordsFrom(RECORDS, 16_384),
      stages: [make({ memory: { maxBytes: 4 * MIB } })],
      sink: discard,
    }),
  });

  describeStages(`${name} by way of the disk`, {
    make: () => ({ source: recordsFrom(RECORDS, 16_384), stages: [small()], sink: discard }),
  });

  it('leaves nothing on the disk, however it ended', () => {
    expect(folder.stats).toMatchObject({ runFileCount: 0, runBytes: 0 });
  });

  it('gives the same in memory and by way of the disk', async () => {
    const inMemory = await runRecords(RECORDS, make({ memory: { maxBytes: 4 * MIB } }));
    const onDisk = await runRecords(RECORDS, small());
    expect(inMemory.out.join('\n')).toBe(expected(RECORDS));
    expect(onDisk.out.join('\n')).toBe(expected(RECORDS));
  });

  it('takes the folder of the pipeline where it has none of its own', async () => {
    const stage = make({ memory: { maxBytes: 160_000 } });
    const { out } = await runRecords(RECORDS, stage, { spill: folder, mode: 'spill' });
    expect(out.join('\n')).toBe(expected(RECORDS));
  });

  it('without a folder ends with the refusal where memory does not do', async () => {
    const many = operatorRecords(20_000);
    await expect(runRecords(many, make({ memory: { maxBytes: 160_000 } }))).rejects.toThrow(
      /has no room for \d+ bytes/,
    );
  });
});
