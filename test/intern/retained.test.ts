import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const CHILD = join(import.meta.dirname, 'retained-child.mjs');

function run<T>(...args: string[]): T {
  const options = { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' } } as const;
  return JSON.parse(execFileSync(process.execPath, ['--expose-gc', '--conditions=source', CHILD, ...args], options));
}

interface Slices {
  readonly parentBytes: number;
  readonly retained: number;
  readonly kept: number;
  readonly first: string;
}

it('hole: a slice keeps its whole parent alive: what is interned is a flat copy, and the parent is collected', () => {
  const interned = run<Slices>('slices', 'interned');
  expect(interned.first).toContain('channel number 0');
  expect(interned.kept).toBe(500);
  expect(interned.retained).toBeLessThan(1_000_000);
  // The same with the slices themselves, so that it is known to be measured.
  const bare = run<Slices>('slices', 'bare');
  expect(bare.retained).toBeGreaterThan(bare.parentBytes * 0.9);
});

it('says within 15% what V8 and its buffers keep, for texts of every width and length', () => {
  const figures = run<Record<string, { said: number; retained: number; count: number }>>('entries', '20000');
  expect(Object.keys(figures)).toEqual(['ascii', 'short', 'latin', 'wide', 'long']);
  for (const [shape, { said, retained, count }] of Object.entries(figures)) {
    expect(count, shape).toBe(20_000);
    expect(said / retained, shape).toBeGreaterThan(0.85);
    expect(said / retained, shape).toBeLessThan(1.15);
  }
});
