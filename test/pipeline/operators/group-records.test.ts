import { createHash } from 'node:crypto';
import { type GroupOptions, groupRecords, type RecordOperatorOptions } from 'plimsoll/pipeline';
import { SpillFolder } from 'plimsoll/spill';
import { afterEach, expect, it, vi } from 'vitest';
import { tempParents } from '../../spill/temp-parent.ts';
import { checkOperator } from './check-operator.ts';
import { keyPart, writeKey } from './operator-cases.ts';
import { runRecords, texts } from './record-flow.ts';

const parent = tempParents();
const openFolder = () => SpillFolder.open(parent(), { maxBytes: 2 ** 28, allowMemoryBacked: true });

afterEach(() => vi.unstubAllEnvs());

interface Sum {
  count: number;
  bytes: number;
  readonly digest: ReturnType<typeof createHash>;
}

/** How many there are, and a digest over all of them in order; a second record for each group of an even number. */
const summing = (options: RecordOperatorOptions): GroupOptions<Sum> => ({
  ...options,
  init: () => ({ count: 0, bytes: 0, digest: createHash('md5') }),
  step(state, { bytes, start, end }) {
    state.count++;
    state.bytes += end - start;
    state.digest.update(bytes.subarray(start, end));
    return state;
  },
  finish({ count, bytes, digest }, into) {
    into.text(`${count} ${bytes} `);
    into.bytes(digest.digest());
    into.end();
    if (count % 2 > 0) return;
    into.text('even');
    into.end();
  },
});

function sums(records: readonly Buffer[]): Buffer[] {
  const groups = Map.groupBy(records, (record) => keyPart(record).toString('latin1'));
  return [...groups.values()]
    .toSorted((a, b) => Buffer.compare(keyPart(a[0]!), keyPart(b[0]!)))
    .flatMap((group) => {
      const whole = Buffer.concat(group);
      const text = Buffer.from(`${group.length} ${whole.length} `);
      const sum = Buffer.concat([text, createHash('md5').update(whole).digest()]);
      return group.length % 2 > 0 ? [sum] : [sum, Buffer.from('even')];
    });
}

it('groups are those of a Map, in the order of their keys, whatever the memory, the fan-in, the sizes, the mode and a refusal', async () => {
  await using folder = await openFolder();
  await checkOperator({ make: (options) => groupRecords(summing(options)), expected: sums, folder, numRuns: 60 });
});

const counting = {
  name: 'Counting',
  memory: { maxBytes: 2 ** 22 },
  key: writeKey,
  init: () => 0,
  step: (count: number) => count + 1,
  finish: () => {},
} satisfies GroupOptions<number>;

it('a result that is larger than the output comes in a batch of its own, and one beyond its bound is an error', async () => {
  const writing = (bytes: number) =>
    groupRecords({
      ...counting,
      batchBytes: 100,
      maxResultBytes: 500,
      finish(count, into) {
        into.text(String(count).repeat(bytes));
        into.end();
      },
    });
  const { out } = await runRecords(texts('a|', 'b|', 'a|'), writing(400));
  expect(out.map(String)).toEqual(['2'.repeat(400), '1'.repeat(400)]);
  await expect(runRecords(texts('a|'), writing(498))).rejects.toMatchObject({
    cause: { code: 'PLIMSOLL_RECORD_TOO_LARGE', maxBytes: 500, message: expect.stringContaining('maxResultBytes') },
  });
});

it('what a function of the user throws ends the run, and nothing stays', async () => {
  await using folder = await openFolder();
  const fault = new Error('no such group');
  const failing = groupRecords({
    ...counting,
    spill: folder,
    finish() {
      throw fault;
    },
  });
  await expect(runRecords(texts('a|', 'b|'), failing, { mode: 'spill' })).rejects.toMatchObject({ cause: fault });
  expect(folder.stats.runFileCount).toBe(0);
});

it.each(['init', 'step', 'finish'])('%s has to be a function', (name) => {
  expect(() => groupRecords({ ...counting, [name]: 3 })).toThrow(`Expected \`${name}\` to be a function`);
});
