import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempParents } from './temp-parent.ts';

const MIB = 1_048_576;
const CHILD = join(import.meta.dirname, 'flat-read-child.ts');
const parent = tempParents();

function growthOf(codec: string, mebibytes: number): { growth: number; readBytes: number } {
  const args = [
    '--conditions=source',
    '--no-warnings',
    '--max-semi-space-size=2',
    CHILD,
    parent(),
    codec,
    String(mebibytes),
  ];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

// Seen from outside: the peak that the kernel counted, of all that the process had.
it.each(['zstd', 'none'])(
  'reading back never loads a segment whole: 512 MiB take as much memory as 32 (%s)',
  (codec) => {
    const small = growthOf(codec, 32);
    const large = growthOf(codec, 512);
    expect(large.readBytes).toBe(small.readBytes);
    expect(large.readBytes).toBeLessThan(2 * MIB);
    expect(large.growth - small.growth).toBeLessThan(32 * MIB);
    expect(large.growth).toBeLessThan(48 * MIB);
  },
);
