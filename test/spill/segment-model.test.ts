import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { type SegmentWriter, type SpilledSegment, SpillFolder, type SpillRecord } from 'plimsoll/spill';
import { expect, it } from 'vitest';
import { tempParents } from './temp-parent.ts';

const KIB = 1_024;
const FOLDER_BYTES = 160 * KIB;
const RUN_BYTES = 100 * KIB;
const parent = tempParents();

/** Bytes that compress well, or hardly. */
function bytesOf(size: number, seed: number, plain: boolean): Buffer {
  if (plain) return Buffer.alloc(size, `item ${seed} `);
  let x = seed + 1;
  const noise = Buffer.alloc(size);
  for (let i = 0; i < size; i++) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    noise[i] = x >>> 24;
  }
  return noise;
}

const step = fc.record({
  do: fc.constantFrom(
    'create',
    'write',
    'write',
    'write',
    'write',
    'finish',
    'drop writer',
    'read',
    'read part',
    'drop',
    'put',
    'delete',
  ) as fc.Arbitrary<string>,
  run: fc.nat(1),
  pick: fc.nat(1_000),
  bytes: fc.oneof(fc.nat(300), fc.nat(12_000), fc.nat(40_000)),
  plain: fc.boolean(),
});

it('runs, segments and records are lists of bytes and nothing else, within all bounds at any moment, whatever is done in whatever order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 60 }),
      fc.constantFrom('none', 'deflate', 'zstd'),
      async (steps, codec) => {
        await using folder = await SpillFolder.open(parent(), {
          maxBytes: FOLDER_BYTES,
          maxFiles: 8,
          segmentBytes: 20 * KIB,
          allowMemoryBacked: true,
        });
        const runs = ['a', 'b'].map((name) =>
          folder.openRun({
            name,
            maxBytes: RUN_BYTES,
            maxFiles: 4,
            codec: codec as 'none',
            maxBatchBytes: 32 * KIB,
            bufferBytes: 4 * KIB,
          }),
        );
        const writers = new Map<SegmentWriter, Buffer[]>();
        const segments = new Map<SpilledSegment, Buffer[]>();
        const records = new Map<SpillRecord, Buffer>();
        const waiting: Promise<unknown>[] = [];
        const pickOf = <K, V>(map: Map<K, V>, pick: number): [K, V] | undefined =>
          [...map][pick % Math.max(1, map.size)];
        const quota = (cause: { code?: string }) => expect(cause.code).toBe('PLIMSOLL_SPILL_QUOTA');
        const check = () => {
          const files = readdirSync(folder.dir).filter((name) => name !== 'owner.json');
          const bytes = files.map((name) => sizeOf(join(folder.dir, name))).reduce((a, b) => a + b, 0);
          expect(bytes).toBeLessThanOrEqual(FOLDER_BYTES);
          expect(files.length).toBeLessThanOrEqual(8);
          expect(folder.stats.diskBytes).toBeLessThanOrEqual(FOLDER_BYTES);
          for (const { stats } of runs) {
            expect(stats.diskBytes).toBeLessThanOrEqual(RUN_BYTES);
            expect(stats.fileCount).toBeLessThanOrEqual(4);
          }
        };
        for (const { do: what, run, pick, bytes, plain } of steps) {
          const writer = pickOf(writers, pick);
          const segment = pickOf(segments, pick);
          if (what === 'create') {
            await runs[run]!.create().then((made) => writers.set(made, []), quota);
          } else if (what === 'write' && writer !== undefined) {
            const batch = bytesOf(bytes, pick, plain);
            const tooLarge = bytes > 32 * KIB;
            await writer[0].write(batch).then(
              () => writer[1].push(batch),
              (cause) => (tooLarge ? expect(cause).toBeInstanceOf(RangeError) : quota(cause)),
            );
          } else if (what === 'finish' && writer !== undefined) {
            writers.delete(writer[0]);
            segments.set(await writer[0].finish(), writer[1]);
          } else if (what === 'drop writer' && writer !== undefined) {
            writers.delete(writer[0]);
            waiting.push(writer[0][Symbol.asyncDispose]());
          } else if (what === 'read' && segment !== undefined) {
            waiting.push(expectBatches(segment[0], segment[1], Number.POSITIVE_INFINITY));
          } else if (what === 'read part' && segment !== undefined) {
            waiting.push(expectBatches(segment[0], segment[1], 1 + (pick % 3)));
          } else if (what === 'drop' && segment !== undefined) {
            await Promise.all(waiting.splice(0));
            segments.delete(segment[0]);
            await segment[0][Symbol.asyncDispose]();
          } else if (what === 'put') {
            const payload = bytesOf(bytes >> 2, pick, plain);
            await folder.put(payload).then((record) => records.set(record, payload), quota);
          } else if (what === 'delete') {
            const record = pickOf(records, pick);
            if (record === undefined) continue;
            records.delete(record[0]);
            folder.delete(record[0]);
          }
          check();
        }
        await Promise.all(waiting);
        for (const [segment, batches] of segments) await expectBatches(segment, batches, Number.POSITIVE_INFINITY);
        for (const [record, payload] of records) expect(payload.equals(await folder.get(record))).toBe(true);
        expect(folder.stats).toMatchObject({ corrupt: 0, failures: 0, recordCount: records.size });
        for (const run of runs) expect(run.stats).toMatchObject({ corrupt: 0, failures: 0, faults: 0 });
        await Promise.all(runs.map((run) => run[Symbol.asyncDispose]()));
        for (const run of runs) expect(run.stats).toMatchObject({ diskBytes: 0, fileCount: 0 });
        expect(folder.stats.runBytes).toBe(0);
      },
    ),
    { numRuns: 80 },
  );
});

async function expectBatches(segment: SpilledSegment, batches: readonly Buffer[], most: number): Promise<void> {
  let i = 0;
  expect(segment.batchCount).toBe(batches.length);
  for await (const batch of segment.read({ bufferBytes: 4 * KIB })) {
    expect(batches[i++]!.equals(batch)).toBe(true);
    if (i === most) return;
  }
  expect(i).toBe(batches.length);
}

/** Of a file that may go at this moment. */
const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
