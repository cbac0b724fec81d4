import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { HeapSampling, type HeapSamplingOptions } from '../../src/observe/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'sampling-'));
afterAll(() => rmSync(dir, { recursive: true }));
const refused = expect.objectContaining({ code: 'PLIMSOLL_HEAP_PROFILE' });

interface ProfileNode {
  readonly callFrame: { readonly functionName: string };
  readonly selfSize: number;
  readonly children: readonly ProfileNode[];
}

function sizeOf(node: ProfileNode, name: string): number {
  const own = node.callFrame.functionName === name ? node.selfSize : 0;
  return node.children.reduce((sum, child) => sum + sizeOf(child, name), own);
}

it('writes a profile in which the function stands that allocated, with about what it holds', () => {
  const path = join(dir, 'held.heapprofile');
  using sampling = HeapSampling.start({ intervalBytes: 4_096 });
  function hoard() {
    return Array.from({ length: 20_000 }, (_, i) => ({ i, text: `number ${i}` }));
  }
  const held = hoard();
  const bytes = sampling.stop(path);
  const text = readFileSync(path, 'utf8');
  expect(Buffer.byteLength(text)).toBe(bytes);
  const { head, samples } = JSON.parse(text) as { head: ProfileNode; samples: unknown[] };
  expect(samples.length).toBeGreaterThan(50);
  expect(sizeOf(head, 'hoard') + sizeOf(head, '')).toBeGreaterThan(held.length * 8);
  expect(readdirSync(dir)).toEqual(['held.heapprofile']);
});

it('counts what was collected meanwhile where it is asked to', () => {
  const path = join(dir, 'waste.heapprofile');
  const wasted = (withCollected: boolean) => {
    using sampling = HeapSampling.start({ intervalBytes: 4_096, withCollected });
    function waste() {
      for (let n = 0; n < 50_000; n++) last = { n, more: [n, n, n, n] };
    }
    let last: object = {};
    waste();
    (globalThis as unknown as { gc: () => void }).gc();
    sampling.stop(path);
    expect(last).toBeDefined();
    return sizeOf((JSON.parse(readFileSync(path, 'utf8')) as { head: ProfileNode }).head, 'waste');
  };
  const [held, all] = [wasted(false), wasted(true)];
  rmSync(path);
  expect(all).toBeGreaterThan(1_000_000);
  expect(held).toBeLessThan(all / 4);
});

it('a profile that cannot be written leaves nothing behind, ends the sampling, and says so', () => {
  const sampling = HeapSampling.start();
  expect(() => sampling.stop(join(dir, 'gone', 'x.heapprofile'))).toThrow(refused);
  expect(() => sampling.stop(join(dir, 'x.heapprofile'))).toThrow(refused);
  sampling[Symbol.dispose]();
  expect(readdirSync(dir)).not.toContain('x.heapprofile');
});

it('disposing ends it without a file, twice as well as once, and another can begin', () => {
  const sampling = HeapSampling.start();
  sampling[Symbol.dispose]();
  sampling[Symbol.dispose]();
  HeapSampling.start({ withCollected: true })[Symbol.dispose]();
});

it('refuses options out of their range', () => {
  for (const options of [{ intervalBytes: 5 }, { stackDepth: 0 }, { depth: 1 }])
    expect(() => HeapSampling.start(options as HeapSamplingOptions)).toThrow(RangeError);
  using sampling = HeapSampling.start();
  expect(() => sampling.stop('')).toThrow(RangeError);
});
