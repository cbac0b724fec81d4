import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { nodeSpillFs, type SpilledSegment, SpillFolder, type SpillFs, type SpillRun } from 'plimsoll/spill';
import { describe, expect, it } from 'vitest';
import { FaultyFs } from './faulty-fs.ts';
import { tempParents } from './temp-parent.ts';

const KIB = 1_024;
const MIB = 1_048_576;
const parent = tempParents();
const batchOf = (i: number) => Buffer.alloc(3_000 + 7 * i, `batch ${i} `);

interface Outcome {
  readonly codes: string[];
  /** Of segments that could be read to the end. */
  read: number;
  /** Whether there was a folder at all. */
  opened: boolean;
}

/** A job that spills three segments and reads each twice, as a merge would: it goes on behind each error, to see what that has left. */
async function useRun(faulty: FaultyFs, dir: string, codec: 'none' | 'deflate'): Promise<Outcome> {
  const outcome: Outcome = { codes: [], read: 0, opened: false };
  const tryIt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (cause) {
      outcome.codes.push((cause as { code?: string }).code ?? String(cause));
      return undefined;
    }
  };
  const folder = await tryIt(() => SpillFolder.open(dir, { maxBytes: MIB, fs: faulty.fs, allowMemoryBacked: true }));
  if (folder === undefined) return outcome;
  outcome.opened = true;
  const run = folder.openRun({ name: 'faulty', maxBytes: 512 * KIB, codec, bufferBytes: 16 * KIB });
  for (let i = 0; i < 3; i++) {
    const segment = await tryIt(() => writeSegment(run));
    for (let pass = 0; segment !== undefined && pass < 2; pass++) {
      if (await tryIt(() => checkAll(segment))) outcome.read++;
    }
    if (i === 0) await segment?.[Symbol.asyncDispose]();
    // Whatever failed, what is counted is there, and within the bound.
    expect(run.stats.heldBytes).toBe(0);
    expect(run.stats.diskBytes).toBeLessThanOrEqual(512 * KIB);
  }
  await run[Symbol.asyncDispose]();
  await tryIt(() => folder[Symbol.asyncDispose]());
  if (existsSync(folder.dir)) await folder[Symbol.asyncDispose]();
  expect(folder.stats.diskBytes).toBe(0);
  return outcome;
}

async function writeSegment(run: SpillRun): Promise<SpilledSegment> {
  await using writer = await run.create();
  for (let i = 0; i < 12; i++) await writer.write([batchOf(i).subarray(0, 9), batchOf(i).subarray(9)]);
  return writer.finish();
}

/** Throws when a batch is wrong or missing: only a coded error may end it early. */
async function checkAll(segment: SpilledSegment): Promise<boolean> {
  let i = 0;
  for await (const batch of segment.read({ bufferBytes: 8 * KIB })) {
    if (!batchOf(i++).equals(batch)) throw new Error('wrong bytes');
  }
  if (i !== 12) throw new Error(`${i} batches`);
  return true;
}

describe('the disk below a run', () => {
  it.each([
    ['ENOSPC', 'PLIMSOLL_SPILL_NO_SPACE', 'none'],
    ['EDQUOT', 'PLIMSOLL_SPILL_NO_SPACE', 'deflate'],
    ['EIO', 'PLIMSOLL_SPILL_IO', 'none'],
    ['EIO', 'PLIMSOLL_SPILL_IO', 'deflate'],
  ] as const)(
    'that says %s at the Nth call ends in %s or in the right bytes, and leaves no orphan (%s)',
    async (code, ours, codec) => {
      const failed = new Set<string>();
      for (let nth = 1; ; nth++) {
        const dir = parent();
        const faulty = new FaultyFs(nth, code);
        const { codes, read, opened } = await useRun(faulty, dir, codec);
        const [what] = faulty.failed;
        for (const each of codes) expect(each, `call ${nth}: ${what}`).toBe(ours);
        // At most one segment could not be written, or one pass not be read; what goes wrong when a file goes is nobody's loss.
        const lost = { open: 2, writev: 2, read: 1 }[what ?? ''] ?? 0;
        if (opened) expect(read, `call ${nth}: ${what}`).toBe(6 - (codes.length === 0 ? 0 : lost));
        expect(readdirSync(dir), `call ${nth}: ${what}`).toEqual([]);
        if (what === undefined) break;
        failed.add(what);
      }
      for (const name of ['open', 'writev', 'read', 'unlink', 'close', 'rename', 'sync', 'rm'])
        expect(failed).toContain(name);
    },
  );

  it('that takes and gives only a few bytes at once is written to and read from to the end', async () => {
    const fs = withFile((file) => ({
      writev: (pieces, at) => file.writev([pieces[0]!.subarray(0, 1_001)], at),
      read: (into, from, length, at) => file.read(into, from, Math.min(997, length), at),
    }));
    await using folder = await SpillFolder.open(parent(), { maxBytes: MIB, fs, allowMemoryBacked: true });
    const segment = await writeSegment(folder.openRun({ name: 'slow', maxBytes: 512 * KIB, bufferBytes: 4 * KIB }));
    expect(await checkAll(segment)).toBe(true);
  });

  it('that takes nothing, and says no error, is not waited for for ever', async () => {
    const fs = withFile(() => ({ writev: async () => ({ bytesWritten: 0 }) }));
    await using folder = await SpillFolder.open(parent(), { maxBytes: MIB, fs, allowMemoryBacked: true });
    const run = folder.openRun({ name: 'stuck', maxBytes: 512 * KIB, bufferBytes: 4 * KIB });
    await expect(writeSegment(run)).rejects.toMatchObject({ code: 'PLIMSOLL_SPILL_IO' });
    expect(run.stats).toMatchObject({ fileCount: 0, diskBytes: 0, failures: 1 });
  });

  it('that fails a write behind the caller says so with the next call and every one after, and the file is gone', async () => {
    let failing = false;
    const fs = withFile((file) => ({
      writev: (pieces, at) =>
        failing ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) : file.writev(pieces, at),
    }));
    await using folder = await SpillFolder.open(parent(), { maxBytes: MIB, fs, allowMemoryBacked: true });
    const run = folder.openRun({ name: 'late', maxBytes: 512 * KIB, bufferBytes: 4 * KIB });
    const unhandled: unknown[] = [];
    const note = (cause: unknown) => void unhandled.push(cause);
    process.on('unhandledRejection', note);
    const writer = await run.create();
    failing = true;
    // It fits into a buffer: nobody has been told yet.
    await writer.write(Buffer.alloc(4_096));
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    for (let i = 0; i < 3; i++) {
      await expect(writer.write(batchOf(1))).rejects.toMatchObject({ code: 'PLIMSOLL_SPILL_IO' });
    }
    await expect(writer.finish()).rejects.toMatchObject({ code: 'PLIMSOLL_SPILL_IO' });
    expect(readdirSync(folder.dir)).toEqual(['owner.json']);
    expect(run.stats).toMatchObject({ fileCount: 0, diskBytes: 0, heldBytes: 0 });
    failing = false;
    expect(await checkAll(await writeSegment(run))).toBe(true);
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });

  it('that does not let a file go has it counted until it does, and tried again when room is needed', async () => {
    let stuck = true;
    const unlink = (path: string) =>
      stuck ? Promise.reject(Object.assign(new Error('EBUSY'), { code: 'EBUSY' })) : nodeSpillFs.unlink(path);
    const fs = { ...nodeSpillFs, unlink };
    await using folder = await SpillFolder.open(parent(), { maxBytes: 64 * KIB, fs, allowMemoryBacked: true });
    const run = folder.openRun({ name: 'stuck', maxBytes: MIB, bufferBytes: 4 * KIB });
    const segment = await writeSegment(run);
    await segment[Symbol.asyncDispose]();
    expect(run.stats).toMatchObject({ fileCount: 1, diskBytes: segment.diskBytes });
    await expect(writeSegment(run)).rejects.toMatchObject({ code: 'PLIMSOLL_SPILL_QUOTA' });
    await run[Symbol.asyncDispose]();
    expect(folder.stats.runFileCount).toBe(2);
    stuck = false;
    const next = folder.openRun({ name: 'next', maxBytes: MIB, bufferBytes: 4 * KIB });
    expect(await checkAll(await writeSegment(next))).toBe(true);
    expect(folder.stats).toMatchObject({ runFileCount: 1, refused: 1 });
  });

  it('from which somebody else has taken the files is no error at the end', async () => {
    const dir = parent();
    const folder = await SpillFolder.open(dir, { maxBytes: MIB, allowMemoryBacked: true });
    const segment = await writeSegment(folder.openRun({ name: 'gone', maxBytes: 512 * KIB }));
    const { unlinkSync } = await import('node:fs');
    for (const name of readdirSync(folder.dir)) if (name.startsWith('run-')) unlinkSync(join(folder.dir, name));
    // The file is still open.
    expect(await checkAll(segment)).toBe(true);
    await segment[Symbol.asyncDispose]();
    expect(folder.stats).toMatchObject({ diskBytes: 0, fileCount: 0 });
    await folder[Symbol.asyncDispose]();
    expect(readdirSync(dir)).toEqual([]);
  });
});

type File = Awaited<ReturnType<SpillFs['open']>>;

/** The disk, with calls of run files replaced. */
function withFile(replace: (file: File) => Partial<File>): SpillFs {
  return {
    ...nodeSpillFs,
    open: async (path, flags, mode) => {
      const file = await nodeSpillFs.open(path, flags, mode);
      if (!path.includes('run-')) return file;
      return {
        writev: (pieces, at) => file.writev(pieces, at),
        read: (into, from, length, at) => file.read(into, from, length, at),
        truncate: (length) => file.truncate(length),
        sync: () => file.sync(),
        close: () => file.close(),
        ...replace(file),
      };
    },
  };
}
