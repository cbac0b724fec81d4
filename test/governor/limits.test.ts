import { totalmem } from 'node:os';
import { readLimits } from 'plimsoll';
import { describe, expect, it } from 'vitest';
import { readAvailableBytes, readGroupProcesses } from '../../src/governor/limits.ts';
import { FakeMachine, mountV1, mountV2 } from './fake-machine.ts';

const MIB = 1_048_576;
const GIB = 1024 * MIB;
const UNLIMITED_V1 = '9223372036854771712\n';

describe('the effective limit', () => {
  it('total RAM is not taken for use', () => {
    using machine = new FakeMachine({});
    const limit = readLimits({ root: machine.root });
    expect(limit).toMatchObject({ bytes: 0.75 * GIB, from: 'machine', share: 1, cgroups: [] });
    expect(limit.all.map((found) => found.bytes)).toEqual([GIB]);
    expect(limit.cgroup).toBeUndefined();
    expect(readLimits({ root: machine.root, machineShare: 0.5, share: 0.5 }).bytes).toBe(GIB / 4);
    expect(readLimits({ root: machine.root, machineShare: 1 }).bytes).toBe(GIB);
    for (const machineShare of [0, -1, 1.01]) {
      expect(() => readLimits({ machineShare })).toThrow('Expected `machineShare`');
    }
  });

  it('is known even on a machine without /proc, and is not all of its RAM', () => {
    const { bytes } = readLimits({ root: '/nowhere/at/all' });
    expect(bytes).toBe(Math.floor(totalmem() * 0.75));
  });

  it('is what was configured, all of it, when that is smallest, and is not when it is not', () => {
    using machine = new FakeMachine({});
    const { root } = machine;
    for (const limitBytes of [64 * MIB, 900 * MIB]) {
      expect(readLimits({ root, limitBytes })).toMatchObject({ bytes: limitBytes, from: 'configured' });
    }
    expect(readLimits({ root, limitBytes: 8 * GIB })).toMatchObject({ bytes: 0.75 * GIB, from: 'machine' });
  });

  it('is all of what a control group was given, however near the RAM of the machine', () => {
    using machine = new FakeMachine({
      'proc/self/cgroup': '0::/\n',
      'proc/self/mountinfo': mountV2('/sys/fs/cgroup'),
      'sys/fs/cgroup/memory.max': `${1000 * MIB}\n`,
    });
    expect(readLimits({ root: machine.root })).toMatchObject({ bytes: 1000 * MIB, from: 'cgroup-v2' });
  });

  it('does not move with what is free at the moment', () => {
    using machine = new FakeMachine({ 'proc/meminfo': 'MemTotal: 1048576 kB\nMemAvailable:  1024 kB\n' });
    expect(readLimits({ root: machine.root }).bytes).toBe(0.75 * GIB);
    expect(readAvailableBytes(machine.root)).toBe(MIB);
    expect(readAvailableBytes('/nowhere/at/all')).toBeUndefined();
  });

  it('is a share of the smallest, in whole bytes', () => {
    using machine = new FakeMachine({});
    expect(readLimits({ root: machine.root, share: 1 / 3, limitBytes: 100 }).bytes).toBe(33);
    for (const share of [0, -1, 1.01, Number.NaN]) expect(() => readLimits({ share })).toThrow('Expected `share`');
    for (const limitBytes of [0, 1.5, -5]) expect(() => readLimits({ limitBytes })).toThrow('Expected `limitBytes`');
  });

  it('comes from `memory.high` of an ancestor as well as from `memory.max` of the own group', () => {
    using machine = new FakeMachine({
      'proc/self/cgroup': '0::/team.slice/shop.slice/web.service\n',
      'proc/self/mountinfo': `22 1 8:1 / / rw - ext4 /dev/sda1 rw\n${mountV2('/sys/fs/cgroup')}`,
      'sys/fs/cgroup/team.slice/shop.slice/web.service/memory.max': `${512 * MIB}\n`,
      'sys/fs/cgroup/team.slice/shop.slice/web.service/memory.high': 'max\n',
      'sys/fs/cgroup/team.slice/shop.slice/memory.max': 'max\n',
      'sys/fs/cgroup/team.slice/memory.high': `${256 * MIB}\n`,
    });
    const limit = readLimits({ root: machine.root });
    expect(limit).toMatchObject({ bytes: 256 * MIB, from: 'cgroup-v2' });
    expect(limit.path).toBe(`${machine.root}/sys/fs/cgroup/team.slice/memory.high`);
    expect(limit.cgroup).toEqual({ version: 2, folder: `${machine.root}/sys/fs/cgroup/team.slice`, bytes: 256 * MIB });
    expect(limit.all.map((found) => found.bytes)).toEqual([256 * MIB, 512 * MIB, GIB]);
    const own = `${machine.root}/sys/fs/cgroup/team.slice/shop.slice/web.service`;
    expect(limit.cgroups).toEqual([limit.cgroup, { version: 2, folder: own, bytes: 512 * MIB }]);
  });

  it('tells every group with a limit once, with its smaller one, and of equal limits the outer first', () => {
    using machine = new FakeMachine({
      'proc/self/cgroup': '0::/a/b/c/d\n',
      'proc/self/mountinfo': mountV2('/sys/fs/cgroup'),
      'sys/fs/cgroup/a/b/c/d/memory.max': `${256 * MIB}\n`,
      'sys/fs/cgroup/a/b/c/d/memory.high': `${200 * MIB}\n`,
      'sys/fs/cgroup/a/b/c/memory.max': 'max\n',
      'sys/fs/cgroup/a/b/memory.max': `${100 * MIB}\n`,
      'sys/fs/cgroup/a/memory.max': `${200 * MIB}\n`,
    });
    const limit = readLimits({ root: machine.root });
    const folders = limit.cgroups.map(({ folder, bytes }) => [folder.slice(machine.root.length + 14), bytes / MIB]);
    expect(folders).toEqual([
      ['/a/b', 100],
      ['/a', 200],
      ['/a/b/c/d', 200],
    ]);
    expect(limit.cgroup).toBe(limit.cgroups[0]);
  });

  it('is found in a container with a namespace of its own: the path is `/`', () => {
    using machine = new FakeMachine({
      'proc/self/cgroup': '0::/\n',
      'proc/self/mountinfo': mountV2('/sys/fs/cgroup'),
      'sys/fs/cgroup/memory.max': `${128 * MIB}\n`,
    });
    const limit = readLimits({ root: machine.root });
    expect(limit).toMatchObject({ bytes: 128 * MIB, from: 'cgroup-v2' });
    expect(limit.cgroup?.folder).toBe(`${machine.root}/sys/fs/cgroup`);
  });

  it.each([
    ['the path told from outside', '0::/kubepods/pod1/abc\n', mountV2('/sys/fs/cgroup')],
    ['a bind mount of the group', '0::/kubepods/pod1/abc\n', mountV2('/sys/fs/cgroup', '/kubepods/pod1/abc')],
    ['a bind mount of another name', '0::/kubepods/pod1/abc\n', mountV2('/sys/fs/cgroup', '/docker/xyz')],
    ['a path that leads out of the namespace', '0::/../../other\n', mountV2('/sys/fs/cgroup')],
  ])('is found in a container with %s', (_, cgroup, mountinfo) => {
    using machine = new FakeMachine({
      'proc/self/cgroup': cgroup,
      'proc/self/mountinfo': mountinfo,
      'sys/fs/cgroup/memory.max': `${128 * MIB}\n`,
      // Another group that happens to have the name of ours outside.
      'sys/fs/cgroup/other/memory.max': `${1 * MIB}\n`,
    });
    expect(readLimits({ root: machine.root })).toMatchObject({ bytes: 128 * MIB, from: 'cgroup-v2' });
  });

  it('comes from version 1, from an ancestor, where a huge number means none', () => {
    using machine = new FakeMachine({
      'proc/self/cgroup': '5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n',
      'proc/self/mountinfo': mountV1('/sys/fs/cgroup/memory') + mountV2('/sys/fs/cgroup/unified'),
      'sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes': UNLIMITED_V1,
      'sys/fs/cgroup/memory/docker/abc/memory.stat': `cache 1\nhierarchical_memory_limit ${192 * MIB}\n`,
      'sys/fs/cgroup/memory/docker/memory.limit_in_bytes': `${192 * MIB}\n`,
      'sys/fs/cgroup/memory/memory.limit_in_bytes': UNLIMITED_V1,
    });
    const limit = readLimits({ root: machine.root });
    expect(limit).toMatchObject({ bytes: 192 * MIB, from: 'cgroup-v1' });
    // The charge that counts is that of the group with the limit: neighbours are in it.
    expect(limit.cgroup?.folder).toBe(`${machine.root}/sys/fs/cgroup/memory/docker`);
  });

  it('comes from `hierarchical_memory_limit` where the ancestor is not mounted', () => {
    using machine = new FakeMachine({
      'proc/self/cgroup': '4:memory:/docker/abc\n',
      'proc/self/mountinfo': mountV1('/sys/fs/cgroup/memory', '/docker/abc'),
      'sys/fs/cgroup/memory/memory.limit_in_bytes': UNLIMITED_V1,
      'sys/fs/cgroup/memory/memory.stat': `hierarchical_memory_limit ${64 * MIB}\n`,
    });
    expect(readLimits({ root: machine.root })).toMatchObject({ bytes: 64 * MIB, from: 'cgroup-v1' });
  });

  it('is found where the table of mounts cannot be read, and in a mount point with a space', () => {
    using blind = new FakeMachine({
      'proc/self/cgroup': '0::/app\n',
      'sys/fs/cgroup/app/memory.max': `${32 * MIB}\n`,
    });
    expect(readLimits({ root: blind.root }).bytes).toBe(32 * MIB);
    using spaced = new FakeMachine({
      'proc/self/cgroup': '0::/app\n',
      'proc/self/mountinfo': mountV2('/mnt/c\\040groups'),
      'mnt/c groups/app/memory.max': `${16 * MIB}\n`,
    });
    expect(readLimits({ root: spaced.root }).bytes).toBe(16 * MIB);
  });

  it.each(['', 'nonsense', '-5', '1e6', '0'])('is not led astray by a file that says %j', (text) => {
    using machine = new FakeMachine({
      'proc/self/cgroup': `0::/app\n${text}`,
      'proc/self/mountinfo': mountV2('/sys/fs/cgroup') + text,
      'sys/fs/cgroup/app/memory.max': text,
    });
    expect(readLimits({ root: machine.root })).toMatchObject({ bytes: 0.75 * GIB, from: 'machine' });
  });
});

describe('the processes of a group', () => {
  const status = (mib: number) => `Name:\tnode\nVmRSS:\t  ${mib * 1024} kB\n`;

  it('are counted with those below it, and weighed: shells and launchers are light', () => {
    using machine = new FakeMachine({
      'group/cgroup.procs': `1\n${process.pid}\n`,
      'group/child/cgroup.procs': '30\n31\n',
      'group/child/deeper/cgroup.procs': '40\n',
      'proc/1/status': status(2),
      'proc/30/status': status(60),
      'proc/31/status': 'Name:\tzombie\n',
      [`proc/${process.pid}/status`]: status(90),
    });
    // 30 is heavy; 40 cannot be seen, as when it lives in another namespace.
    expect(readGroupProcesses(machine.root, `${machine.root}/group`)).toEqual({ count: 5, heavyOthers: 2 });
  });

  it('are unknown where there is no such file', () => {
    using machine = new FakeMachine({ 'group/memory.max': '1' });
    expect(readGroupProcesses(machine.root, `${machine.root}/group`)).toBeUndefined();
  });

  it('are looked at within a bound', () => {
    const ids = Array.from({ length: 5_000 }, (_, i) => i + 1_000_000).join('\n');
    using machine = new FakeMachine({ 'group/cgroup.procs': `${ids}\n` });
    expect(readGroupProcesses(machine.root, `${machine.root}/group`)).toEqual({ count: 5_000, heavyOthers: 64 });
  });
});
