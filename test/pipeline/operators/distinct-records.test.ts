import { distinctRecords, RecordBatch } from 'plimsoll/pipeline';
import { SpillFolder } from 'plimsoll/spill';
import { afterEach, expect, it, vi } from 'vitest';
import { tempParents } from '../../spill/temp-parent.ts';
import { FakeMachine } from '../fake-machine.ts';
import { checkOperator } from './check-operator.ts';
import { keyPart, writeKey } from './operator-cases.ts';
import { runRecords, texts } from './record-flow.ts';

const parent = tempParents();
const openFolder = () => SpillFolder.open(parent(), { maxBytes: 2 ** 28, allowMemoryBacked: true });

afterEach(() => vi.unstubAllEnvs());

function firstOfEach(records: readonly Buffer[]): Buffer[] {
  const seen = new Set<string>();
  return records.filter((record) => {
    const key = String(keyPart(record));
    return !seen.has(key) && seen.add(key);
  });
}

it('the first of each key stays, in the order of the input, whatever the memory, the fan-in, the sizes, the mode and a refusal', async () => {
  await using folder = await openFolder();
  await checkOperator({ make: distinctRecords, expected: firstOfEach, folder, numRuns: 60 });
});

it('while keys fit, a record goes on before the next batch is asked for', async () => {
  const distinct = distinctRecords({ name: 'Distinct', memory: { maxBytes: 2 ** 22 }, key: writeKey });
  const seen: string[] = [];
  function* records() {
    for (const record of texts('a|1', 'b|2', 'a|3', 'c|4')) {
      seen.push(`in ${record}`);
      yield record;
    }
  }
  const { out } = await runRecords(records(), distinct, { inputBytes: 3 });
  expect(out.map(String)).toEqual(['a|1', 'b|2', 'c|4']);
});

it('what was handed on before memory ran out is not handed on again', async () => {
  await using folder = await openFolder();
  const keys = Array.from({ length: 6_000 }, (_, i) => `key ${i % 2_500}|${i}`);
  const machine = new FakeMachine();
  const distinct = distinctRecords({
    name: 'Distinct',
    memory: { maxBytes: 130_000 },
    spill: folder,
    fanIn: 2,
    blockBytes: 256,
    batchBytes: 1_024,
    key: writeKey,
  });
  const { out } = await runRecords(texts(...keys), distinct, { machine });
  expect(out.map(String)).toEqual(keys.slice(0, 2_500));
  expect(machine.consumers.find(({ name }) => name === 'Distinct')!.peakBytes).toBeLessThanOrEqual(130_000);
});

it('keys of a fixed length cost their bytes and a slot, about 20 bytes for a digest of 12', async () => {
  const COUNT = 100_000;
  const machine = new FakeMachine();
  const record = Buffer.alloc(16);
  function* records() {
    for (let i = 0; i < COUNT; i++) {
      record.writeUInt32LE(Math.imul(i, 0x9e3779b1) >>> 0, 0);
      record.writeUInt32LE(i, 8);
      yield record;
    }
  }
  const options = { name: 'Distinct', memory: { maxBytes: 8 * 2 ** 20 }, keyBytes: 12 };
  const distinct = distinctRecords({
    ...options,
    key: (batch, index, into) => into.fixed(batch.bytes, batch.start(index), batch.start(index) + 12),
  });
  const { report } = await runRecords(records(), distinct, { machine });
  const { peakReservedBytes, itemsOut } = report.stages.find(({ name }) => name === 'Distinct')!;
  expect(itemsOut).toBe(COUNT);
  const batchBytes = RecordBatch.bytesFor(65_536, 4_096);
  // The peak is that of the moment in which the table grows, with the table of before beside it.
  expect((peakReservedBytes - batchBytes) / COUNT).toBeLessThan(28);
});

it('a key of another length than was said is an error, and nothing of it is kept', async () => {
  const distinct = distinctRecords({ name: 'Distinct', memory: { maxBytes: 2 ** 22 }, keyBytes: 5, key: writeKey });
  await expect(runRecords(texts('abc|1', 'ab|2'), distinct)).rejects.toMatchObject({
    code: 'PLIMSOLL_STAGE_FAILED',
    cause: { code: 'PLIMSOLL_INVALID_OPTION' },
  });
});
