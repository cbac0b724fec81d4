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

test.skipIf(!existsSync('/proc/self/status'))(
  'memory does not grow with the guide (skipped without /proc)',
  async () => {
    const small = await run('16', '40', 'ordered');
    const large = await run('320', '40', 'ordered');
    expect(large.result.guides[0]!.bytesIn).toBeGreaterThan(320 * MIB);
    expect(large.result.programmes).toBeGreaterThan(15 * small.result.programmes);
    // Tables keyed anew in each process differ by a few KiB.
    expect(Math.abs(large.peakReserved - small.peakReserved)).toBeLessThan(MIB / 16);
    expect(large.peakReserved).toBeLessThan(MIB);
    expect(large.peakRssBytes - small.peakRssBytes).toBeLessThan(8 * MIB);
  },
);

test.skipIf(!existsSync('/proc/self/status'))(
  'nor does it for an unordered guide, but for one bit a programme (skipped without /proc)',
  async () => {
    const small = await run('16', '100', 'unordered');
    const large = await run('160', '100', 'unordered');
    expect(large.result.guides[0]).toMatchObject({ unordered: true });
    expect(large.result.guides[0]!.duplicates).toBeGreaterThan(300);
    expect(large.peakReserved - small.peakReserved).toBeLessThan(MIB / 4);
    expect(large.peakRssBytes - small.peakRssBytes).toBeLessThan(10 * MIB);
  },
);
