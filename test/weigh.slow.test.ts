import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { weigh } from 'plimsoll/adopt';
import { beforeAll, describe, expect, it } from 'vitest';

const CHILD = join(import.meta.dirname, 'weigh-child.ts');

type Figures = Record<string, { heap: number; external: number }>;

let figures: Figures;
beforeAll(async () => {
  const flags = ['--conditions=source', '--expose-gc', '--experimental-strip-types', '--no-warnings'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, CHILD]);
  figures = JSON.parse(stdout) as Figures;
}, 60_000);

describe('what is weighed, against what V8 reports,', () => {
  it.each([
    ['text of one byte', 0.97, 1.03],
    ['text of two bytes', 0.97, 1.03],
    ['object of five fields', 0.9, 1.1],
    ['array of numbers', 0.95, 1.05],
    ['buffer of 16 KB', 0.9, 1.1],
    ['slice of a pool', 0.85, 1.15],
    ['typed array', 0.9, 1.1],
    ['nested JSON', 0.9, 1.1],
    ['map of objects', 0.9, 1.1],
    ['table of 100 keys', 0.7, 1.2],
  ])('of a %s is %f to %f of the truth in the heap, and the truth beside it', (sort, least, most) => {
    const { heap, external } = figures[sort]!;
    expect(heap).toBeGreaterThan(least);
    expect(heap).toBeLessThan(most);
    expect(external).toBeCloseTo(1, 1);
  });
});

describe('weigh', () => {
  it('counts each thing once, and ends in a circle', () => {
    const shared = Buffer.alloc(1_000_000);
    const value: Record<string, unknown> = { one: shared, two: shared, list: [shared] };
    value.self = value;
    expect(weigh(value).externalBytes).toBe(1_000_000);
    expect(weigh(value).heapBytes).toBeLessThan(500);
    const { buffer } = new Float64Array(1_000);
    expect(weigh([new Uint8Array(buffer), new Float64Array(buffer), buffer]).externalBytes).toBe(8_000);
  });

  it('takes what it has not looked at for like what it has', () => {
    const many = Array.from({ length: 100_000 }, (_, i) => ({ id: i, text: `text number ${i}` }));
    const { heapBytes } = weigh(many);
    const few = weigh(many.slice(0, 50)).heapBytes / 50;
    expect(heapBytes / 100_000 / few).toBeGreaterThan(0.9);
    expect(heapBytes / 100_000 / few).toBeLessThan(1.1);
    const nested = Array.from({ length: 300 }, () => Array.from({ length: 300 }, (_, j) => ({ j, text: `text ${j}` })));
    const inner = weigh(nested[0], { maxNodes: 1_000 }).heapBytes;
    expect(weigh(nested, { maxNodes: 1_000 }).heapBytes / 300 / inner).toBeCloseTo(1, 0);
    expect(weigh(new Set(Array.from({ length: 10_000 }, (_, i) => `member ${i}`))).heapBytes).toBeGreaterThan(400_000);
  });

  it('finds a character of two bytes far inside', () => {
    const text = `${'x'.repeat(1_900)}\u0436`;
    expect(weigh(text).heapBytes).toBeGreaterThan(3_800);
    expect(weigh('x'.repeat(1_000_000)).heapBytes).toBeLessThan(1_000_100);
    expect(weigh(`${'x'.repeat(500_000)}${'\u0436'.repeat(50_000)}`).heapBytes).toBeGreaterThan(1_000_000);
  });

  it('runs no code of the value', () => {
    let asked = 0;
    const value = {
      get expensive() {
        asked++;
        return Buffer.alloc(1_000);
      },
      plain: Buffer.alloc(100),
    };
    expect(weigh(value).externalBytes).toBe(100);
    expect(asked).toBe(0);
  });

  it('stays within its bounds on what is deep, wide or of no size', () => {
    let deep: unknown = 'end';
    for (let i = 0; i < 100_000; i++) deep = { deep };
    let list: unknown[] = [];
    for (let i = 0; i < 100_000; i++) list = [list];
    expect(weigh(deep).heapBytes).toBeLessThan(10_000);
    expect(weigh(list).heapBytes).toBeLessThan(10_000);
    expect(weigh(new Array(4_000_000_000)).heapBytes).toBeLessThan(40_000_000_000);
    for (const nothing of [undefined, null, true, 7, '']) {
      expect(weigh(nothing)).toEqual({ heapBytes: 0, externalBytes: 0 });
    }
    expect(weigh(1.5).heapBytes).toBe(16);
    expect(weigh(() => deep).heapBytes).toBe(64);
    expect(weigh(Symbol('a')).heapBytes).toBe(0);
  });

  it('refuses bounds that are none', () => {
    expect(() => weigh(1, { maxNodes: 0 })).toThrow(
      'Expected `maxNodes` to be a whole number from 1 up, got `0` (number)',
    );
    expect(() => weigh(1, { maxnodes: 5 } as object)).toThrow('did you mean `maxNodes`?');
  });
});
