/** What callbacks of operators do wrong is said, and costs no record in silence. */
import { createGovernor, ManualClock } from 'plimsoll';
import {
  distinctRecords,
  type GroupOptions,
  groupRecords,
  type JoinOptions,
  joinRecords,
  Pipeline,
  type RecordKey,
  sortRecords,
} from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';
import { keyPart, writeKey } from './operator-cases.ts';
import { discard, recordsFrom, runRecords, texts } from './record-flow.ts';

const RECORDS = texts('b|1', 'a|2', 'b|3');
const base = { name: 'Working', memory: { maxBytes: 2 ** 21 }, key: writeKey };
const grouping: GroupOptions<number> = {
  ...base,
  init: () => 0,
  step: (count) => count + 1,
  finish(count, into) {
    into.text(`${count}`);
    into.end();
  },
};
const late = (async (batch, index, into) => {
  await undefined;
  writeKey(batch, index, into);
}) as RecordKey;
const rejecting = (async () => {
  throw new Error('no key');
}) as unknown as RecordKey;
// biome-ignore lint/suspicious/noThenProperty: it is what is tested
const thenable = (() => ({ then: () => {} })) as unknown as RecordKey;
const laterWord = async () => {};

const joining: JoinOptions = {
  ...base,
  right: recordsFrom(texts('b|x')),
  write(left, _, into) {
    into.bytes(left.bytes, left.start, left.end);
    into.end();
  },
};

describe('a callback that gives a promise is an error that names it, and no rejection is left unheard', () => {
  it.each([
    ['sortRecords', 'key', (key: RecordKey) => sortRecords({ ...base, key })],
    ['distinctRecords', 'key', (key: RecordKey) => distinctRecords({ ...base, key })],
    ['groupRecords', 'key', (key: RecordKey) => groupRecords({ ...grouping, key })],
    ['joinRecords', 'key', (key: RecordKey) => joinRecords({ ...joining, key, rightKey: writeKey })],
    ['joinRecords', 'rightKey', (rightKey: RecordKey) => joinRecords({ ...joining, rightKey })],
  ])('%s: %s', async (_, option, make) => {
    for (const key of [late, rejecting, thenable]) {
      await expect(runRecords(RECORDS, make(key))).rejects.toMatchObject({
        message: expect.stringContaining(`Expected \`${option}\` to be a function that is done when it returns`),
        cause: { code: 'PLIMSOLL_INVALID_OPTION' },
      });
    }
  });

  it.each([
    ['init', () => groupRecords({ ...grouping, init: laterWord as never })],
    ['step', () => groupRecords({ ...grouping, step: laterWord as never })],
    ['finish', () => groupRecords({ ...grouping, finish: laterWord as never })],
    ['write', () => joinRecords({ ...joining, write: laterWord as never })],
  ])('%s', async (option, make) => {
    await expect(runRecords(RECORDS, make())).rejects.toMatchObject({
      message: expect.stringContaining(`Expected \`${option}\` to be a function that is done when it returns`),
      cause: { code: 'PLIMSOLL_INVALID_OPTION' },
    });
  });

  it('what is written after that goes nowhere, and what a callback returns otherwise is passed over', async () => {
    const counted = sortRecords({
      ...base,
      key: ((batch, index, into) => {
        into.bytes(keyPart(batch.record(index)));
        return 7;
      }) as RecordKey,
    });
    const { out } = await runRecords(RECORDS, counted);
    expect(out.map(String)).toEqual(['a|2', 'b|1', 'b|3']);
  });
});

describe('a record that was written and not ended is an error, and not lost', () => {
  it.each([
    ['finish', () => groupRecords({ ...grouping, finish: (count, into) => into.text(`${count}`) })],
    [
      'finish',
      () =>
        groupRecords({
          ...grouping,
          finish(count, into) {
            into.end();
            into.uint32(count);
          },
        }),
    ],
    ['write', () => joinRecords({ ...joining, write: (_left, _right, into) => into.text('x') })],
  ])('%s', async (option, make) => {
    await expect(runRecords(RECORDS, make())).rejects.toMatchObject({
      message: expect.stringContaining(
        `Expected \`${option}\` to be a function that ends each record with \`into.end()\``,
      ),
      cause: { code: 'PLIMSOLL_INVALID_OPTION' },
    });
  });

  it('nothing written is no record, and an empty one that was ended is one', async () => {
    const none = await runRecords(RECORDS, groupRecords({ ...grouping, finish: () => {} }));
    const empty = await runRecords(RECORDS, groupRecords({ ...grouping, finish: (_, into) => into.end() }));
    expect([none.out, empty.out.map(String)]).toEqual([[], ['', '']]);
  });
});

describe('refused memory without a spill folder', () => {
  const many = () => texts(...Array.from({ length: 40_000 }, (_, at) => `${'k'.repeat(40)}${at}|${'v'.repeat(40)}`));
  it.each([
    ['sortRecords', () => sortRecords(base)],
    ['distinctRecords', () => distinctRecords(base)],
    ['groupRecords', () => groupRecords(grouping)],
    ['joinRecords', () => joinRecords({ ...joining, right: recordsFrom(many()) })],
  ])('%s says that there is none, and which option it is', async (_, make) => {
    const options = { limitBytes: 2 ** 30, runtimeBytes: 0, clock: new ManualClock(), meters: [], mode: 'on' } as const;
    using governor = createGovernor(options);
    const pipeline = new Pipeline({ governor, probe: governor });
    await expect(pipeline.from(recordsFrom(many())).through(make()).into(discard)).rejects.toMatchObject({
      message: expect.stringMatching(/of its own bound.*; it has no spill folder \(`spill`\)/),
      cause: { code: 'PLIMSOLL_BUDGET_EXCEEDED', consumer: 'Working', message: expect.stringContaining('`spill`') },
    });
  });
});
