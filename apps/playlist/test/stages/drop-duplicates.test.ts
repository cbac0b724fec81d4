import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type Batch, Pipeline, RecordBatch, type Sink, type Source, type Stage } from 'plimsoll/pipeline';
import { isSpillForced, SpillFolder } from 'plimsoll/spill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeStages } from '../../../../test/contract/stage.ts';
import { FakeMachine } from '../../../../test/pipeline/fake-machine.ts';
import { KEY_AT } from '../../src/channels/channel-spool.ts';
import { Digest } from '../../src/channels/digest.ts';
import { dropDuplicates } from '../../src/stages/drop-duplicates.ts';

const RECORD_BYTES = KEY_AT + 12 + 8;
const BOUNDS = { maxBytes: 2 ** 20, maxRecordBytes: 4096 };
const dir = mkdtempSync(join(tmpdir(), 'plimsoll-duplicates-'));
let spill: SpillFolder;
beforeAll(async () => {
  spill = await SpillFolder.open(dir, { maxBytes: 2 ** 26, allowMemoryBacked: true });
});
afterAll(async () => {
  await spill[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

/** A record has a key, made of a number, and the number of its place. */
function push(batch: RecordBatch, key: number, place: number): void {
  const record = Buffer.alloc(RECORD_BYTES);
  record.writeUInt32LE(key, RECORD_BYTES - 8);
  const { a, b, c } = new Digest().of(record, RECORD_BYTES - 8, RECORD_BYTES - 4);
  record.writeUInt32LE(a, KEY_AT);
  record.writeUInt32LE(b, KEY_AT + 4);
  record.writeUInt32LE(c, KEY_AT + 8);
  record.writeUInt32LE(place, RECORD_BYTES - 4);
  batch.tryPush(record);
}

function source(keys: readonly number[], atBatch: (number: number) => void = () => {}): Source<RecordBatch> {
  return {
    name: 'Source',
    memory: { kind: 'external', maxBytes: 2 ** 20 },
    async *open(context) {
      using _held = context.memory.reserve(RecordBatch.bytesFor(4096, 64));
      const batch = new RecordBatch(4096, 64);
      for (let at = 0; at < keys.length; ) {
        batch.clear();
        for (; at < keys.length && batch.count < 50; at++) push(batch, keys[at]!, at);
        atBatch(Math.ceil(at / 50));
        context.advance({});
        yield batch;
      }
    },
  };
}

const places: Sink<RecordBatch, number[]> = {
  name: 'Sink',
  async drain(input) {
    const found: number[] = [];
    for await (const batch of input) {
      for (let i = 0; i < batch.count; i++) {
        expect(batch.end(i) - batch.start(i)).toBe(RECORD_BYTES);
        found.push(batch.bytes.readUInt32LE(batch.end(i) - 4));
      }
    }
    return found;
  },
};

describe('dropping duplicates', () => {
  it('keeps the first of each, in order, whenever memory is refused or pressure is an emergency', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 400 }), { maxLength: 1500, size: 'max' }),
        fc.integer({ min: -1, max: 60 }),
        fc.option(fc.nat({ max: 30 })),
        async (keys, refuseAt, emergencyAt) => {
          const machine = new FakeMachine();
          // The operator gets what was reserved for it from the start.
          machine.regrants = true;
          const pipeline = new Pipeline({
            governor: machine,
            probe: machine,
            clock: { now: () => (machine.nowMs += 20) },
            spill,
          });
          const counts = { duplicates: 0 };
          const input = source(keys, (number) => {
            // The first few are those without which no stage can begin; where it spills from the start that goes for the disk's as well, which come with the first batch.
            const spillsAtOnce = isSpillForced() || emergencyAt === 1;
            if (number === (spillsAtOnce ? 2 : 1) && refuseAt >= 0) machine.refuseAt = machine.askedCount + refuseAt;
            if (number === emergencyAt) machine.level = 'emergency';
          });
          const found = await pipeline.from(input).through(dropDuplicates(BOUNDS, counts)).into(places);
          const expected = keys.flatMap((key, place) => (keys.indexOf(key) === place ? [place] : []));
          expect(found).toEqual(expected);
          expect(counts.duplicates).toBe(keys.length - expected.length);
          for (const { name, unreleasedBytes } of pipeline.report().stages) expect(unreleasedBytes, name).toBe(0);
          expect(machine.heldBytes).toBe(0);
          expect(spill.stats.fileCount).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
    expect(readdirSync(spill.dir)).toEqual(['owner.json']);
  });

  it('where there is no disk to go to, a refusal is what it is', async () => {
    const machine = new FakeMachine();
    const pipeline = new Pipeline({ governor: machine, probe: machine, clock: machine });
    const input = source([1, 2, 3], () => (machine.refuseAt = machine.askedCount));
    const run = pipeline
      .from(input)
      .through(dropDuplicates(BOUNDS, { duplicates: 0 }))
      .into(places);
    await expect(run).rejects.toMatchObject({ code: 'PLIMSOLL_STAGE_FAILED', stage: 'Duplicate Removal' });
  });
});

describeStages('dropping duplicates', {
  make: () => ({
    source: source(Array.from({ length: 3000 }, (_, i) => (i * 7919) % 2000)) as unknown as Source<Batch>,
    stages: [dropDuplicates(BOUNDS, { duplicates: 0 })] as unknown as Stage<Batch, Batch>[],
    sink: places as unknown as Sink<Batch, unknown>,
  }),
  mostReservations: 80,
});
