import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const MIB = 1024 * 1024;

interface Run {
  readonly peakRssBytes: number;
  readonly peakReserved: number;
  readonly result: {
    readonly programmes: number;
    readonly guides: { readonly bytesIn: number; readonly unordered: boolean; readonly duplicates: number }[];
  };
}

/** Runs the child and reads its greatest resident size from the kernel. */
function run(...args: string[]): Promise<Run> {
  return new Promise((resolve, reject) => {
    const flags = ['--conditions=source', '--max-semi-space-size=1', '--max-old-space-size=64'];
    const child = spawn(process.execPath, [...flags, join(import.meta.dirname, 'memory-child.ts'), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    let out = '';
    let peakRssBytes = 0;
    const look = (): void => {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
        peakRssBytes = Math.max(peakRssBytes, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024);
      } catch {
        // It has ended.
      }
    };
    const timer = setInterval(look, 10);
    child.stdout.on('data', (data) => {
      look();
      out += String(data);
    });
    child.on('close', (code) => {
      clearInterval(timer);
      if (code !== 0) reject(new Error(`the child ended with ${code}`));
      else resolve({ peakRssBytes, ...(JSON.parse(out) as Omit<Run, 'peakRssBytes'>) });
    });
  });
}

const MOST_PAIRS = 3;

/**
 * Runs a small and a large guide side by side. What else the machine does moves when V8 collects, and so a peak, by some MiB in single
 * runs: up to three pairs are tried until the least of each side are as close as asked.
 */
async function pair(
  most: number,
  small: readonly string[],
  large: readonly string[],
): Promise<{ small: Run; large: Run; moreRss: number }> {
  const leasts = [Infinity, Infinity];
  for (let i = 1; ; i++) {
    const runs = { small: await run(...small), large: await run(...large) };
    leasts[0] = Math.min(leasts[0]!, runs.small.peakRssBytes);
    leasts[1] = Math.min(leasts[1]!, runs.large.peakRssBytes);
    const moreRss = leasts[1] - leasts[0];
    if (moreRss < most || i === MOST_PAIRS) return { ...runs, moreRss };
  }
}

test.skipIf(!existsSync('/proc/self/status'))(
  'memory does not grow with the guide (skipped without /proc)',
  async () => {
    const { small, large, moreRss } = await pair(8 * MIB, ['16', '40', 'ordered'], ['320', '40', 'ordered']);
    expect(large.result.guides[0]!.bytesIn).toBeGreaterThan(320 * MIB);
    expect(large.result.programmes).toBeGreaterThan(15 * small.result.programmes);
    // Tables keyed anew in each process differ by a few KiB.
    expect(Math.abs(large.peakReserved - small.peakReserved)).toBeLessThan(MIB / 16);
    expect(large.peakReserved).toBeLessThan(MIB);
    expect(moreRss).toBeLessThan(8 * MIB);
  },
);

test.skipIf(!existsSync('/proc/self/status'))(
  'nor does it for an unordered guide, but for one bit a programme (skipped without /proc)',
  async () => {
    const { small, large, moreRss } = await pair(10 * MIB, ['16', '100', 'unordered'], ['160', '100', 'unordered']);
    expect(large.result.guides[0]).toMatchObject({ unordered: true });
    expect(large.result.guides[0]!.duplicates).toBeGreaterThan(300);
    expect(large.peakReserved - small.peakReserved).toBeLessThan(MIB / 4);
    expect(moreRss).toBeLessThan(10 * MIB);
  },
);
