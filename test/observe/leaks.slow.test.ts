/** The gate `leaks` in small, and with fewer checkpoints less sure: a real heap, two of the five kinds beside what a sound program does, and neither more nor less is found. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { formatLeakReport, type LeakReport } from 'plimsoll/observe';
import { expect, it } from 'vitest';
import { type Leak, NAMED, verdictOn } from './planted-leaks.ts';

const SCRIPT = join(import.meta.dirname, 'leak-child.ts');

it('finds listeners and closures that are planted, with where they are written and how they are held', async () => {
  const leaks: readonly Leak[] = ['listener', 'closure'];
  const args = ['--conditions=source', SCRIPT, '3', '6', '1', '0.9', ...leaks];
  const env = { ...process.env, NODE_OPTIONS: '', PLIMSOLL: '' };
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, maxBuffer: 1 << 22 });
  const report = JSON.parse(stdout) as LeakReport;
  expect(verdictOn(report, leaks), formatLeakReport(report)).toEqual({ found: leaks, invented: [] });
  expect(report.notes).toEqual([]);
  const closures = report.suspects.find(({ what }) => what === NAMED.closure.what)!;
  expect(closures.at).toMatch(/planted-leaks\.ts:\d+$/);
  expect(closures.heldBy!.at(-1)).toBe('Array[]');
  expect(closures.points).toHaveLength(5);
  expect(report.checkpoints.every(({ objects }) => objects! > 10_000)).toBe(true);
}, 180_000);
