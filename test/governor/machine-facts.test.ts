import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readHeapBounds } from '../../src/governor/heap-flags.ts';
import { readKernelSettings } from '../../src/governor/kernel-settings.ts';
import { readMachineMemory, readOomKills } from '../../src/governor/limits.ts';
import { readPeakRssBytes } from '../../src/governor/meters.ts';
import { FakeMachine } from './fake-machine.ts';

const MIB = 1_048_576;
const machines: FakeMachine[] = [];
afterEach(() => {
  for (const machine of machines.splice(0)) machine[Symbol.dispose]();
});

function machine(files: Record<string, string>): string {
  const one = new FakeMachine(files);
  machines.push(one);
  return one.root;
}

describe('what a doctor asks the machine', () => {
  it('is its RAM and swap, and what of it can be had', () => {
    const meminfo = 'MemTotal: 2048 kB\nMemFree: 1 kB\nMemAvailable: 1024 kB\nSwapTotal: 512 kB\n';
    expect(readMachineMemory(machine({ 'proc/meminfo': meminfo }))).toEqual({
      totalBytes: 2 * MIB,
      availableBytes: MIB,
      swapBytes: MIB / 2,
    });
    expect(readMachineMemory(machine({ 'proc/meminfo': 'none' }))).toEqual({ totalBytes: expect.any(Number) });
  });

  it('is how often it killed in a control group of either version, and undefined where it does not count', () => {
    const root = machine({
      'two/memory.events': 'low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n',
      'one/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 5\n',
      'old/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\n',
    });
    const kills = (version: 1 | 2, folder: string) => readOomKills({ version, folder: join(root, folder) });
    expect([kills(2, 'two'), kills(1, 'one'), kills(1, 'old'), kills(2, 'gone')]).toEqual([2, 5, undefined, undefined]);
  });

  it('is how it hands out address space, as far as it says', () => {
    const root = machine({
      'proc/sys/vm/overcommit_memory': '2\n',
      'proc/sys/vm/max_map_count': '65530\n',
      'sys/kernel/mm/transparent_hugepage/enabled': '[always] madvise never\n',
    });
    expect(readKernelSettings(root)).toEqual({ overcommit: 2, maxMapCount: 65_530, hugePages: 'always' });
    expect(readKernelSettings('/nowhere')).toEqual({});
    expect(readKernelSettings(machine({ 'proc/sys/vm/overcommit_memory': '7\n' }))).toEqual({});
  });

  it('is the most that this process ever took, and not what it was before it became Node', () => {
    expect(readPeakRssBytes(machine({ 'proc/self/status': 'Name: node\nVmHWM:\t    2048 kB\nVmRSS: 1024 kB\n' }))).toBe(
      2 * MIB,
    );
    expect(readPeakRssBytes()).toBeGreaterThan(20 * MIB);
  });

  it('is what V8 may grow to, by its flags where there are any', () => {
    const plain = readHeapBounds([], '');
    expect(plain).toMatchObject({ semiSpaceFrom: 'default', heapLimitBytes: expect.any(Number) });
    expect(plain.oldSpaceBytes).toBeLessThan(plain.heapLimitBytes);
    for (const [args, options] of [
      [['--max-semi-space-size=8'], ''],
      [[], '--max_semi_space_size=8'],
      [['--max-semi-space-size=8'], '--max-semi-space-size=2'],
    ] as const) {
      expect(readHeapBounds(args, options)).toMatchObject({ semiSpaceFrom: 'flag', semiSpaceBytes: 8 * MIB });
    }
  });
});
