import fc from 'fast-check';
import { createGovernor } from 'plimsoll';
import { Pipeline, type RecordBatch, type Source, sortRecords } from 'plimsoll/pipeline';
import { describe, expect, test } from 'vitest';
import { GroupingProof, groupingKey, KEYED_HEAD_BYTES } from '../../src/plugins/keyed-record.ts';
import { PluginAnswerError } from '../../src/plugins/plugin-answer-error.ts';
import { DirectGuest } from './direct-guest.ts';
import { batchesOf, manyPairs, type Pair, recordBatch, wireSink } from './keyed-batches.ts';

const GUESTS = ['group-compress', 'group-spill'];

/** The twin: the operator that the job uses. */
async function natively(batches: readonly Buffer[]): Promise<Buffer> {
  using governor = createGovernor({ limitBytes: 2 ** 30 });
  const source: Source<RecordBatch> = {
    name: 'Source',
    async *open() {
      for (const wire of batches) yield recordBatch(wire);
    },
  };
  return await new Pipeline({ governor, probe: { sample: () => governor.sample() } })
    .from(source)
    .through(sortRecords({ name: 'Grouping', key: groupingKey, memory: { maxBytes: 2 ** 28 } }))
    .into(wireSink);
}

function byGuest(name: string, batches: readonly Buffer[], guest = new DirectGuest(name)): Buffer {
  const proof = new GroupingProof();
  for (const batch of batches) {
    proof.noteIn(recordBatch(batch));
    expect(guest.process(batch).length).toBe(0);
  }
  const { output, pieces } = guest.drain();
  for (const piece of pieces) proof.noteOut(recordBatch(piece));
  proof.end();
  expect(guest.spilled.size).toBe(0);
  return output;
}

const key = fc.oneof(
  fc
    .constantFrom(
      '',
      'News',
      'news',
      'News\0',
      'Newspaper',
      'Sport',
      'Österreich',
      '日本',
      'aaaaaaaa',
      'aaaaaaaab',
      'aaaaaaaaa',
    )
    .map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
);
const pair = fc.tuple(
  key,
  fc
    .oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(3000).map((size) => Buffer.alloc(size, 'url')),
    )
    .map((bytes) => Buffer.from(bytes)),
);

/** 20 MB: 20 runs of a block that is spilled, 40 of one that is compressed. */
const MANY = batchesOf(manyPairs(20_000, 'tags and texts '.repeat(60)), 256 * 1024);

describe.each(GUESTS)('grouping by %s', (name) => {
  test('is the operator, to the byte', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(pair, { maxLength: 60 }),
        fc.constantFrom(1, 500, 65_536),
        async (pairs, batchBytes) => {
          const batches = batchesOf(pairs, batchBytes);
          expect(byGuest(name, batches).equals(await natively(batches))).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('of many records, with runs merged several times, within the memory that its manifest declares', async () => {
    const guest = new DirectGuest(name);
    const output = byGuest(name, MANY, guest);
    expect(output.equals(await natively(MANY))).toBe(true);
    const most = name === 'group-spill' ? 12 : 32;
    expect(guest.memory.buffer.byteLength).toBeLessThanOrEqual(most * 2 ** 20);
    // Each record goes to the disk twice at least.
    if (name === 'group-spill') expect(guest.spillWrites * 2 ** 17).toBeGreaterThan(1.9 * output.length);
  });

  test('gives it piece by piece when asked with empty batches, or all at the end', () => {
    const batches = batchesOf(manyPairs(20_000));
    const [a, b] = [new DirectGuest(name), new DirectGuest(name)];
    for (const batch of batches) for (const guest of [a, b]) guest.process(batch);
    const { output, pieces } = a.drain();
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(2 ** 20);
    expect(pieces.length).toBeGreaterThan(2);
    expect(b.finalize().equals(output)).toBe(true);
    expect(() => a.process(batches[0]!)).toThrow('after the output has begun');
  });

  test('of nothing is nothing', () => {
    const guest = new DirectGuest(name);
    expect(guest.drain().output.length).toBe(0);
    expect(new DirectGuest(name).finalize().length).toBe(0);
  });

  test('takes a record that is larger than its blocks', async () => {
    const pairs: Pair[] = [
      [Buffer.from('b'), Buffer.alloc(700_000, 'abc')],
      ...manyPairs(2_000),
      [Buffer.from('a'), Buffer.alloc(700_001, 'x')],
    ];
    const batches = batchesOf(pairs);
    expect(byGuest(name, batches).equals(await natively(batches))).toBe(true);
  });

  test('hole: a record is taken whose key is longer than itself', () => {
    const guest = new DirectGuest(name);
    for (const record of [
      [8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
      [4, 0, 0, 0, 0, 0, 0, 0],
      [8, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255],
      [9, 0, 0, 0, 0],
    ]) {
      expect(() => guest.process(Buffer.from(record))).toThrow(/^a (record|batch)/);
    }
  });

  test('a trim between batches changes nothing', async () => {
    const batches = batchesOf(manyPairs(12_000));
    const guest = new DirectGuest(name);
    for (const batch of batches) {
      guest.process(batch);
      guest.calls.plimsoll_trim!();
    }
    expect(guest.drain().output.equals(await natively(batches))).toBe(true);
  });
});

test('hole: a spilling plugin that finds no room loses what it had', () => {
  const batches = batchesOf(manyPairs(40_000));
  for (const spillRecords of [0, 1, 7, 20]) {
    const guest = new DirectGuest('group-spill', { spillRecords });
    const run = (): void => {
      for (const batch of batches) guest.process(batch);
      guest.drain();
    };
    expect(run).toThrow('no room left');
  }
});

test('hole: a spilled record that does not come back is left out silently', () => {
  const guest = new DirectGuest('group-spill');
  for (const batch of batchesOf(manyPairs(40_000))) guest.process(batch);
  guest.spilled.delete(guest.spilled.keys().next().value!);
  expect(() => guest.drain()).toThrow(/did not come back|no room/);
});

describe('the proof', () => {
  const batches = batchesOf(manyPairs(50));
  const sorted = byGuest('group-spill', batches);
  const prove = (output: Buffer): void => {
    const proof = new GroupingProof();
    for (const batch of batches) proof.noteIn(recordBatch(batch));
    proof.noteOut(recordBatch(output));
    proof.end();
  };
  const firstEnd = 4 + sorted.readUInt32LE(0);
  const secondEnd = firstEnd + 4 + sorted.readUInt32LE(firstEnd);

  test('holds for what is right', () => expect(() => prove(sorted)).not.toThrow());
  test.each([
    ['a record is missing', sorted.subarray(firstEnd)],
    ['a record comes twice', Buffer.concat([sorted.subarray(0, firstEnd), sorted])],
    [
      'two have changed places',
      Buffer.concat([sorted.subarray(firstEnd, secondEnd), sorted.subarray(0, firstEnd), sorted.subarray(secondEnd)]),
    ],
    [
      'a byte is another',
      (() => {
        const damaged = Buffer.from(sorted);
        damaged[damaged.length - 3]! ^= 1;
        return damaged;
      })(),
    ],
    [
      'an id is another',
      (() => {
        const damaged = Buffer.from(sorted);
        damaged.writeUInt32LE(1, 4);
        return damaged;
      })(),
    ],
    [
      'a key is longer than its record',
      (() => {
        const damaged = Buffer.from(sorted);
        damaged.writeUInt32LE(70_000, KEYED_HEAD_BYTES);
        return damaged;
      })(),
    ],
  ])('hole: %s, and nobody sees it', (_, output) => {
    expect(() => prove(output)).toThrow(PluginAnswerError);
  });

  test('asks for ids from 0 up', () => {
    expect(() =>
      new GroupingProof().noteIn(recordBatch(batches[0]!.subarray(4 + batches[0]!.readUInt32LE(0)))),
    ).toThrow(RangeError);
  });
});
