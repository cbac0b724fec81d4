/** A store against a plain list of batches: whatever is done to it, in whatever mode, with whatever refused or failed. */
import fc from 'fast-check';
import { createGovernor, ManualClock, type Reservation } from 'plimsoll';
import { BatchStore, PIPELINE_MODES, type PipelineMode } from 'plimsoll/pipeline';
import { expect, it } from 'vitest';
import { tempParents } from '../spill/temp-parent.ts';
import { content, noise } from './contents.ts';
import { FaultyDisk } from './faulty-disk.ts';

const KIB = 1_024;
const MIB = 2 ** 20;
const parent = tempParents();

type Step =
  | { readonly do: 'append'; readonly bytes: number; readonly dense: boolean }
  | { readonly do: 'follow'; readonly mode: PipelineMode; readonly wait: boolean }
  | { readonly do: 'disk'; readonly fails: string | undefined }
  | { readonly do: 'crowd'; readonly share: number }
  | { readonly do: 'read' | 'take'; readonly most: number }
  | { readonly do: 'begin' | 'go on' | 'train' | 'clear' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('append' as const), bytes: fc.nat(40 * KIB), dense: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('follow' as const),
      mode: fc.constantFrom(...PIPELINE_MODES),
      wait: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('disk' as const), fails: fc.constantFrom(undefined, 'ENOSPC', 'EIO') }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('crowd' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('read' as const, 'take' as const), most: fc.nat(20) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('begin' as const, 'go on' as const, 'train' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
);

const setting = fc.record({
  maxBytes: fc.integer({ min: MIB, max: 4 * MIB }),
  codec: fc.constantFrom('none' as const, 'zstd' as const, 'deflate' as const),
  maxSpillBytes: fc.option(fc.integer({ min: 64 * KIB, max: 4 * MIB }), { nil: undefined }),
  mode: fc.constantFrom(...PIPELINE_MODES),
});

it('gives back what was appended, whatever the modes, refusals, faults of the disk and readers, and leaves nothing behind', async () => {
  const disk = new FaultyDisk();
  await using spill = await disk.open(parent(), 16 * MIB);
  const property = fc.asyncProperty(setting, fc.array(step, { maxLength: 40 }), async (given, steps) => {
    disk.failWrites = undefined;
    const { maxSpillBytes, ...rest } = given;
    const least = BatchStore.leastBytes(rest.codec, maxSpillBytes !== undefined);
    const bounds = { ...rest, maxBytes: Math.max(least, rest.maxBytes) };
    const governor = createGovernor({ limitBytes: 6 * MIB, runtimeBytes: 0, meters: [], clock: new ManualClock() });
    const crowd = governor.consumer({ name: 'crowd', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
    const store = new BatchStore({
      name: 'replay',
      governor,
      ...bounds,
      ...(maxSpillBytes !== undefined && { spill, maxSpillBytes }),
    });
    let model: Buffer[] = [];
    let number = 0;
    let crowding: Reservation | undefined;
    const moving: Promise<void>[] = [];
    let reader: { batches: AsyncGenerator<Buffer>; at: number; base: number } | undefined;
    let base = 0;
    for (const each of steps) {
      switch (each.do) {
        case 'append': {
          const batch = (each.dense ? noise : content)(number++, each.bytes);
          try {
            await store.append(batch);
            model.push(batch);
          } catch (error) {
            expect(error).toMatchObject({ code: 'PLIMSOLL_BATCH_STORE_FULL' });
          }
          break;
        }
        case 'follow': {
          const moved = store.follow(each.mode);
          moving.push(moved);
          if (each.wait) await moved;
          break;
        }
        case 'disk':
          disk.failWrites = each.fails;
          break;
        case 'crowd':
          crowding?.[Symbol.dispose]();
          crowding = crowd.tryReserve(Math.floor(governor.availableBytes * each.share));
          break;
        case 'read':
        case 'take': {
          let at = 0;
          for await (const batch of each.do === 'read' ? store.read() : store.take()) {
            if (at === each.most) break;
            expect(batch.equals(model[at++]!)).toBe(true);
          }
          if (each.do === 'take') {
            base += at;
            model = model.slice(at);
          }
          break;
        }
        case 'begin':
          await reader?.batches.return(undefined);
          reader = { batches: store.read(), at: base, base };
          break;
        case 'go on': {
          if (reader === undefined) break;
          reader.at = Math.max(reader.at, base);
          const next = await reader.batches.next();
          if (next.done) reader = undefined;
          else expect(next.value.equals(model[reader.at++ - base]!)).toBe(true);
          break;
        }
        case 'train':
          await governor.reclaim({ targetBytes: MIB });
          break;
        case 'clear':
          await store.clear();
          base += model.length;
          model = [];
      }
      const { heldBytes, pinnedBytes, diskBytes, batchCount, faults } = store.stats;
      expect(batchCount).toBe(model.length);
      expect(faults).toBe(0);
      expect(heldBytes).toBeLessThanOrEqual(bounds.maxBytes);
      expect(pinnedBytes).toBeLessThanOrEqual(heldBytes);
      expect(diskBytes).toBeLessThanOrEqual(maxSpillBytes ?? 0);
      expect(governor.heldBytes - (crowding?.bytes ?? 0)).toBe(heldBytes);
    }
    await reader?.batches.return(undefined);
    await Promise.all(moving);
    let at = 0;
    for await (const batch of store.read()) expect(batch.equals(model[at++]!)).toBe(true);
    expect(at).toBe(model.length);
    await store[Symbol.asyncDispose]();
    crowding?.[Symbol.dispose]();
    expect(governor.heldBytes).toBe(0);
    expect(spill.stats.recordCount).toBe(0);
    governor[Symbol.dispose]();
  });
  await fc.assert(property, { numRuns: 120 });
});
