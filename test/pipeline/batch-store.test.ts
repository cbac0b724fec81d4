import { createGovernor, type Governor, ManualClock } from 'plimsoll';
import { BatchStore, type BatchStoreOptions, PIPELINE_MODES, type PipelineMode } from 'plimsoll/pipeline';
import { SPILL_CODECS, SpillFolder } from 'plimsoll/spill';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { reclaimerContract } from '../contract/reclaimer.ts';
import { tempParents } from '../spill/temp-parent.ts';
import { content, noise } from './contents.ts';
import { FaultyDisk } from './faulty-disk.ts';

const KIB = 1_024;
const MIB = 2 ** 20;
const parent = tempParents();
let held: AsyncDisposableStack;
beforeEach(() => {
  held = new AsyncDisposableStack();
});
afterEach(() => held.disposeAsync());

async function folder(maxBytes = 64 * MIB): Promise<SpillFolder> {
  return held.use(await SpillFolder.open(parent(), { maxBytes, allowMemoryBacked: true }));
}

function make(options: Partial<BatchStoreOptions> = {}): BatchStore {
  return held.use(new BatchStore({ name: 'replay', maxBytes: 64 * MIB, ...options }));
}

async function fill(store: BatchStore, count: number, of = content): Promise<Buffer[]> {
  const batches = Array.from({ length: count }, (_, i) => of(i));
  for (const batch of batches) await store.append(batch);
  return batches;
}

async function expectContent(store: BatchStore, batches: readonly Buffer[]): Promise<void> {
  let at = 0;
  for await (const batch of store.read()) expect(batch.equals(batches[at++]!)).toBe(true);
  expect(at).toBe(batches.length);
}

describe('a batch store', () => {
  it.each(PIPELINE_MODES)('in the mode %s gives back what was appended, in order, as often as asked', async (mode) => {
    const spill = await folder();
    const store = make({ mode, spill, maxSpillBytes: 32 * MIB });
    const batches = await fill(store, 12);
    await store.append(Buffer.alloc(0));
    batches.push(Buffer.alloc(0));
    await expectContent(store, batches);
    await expectContent(store, batches);
    const { plainCount, compressedCount, spilledCount, rawBytes } = store.stats;
    expect(rawBytes).toBe(12 * 64 * KIB);
    const forced = process.env.PLIMSOLL_FORCE_SPILL === '1';
    const places = { plain: [13, 0, 0], streaming: [13, 0, 0], compressed: [1, 12, 0], spill: [0, 0, 13] };
    expect([plainCount, compressedCount, spilledCount]).toEqual(places[forced ? 'spill' : mode]);
  });

  it('moves what it has when the mode becomes stricter, and keeps plainly what comes when it is freer again', async () => {
    vi.stubEnv('PLIMSOLL_FORCE_SPILL', undefined);
    held.defer(() => void vi.unstubAllEnvs());
    const spill = await folder();
    const store = make({ spill, maxSpillBytes: 32 * MIB });
    const batches = await fill(store, 8);
    const plainly = store.stats.heldBytes;
    await store.follow('streaming');
    await store.follow('compressed');
    const compressed = store.stats;
    expect(compressed).toMatchObject({ mode: 'compressed', compressedCount: 8, diskBytes: 0 });
    expect(compressed.heldBytes - compressed.pinnedBytes).toBeLessThan(0.7 * (plainly - compressed.pinnedBytes));
    await expectContent(store, batches);
    await store.follow('spill');
    expect(store.stats).toMatchObject({ spilledCount: 8, compressions: 8, spills: 8 });
    expect(store.stats.heldBytes).toBe(store.stats.pinnedBytes);
    expect(spill.stats.recordCount).toBe(8);
    await store.follow('plain');
    batches.push(content(8));
    await store.append(batches[8]!);
    expect(store.stats).toMatchObject({ plainCount: 1, spilledCount: 8 });
    await expectContent(store, batches);
  });

  it('with a folder is forced to spill by the environment, whatever the mode', async () => {
    vi.stubEnv('PLIMSOLL_FORCE_SPILL', '1');
    held.defer(() => void vi.unstubAllEnvs());
    const store = make({ mode: 'plain', spill: await folder(), maxSpillBytes: 32 * MIB });
    await store.follow('streaming');
    const batches = await fill(store, 3);
    expect(store.stats).toMatchObject({ mode: 'spill', spilledCount: 3 });
    await expectContent(store, batches);
    expect(make().mode).toBe('plain');
  });

  it('copies: the buffer of who appends may change afterwards', async () => {
    for (const mode of PIPELINE_MODES) {
      const store = make({ mode });
      const batch = content(1);
      await store.append(batch);
      batch.fill(0);
      await expectContent(store, [content(1)]);
    }
  });

  it('lets go of each batch that is taken when the next is asked for, on the disk too', async () => {
    const spill = await folder();
    for (const mode of PIPELINE_MODES) {
      const store = make({ mode, spill, maxSpillBytes: 32 * MIB });
      const batches = await fill(store, 6);
      let at = 0;
      for await (const batch of store.take()) {
        expect(store.batchCount).toBe(6 - at);
        expect(batch.equals(batches[at++]!)).toBe(true);
        if (at === 4) break;
      }
      // The fourth was in hands when it was enough.
      expect(store.batchCount).toBe(3);
      for await (const batch of store.take()) expect(batch.equals(batches[at++ - 1]!)).toBe(true);
      expect(store.stats).toMatchObject({ batchCount: 0, rawBytes: 0, diskBytes: 0 });
      expect(store.stats.heldBytes).toBe(store.stats.pinnedBytes);
    }
    expect(spill.stats.recordCount).toBe(0);
  });

  it('is read while batches are appended and moved', async () => {
    const spill = await folder();
    const store = make({ spill, maxSpillBytes: 32 * MIB });
    const batches = await fill(store, 10);
    const readers = [1, 2, 3].map(async (pace) => {
      let at = 0;
      for await (const batch of store.read()) {
        for (let i = 0; i < pace; i++) await new Promise<void>((resolve) => setImmediate(resolve));
        expect(batch.equals(batches[at++]!)).toBe(true);
      }
      return at;
    });
    const moving = store.follow('compressed').then(() => store.follow('spill'));
    for (let i = 10; i < 14; i++) {
      batches.push(content(i));
      await store.append(batches[i]!);
    }
    await moving;
    for (const count of await Promise.all(readers)) expect(count).toBeGreaterThanOrEqual(10);
    await store.follow('plain');
    await store.follow('spill');
    expect(store.stats).toMatchObject({ spilledCount: 14 });
    await expectContent(store, batches);
  });

  it.each(['compressed', 'spill'] as const)(
    'what a reader has in hands stays, when %s comes before or after',
    async (mode) => {
      const spill = await folder();
      for (const codec of ['zstd', 'none'] as const) {
        const store = make({ codec, spill, maxSpillBytes: 32 * MIB, mode: 'plain' });
        if (store.mode !== 'plain') return;
        const large = (number: number) => content(number, MIB);
        await fill(store, 2, large);
        const reader = store.read();
        const first = await reader.next();
        await store.follow(mode);
        expect(first.value!.equals(large(0))).toBe(true);
        const moved = codec === 'none' && mode === 'compressed' ? 0 : 1;
        expect(store.stats.plainCount).toBe(2 - moved);
        await reader.return();
        await store.follow('plain');
        const moving = store.follow(mode);
        // It has begun with the batch.
        for (let i = 0; i < 20; i++) await Promise.resolve();
        const again = store.read();
        const { value } = await again.next();
        await moving;
        expect(value!.equals(large(0))).toBe(true);
        expect(store.stats.plainCount).toBe(2 - moved);
        await again.return();
        await expectContent(store, [large(0), large(1)]);
      }
    },
  );

  it('what does not become smaller is not tried twice', async () => {
    const store = make();
    const batches = await fill(store, 4, noise);
    await store.follow('compressed');
    await store.follow('plain');
    await store.follow('compressed');
    expect(store.stats).toMatchObject({ plainCount: 4, compressions: 0 });
    await expectContent(store, batches);
  });

  it('one that is abandoned, cleared or disposed of in the hands of a reader and a mover holds nothing', async () => {
    const spill = await folder();
    const governor = createGovernor({ limitBytes: 64 * MIB, runtimeBytes: 0, meters: [], clock: new ManualClock() });
    for (const [end, mode] of [
      ['clear', 'plain'],
      ['dispose', 'plain'],
      ['clear', 'spill'],
      ['dispose', 'spill'],
    ] as const) {
      const store = new BatchStore({
        name: 'replay',
        maxBytes: 32 * MIB,
        governor,
        spill,
        maxSpillBytes: 32 * MIB,
        mode,
      });
      await fill(store, 6);
      const reader = store.read();
      await reader.next();
      const moving = store.follow('spill');
      await (end === 'clear' ? store.clear() : store[Symbol.asyncDispose]());
      await moving;
      // Nothing waits for the reader.
      if (end === 'dispose') expect([governor.heldBytes, spill.stats.recordCount]).toEqual([0, 0]);
      if (end === 'dispose') await expect(reader.next()).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
      else expect(await reader.next()).toMatchObject({ done: true });
      expect(store.stats.batchCount).toBe(0);
      await store[Symbol.asyncDispose]();
      await expect(store.append(Buffer.from('x'))).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
    }
    expect(governor.heldBytes).toBe(0);
    expect(spill.stats.recordCount).toBe(0);
  });

  it('is aborted by a signal, at writing and at reading, and keeps nothing of what it was doing', async () => {
    const store = make();
    await fill(store, 2);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(store.append(content(9), { signal })).rejects.toThrow('enough');
    await expect(store.read({ signal }).next()).rejects.toThrow('enough');
    expect(store.batchCount).toBe(2);
  });
});

describe('its bound', () => {
  it('keeps more strictly what does not fit as it is: compressed, then on the disk, then it says so', async () => {
    const spill = await folder();
    const bound = { maxBytes: 4 * MIB, maxSpillBytes: MIB, spill };
    const store = make(bound);
    const batches: Buffer[] = [];
    const refusal = await (async () => {
      for (let i = 0; ; i++) {
        expect(i).toBeLessThan(200);
        try {
          await store.append(content(i));
        } catch (error) {
          return error as Error & { code: string };
        }
        batches.push(content(i));
        expect(store.stats.heldBytes).toBeLessThanOrEqual(bound.maxBytes);
        expect(store.stats.diskBytes).toBeLessThanOrEqual(bound.maxSpillBytes);
      }
    })();
    expect(refusal.code).toBe('PLIMSOLL_BATCH_STORE_FULL');
    expect(refusal.message).toMatch(
      /^replay: no room for a batch of 65536 bytes: \d+ of 4194304 bytes in memory, \d+ of 1048576 on the disk$/,
    );
    // 2.1 MiB are for the work; the rest holds twice as much compressed, and the disk another MiB of it.
    expect(batches.length).toBeGreaterThan(65);
    expect(store.stats.refused).toBe(1);
    await expectContent(store, batches);
    await store.clear();
    await store.append(content(1));
  });

  it('holds without a disk and without a codec', async () => {
    const store = make({ maxBytes: 10 * (64 * KIB + 320), codec: 'none' });
    const batches = await fill(store, 10);
    await expect(store.append(content(10))).rejects.toMatchObject({ code: 'PLIMSOLL_BATCH_STORE_FULL' });
    await store.follow('spill');
    await expectContent(store, batches);
    await expect(make({ maxBatchBytes: 10 }).append(content(1))).rejects.toThrow('Expected `bytes of a batch` to be');
  });

  it('a second reader at once needs room of its own', async () => {
    const store = make({ maxBytes: 2 * (64 * KIB + 320), codec: 'none' });
    await fill(store, 2);
    const first = store.read();
    await first.next();
    await expect(store.read().next()).rejects.toMatchObject({ code: 'PLIMSOLL_BATCH_STORE_FULL' });
    await first.return();
    expect(await store.read().next()).toMatchObject({ done: false });
  });

  it('where the disk fails batches stay in memory; after three failures it is not asked again, and then the cause is named', async () => {
    const disk = new FaultyDisk();
    const spill = held.use(await disk.open(parent()));
    const store = make({ maxBytes: 4 * MIB, spill, maxSpillBytes: 32 * MIB, mode: 'spill' });
    const batches = await fill(store, 2);
    disk.failWrites = 'ENOSPC';
    for (let i = 2; i < 8; i++) {
      batches.push(content(i));
      await store.append(batches[i]!);
    }
    expect(store.stats).toMatchObject({ spilledCount: 2, compressedCount: 6, spillFailures: 3 });
    await expectContent(store, batches);
    for (let i = 8; i < 100; i++) {
      try {
        await store.append(content(i));
        batches.push(content(i));
      } catch (error) {
        expect(error).toMatchObject({ code: 'PLIMSOLL_BATCH_STORE_FULL', cause: { code: 'PLIMSOLL_SPILL_NO_SPACE' } });
        break;
      }
    }
    expect(batches.length).toBeLessThan(100);
    await expectContent(store, batches);
  });

  it('what cannot be read back is an error that says so, and nothing stays booked for it', async () => {
    const disk = new FaultyDisk();
    const spill = held.use(await disk.open(parent()));
    const store = make({ spill, maxSpillBytes: 32 * MIB, mode: 'spill' });
    const batches = await fill(store, 3);
    const before = store.stats.heldBytes;
    disk.failReads = 'EIO';
    await expect(store.read().next()).rejects.toMatchObject({ code: 'PLIMSOLL_SPILL_IO' });
    disk.failReads = undefined;
    expect(store.stats.heldBytes).toBe(before);
    await expectContent(store, batches);
  });
});

describe('under a governor', () => {
  // Forced, there is nothing in memory that it could give back.
  beforeEach(() => void vi.stubEnv('PLIMSOLL_FORCE_SPILL', undefined));
  afterEach(() => void vi.unstubAllEnvs());

  const governed = (limitBytes: number): Governor =>
    createGovernor({ limitBytes, runtimeBytes: 0, meters: [], clock: new ManualClock() });

  it('books before it keeps, and gives all back at its end', async () => {
    const governor = governed(64 * MIB);
    const store = make({ governor });
    await fill(store, 8);
    const row = governor.snapshot().consumers.find(({ name }) => name === 'replay')!;
    expect(row).toMatchObject({ kind: 'external', heldBytes: store.stats.heldBytes });
    expect(row.heldBytes).toBeGreaterThan(8 * 64 * KIB);
    await store[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    expect(governor.heldBytes).toBe(0);
  });

  it('makes room for others by compressing, and then by spilling, and gives back the same bytes', async () => {
    const clock = new ManualClock();
    const governor = createGovernor({ limitBytes: 12 * MIB, runtimeBytes: 0, meters: [], clock });
    const store = make({ governor, spill: await folder(), maxSpillBytes: 32 * MIB });
    const batches = await fill(store, 128);
    const other = governor.consumer({ name: 'other', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
    using _first = await other.admit(4 * MIB);
    expect(store.stats).toMatchObject({ spilledCount: 0 });
    expect(store.stats.compressedCount).toBeGreaterThan(0);
    // The train ends after what it made room for was granted, and the next has to wait for its turn.
    while (governor.journal().length === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    clock.advance(10_000);
    using _second = await other.admit(3 * MIB);
    expect(store.stats.spilledCount).toBeGreaterThan(0);
    await expectContent(store, batches);
  });

  it('a refusal makes it keep more strictly', async () => {
    const governor = governed(8 * MIB);
    const other = governor.consumer({ name: 'other', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
    using _room = other.reserve(5 * MIB);
    const store = make({ governor, spill: await folder(), maxSpillBytes: 32 * MIB });
    const batches = await fill(store, 64);
    expect(store.stats.spilledCount).toBeGreaterThan(0);
    await expectContent(store, batches);
  });

  it('that breaks it goes on by its own bound', async () => {
    const { governor, breakIt } = breakable(governed(64 * MIB));
    const store = make({ governor, maxBytes: 4 * MIB });
    const batches = await fill(store, 4);
    breakIt();
    for (let i = 4; i < 8; i++) {
      batches.push(content(i));
      await store.append(batches[i]!);
    }
    await store.follow('compressed');
    await expectContent(store, batches);
    expect(store.stats.faults).toBeGreaterThan(0);
    await expect(fill(store, 100)).rejects.toMatchObject({ code: 'PLIMSOLL_BATCH_STORE_FULL' });
    await store[Symbol.asyncDispose]();
  });

  reclaimerContract({
    name: 'a batch store',
    async fill(governor, bytes) {
      // Its reclaimer, as the governor is given it.
      let reclaimer: Parameters<Governor['consumer']>[0]['reclaimer'];
      const source = {
        consumer(options: Parameters<Governor['consumer']>[0]) {
          reclaimer = options.reclaimer;
          return governor.consumer(options);
        },
      };
      const store = make({ governor: source, spill: await folder(), maxSpillBytes: 32 * MIB });
      await fill(store, Math.ceil(bytes / (64 * KIB)));
      return { consumerName: 'replay', reclaimer: reclaimer!, pinnedBytes: store.stats.pinnedBytes };
    },
  });
});

it.each(SPILL_CODECS)(
  'the least that a store may take is enough for a batch of one byte, with codec %s',
  async (codec) => {
    const spill = await folder();
    for (const disk of [{}, { spill, maxSpillBytes: MIB }]) {
      const store = make({ codec, maxBytes: BatchStore.leastBytes(codec, 'spill' in disk), ...disk });
      await store.append(Buffer.from([7]));
      expect(store.stats.batchCount).toBe(1);
    }
  },
);

it('unsound options are refused in one line', () => {
  const message = (options: object) => () => new BatchStore({ name: 'x', maxBytes: 4 * MIB, ...options });
  expect(message({ maxBytes: 0 })).toThrow('Expected `maxBytes` to be a whole number from 1 up, got `0` (number)');
  // What has no room for a batch of one byte would refuse every batch.
  const least = BatchStore.leastBytes('none');
  expect(least).toBe(321);
  expect(message({ maxBytes: least - 1, codec: 'none' })).toThrow(
    'Expected `maxBytes` to be at least 321, which a batch of one byte takes with codec `none`, got `320` (number)',
  );
  expect(message({ maxBytes: 1 })).toThrow(/Expected `maxBytes` to be at least \d{7}, which a batch of one byte takes/);
  expect(message({ maxSpillBytes: 5 })).toThrow('Expected `maxSpillBytes` to be given with `spill`, and only then');
  expect(message({ codec: 'gzip' })).toThrow('Expected `codec` to be one of `none`, `zstd`, `deflate`');
  expect(message({ mode: 'fast' as PipelineMode })).toThrow('Expected `mode` to be one of `plain`');
  expect(message({ maxByte: 5 })).toThrow('Unknown option `maxByte` of BatchStore: did you mean `maxBytes`?');
});
