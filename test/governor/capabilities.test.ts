import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { type CapabilityOptions, readCapabilities } from '../../src/governor/capabilities.ts';
import { readLimits } from '../../src/governor/limits.ts';
import { FakeMachine, mountV1, mountV2 } from './fake-machine.ts';

const MIB = 1_048_576;
/** Under it V8's own heap limit fits whatever machine the tests run on, and so nothing is said of it. */
const ROOMY = 1024 * 1024 * MIB;

const GLIBC = '/usr/lib/x86_64-linux-gnu/libc.so.6';
const map = (...paths: string[]) =>
  paths.map((path) => `7f8350c00000-7f8350c26000 r-xp 00026000 fe:00 339380    ${path}\n`).join('') +
  '7ffd5e9f5000-7ffd5ea16000 rw-p 00000000 00:00 0                          [stack]\n7f00-7f01 rw-p 00000000 00:00 0 \n';

describe('the capability report', () => {
  const machines: FakeMachine[] = [];
  afterEach(() => {
    for (const machine of machines.splice(0)) machine[Symbol.dispose]();
  });

  /** Linux with glibc and `koffi` unless said. */
  function look(files: Record<string, string>, options: Partial<CapabilityOptions> & { limitBytes?: number } = {}) {
    const machine = new FakeMachine({ 'proc/meminfo': 'MemTotal: 1099511627776 kB\n', ...files });
    machines.push(machine);
    const { root } = machine;
    const { limitBytes, ...others } = options;
    const limit = readLimits({ root, limitBytes, share: options.limit?.share });
    const report = readCapabilities({ root, limit, platform: 'linux', env: {}, findsKoffi: () => true, ...others });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    return { report, root };
  }

  const unified = (limitBytes: number, procs: string): Record<string, string> => ({
    'proc/self/cgroup': '0::/\n',
    'proc/self/mountinfo': mountV2('/sys/fs/cgroup'),
    'sys/fs/cgroup/memory.max': `${limitBytes}\n`,
    'sys/fs/cgroup/memory.current': '1048576\n',
    'sys/fs/cgroup/memory.stat': 'anon 1\n',
    'sys/fs/cgroup/cgroup.procs': procs,
    'sys/fs/cgroup/memory.pressure':
      'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n',
  });

  it('of a container with everything: nothing to warn of', () => {
    const { report, root } = look({
      ...unified(ROOMY, `${process.pid}\n`),
      'proc/self/maps': map('/usr/bin/node', GLIBC),
      'usr/bin/ldd': "#!/bin/bash\necho 'ldd (Debian GLIBC 2.36-9+deb12u14) 2.36'\n",
    });
    const folder = `${root}/sys/fs/cgroup`;
    expect(report.cgroup).toEqual({ available: true, version: 2, folder, groupCount: 1 });
    expect(report.psi).toEqual({ available: true, of: 'group', path: `${folder}/memory.pressure` });
    expect(report.allocator).toEqual({ name: 'glibc', version: '2.36', path: GLIBC });
    expect(report.trim).toMatchObject({ available: true });
    expect(report.group).toEqual({ count: 1, heavyOthers: 0, share: 1 });
    expect(Object.values(report.meters).map((meter) => meter.available)).toEqual([true, true, true, true, true]);
    expect(report.collect.full).toMatchObject({ available: true });
    expect(report.warnings).toEqual([]);
  });

  it.each(['darwin', 'win32'])('of %s: what Node gives, and why not the rest', (platform) => {
    const { report } = look({}, { platform, limitBytes: ROOMY });
    expect(report).toMatchObject({
      platform,
      cgroup: { available: false, why: `the kernel of ${platform} has no such thing` },
      psi: { available: false, why: `the kernel of ${platform} has no such thing` },
      trim: { available: false, why: `there is no trim on ${platform}` },
      allocator: { name: 'unknown' },
    });
    expect(report.meters.rss.available).toBe(true);
    expect(report.meters.cgroup).toEqual(report.cgroup);
    expect(report).not.toHaveProperty('group');
  });

  it('of Alpine: musl has no trim', () => {
    const { report } = look({ 'proc/self/maps': map('/usr/local/bin/node', '/lib/ld-musl-x86_64.so.1') });
    expect(report.allocator).toEqual({ name: 'musl', path: '/lib/ld-musl-x86_64.so.1' });
    expect(report.trim).toMatchObject({ available: false, why: expect.stringContaining('musl') });
  });

  it.each([
    ['jemalloc', '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2', 'MALLOC_CONF'],
    ['tcmalloc', '/usr/lib/libtcmalloc_minimal.so.4', 'TCMALLOC_RELEASE_RATE'],
    ['mimalloc', '/opt/lib/libmimalloc.so.2.1', 'MIMALLOC_PURGE_DELAY'],
  ])('of a process with %s in the place of glibc’s allocator', (name, path, advice) => {
    const { report } = look({ 'proc/self/maps': map(GLIBC, path) });
    expect(report.allocator).toEqual({ name, path });
    expect(report.trim).toMatchObject({ available: false, why: expect.stringContaining(advice) });
    // What was asked for and is not there, because it could not be loaded, is not in the map.
    const { report: other } = look({ 'proc/self/maps': map(GLIBC) }, { env: { LD_PRELOAD: path } });
    expect(other.allocator.name).toBe('glibc');
    const { report: blind } = look({}, { env: { LD_PRELOAD: `/lib/other.so ${path}` } });
    expect(blind.allocator).toEqual({ name, path });
  });

  it('tells the version of glibc by the name of an old one, by `ldd` of others, and not at all without', () => {
    const old = look({ 'proc/self/maps': map('/lib/x86_64-linux-gnu/libc-2.31.so') });
    expect(old.report.allocator).toMatchObject({ name: 'glibc', version: '2.31' });
    const fedora = look({ 'proc/self/maps': map(`${GLIBC} (deleted)`), 'usr/bin/ldd': 'echo "ldd (GNU libc) 2.41"\n' });
    expect(fedora.report.allocator).toEqual({ name: 'glibc', version: '2.41', path: GLIBC });
    const distroless = look({ 'proc/self/maps': map(GLIBC) });
    expect(distroless.report.allocator).toEqual({ name: 'glibc', path: GLIBC });
  });

  it('without `/proc` and without `koffi`: says that it does not know, and guesses nothing', () => {
    const limit = readLimits({ root: '/nowhere/at/all', limitBytes: ROOMY });
    const options = { root: '/nowhere/at/all', limit, platform: 'linux', env: {} };
    const report = readCapabilities(options);
    expect(report.allocator).toEqual({ name: 'unknown' });
    expect(report.trim).toMatchObject({ available: false, why: expect.stringContaining('cannot be told') });
    expect(report.psi).toMatchObject({ available: false, why: expect.stringContaining('ENOENT') });
    expect(report.cgroup).toMatchObject({ available: false, why: 'no control group limits this process’s memory' });
    const { report: bare } = look({ 'proc/self/maps': map(GLIBC) }, { findsKoffi: () => false });
    expect(bare.trim).toEqual({ available: false, why: 'the package `koffi` is not installed: `npm install koffi`' });
  });

  it('says what was switched off, and whose collection it is', () => {
    const { report } = look({ 'proc/self/maps': map(GLIBC) }, { collect: false, trim: false });
    expect(report.collect).toEqual({
      minor: { available: false, why: 'it is switched off' },
      full: { available: false, why: 'it is switched off' },
    });
    expect(report.trim).toEqual({ available: false, why: 'it is switched off' });
    expect(look({}, { collect: () => {} }).report.collect.minor).toEqual({
      available: true,
      how: 'the function that was given',
    });
  });

  it('warns of several processes in one container, in one line that says what to set', () => {
    const files = {
      ...unified(ROOMY, `1\n${process.pid}\n77\n`),
      'proc/1/status': 'VmRSS:  1024 kB\n',
      'proc/77/status': 'VmRSS:  65536 kB\n',
    };
    const { report, root } = look(files);
    expect(report.group).toEqual({ count: 3, heavyOthers: 1, share: 1 });
    expect(report.warnings).toEqual([
      `3 processes, 1 of size besides this one, share the limit of ${root}/sys/fs/cgroup: set \`share\` to this one’s part of it`,
    ]);
    const shared = readLimits({ root, share: 0.5 });
    expect(readCapabilities({ root, limit: shared, platform: 'linux', env: {} }).warnings).toEqual([]);
    // A shell that waits is no neighbour.
    expect(look({ ...files, 'proc/77/status': 'VmRSS:  1024 kB\n' }).report.warnings).toEqual([]);
    // A limit of this process's own is nobody else's.
    expect(look(files, { limitBytes: ROOMY - 1 }).report.warnings).toEqual([]);
  });

  it('warns of a group whose use cannot be read, and of a heap that does not fit', () => {
    const { report } = look({
      'proc/self/cgroup': '4:memory:/\n',
      'proc/self/mountinfo': mountV1('/sys/fs/cgroup/memory'),
      'sys/fs/cgroup/memory/memory.limit_in_bytes': `${64 * MIB}\n`,
    });
    expect(report.heapFlags.fits).toBe(false);
    expect(report.meters.cgroup).toMatchObject({ available: false, why: expect.stringContaining('ENOENT') });
    expect(report.warnings).toHaveLength(2);
    expect(report.warnings[0]).toContain('start node with --max-old-space-size=');
    expect(report.warnings[1]).toContain('RSS stands in for it');
  });

  it('says of version 1 that what of the kernel’s own memory can be dropped is not known', () => {
    const { report } = look({
      'proc/self/cgroup': '4:memory:/\n',
      'proc/self/mountinfo': mountV1('/sys/fs/cgroup/memory'),
      'sys/fs/cgroup/memory/memory.limit_in_bytes': `${ROOMY}\n`,
      'sys/fs/cgroup/memory/memory.usage_in_bytes': '1048576\n',
      'sys/fs/cgroup/memory/memory.stat': 'total_rss 1\n',
    });
    expect(report.meters.cgroup).toMatchObject({ how: expect.stringContaining('up to a quarter of the limit') });
  });

  it('warns of a machine that has less to give than the part of its RAM that was taken for the limit', () => {
    const full = { 'proc/meminfo': `MemTotal: 1099511627776 kB\nMemAvailable: ${2 * 1024 * 1024} kB\n` };
    expect(look(full).report.warnings).toEqual([
      'The limit is 768TiB, a part of this machine’s RAM, and only 2GiB of RAM can be had now: set `limitBytes`',
    ]);
    expect(look(full, { limitBytes: ROOMY }).report.warnings).toEqual([]);
  });

  it('of this machine agrees with itself, and every reason is one line', () => {
    const limit = readLimits();
    const report = readCapabilities({ root: '/', limit });
    expect(report.externalCountsWasm).toBe(Number(process.versions.node.split('.')[0]) < 26);
    expect(report.cgroup.available).toBe(limit.cgroup !== undefined);
    const lines = JSON.stringify(report).match(/"(why|how)":"[^"]*"/g) ?? [];
    for (const line of [...lines, ...report.warnings]) expect(line).not.toContain('\\n');
  });

  it('loads nothing: `koffi` is looked for only', () => {
    const script = `
      import { readCapabilities } from ${JSON.stringify(new URL('../../src/governor/capabilities.ts', import.meta.url))};
      import { readLimits } from ${JSON.stringify(new URL('../../src/governor/limits.ts', import.meta.url))};
      readCapabilities({ root: '/', limit: readLimits() });
      const { createRequire } = await import('node:module');
      console.log(Object.keys(createRequire(import.meta.url).cache).filter((path) => path.includes('koffi')).length);`;
    const child = spawnSync(process.execPath, ['--input-type=module', '--no-warnings', '-e', script], {
      encoding: 'utf8',
    });
    expect([child.stderr, child.stdout]).toEqual(['', '0\n']);
  });
});
