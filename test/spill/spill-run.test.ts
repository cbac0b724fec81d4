import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import zlib from 'node:zlib';
import { createGovernor, ManualClock, type SpillEvent, spillEvents } from 'plimsoll';
import {
  nodeSpillFs,
  type SegmentWriter,
  type SpilledSegment,
  SpillFolder,
  type SpillRun,
  type SpillRunOptions,
} from 'plimsoll/spill';
import { afterEach, describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { tempParents } from './temp-parent.ts';

const KIB = 1_024;
const MIB = 1_048_576;
const HAS_ZSTD = typeof zlib.zstdCompress === 'function';
const parent = tempParents();
const folders: SpillFolder[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await folder[Symbol.asyncDispose]();
});

async function openRun(options: Partial<SpillRunOptions> = {}, folderOptions: object = {}) {
  const folder = await SpillFolder.open(parent(), { maxBytes: 16 * MIB, allowMemoryBacked: true, ...folderOptions });
  folders.push(folder);
  return { folder, run: folder.openRun({ name: 'sort', maxBytes: 8 * MIB, ...options }) };
}

const batchOf = (bytes: number, fill: number) => Buffer.alloc(bytes, `batch ${fill}, `);

async function writeSegment(run: SpillRun, batches: readonly Uint8Array[]): Promise<SpilledSegment> {
  await using writer = await run.create();
  for (const batch of batches) await writer.write(batch);
  return writer.finish();
}

async function readAll(segment: SpilledSegment, options = {}): Promise<Buffer[]> {
  const found: Buffer[] = [];
  for await (const batch of segment.read(options)) found.push(Buffer.from(batch));
  return found;
}

const runFiles = (folder: SpillFolder) => readdirSync(folder.dir).filter((name) => name.startsWith('run-'));
const bytesOf = (folder: SpillFolder) =>
  runFiles(folder).reduce(
    (sum, name) => sum + (statSync(join(folder.dir, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'nothing',
    (cause) => cause.code ?? cause,
  );

describe.each(['none', 'zstd', 'deflate'] as const)('a run of segments, codec %s', (codec) => {
  it('gives back the batches that were written, in order, in one piece or several, empty ones too', async () => {
    const { folder, run } = await openRun({ codec, bufferBytes: 4 * KIB });
    const sizes = [0, 1, 5, 4_095, 4_096, 4_097, 100_000, 3, 0, 262_144, 70_000];
    const batches = sizes.map(batchOf);
    await using writer = await run.create();
    for (const batch of batches) await writer.write([batch.subarray(0, 3), new Uint8Array(0), batch.subarray(3)]);
    await using segment = await writer.finish();
    expect(segment).toMatchObject({ batchCount: 11, largestBatchBytes: 262_144 });
    expect(segment.rawBytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
    expect(segment.diskBytes).toBe(bytesOf(folder));
    expect(run.stats.codec).toBe(codec === 'zstd' && !HAS_ZSTD ? 'deflate' : codec);
    expect(segment.diskBytes < segment.rawBytes / 10).toBe(codec !== 'none');
    for (const bufferBytes of [4_096, 65_536, 1 << 20]) {
      const found = await readAll(segment, { bufferBytes });
      expect(found.map((each, i) => each.equals(batches[i]!))).toEqual(sizes.map(() => true));
    }
    expect(run.stats).toMatchObject({ batchesWritten: 11, batchesRead: 33, rawBytes: segment.rawBytes, heldBytes: 0 });
  });

  it('reads several times at once, and ends a reader that is left early', async () => {
    const { run } = await openRun({ codec });
    await using segment = await writeSegment(
      run,
      Array.from({ length: 50 }, (_, i) => batchOf(10_000 + i, i)),
    );
    const one = segment.read({ bufferBytes: 4_096 });
    const other = segment.read({ bufferBytes: 65_536 });
    for (let i = 0; i < 50; i++) {
      const [a, b] = [await one.next(), await other.next()];
      expect(batchOf(10_000 + i, i).equals(a.value!)).toBe(true);
      expect(batchOf(10_000 + i, i).equals(b.value!)).toBe(true);
    }
    expect([(await one.next()).done, (await other.next()).done]).toEqual([true, true]);
    for await (const batch of segment.read()) {
      expect(batch.byteLength).toBe(10_000);
      expect(run.stats.heldBytes).toBeGreaterThan(0);
      break;
    }
    expect(run.stats.heldBytes).toBe(0);
  });

  it('a batch is valid until the next: a window that is kept shows other bytes or none, never memory of others', async () => {
    const { run } = await openRun({ codec });
    await using segment = await writeSegment(run, [batchOf(100_000, 1), batchOf(100_000, 2)]);
    const kept: Buffer[] = [];
    for await (const batch of segment.read()) kept.push(batch);
    expect(kept.map(({ byteLength }) => byteLength)).toEqual([0, 0]);
  });
});

describe('a run of segments', () => {
  it('stores batches that do not shrink as they are', async () => {
    const { run } = await openRun({ codec: 'deflate' });
    const noise = Buffer.from(Array.from({ length: 50_000 }, (_, i) => ((i * 2_654_435_761) >>> 13) ^ (i * i)));
    await using segment = await writeSegment(run, [zlib.deflateRawSync(noise), batchOf(50_000, 1)]);
    const found = await readAll(segment);
    expect(found[0]!.equals(zlib.deflateRawSync(noise))).toBe(true);
    expect(found[1]!.equals(batchOf(50_000, 1))).toBe(true);
  });

  it('writes in few calls: one for each buffer', async () => {
    let calls = 0;
    const open: typeof nodeSpillFs.open = async (path, flags, mode) => {
      const file = await nodeSpillFs.open(path, flags, mode);
      return {
        writev: (pieces, at) => file.writev(pieces, at).finally(() => path.includes('run-') && calls++),
        read: (into, from, length, at) => file.read(into, from, length, at),
        truncate: (length) => file.truncate(length),
        sync: () => file.sync(),
        close: () => file.close(),
      };
    };
    const { run } = await openRun({ bufferBytes: 262_144 }, { fs: { ...nodeSpillFs, open } });
    await using segment = await writeSegment(
      run,
      Array.from({ length: 1_000 }, (_, i) => batchOf(1_000, i)),
    );
    expect(calls).toBe(Math.ceil(segment.diskBytes / 262_144));
  });

  it('has files of its own in the private folder, mode 0600, gone with segment, writer, run and folder', async () => {
    const { folder, run } = await openRun();
    const segment = await writeSegment(run, [batchOf(1_000, 1)]);
    const writer = await run.create();
    await writer.write(batchOf(10, 1));
    expect(runFiles(folder)).toHaveLength(2);
    for (const name of runFiles(folder)) expect(statSync(join(folder.dir, name)).mode & 0o777).toBe(0o600);
    expect(folder.stats).toMatchObject({ runCount: 1, runFileCount: 2, fileCount: 2 });
    await writer[Symbol.asyncDispose]();
    await writer[Symbol.asyncDispose]();
    expect(runFiles(folder)).toHaveLength(1);
    await segment[Symbol.asyncDispose]();
    await segment[Symbol.asyncDispose]();
    expect(runFiles(folder)).toEqual([]);
    expect(folder.stats).toMatchObject({ diskBytes: 0, runBytes: 0, fileCount: 0 });
    await writeSegment(run, [batchOf(1_000, 1)]);
    await run[Symbol.asyncDispose]();
    await run[Symbol.asyncDispose]();
    expect(runFiles(folder)).toEqual([]);
    expect(folder.stats).toMatchObject({ diskBytes: 0, runCount: 0 });
    const last = folder.openRun({ name: 'last', maxBytes: MIB });
    const left = await writeSegment(last, [batchOf(1_000, 1)]);
    await folder[Symbol.asyncDispose]();
    expect(existsSync(folder.dir)).toBe(false);
    expect(last.disposed).toBe(true);
    expect(await codeOf(left.read().next())).toBe('PLIMSOLL_DISPOSED');
    expect(await codeOf(last.create())).toBe('PLIMSOLL_DISPOSED');
    expect(() => folder.openRun({ name: 'late', maxBytes: MIB })).toThrow('has been disposed');
  });

  it('is gone when what it was for failed: error and abort leave nothing behind', async () => {
    const { folder, run } = await openRun();
    const failing = async () => {
      await using own = folder.openRun({ name: 'failing', maxBytes: MIB });
      await using writer = await own.create();
      await writer.write(batchOf(500_000, 1));
      throw new Error('the job failed');
    };
    await expect(failing()).rejects.toThrow('the job failed');
    await using writer = await run.create();
    const abort = new AbortController();
    abort.abort('enough');
    expect(await codeOf(writer.write(batchOf(10, 1), { signal: abort.signal }))).toBe('enough');
    await writer.write(batchOf(10, 2));
    await using segment = await writer.finish();
    expect(await codeOf(segment.read({ signal: abort.signal }).next())).toBe('enough');
    expect((await readAll(segment)).map(String)).toEqual([String(batchOf(10, 2))]);
    await run[Symbol.asyncDispose]();
    expect(readdirSync(folder.dir)).toEqual(['owner.json']);
  });

  it('ends readers, in the middle of a read too, when the segment goes', async () => {
    const { folder, run } = await openRun();
    const segment = await writeSegment(
      run,
      Array.from({ length: 20 }, (_, i) => batchOf(50_000, i)),
    );
    const reader = segment.read({ bufferBytes: 4_096 });
    await reader.next();
    const under = reader.next();
    const going = segment[Symbol.asyncDispose]();
    await Promise.allSettled([under, going]);
    const after = await reader.next().then(
      ({ done }) => (done ? 'ended' : 'a batch'),
      (cause) => cause.code,
    );
    expect(['ended', 'PLIMSOLL_DISPOSED']).toContain(after);
    expect(runFiles(folder)).toEqual([]);
    expect(run.stats).toMatchObject({ heldBytes: 0, diskBytes: 0 });
  });

  it('keeps to its own bounds at any moment, and a refused batch leaves the segment as it was', async () => {
    const { folder, run } = await openRun({ maxBytes: 100 * KIB, maxFiles: 2, bufferBytes: 4 * KIB });
    await using writer = await run.create();
    let refused = 0;
    for (let i = 0; i < 40; i++) {
      const code = await codeOf(writer.write(batchOf(4_000 + i, i)));
      if (code !== 'nothing') expect(code).toBe('PLIMSOLL_SPILL_QUOTA');
      if (code !== 'nothing') refused++;
      expect(bytesOf(folder)).toBeLessThanOrEqual(run.stats.diskBytes);
      expect(run.stats.diskBytes).toBeLessThanOrEqual(100 * KIB);
    }
    expect(refused).toBeGreaterThan(10);
    await using segment = await writer.finish();
    expect(segment.batchCount).toBe(40 - refused);
    expect(await readAll(segment)).toHaveLength(40 - refused);
    await using _second = await run.create();
    expect(await codeOf(run.create())).toBe('PLIMSOLL_SPILL_QUOTA');
    await expect(run.create()).rejects.toThrow(
      /no room for 52 bytes in run sort: \d+ of 102400 bytes and 2 of 2 files/,
    );
    expect(run.stats.refused).toBe(refused + 2);
  });

  it('keeps to the bounds of its folder with all that is in it: runs and records share them', async () => {
    const { folder, run } = await openRun({ maxBytes: 8 * MIB }, { maxBytes: 256 * KIB, maxFiles: 6 });
    const other = folder.openRun({ name: 'other', maxBytes: 8 * MIB });
    const writers: SegmentWriter[] = [await run.create(), await other.create()];
    const codes = new Set<string>();
    for (let i = 0; i < 60; i++) {
      const work = [...writers.map((writer) => writer.write(batchOf(3_000, i))), folder.put(batchOf(3_000, i))];
      for (const each of await Promise.all(work.map(codeOf))) codes.add(each);
      expect(folder.stats.diskBytes).toBeLessThanOrEqual(256 * KIB);
      expect(folder.stats.fileCount).toBeLessThanOrEqual(6);
      const all = readdirSync(folder.dir).filter((name) => name !== 'owner.json');
      const bytes = all.reduce(
        (sum, name) => sum + (statSync(join(folder.dir, name), { throwIfNoEntry: false })?.size ?? 0),
        0,
      );
      expect(bytes).toBeLessThanOrEqual(256 * KIB);
    }
    expect(codes).toEqual(new Set(['nothing', 'PLIMSOLL_SPILL_QUOTA']));
    for (let i = 0; i < 8; i++) expect(await codeOf(run.create())).toMatch(/nothing|PLIMSOLL_SPILL_QUOTA/);
    expect(folder.stats.fileCount).toBeLessThanOrEqual(6);
    // What one gives back is there for the other.
    await other[Symbol.asyncDispose]();
    await writers[0]!.write(batchOf(3_000, 0));
  });

  it('makes room in the folder: records that were deleted are compacted away for a run', async () => {
    const { folder, run } = await openRun({}, { maxBytes: 256 * KIB, segmentBytes: 64 * KIB });
    const records = [];
    for (let i = 0; i < 54; i++) records.push(await folder.put(batchOf(4_000, i)));
    records.forEach((record, i) => {
      if (i % 5 < 2) folder.delete(record);
    });
    await using writer = await run.create();
    for (let i = 0; i < 12; i++) await writer.write(batchOf(4_000, i));
    for (const [i, record] of records.entries()) {
      if (i % 5 >= 2) expect(batchOf(4_000, i).equals(await folder.get(record))).toBe(true);
    }
    expect(folder.stats.compactions).toBeGreaterThan(0);
    expect(folder.stats.diskBytes).toBeLessThanOrEqual(256 * KIB);
  });

  it('names what is wrong with its options', async () => {
    const { folder, run } = await openRun();
    const openWith = (options: object) => () => folder.openRun({ name: 'x', maxBytes: MIB, ...options });
    expect(openWith({ maxBytes: 5 })).toThrow('Expected `maxBytes` to be a whole number from 1024 up');
    expect(openWith({ maxBytes: undefined })).toThrow('`maxBytes`');
    expect(openWith({ name: '' })).toThrow('`name`');
    expect(openWith({ maxFiles: 0 })).toThrow('`maxFiles`');
    expect(openWith({ codec: 'lz4' })).toThrow('Expected `codec` to be one of `none`, `zstd`, `deflate`');
    expect(openWith({ maxBatchBytes: 2 ** 31 })).toThrow('`maxBatchBytes`');
    expect(openWith({ bufferBytes: 100 })).toThrow('`bufferBytes`');
    expect(openWith({ memory: {} })).toThrow('Expected `memory` to be a consumer');
    expect(openWith({ maxbytes: 5 })).toThrow('did you mean `maxBytes`');
    await using writer = await run.create();
    await expect(writer.write('text' as unknown as Uint8Array)).rejects.toThrow('`batch`');
    await expect(writer.write(Buffer.alloc(4 * MIB + 1))).rejects.toThrow(
      'Expected `bytes of a batch` to be a whole number from 0 to 4194304',
    );
    await expect(writer.write(Buffer.alloc(1), { signal: 5 as unknown as AbortSignal })).rejects.toThrow('`signal`');
    await writer.write(Buffer.from('fine'));
    await using segment = await writer.finish();
    expect(() => segment.read({ bufferBytes: 1 })).toThrow('`bufferBytes`');
    expect(() => segment.readBytes({ bufferBytes: 1 })).toThrow('`bufferBytes`');
    await expect(writer.write(Buffer.alloc(1))).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
    await expect(writer.finish()).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
  });

  it('says how far it is while somebody listens, ten times a second at most, and at the end', async () => {
    const clock = new ManualClock();
    const { folder, run } = await openRun({}, { clock });
    const events: SpillEvent[] = [];
    const listening = spillEvents.subscribe((event) => events.push(event));
    await using writer = await run.create();
    for (let i = 0; i < 100; i++) {
      await writer.write(batchOf(1_000, i));
      clock.advance(20);
    }
    expect(events).toHaveLength(20);
    expect(events[19]).toMatchObject({
      run: 'sort',
      dir: folder.dir,
      batchesWritten: 96,
      rawBytes: 96_000,
      fileCount: 1,
      ended: false,
    });
    expect(events[19]!.diskBytes).toBe(96 * 1_028 + 52);
    await run[Symbol.asyncDispose]();
    expect(events.at(-1)).toMatchObject({ diskBytes: 0, fileCount: 0, filesMade: 1, batchesWritten: 100, ended: true });
    expect(events).toHaveLength(21);
    listening[Symbol.dispose]();
    expect(spillEvents.heard).toBe(false);
  });
});

describe('the memory of a run', () => {
  const openGoverned = async (limitBytes: number, options: Partial<SpillRunOptions> = {}) => {
    const { governor, breakIt } = breakable(
      createGovernor({ limitBytes, runtimeBytes: 0, clock: new ManualClock(), meters: [], mode: 'on' }),
    );
    const memory = governor.consumer({ name: 'spill buffers', kind: 'external', maxBytes: limitBytes });
    return { governor, memory, breakIt, ...(await openRun({ memory, ...options })) };
  };

  it('is off the heap: a consumer of another kind is refused', async () => {
    const governor = createGovernor({
      limitBytes: MIB,
      runtimeBytes: 0,
      clock: new ManualClock(),
      meters: [],
      mode: 'on',
    });
    const memory = governor.consumer({ name: 'objects', kind: 'heap', maxBytes: MIB });
    await expect(openRun({ memory })).rejects.toThrow(
      'Expected `memory` to be a consumer of kind `external`, got `heap`',
    );
  });

  it('is reserved while it is there, and given back to the byte', async () => {
    const { memory, run } = await openGoverned(8 * MIB, { codec: 'deflate', bufferBytes: 64 * KIB });
    const writer = await run.create();
    expect(memory.heldBytes).toBe(128 * KIB);
    await writer.write(batchOf(200_000, 1));
    expect(memory.peakBytes).toBeGreaterThan(128 * KIB + 200_000);
    expect(memory.heldBytes).toBe(128 * KIB);
    await using segment = await writer.finish();
    expect(memory.heldBytes).toBe(0);
    const reader = segment.read({ bufferBytes: 16 * KIB });
    await reader.next();
    expect(memory.heldBytes).toBe(segment.readBytes({ bufferBytes: 16 * KIB }));
    expect(run.stats.heldBytes).toBe(memory.heldBytes);
    await reader.return();
    expect([memory.heldBytes, run.stats.heldBytes]).toEqual([0, 0]);
    await (await run.create())[Symbol.asyncDispose]();
    expect(memory.heldBytes).toBe(0);
  });

  it('makes do with less where there is no more, and refuses where there is none', async () => {
    const { memory, run } = await openGoverned(256 * KIB, { codec: 'deflate', bufferBytes: 128 * KIB });
    const rest = memory.reserve(220 * KIB);
    await using writer = await run.create();
    expect(memory.heldBytes).toBeLessThanOrEqual(256 * KIB);
    // There is no memory to compress: it is written as it is.
    for (let i = 0; i < 10; i++) await writer.write(batchOf(20_000, i));
    await using segment = await writer.finish();
    expect(segment.diskBytes).toBeGreaterThan(200_000);
    const reader = segment.read({ bufferBytes: 128 * KIB });
    expect(batchOf(20_000, 0).equals((await reader.next()).value!)).toBe(true);
    expect(memory.heldBytes).toBeLessThanOrEqual(256 * KIB);
    await reader.return();
    rest.grow(34 * KIB);
    expect(await codeOf(run.create())).toBe('PLIMSOLL_BUDGET_EXCEEDED');
    expect(await codeOf(segment.read().next())).toBe('PLIMSOLL_BUDGET_EXCEEDED');
    rest[Symbol.dispose]();
    expect(await readAll(segment)).toHaveLength(10);
    expect(memory.heldBytes).toBe(0);
  });

  it('is passed over when the governor is broken or the consumer gone: the run goes on, and counts it', async () => {
    const { memory, run, breakIt } = await openGoverned(8 * MIB);
    await using segment = await writeSegment(run, [batchOf(1_000, 1)]);
    memory[Symbol.dispose]();
    expect(await readAll(segment)).toHaveLength(1);
    breakIt();
    await using again = await writeSegment(run, [batchOf(1_000, 2)]);
    expect((await readAll(again))[0]!.equals(batchOf(1_000, 2))).toBe(true);
    expect(run.stats.faults).toBeGreaterThan(1);
  });
});
