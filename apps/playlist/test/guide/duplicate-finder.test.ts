import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { Digest } from '../../src/channels/digest.ts';
import { DuplicateFinder } from '../../src/guide/duplicate-finder.ts';
import { countingConsumer } from './counting-consumer.ts';

const disk = vi.hoisted(() => ({ isFull: false, reads: undefined as 'fail' | 'end early' | undefined }));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  return {
    ...fs,
    writeSync(...args: Parameters<typeof fs.writeSync>): number {
      if (disk.isFull) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      return fs.writeSync(...args);
    },
    readSync(...args: Parameters<typeof fs.readSync>): number {
      if (disk.reads === 'fail') throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
      return disk.reads === 'end early' ? 0 : fs.readSync(...args);
    },
  };
});
afterEach(() => {
  disk.isFull = false;
  disk.reads = undefined;
});

test.each([
  ['none', 10, () => 0],
  ['some, within what is not yet in the file', 1000, (i: number) => (i % 3 === 0 ? i - (i % 100) : i)],
  ['many, in many blocks', 300_000, (i: number) => (i * 7919) % 100_003],
  ['all the same', 100_000, () => 7],
])('finds what stood there before: %s', (_, count, keyOf) => {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'));
  const consumer = countingConsumer(8 * 1024 * 1024);
  const seen = new Set<number>();
  const expected: number[] = [];
  {
    using finder = new DuplicateFinder(folder, consumer);
    const digest = new Digest();
    const key = Buffer.alloc(4);
    for (let i = 0; i < count; i++) {
      const value = keyOf(i);
      key.writeUInt32LE(value);
      finder.add(digest.of(key, 0, 4));
      if (seen.has(value)) expected.push(i);
      seen.add(value);
    }
    finder.finish();
    const found: number[] = [];
    for (let i = 0; i < count; i++) if (finder.isDuplicate(i)) found.push(i);
    expect(found).toEqual(expected);
    expect(finder.duplicateCount).toBe(expected.length);
  }
  expect(consumer.heldBytes).toBe(0);
  expect(readdirSync(folder)).toEqual([]);
  rmSync(folder, { recursive: true });
});

test('a partition with more different digests than fit at a time is looked through in several goes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'));
  const consumer = countingConsumer(4 * 1024 * 1024);
  using finder = new DuplicateFinder(folder, consumer);
  // All in partition 0; twice 200,000.
  for (let i = 0; i < 400_000; i++)
    finder.add({ a: 0, b: i % 200_000, c: Math.imul(i % 200_000, 0x9e3779b1) >>> 0 } as Digest);
  finder.finish();
  expect(finder.duplicateCount).toBe(200_000);
  expect(finder.isDuplicate(199_999)).toBe(false);
  expect(finder.isDuplicate(200_000)).toBe(true);
  rmSync(folder, { recursive: true });
});

test('a full disk ends in an error that says what to do, and leaves neither file nor memory', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'));
  const consumer = countingConsumer();
  {
    using finder = new DuplicateFinder(folder, consumer);
    disk.isFull = true;
    const fill = (): void => {
      for (let i = 0; i < 100_000; i++) finder.add({ a: i, b: i, c: i } as Digest);
    };
    expect(fill).toThrow(
      expect.objectContaining({
        code: 'PLIMSOLL_PLAYLIST_OUTPUT',
        message: expect.stringMatching(/duplicates-.*no space left/),
      }),
    );
  }
  expect(readdirSync(folder)).toEqual([]);
  expect(consumer.heldBytes).toBe(0);
  rmSync(folder, { recursive: true });
});

test.each([
  ['fail', /cannot read back .*duplicates-.*: the disk reports a read or write fault\. The old files are untouched\.$/],
  ['end early', /cannot read back .*duplicates-.*shorter than it was written/],
] as const)('hole: reads that %s end in an error without a code, and leave file and memory', (reads, message) => {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'));
  const consumer = countingConsumer();
  {
    using finder = new DuplicateFinder(folder, consumer);
    for (let i = 0; i < 100_000; i++) finder.add({ a: i, b: i, c: i } as Digest);
    disk.reads = reads;
    expect(() => finder.finish()).toThrow(
      expect.objectContaining({ code: 'PLIMSOLL_PLAYLIST_OUTPUT', message: expect.stringMatching(message) }),
    );
    expect(readdirSync(folder)).toHaveLength(1);
  }
  expect(readdirSync(folder)).toEqual([]);
  expect(consumer.heldBytes).toBe(0);
  rmSync(folder, { recursive: true });
});

test('a folder that is gone is said so, and nothing stays reserved', () => {
  const consumer = countingConsumer();
  expect(() => new DuplicateFinder(join(tmpdir(), 'plimsoll-is-not-here'), consumer)).toThrow(
    expect.objectContaining({ code: 'PLIMSOLL_PLAYLIST_OUTPUT' }),
  );
  expect(consumer.heldBytes).toBe(0);
});
