import {
  type JoinOptions,
  joinRecords,
  type RecordBatch,
  type RecordOperatorOptions,
  type Source,
  type StageContext,
} from 'plimsoll/pipeline';
import { SpillFolder } from 'plimsoll/spill';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { tempParents } from '../../spill/temp-parent.ts';
import { FakeConsumer, FakeMachine } from '../fake-machine.ts';
import { checkOperator } from './check-operator.ts';
import { keyPart, writeKey } from './operator-cases.ts';
import { leastBytes, recordsFrom, runRecords, texts } from './record-flow.ts';

const parent = tempParents();
const openFolder = () => SpillFolder.open(parent(), { maxBytes: 2 ** 28, allowMemoryBacked: true });

afterEach(() => vi.unstubAllEnvs());

const SHOWN = 50;

/** A pair as text: both records, or their first bytes. */
const write: JoinOptions['write'] = (left, right, into) => {
  into.bytes(left.bytes, left.start, Math.min(left.end, left.start + SHOWN));
  into.text(' + ');
  if (right === undefined) into.text('nobody');
  else into.bytes(right.bytes, Math.max(right.start, right.end - SHOWN), right.end);
  into.end();
};

const pair = (left: Buffer, right: Buffer | undefined): Buffer =>
  Buffer.concat([
    left.subarray(0, SHOWN),
    Buffer.from(' + '),
    right === undefined ? Buffer.from('nobody') : right.subarray(Math.max(0, right.length - SHOWN)),
  ]);

function joined(left: readonly Buffer[], right: readonly Buffer[], type: 'inner' | 'left'): Buffer[] {
  const partners = Map.groupBy(right, (record) => keyPart(record).toString('latin1'));
  return left
    .toSorted((a, b) => Buffer.compare(keyPart(a), keyPart(b)))
    .flatMap((record) => {
      const found = partners.get(keyPart(record).toString('latin1')) ?? [];
      if (found.length === 0) return type === 'left' ? [pair(record, undefined)] : [];
      return found.map((other) => pair(record, other));
    });
}

/** Every other record is of the right, with a few more on the left. */
const leftOf = (records: readonly Buffer[]): Buffer[] =>
  records.slice(0, 120).filter((_, i) => i % 2 === 0 || i % 7 === 0);
const rightOf = (records: readonly Buffer[]): Buffer[] => records.slice(0, 120).filter((_, i) => i % 2 === 1);

/** A source that reserves elsewhere: a refusal is meant for the operator. */
const uncounted = (source: Source<RecordBatch>): Source<RecordBatch> => ({
  ...source,
  open: ({ name }) => {
    const memory = new FakeConsumer({ name, kind: 'external', maxBytes: Number.POSITIVE_INFINITY }, () => false);
    return source.open({ memory } as unknown as StageContext);
  },
});

const joining = (type: 'inner' | 'left') => (options: RecordOperatorOptions, records: readonly Buffer[]) => {
  const memory = { maxBytes: options.memory.maxBytes + (options.memory.maxBytes > 1 ? 20_000 : 0) };
  return joinRecords({ ...options, memory, type, write, right: uncounted(recordsFrom(rightOf(records), 700)) });
};

describe.each(['inner', 'left'] as const)('a join of type %s', (type) => {
  it('is that of arrays, with many of one key on both sides, whatever the memory, the fan-in, the sizes, the mode and a refusal', async () => {
    await using folder = await openFolder();
    await checkOperator({
      make: joining(type),
      input: leftOf,
      expected: (records) => joined(leftOf(records), rightOf(records), type),
      folder,
      numRuns: 40,
    });
  });
});

it('a group that does not fit is read from the disk for each record of the left, and memory stays within its bound', async () => {
  await using folder = await openFolder();
  const left = texts('a|1', 'b|2', 'b|3', 'c|4');
  const right = texts(...Array.from({ length: 3_000 }, (_, i) => `b|${'x'.repeat(40)}${i}`));
  const machine = new FakeMachine();
  let most = 0;
  const join = joinRecords({
    name: 'Joining',
    memory: { maxBytes: 200_000 },
    spill: folder,
    fanIn: 2,
    blockBytes: 512,
    batchBytes: 1_024,
    maxResultBytes: 512,
    key: writeKey,
    right: recordsFrom(right),
    type: 'left',
    write(one, other, into) {
      most = Math.max(most, folder.stats.runFileCount);
      write(one, other, into);
    },
  });
  const { out } = await runRecords(left, join, { machine });
  expect(out.map(String)).toEqual(joined(left, right, 'left').map(String));
  expect(machine.consumers.find(({ name }) => name === 'Joining')!.peakBytes).toBeLessThanOrEqual(200_000);
  expect(most).toBeGreaterThan(0);
  expect(folder.stats.runFileCount).toBe(0);
});

it('a right side in memory goes to the disk where a large record of the left has no room beside it', async () => {
  await using folder = await openFolder();
  const key = (i: number) => String(i).padStart(4, '0');
  const right = texts(...Array.from({ length: 200 }, (_, i) => `${key(i)}|${'r'.repeat(30)}`));
  const left = texts(...Array.from({ length: 9 }, (_, i) => `${key(20 * i)}|${'l'.repeat(700 * (i + 1))}`));
  const make = (options: RecordOperatorOptions) =>
    joinRecords({ ...options, right: recordsFrom(right), type: 'inner', write });
  const options = { name: 'Joining', spill: folder, fanIn: 2, blockBytes: 512, batchBytes: 1_024, key: writeKey };
  const memory = { maxBytes: 24_000 + leastBytes(make, { ...options, memory: { maxBytes: 1 } }) };
  const { out } = await runRecords(left, make({ ...options, memory }));
  expect(out.map(String)).toEqual(joined(left, right, 'inner').map(String));
  expect(folder.stats.runFileCount).toBe(0);
});

it('an empty side, and both: pairs there are none', async () => {
  const run = (left: Buffer[], right: Buffer[], type: 'inner' | 'left') => {
    const options = { name: 'Joining', memory: { maxBytes: 2 ** 22 }, key: writeKey, type, write };
    return runRecords(left, joinRecords({ ...options, right: recordsFrom(right) })).then(({ out }) => out.map(String));
  };
  expect(await run([], texts('a|1'), 'left')).toEqual([]);
  expect(await run(texts('a|1'), [], 'inner')).toEqual([]);
  expect(await run(texts('a|1'), [], 'left')).toEqual(['a|1 + nobody']);
  expect(await run([], [], 'left')).toEqual([]);
});

it.each([
  [{ right: 3 }, /`right` to be a source/],
  [{ write: 3 }, /`write` to be a function/],
  [{ type: 'full' }, /`type` to be one of/],
  [{ rightKey: 3 }, /`rightKey` to be a function/],
])('options that are not sound are refused: %o', (wrong, message) => {
  const options = { name: 'Joining', memory: { maxBytes: 2 ** 22 }, key: writeKey, write, right: recordsFrom([]) };
  expect(() => joinRecords({ ...options, ...(wrong as object) })).toThrow(message);
});
