/** Each strategy on real memory: the same load in a process of its own, its RSS read from outside. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { CleanupOperation } from 'plimsoll/pipeline';
import { describe, expect, it } from 'vitest';

const MIB = 1_048_576;
const CHILD = join(import.meta.dirname, 'cleanup-child.ts');

interface Done {
  readonly operation?: CleanupOperation;
  readonly taken: readonly { readonly part: string; readonly elapsedMs: number }[];
  readonly text: string;
  readonly left: { readonly free: number; readonly memo: number };
  readonly cpuMs: number;
}

/** RSS at each step, read while the process waits to be told to go on. */
async function watch(
  strategy: string,
): Promise<{ readonly held: number; readonly after: number; readonly done: Done }> {
  const args = ['--conditions=source', '--expose-gc', '--no-warnings', CHILD, strategy];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const rss: number[] = [];
  let done: Done | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const status = readFileSync(`/proc/${child.pid}/status`, 'latin1');
    rss.push(Number(/^VmRSS:\s+(\d+)/m.exec(status)![1]) / 1_024);
    if (line.startsWith('done ')) done = JSON.parse(line.slice(5)) as Done;
    child.stdin.write('go on\n');
  }
  expect(rss).toHaveLength(2);
  return { held: rss[0]!, after: rss[1]!, done: done! };
}

async function clean(strategy: string) {
  const { held, after, done } = await watch(strategy);
  const collection = done.taken.filter(({ part }) => part !== 'reclaim-now' && part !== 'reclaim');
  const freedMib = held - after;
  const ownMs = (done.operation?.elapsedMs ?? 0) - collection.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0);
  console.log(
    `${strategy}: RSS ${held.toFixed(0)} -> ${after.toFixed(0)} MiB, ${ownMs.toFixed(1)} ms besides ${collection.map(({ part, elapsedMs }) => `${part} (${elapsedMs.toFixed(1)} ms)`).join(', ') || 'nothing'}`,
  );
  return { ...done, freedMib, collection: collection.map(({ part }) => part) };
}

// 80 MiB in free blocks, 80 in a memo, 120 that are dropped for those that collect.
describe('of 280 MiB, seen from outside,', () => {
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
    expect(freedMib).toBeGreaterThan(110);
    expect(freedMib).toBeLessThan(150);
    expect(collection).toContain('full-collection');
    expect(operation!.freedBytes / MIB).toBeCloseTo(freedMib, -1);
  });

  it('aggressive frees all of it', async () => {
    const { freedMib, left, collection, operation, text } = await clean('aggressive');
    expect(left).toEqual({ free: 0, memo: 0 });
    expect(freedMib).toBeGreaterThan(260);
    expect(collection).toContain('full-collection');
    expect(operation!.freedBytes / MIB).toBeCloseTo(freedMib, -1);
    expect(text).toMatch(/^1 operation, \d{3}\.\dMB freed, 4 items cleaned, \d+ms total\n/);
  });
});
