import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { createGovernor } from 'plimsoll';
import { BufferPool } from 'plimsoll/pool';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FileSink } from '../../src/output/file-sink.ts';

let dir: string;
let fileCount = 0;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'plimsoll-sink-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const freshPath = () => join(dir, `file-${fileCount++}`);
function freshConsumer() {
  const governor = createGovernor({ limitBytes: 64 * 2 ** 20, runtimeBytes: 0 });
  return governor.consumer({ name: 'output', kind: 'external', maxBytes: 2 ** 20 });
}

describe('a file sink with a pool', () => {
  const poolOf = (count: number) =>
    new BufferPool({
      name: 'ahead',
      maxBytes: count * 1024,
      maxPooledBytes: 1024,
      preallocate: [{ bytes: 1024, count }],
    });
  const write = async (sink: FileSink) => {
    for (let i = 0; i < 100; i++) await sink.write(Buffer.from(`${i} `.repeat(10)), 0, `${i} `.length * 10);
    await sink.finish({ sync: false });
  };
  const written = Array.from({ length: 100 }, (_, i) => `${i} `.repeat(10)).join('');

  it('borrows what is at rest, brings what is missing, and gives back', async () => {
    for (const [count, ownBytes] of [
      [2, 0],
      [1, 1024],
    ] as const) {
      using pool = poolOf(count);
      const consumer = freshConsumer();
      const path = freshPath();
      {
        await using sink = await FileSink.create(path, 1024, consumer, pool);
        expect(pool.stats).toMatchObject({ leased: count, hits: count, misses: 0 });
        expect(consumer.heldBytes).toBe(ownBytes);
        await write(sink);
      }
      expect(await readFile(path, 'utf8')).toBe(written);
      expect(pool.stats).toMatchObject({ leased: 0, idle: count });
      expect(consumer.heldBytes).toBe(0);
    }
  });

  it('gives back when it needs larger ones, and when the file cannot be made', async () => {
    using pool = poolOf(2);
    const consumer = freshConsumer();
    await using sink = await FileSink.create(freshPath(), 1024, consumer, pool);
    await sink.makeRoom(5000);
    expect(pool.stats.leased).toBe(0);
    expect(consumer.heldBytes).toBe(10_000);
    await write(sink);
    expect(await readFile(sink.path, 'utf8')).toBe(written);
    await expect(FileSink.create(join(dir, 'nowhere', 'file'), 1024, consumer, pool)).rejects.toThrow(/nowhere/);
    const small = createGovernor({ limitBytes: 2 ** 20, runtimeBytes: 0 });
    const poor = small.consumer({ name: 'poor', kind: 'external', maxBytes: 1500 });
    using one = poolOf(1);
    await expect(FileSink.create(freshPath(), 2000, poor, one)).rejects.toMatchObject({
      code: 'PLIMSOLL_BUDGET_EXCEEDED',
    });
    expect(pool.stats.leased + one.stats.leased).toBe(0);
  });
});

describe('file sink', () => {
  it('writes what it was given, in whatever pieces', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 60 }), async (pieces) => {
        const path = freshPath();
        await using sink = await FileSink.create(path, 64, freshConsumer());
        for (const piece of pieces) await sink.write(piece, 0, piece.length);
        await sink.finish({ sync: false });
        const expected = Buffer.concat(pieces);
        expect(sink.sizeBytes).toBe(expected.length);
        expect((await readFile(path)).equals(expected)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('makes room for a record larger than its buffers, and reserves that', async () => {
    const consumer = freshConsumer();
    const path = freshPath();
    {
      await using sink = await FileSink.create(path, 64, consumer);
      await sink.write(Buffer.from('before '), 0, 7);
      expect(sink.fits(1000)).toBe(false);
      await sink.makeRoom(1000);
      expect(sink.fits(1000)).toBe(true);
      expect(consumer.heldBytes).toBe(2000);
      sink.at += sink.buffer.write('x'.repeat(1000), sink.at);
      await sink.finish({ sync: true });
    }
    expect(await readFile(path, 'utf8')).toBe(`before ${'x'.repeat(1000)}`);
    expect(consumer.heldBytes).toBe(0);
  });

  it('reads back what was flushed', async () => {
    await using sink = await FileSink.create(freshPath(), 16, freshConsumer());
    await sink.write(Buffer.from('0123456789abcdef0123'), 0, 20);
    await sink.finish({ sync: false });
    const target = Buffer.alloc(8);
    expect(await sink.readBack(target, 2, 5, 10)).toBe(5);
    expect(target.toString('latin1', 2, 7)).toBe('abcde');
  });

  it('says what is wrong in one line when the place cannot be written', async () => {
    const refused = FileSink.create(join(dir, 'no-such-folder', 'file'), 64, freshConsumer());
    await expect(refused).rejects.toMatchObject({
      code: 'PLIMSOLL_PLAYLIST_OUTPUT',
      message: expect.stringMatching(/^cannot write .*no-such-folder.*The old files are untouched\.$/),
    });
  });
});
