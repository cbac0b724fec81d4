import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { nodeSpillFs, SpillFolder, type SpillFolderOptions, type SpillRecord } from 'plimsoll/spill';
import { describe, expect, it } from 'vitest';
import { tempParents } from './temp-parent.ts';

const KIB = 1_024;
const MIB = 1_048_576;
const parent = tempParents();

// The tests of what counts as memory are elsewhere: here any disk does.
const open = (options: Partial<SpillFolderOptions> = {}, dir = parent()) =>
  SpillFolder.open(dir, { maxBytes: MIB, allowMemoryBacked: true, ...options });
const filesBytes = (dir: string) =>
  readdirSync(dir)
    .filter((name) => name.startsWith('segment'))
    .reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
const settled = async (folder: SpillFolder) => {
  // Background work ends within a few turns of the disk.
  for (let i = 0; i < 20; i++) await folder.put(Buffer.alloc(0)).then((record) => folder.delete(record));
};

describe('a spill folder', () => {
  it('gives back what was put in, in one piece or several, into a buffer of its own or the given one', async () => {
    await using folder = await open();
    const one = await folder.put(Buffer.from('one'));
    const two = await folder.put([Buffer.from('t'), new Uint8Array(0), Buffer.from('wo')]);
    const none = await folder.put(new Uint8Array(0));
    expect(String(await folder.get(two))).toBe('two');
    const into = new Uint8Array(100);
    const found = await folder.get(one, { into });
    expect(found.buffer).toBe(into.buffer);
    expect(Buffer.from(found).toString()).toBe('one');
    expect((await folder.get(none)).byteLength).toBe(0);
    // Too small by a byte: a buffer of its own.
    expect((await folder.get(one, { into: new Uint8Array(30) })).byteLength).toBe(3);
    expect(folder.stats).toMatchObject({ recordCount: 3, puts: 3, gets: 4, liveBytes: 90, fileCount: 1 });
  });

  it('is private, and gone when it is disposed, twice too', async () => {
    const dir = parent();
    const folder = await open({}, join(dir, 'made', 'when missing'));
    await folder.put(Buffer.from('secret'));
    expect(statSync(folder.dir).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(folder.dir)) expect(statSync(join(folder.dir, name)).mode & 0o777).toBe(0o600);
    const owner = JSON.parse(readFileSync(join(folder.dir, 'owner.json'), 'utf8'));
    expect(owner).toMatchObject({ pid: process.pid });
    await folder[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
    expect(readdirSync(join(dir, 'made', 'when missing'))).toEqual([]);
    await expect(folder.put(Buffer.from('x'))).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
  });

  it.skipIf(process.platform !== 'linux')(
    'is refused at once where no folder can be made, and where a file is in the way',
    async () => {
      const dir = parent();
      writeFileSync(join(dir, 'file'), '');
      // Node's own way of making folders tries for ever in the first of these.
      const places = ['/proc/plimsoll/spill', join(dir, 'file'), join(dir, 'file', 'spill')];
      for (const place of places)
        await expect(open({}, place), place).rejects.toMatchObject({ code: 'PLIMSOLL_SPILL_IO' });
      expect(readdirSync(dir)).toEqual(['file']);
    },
  );

  it('has nothing any more of what was deleted, and says so', async () => {
    await using folder = await open();
    const record = await folder.put(Buffer.from('x'));
    folder.delete(record);
    folder.delete(record);
    await expect(folder.get(record)).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
    expect(folder.stats).toMatchObject({ recordCount: 0, deletes: 1 });
    await using other = await open();
    const theirs = await other.put(Buffer.from('y'));
    await expect(folder.get(theirs)).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
    folder.delete(theirs);
    expect(other.stats.recordCount).toBe(1);
  });

  it('removes a segment when nothing in it is wanted, also while the next record is being written into it', async () => {
    await using folder = await open({ segmentBytes: 10 * KIB });
    const records: SpillRecord[] = [];
    for (let i = 0; i < 20; i++) records.push(await folder.put(Buffer.alloc(KIB, i)));
    expect(folder.stats.fileCount).toBe(3);
    for (const record of records.slice(0, 9)) folder.delete(record);
    await settled(folder);
    expect(folder.stats.fileCount).toBe(2);
    const last = await folder.put(Buffer.from('first of the active one'));
    for (const record of records) folder.delete(record);
    const writing = folder.put(Buffer.from('under way'));
    folder.delete(last);
    expect(String(await folder.get(await writing))).toBe('under way');
    expect(folder.stats.recordCount).toBe(1);
  });

  it('compacts a segment that is mostly dead, and what is left in it is still right', async () => {
    await using folder = await open({ segmentBytes: 100 * KIB });
    const records: SpillRecord[] = [];
    for (let i = 0; i < 300; i++) records.push(await folder.put(Buffer.alloc(KIB, i)));
    records.forEach((record, i) => {
      if (i % 4 > 0) folder.delete(record);
    });
    await settled(folder);
    expect(folder.stats.compactions).toBeGreaterThan(0);
    expect(folder.stats.diskBytes).toBeLessThan(200 * KIB);
    expect(filesBytes(folder.dir)).toBeLessThanOrEqual(folder.stats.diskBytes);
    for (let i = 0; i < 300; i += 4) {
      expect(Buffer.from(await folder.get(records[i]!)).equals(Buffer.alloc(KIB, i))).toBe(true);
    }
  });

  it('stays within its bytes and files, whatever is thrown at it, and takes more when there is room again', async () => {
    await using folder = await open({ maxBytes: 256 * KIB, maxFiles: 6 });
    const records: SpillRecord[] = [];
    const failures: string[] = [];
    for (let i = 0; i < 400; i++) {
      const record = await folder.put(Buffer.alloc(KIB, i)).catch((cause) => void failures.push(cause.code));
      if (record !== undefined) records.push(record);
      expect(folder.stats.diskBytes).toBeLessThanOrEqual(256 * KIB);
      expect(filesBytes(folder.dir)).toBeLessThanOrEqual(256 * KIB);
      expect(folder.stats.fileCount).toBeLessThanOrEqual(6);
    }
    expect(new Set(failures)).toEqual(new Set(['PLIMSOLL_SPILL_QUOTA']));
    expect(folder.stats.refused).toBe(failures.length);
    expect(records.length).toBeGreaterThan(60);
    // Two thirds of each segment die: there is room for compaction by construction.
    records.forEach((record, i) => {
      if (i % 3 > 0) folder.delete(record);
    });
    await settled(folder);
    for (let i = 0; i < 40; i++) await folder.put(Buffer.alloc(KIB));
    expect(filesBytes(folder.dir)).toBeLessThanOrEqual(256 * KIB);
    await expect(folder.put(Buffer.alloc(MIB))).rejects.toMatchObject({ code: 'PLIMSOLL_SPILL_QUOTA' });
  });

  it('finds out what has changed on the disk: cut short, overwritten, exchanged', async () => {
    await using folder = await open();
    const records = [];
    for (let i = 0; i < 4; i++) records.push(await folder.put(Buffer.alloc(100, i)));
    const path = join(folder.dir, readdirSync(folder.dir).find((name) => name.startsWith('segment'))!);
    const bytes = readFileSync(path);
    const swapped = Buffer.concat([bytes.subarray(128, 256), bytes.subarray(0, 128), bytes.subarray(256, 428)]);
    swapped[320]! ^= 1;
    writeFileSync(path, swapped);
    const faults = await Promise.all(records.map((record) => folder.get(record).catch((cause) => cause)));
    expect(faults.map(({ code, fault }) => [code, fault])).toEqual([
      ['PLIMSOLL_SPILL_CORRUPT', 'id'],
      ['PLIMSOLL_SPILL_CORRUPT', 'id'],
      ['PLIMSOLL_SPILL_CORRUPT', 'checksum'],
      ['PLIMSOLL_SPILL_CORRUPT', 'short'],
    ]);
    expect(folder.stats.corrupt).toBe(4);
  });

  it('does not begin what was aborted, and rejects with the reason', async () => {
    await using folder = await open();
    const record = await folder.put(Buffer.from('x'));
    const signal = AbortSignal.abort('enough');
    await expect(folder.put(Buffer.from('y'), { signal })).rejects.toBe('enough');
    await expect(folder.get(record, { signal })).rejects.toBe('enough');
    expect(folder.stats.recordCount).toBe(1);
  });

  it('goes on writing where the system takes only a part at once', async () => {
    const fs = {
      ...nodeSpillFs,
      open: async (path: string, flags: string, mode: number) => {
        const file = await nodeSpillFs.open(path, flags, mode);
        const writev = (pieces: readonly Uint8Array[], at: number) => file.writev([pieces[0]!.subarray(0, 7)], at);
        const read = (into: Uint8Array, from: number, length: number, at: number) =>
          file.read(into, from, Math.min(5, length), at);
        return {
          writev,
          read,
          truncate: (n: number) => file.truncate(n),
          sync: () => file.sync(),
          close: () => file.close(),
        };
      },
    };
    await using folder = await open({ fs });
    const text = 'a text that takes several writes';
    const record = await folder.put([Buffer.from(text), Buffer.from(text)]);
    expect(String(await folder.get(record))).toBe(text + text);
  });

  it('names what is wrong with its options', async () => {
    await expect(open({ maxBytes: 10 })).rejects.toThrow('Expected `maxBytes` to be a whole number from 65536 up');
    await expect(open({ maxFiles: 1 })).rejects.toThrow('`maxFiles`');
    await expect(open({ allowMemoryBacked: 1 as unknown as boolean })).rejects.toThrow('`allowMemoryBacked`');
    await expect(open({ maxbytes: 5 } as object)).rejects.toThrow('did you mean `maxBytes`');
    await expect(SpillFolder.open('', { maxBytes: MIB })).rejects.toThrow('`parentDir`');
  });

  it('is a map from records to bytes, whatever is put, read and deleted in whatever order', async () => {
    const step = fc.record({
      do: fc.constantFrom('put', 'put', 'get', 'delete', 'put and delete') as fc.Arbitrary<string>,
      bytes: fc.oneof(fc.nat(200), fc.nat(30_000)),
      pick: fc.nat(10_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), async (steps) => {
        await using folder = await open({ maxBytes: 200 * KIB, segmentBytes: 20 * KIB, maxFiles: 20 });
        const plain = new Map<SpillRecord, Buffer>();
        const waiting: Promise<unknown>[] = [];
        const put = async (bytes: number, fill: number) => {
          const payload = Buffer.alloc(bytes, fill + 1);
          const record = await folder.put(payload).catch((cause) => {
            expect(cause.code).toBe('PLIMSOLL_SPILL_QUOTA');
          });
          if (record !== undefined) plain.set(record, payload);
        };
        const chosen = (pick: number) => [...plain.keys()][pick % Math.max(1, plain.size)];
        for (const { do: what, bytes, pick } of steps) {
          if (what === 'put') await put(bytes, pick);
          else if (what === 'put and delete') {
            waiting.push(put(bytes, pick));
            const record = chosen(pick);
            if (record !== undefined && plain.delete(record)) folder.delete(record);
          } else {
            const record = chosen(pick);
            if (record === undefined) continue;
            if (what === 'get') {
              const expected = plain.get(record)!;
              waiting.push(folder.get(record).then((found) => expect(expected.equals(found)).toBe(true)));
            } else if (plain.delete(record)) folder.delete(record);
          }
          expect(folder.stats.diskBytes).toBeLessThanOrEqual(200 * KIB);
        }
        await Promise.all(waiting);
        for (const [record, payload] of plain) expect(payload.equals(await folder.get(record))).toBe(true);
        expect(folder.stats).toMatchObject({ recordCount: plain.size, corrupt: 0, failures: 0 });
      }),
      { numRuns: 60 },
    );
  });
});
