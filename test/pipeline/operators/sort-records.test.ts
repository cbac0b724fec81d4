import { spillEvents } from 'plimsoll';
import { sortRecords } from 'plimsoll/pipeline';
import { SpillFolder } from 'plimsoll/spill';
import { afterEach, expect, it, vi } from 'vitest';
import { tempParents } from '../../spill/temp-parent.ts';
import { checkOperator } from './check-operator.ts';
import { keyPart, writeKey } from './operator-cases.ts';
import { runRecords, texts } from './record-flow.ts';

const parent = tempParents();
const openFolder = () => SpillFolder.open(parent(), { maxBytes: 2 ** 28, allowMemoryBacked: true });

afterEach(() => vi.unstubAllEnvs());

it('sorting is that of an array, and stable, whatever the memory, the fan-in, the sizes of batches and blocks, the mode and a refusal', async () => {
  await using folder = await openFolder();
  await checkOperator({
    make: sortRecords,
    expected: (records) => records.toSorted((a, b) => Buffer.compare(keyPart(a), keyPart(b))),
    folder,
    numRuns: 60,
  });
});

it('what has a descending part in its key comes the other way round, and equal keys stay as they came', async () => {
  const sort = sortRecords({
    name: 'Sorting',
    memory: { maxBytes: 2 ** 20 },
    key: (batch, index, into) => into.text(batch.record(index).toString('utf8', 0, 1), 'descending'),
  });
  const { out } = await runRecords(texts('a1', 'b1', 'a2', 'c1', 'b2', 'a3'), sort);
  expect(out.map(String)).toEqual(['c1', 'b1', 'b2', 'a1', 'a2', 'a3']);
});

it('many runs are merged a few at a time: there are never more files than that', async () => {
  await using folder = await openFolder();
  let most = 0;
  const records = Array.from({ length: 4_000 }, (_, i) => Buffer.from(`${(i * 7_919) % 4_001}|${'x'.repeat(60)}`));
  const sort = sortRecords({
    name: 'Sorting',
    memory: { maxBytes: 2 ** 17 },
    spill: folder,
    fanIn: 3,
    blockBytes: 512,
    batchBytes: 4_096,
    key(batch, index, into) {
      most = Math.max(most, folder.stats.runFileCount);
      writeKey(batch, index, into);
    },
  });
  const { out, report } = await runRecords(records, sort, { mode: 'spill' });
  expect(out.map(String)).toEqual(records.toSorted((a, b) => Buffer.compare(keyPart(a), keyPart(b))).map(String));
  expect(most).toBeGreaterThan(10);
  expect(most).toBeLessThanOrEqual(26);
  expect(report.stages.find(({ name }) => name === 'Sorting')!.peakReservedBytes).toBeLessThan(2 ** 17);
  expect(folder.stats).toMatchObject({ runFileCount: 0, runBytes: 0 });
});

it('hole: with eight times the segments each record is copied little more than twice as often: the long segments are not in every merge', async () => {
  const copies = async (count: number): Promise<number> => {
    await using folder = await openFolder();
    let writtenBytes = 0;
    using _ = spillEvents.subscribe(({ dir, ended, rawBytes }) => {
      if (ended && dir === folder.dir) writtenBytes += rawBytes;
    });
    const records = Array.from({ length: count }, (_, i) => Buffer.from(`${(i * 7_919) % 40_009}|${'x'.repeat(60)}`));
    const sizes = { memory: { maxBytes: 2 ** 17 }, fanIn: 4, blockBytes: 512, batchBytes: 4_096 };
    const sort = sortRecords({ name: 'Sorting', spill: folder, key: writeKey, ...sizes });
    const { out } = await runRecords(records, sort, { mode: 'spill' });
    expect(out).toHaveLength(count);
    return writtenBytes / records.reduce((sum, { length }) => sum + length, 0);
  };
  const [few, many] = [await copies(4_000), await copies(32_000)];
  // 3.9 and 7.1; when merges were always of the same width 4.0 and 9.8.
  expect(many).toBeLessThan(2.1 * few);
});

it.each([
  [{ memory: { maxBytes: 100 } }, /`memory.maxBytes` to be at least \d+/],
  [{ fanIn: 1 }, /`fanIn` to be a whole number from 2 to 256/],
  [{ blockBytes: 3 }, /`blockBytes`/],
  [{ batchBytes: 0 }, /`batchBytes`/],
  [{ maxRecordBytes: 2 ** 30 }, /`maxRecordBytes`/],
  [{ key: 'name' }, /`key` to be a function/],
  [{ memory: undefined }, /`memory` to be an object with `maxBytes`/],
  [{ fanin: 3 }, /did you mean `fanIn`/],
])('options that are not sound are refused: %o', (wrong, message) => {
  const make = () =>
    sortRecords({ name: 'Sorting', memory: { maxBytes: 2 ** 20 }, key: writeKey, ...(wrong as object) });
  expect(make).toThrow(message);
});
