/** Each strategy on real memory: the same load in a process of its own, its RSS read from outside. */
import { join } from 'node:path';
import type { CleanupOperation } from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';
import { watchSteps } from '../governor/watch-steps.ts';

const MIB = 1_048_576;
const CHILD = join(import.meta.dirname, 'cleanup-child.ts');

interface Done {
  readonly operation?: CleanupOperation;
  readonly taken: readonly { readonly part: string; readonly elapsedMs: number }[];
  readonly text: string;
  readonly left: { readonly free: number; readonly memo: number };
  readonly cpuMs: number;
}

async function clean(strategy: string) {
  const { rss, said } = await watchSteps(['--conditions=source', '--expose-gc', CHILD, strategy]);
  const done = JSON.parse(said.done!) as Done;
  const collection = done.taken.filter(({ part }) => part !== 'reclaim-now' && part !== 'reclaim');
  const freedMib = (rss.held! - rss.done!) / MIB;
  const ownMs = (done.operation?.elapsedMs ?? 0) - collection.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0);
  console.log(
    `${strategy}: ${freedMib.toFixed(0)} MiB less RSS, ${ownMs.toFixed(1)} ms besides ${collection.map(({ part, elapsedMs }) => `${part} (${elapsedMs.toFixed(1)} ms)`).join(', ') || 'nothing'}`,
  );
  return { ...done, freedMib, collection: collection.map(({ part }) => part) };
}

// 80 MiB in free blocks, 80 in a memo, 80 dropped. Again where it did not hold: on a busy machine V8 may have collected before it begins.
describe.concurrent('of 240 MiB, seen from outside,', { retry: 2 }, () => {
  it('nothing goes without a cleanup', async () => {
    const { freedMib, left } = await clean('none');
    expect(Math.abs(freedMib)).toBeLessThan(10);
    expect(left).toEqual({ free: 2, memo: 2 });
  });

  it('basic frees what is not in use, and no more', async () => {
    const { freedMib, left, collection, operation } = await clean('basic');
    expect(left).toEqual({ free: 0, memo: 2 });
    expect(freedMib).toBeGreaterThan(70);
    expect(freedMib).toBeLessThan(90);
    expect(collection).not.toContain('full-collection');
    expect(operation!.freedBytes / MIB).toBeCloseTo(freedMib, -1);
  });

  it('smart brings use back to where it was, by what nobody needs', async () => {
    const { freedMib, left, collection, operation } = await clean('smart');
    expect(left).toEqual({ free: 2, memo: 2 });
    expect(freedMib).toBeGreaterThan(70);
    expect(freedMib).toBeLessThan(90);
    expect(collection).toContain('full-collection');
    expect(operation!.freedBytes / MIB).toBeCloseTo(freedMib, -1);
  });

  it('aggressive frees all of it', async () => {
    const { freedMib, left, collection, operation, text } = await clean('aggressive');
    expect(left).toEqual({ free: 0, memo: 0 });
    expect(freedMib).toBeGreaterThan(220);
    expect(collection).toContain('full-collection');
    expect(operation!.freedBytes / MIB).toBeCloseTo(freedMib, -1);
    expect(text).toMatch(/^1 operations, 2\d\d\.\dMB freed, 4 items cleaned, \d+ms total\n/);
  });
});
