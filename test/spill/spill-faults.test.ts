import { existsSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { nodeSpillFs, SpillFolder, type SpillFs, type SpillRecord } from 'plimsoll/spill';
import { describe, expect, it } from 'vitest';
import { FaultyFs } from './faulty-fs.ts';
import { tempParents } from './temp-parent.ts';

const KIB = 1_024;
const parent = tempParents();

/** All that a folder does, with what is put there held beside it. Failures with a code are noted and passed over. */
async function useFolder(faulty: FaultyFs, dir: string) {
  const codes: string[] = [];
  const tryIt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (cause) {
      codes.push((cause as { code: string }).code);
      return undefined;
    }
  };
  const folder = await tryIt(() =>
    SpillFolder.open(dir, { maxBytes: 128 * KIB, segmentBytes: 8 * KIB, fs: faulty.fs, allowMemoryBacked: true }),
  );
  if (folder === undefined) return { codes, wrong: 0, lost: 0 };
  const plain = new Map<SpillRecord, Buffer>();
  let wrong = 0;
  let lost = 0;
  const check = async () => {
    for (const [record, payload] of plain) {
      const found = await tryIt(() => folder.get(record));
      if (found === undefined) lost++;
      else if (!payload.equals(found)) wrong++;
    }
  };
  for (let i = 0; i < 24; i++) {
    const payload = Buffer.alloc(KIB + i, i + 1);
    const record = await tryIt(() => folder.put([payload.subarray(0, 100), payload.subarray(100)]));
    if (record !== undefined) plain.set(record, payload);
  }
  await check();
  [...plain.keys()].forEach((record, i) => {
    if (i % 3 === 0) return;
    plain.delete(record);
    folder.delete(record);
  });
  for (let i = 0; i < 8; i++) {
    const payload = Buffer.alloc(2 * KIB, i + 100);
    const record = await tryIt(() => folder.put(payload));
    if (record !== undefined) plain.set(record, payload);
  }
  await check();
  await tryIt(() => folder[Symbol.asyncDispose]());
  // Only where removing it was what failed is there something left, and then a second time does it.
  if (existsSync(folder.dir)) await folder[Symbol.asyncDispose]();
  return { codes, wrong, lost };
}

describe('the disk', () => {
  it.each([
    ['ENOSPC', 'PLIMSOLL_SPILL_NO_SPACE'],
    ['EIO', 'PLIMSOLL_SPILL_IO'],
  ])(
    'that says %s at the Nth call loses nothing but what it refused, and leaves nothing behind',
    async (code, ours) => {
      const failed = new Set<string>();
      let runs = 0;
      for (let nth = 1; ; nth++) {
        const dir = parent();
        const faulty = new FaultyFs(nth, code);
        const { codes, wrong, lost } = await useFolder(faulty, dir);
        expect(wrong, `call ${nth}`).toBe(0);
        for (const each of codes) expect(each, `call ${nth}: ${faulty.failed}`).toBe(ours);
        // A read that failed is the one thing that was there and could not be had.
        expect(lost, `call ${nth}: ${faulty.failed}`).toBeLessThanOrEqual(faulty.failed.includes('read') ? 1 : 0);
        if (faulty.failed[0] !== 'rm' || codes.length < 2)
          expect(readdirSync(dir), `call ${nth}: ${faulty.failed}`).toEqual([]);
        runs++;
        if (faulty.failed.length === 0) break;
        failed.add(faulty.failed[0]!);
      }
      expect(runs).toBeGreaterThan(100);
      for (const name of ['mkdir', 'open', 'writev', 'read', 'sync', 'rename', 'unlink', 'close', 'rm', 'statfs']) {
        if (name !== 'statfs') expect(failed, name).toContain(name);
      }
    },
  );

  it('that fails a write and cannot cut it off again costs that segment no record and the next put nothing', async () => {
    const dir = parent();
    let failing = false;
    const fs: SpillFs = {
      ...nodeSpillFs,
      open: async (path, flags, mode) => {
        const file = await nodeSpillFs.open(path, flags, mode);
        const fail = () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
        return {
          writev: async (pieces, at) => {
            if (!failing) return file.writev(pieces, at);
            await file.writev([pieces[0]!], at);
            return fail();
          },
          read: (into, from, length, at) => file.read(into, from, length, at),
          truncate: () => fail(),
          sync: () => file.sync(),
          close: () => file.close(),
        };
      },
    };
    await using folder = await SpillFolder.open(dir, { maxBytes: 128 * KIB, fs, allowMemoryBacked: true });
    const before = await folder.put(Buffer.from('before'));
    failing = true;
    await expect(folder.put(Buffer.from('lost'))).rejects.toMatchObject({ code: 'PLIMSOLL_SPILL_IO' });
    failing = false;
    const after = await folder.put(Buffer.from('after'));
    expect(String(await folder.get(before))).toBe('before');
    expect(String(await folder.get(after))).toBe('after');
    expect(folder.stats).toMatchObject({ fileCount: 2, failures: 1 });
  });

  it('that does not let a file go has it counted until it does', async () => {
    const dir = parent();
    let stuck = true;
    const unlink = (path: string) =>
      stuck ? Promise.reject(Object.assign(new Error('EBUSY'), { code: 'EBUSY' })) : nodeSpillFs.unlink(path);
    const fs = { ...nodeSpillFs, unlink };
    await using folder = await SpillFolder.open(dir, { maxBytes: 64 * KIB, fs, allowMemoryBacked: true });
    const put = async () => folder.put(Buffer.alloc(4 * KIB)).catch((cause) => cause.code as string);
    const records: SpillRecord[] = [];
    for (let i = 0; i < 30; i++) {
      const record = await put();
      if (typeof record === 'string') expect(record).toBe('PLIMSOLL_SPILL_QUOTA');
      else records.push(record);
    }
    for (const record of records) folder.delete(record);
    expect(await put()).toBe('PLIMSOLL_SPILL_QUOTA');
    stuck = false;
    expect(await put()).toMatchObject({ bytes: 4 * KIB });
  });
});

it('a signal that was aborted for no reason at all ends one put, not the folder', async () => {
  const folder = await SpillFolder.open(parent(), { maxBytes: 256 * KIB, allowMemoryBacked: true });
  const unhandled: unknown[] = [];
  const note = (cause: unknown) => void unhandled.push(cause);
  process.on('unhandledRejection', note);
  try {
    for (const reason of [null, 0, '', 'why', Symbol('why')]) {
      const signal = AbortSignal.abort(reason);
      await expect(folder.put(Buffer.from('a'), { signal })).rejects.toBe(reason);
      await new Promise((resolve) => setImmediate(resolve));
      expect(String(await folder.get(await folder.put(Buffer.from('b'))))).toBe('b');
    }
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', note);
    await folder[Symbol.asyncDispose]();
  }
});

it('segments that somebody else has removed do not count for ever', async () => {
  const folder = await SpillFolder.open(parent(), { maxBytes: 256 * KIB, allowMemoryBacked: true });
  for (let round = 0; round < 20; round++) {
    const records: SpillRecord[] = [];
    for (let i = 0; i < 10; i++) records.push(await folder.put(Buffer.alloc(8 * KIB, round)));
    for (const file of readdirSync(folder.dir)) if (file.startsWith('segment')) unlinkSync(join(folder.dir, file));
    for (const record of records) folder.delete(record);
  }
  expect(folder.stats).toMatchObject({ recordCount: 0, refused: 0 });
  await folder[Symbol.asyncDispose]();
  expect(folder.stats.diskBytes).toBe(0);
});
