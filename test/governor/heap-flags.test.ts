import { spawnSync } from 'node:child_process';
import { getHeapStatistics } from 'node:v8';
import { deriveHeapFlags, heapFlagsFit } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { oldSpaceLimitBytes } from '../../src/governor/heap-flags.ts';

const MIB = 1_048_576;

describe('heap flags', () => {
  it.each([64, 96, 128, 192, 256, 512, 2048])(
    'for %d MiB are taken by a real Node, and leave room for Node itself and buffers',
    (mib) => {
      const nativeBytes = 4 * MIB;
      const { flags, oldSpaceMiB, semiSpaceMiB } = deriveHeapFlags(mib * MIB, { nativeBytes });
      const script = 'console.log(JSON.stringify([v8.getHeapStatistics().heap_size_limit, typeof gc]))';
      const child = spawnSync(process.execPath, [...flags, '-e', script], { encoding: 'utf8' });
      expect(child.stderr).toBe('');
      const [limitBytes, gc] = JSON.parse(child.stdout);
      expect(gc).toBe('function');
      expect(limitBytes).toBe((oldSpaceMiB + 3 * semiSpaceMiB) * MIB);
      expect(limitBytes + nativeBytes + 36 * MIB).toBeLessThanOrEqual(mib * MIB);
      expect(limitBytes).toBeGreaterThanOrEqual(16 * MIB);
    },
  );

  it.each([
    [56, 16, 1],
    [58, 16, 3],
    [62, 16, 6.5],
    [64, 18, 7],
  ])('of %d MiB are small and still work: %d MiB of old space', (mib, oldSpaceMiB, nativeMiB) => {
    const derived = deriveHeapFlags(mib * MIB);
    expect(derived).toMatchObject({ oldSpaceMiB, semiSpaceMiB: 1 });
    expect(36 + oldSpaceMiB + 3 + nativeMiB).toBeLessThanOrEqual(mib);
    const script = 'const a = []; for (let i = 0; i < 2e6; i++) a[i % 20_000] = [i, {}]; console.log("done")';
    const child = spawnSync(process.execPath, [...derived.flags, '-e', script], { encoding: 'utf8' });
    expect([child.status, child.stdout]).toEqual([0, 'done\n']);
  });

  it('grow with the limit', () => {
    const sizes = [64, 96, 128, 256, 1024].map((mib) => deriveHeapFlags(mib * MIB));
    for (const [index, { oldSpaceMiB, semiSpaceMiB }] of sizes.entries()) {
      const before = sizes[index - 1];
      if (before === undefined) continue;
      expect(oldSpaceMiB).toBeGreaterThan(before.oldSpaceMiB);
      expect(semiSpaceMiB).toBeGreaterThanOrEqual(before.semiSpaceMiB);
    }
  });

  it('are refused where the limit cannot hold Node, with what it needs', () => {
    const message =
      'Expected `limitBytes` to be at least 56MiB (Node itself 36MiB, its heap 19MiB, buffers 1MiB), got 40MiB';
    const expected = { name: 'RangeError', message, code: 'PLIMSOLL_INVALID_OPTION' };
    expect(() => deriveHeapFlags(40 * MIB)).toThrow(expect.objectContaining(expected));
    expect(() => deriveHeapFlags(56 * MIB - 1)).toThrow(RangeError);
    expect(() => deriveHeapFlags(96 * MIB, { nativeBytes: 80 * MIB })).toThrow('Expected `limitBytes` to be at least');
    expect(() => deriveHeapFlags(96 * MIB, { nativeBytes: -1 })).toThrow('Expected `nativeBytes`');
  });

  it('that do not fit are said, with what to do', () => {
    const own = getHeapStatistics().heap_size_limit;
    expect(heapFlagsFit(own + 36 * MIB)).toEqual({ fits: true, heapLimitBytes: own });
    expect(heapFlagsFit(own).fits).toBe(false);
    expect(heapFlagsFit(64 * MIB)).toMatchObject({ fits: false, heapLimitBytes: own });
    expect(heapFlagsFit(64 * MIB).why).toMatch(
      /under a limit of 64MiB: start node with --max-old-space-size=\d+ --max-semi-space-size=1 --expose-gc$/,
    );
    expect(heapFlagsFit(MIB).why).toContain('the limit is too small for Node');
  });
});

describe('what old space may grow to', () => {
  it.each([
    ['derived flags', ['--max-old-space-size=32', '--max-semi-space-size=1'], undefined, 35, 32],
    ['spelt as V8 does, in the environment', [], '--max_old_space_size=63 --max_semi_space_size=2', 69, 63],
    ['old space alone', ['--max-old-space-size=100'], undefined, 292, 100],
    [
      'the last one counts',
      ['--max-old-space-size=100', '--max-old-space-size=200'],
      '--max-old-space-size=50',
      392,
      200,
    ],
  ])('%s', (_, args, environment, limitMiB, oldMiB) => {
    // Less what pages that are not quite full cannot take: a fiftieth, 1.75 MiB at least.
    expect(oldSpaceLimitBytes(args, environment, limitMiB * MIB) / MIB).toBe(oldMiB - Math.max(1.75, oldMiB / 50));
  });

  it('without flags it is most of the limit, and never more', () => {
    const bytes = oldSpaceLimitBytes([], '', 4_288 * MIB);
    expect(bytes).toBeGreaterThan(4_000 * MIB);
    expect(bytes).toBeLessThan(4_288 * MIB);
  });

  it('without flags it is most of the limit in a small container too', () => {
    // Objects came to 247 MiB there before V8 gave up; in 1 GiB to 503.
    const small = oldSpaceLimitBytes([], '', 259 * MIB) / MIB;
    expect(small).toBeGreaterThan(215);
    expect(small).toBeLessThan(247);
    const larger = oldSpaceLimitBytes([], '', 560 * MIB) / MIB;
    expect(larger).toBeGreaterThan(450);
    expect(larger).toBeLessThan(503);
  });
});
