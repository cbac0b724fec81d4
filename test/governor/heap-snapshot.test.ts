import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeHeapSnapshotIfRoom } from '../../src/governor/heap-snapshot.ts';
import { whyNoLimits } from '../cgroup/memory-group.ts';
import { runInLimit } from '../cgroup/run-in-limit.ts';

const MIB = 1_048_576;
const SOURCE = JSON.stringify(join(import.meta.dirname, '../../src/governor/heap-snapshot.ts'));
const whyNot = await whyNoLimits();
if (whyNot !== undefined) console.warn(`Tests in real memory limits are skipped: ${whyNot}.`);

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-snapshot-test-'));
  path = join(folder, 'a.heapsnapshot');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const noRoom = (message: string) =>
  expect.objectContaining({ code: 'PLIMSOLL_NO_ROOM_FOR_SNAPSHOT', message: expect.stringContaining(message) });

describe('a heap snapshot', () => {
  it('is written when there is room', () => {
    const script = `
      import { writeHeapSnapshotIfRoom } from ${SOURCE};
      const usedHeapBytes = process.memoryUsage().heapUsed;
      console.log(writeHeapSnapshotIfRoom({ path: ${JSON.stringify(path)}, freeBytes: 2 ** 40, usedHeapBytes }));`;
    const child = spawnSync(process.execPath, ['--conditions=source', '--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect([child.stderr, child.status]).toEqual(['', 0]);
    const text = readFileSync(path, 'utf8');
    expect(Number(child.stdout)).toBe(Buffer.byteLength(text));
    expect(JSON.parse(text)).toHaveProperty('snapshot.meta');
  });

  it.each([
    [2_000 * MIB - 1, undefined],
    [200 * MIB - 1, 2],
    [0, undefined],
    [-1, 2],
    [Number.NaN, 2],
    [Number.POSITIVE_INFINITY, undefined],
  ])('is refused with %d bytes free of a heap of 100 MiB, factor %s', (freeBytes, memoryFactor) => {
    const factor = memoryFactor === undefined ? {} : { memoryFactor };
    const request = { path, freeBytes, usedHeapBytes: 100 * MIB, ...factor };
    expect(() => writeHeapSnapshotIfRoom(request)).toThrow(noRoom('under the limit'));
    expect(existsSync(path)).toBe(false);
  });

  it('is refused when the disk has no room for it', () => {
    const request = { path, freeBytes: Number.MAX_VALUE, usedHeapBytes: Number.MAX_SAFE_INTEGER };
    expect(() => writeHeapSnapshotIfRoom(request)).toThrow(noRoom('on the disk'));
  });

  it('is never allowed with less than twice the used heap', () => {
    const request = { path, freeBytes: 2 ** 40, usedHeapBytes: MIB };
    for (const memoryFactor of [1, 0, -2, 1.5, Number.NaN]) {
      expect(() => writeHeapSnapshotIfRoom({ ...request, memoryFactor })).toThrow('Expected `memoryFactor`');
    }
  });

  it('that cannot be written is one clear error', () => {
    const { used_heap_size: usedHeapBytes } = getHeapStatistics();
    const failed = expect.objectContaining({ code: 'PLIMSOLL_SNAPSHOT_FAILED' });
    const far = { path: join(folder, 'none', 'a'), freeBytes: 2 ** 40, usedHeapBytes };
    expect(() => writeHeapSnapshotIfRoom(far)).toThrow(failed);
    writeFileSync(join(folder, 'file'), '');
    expect(() => writeHeapSnapshotIfRoom({ ...far, path: join(folder, 'file', 'a') })).toThrow(failed);
    expect(() => writeHeapSnapshotIfRoom({ ...far, path: '' })).toThrow('Expected `path`');
  });

  // More than twice the used heap is free under the limit: a snapshot taken all the same is killed for it.
  const load = (take: string) => `
    import { writeHeapSnapshot } from 'node:v8';
    import { readFileSync } from 'node:fs';
    import { writeHeapSnapshotIfRoom } from ${SOURCE};
    const held = [];
    for (let i = 0; i < 90_000; i++) held.push([i, i]);
    const usedHeapBytes = process.memoryUsage().heapUsed;
    const freeBytes = ${128 * MIB} - process.memoryUsage().rss;
    const path = ${JSON.stringify(path)};
    const ratio = freeBytes / usedHeapBytes;
    try { ${take}; } catch (error) { console.log(JSON.stringify({ code: error.code, ratio, held: held.length })); }`;

  it.skipIf(whyNot !== undefined)('a guard does not kill by taking a heap snapshot', async () => {
    const run = (take: string) =>
      runInLimit({
        command: process.execPath,
        args: ['--conditions=source', '--input-type=module', '-e', load(take)],
        limitBytes: 128 * MIB,
      });
    const guarded = await run('writeHeapSnapshotIfRoom({ path, freeBytes, usedHeapBytes })');
    expect(guarded).toMatchObject({ exitCode: 0, oomKilled: false });
    const { code, ratio } = JSON.parse(guarded.stdout) as { code: string; ratio: number };
    expect(code).toBe('PLIMSOLL_NO_ROOM_FOR_SNAPSHOT');
    expect(ratio).toBeGreaterThan(2);
    console.log(`refused with ${ratio.toFixed(1)} times the used heap free`);
    const unguarded = await run('writeHeapSnapshot(path)');
    expect(unguarded).toMatchObject({ signal: 'SIGKILL', oomKilled: true });
  });
});
