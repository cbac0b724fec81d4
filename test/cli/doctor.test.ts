import { afterEach, describe, expect, it } from 'vitest';
import { doctorPage } from '../../src/cli/doctor-page.ts';
import { type DoctorOptions, examine } from '../../src/cli/doctor-report.ts';
import { renderPage } from '../../src/cli/render.ts';
import { FakeMachine, mountV1, mountV2 } from '../governor/fake-machine.ts';

const MIB = 1_048_576;
const ROOMY = 1024 * 1024 * MIB;
const GLIBC = '7f83-7f84 r-xp 00026000 fe:00 339380    /usr/lib/x86_64-linux-gnu/libc.so.6\n';
const MUSL = '7f83-7f84 r-xp 00026000 fe:00 339380    /lib/ld-musl-x86_64.so.1\n';

const machines: FakeMachine[] = [];
afterEach(() => {
  for (const machine of machines.splice(0)) machine[Symbol.dispose]();
});

/** Linux in a container with version 2 of the control groups. */
const container = (limitBytes: number, more: Record<string, string> = {}): Record<string, string> => ({
  'proc/meminfo': `MemTotal: ${ROOMY / 512} kB\nMemAvailable: ${ROOMY / 1024} kB\nSwapTotal: 0 kB\n`,
  'proc/self/cgroup': '0::/\n',
  'proc/self/mountinfo': mountV2('/sys/fs/cgroup'),
  'proc/self/maps': GLIBC,
  'proc/sys/vm/overcommit_memory': '0\n',
  'proc/sys/vm/max_map_count': '65530\n',
  'sys/kernel/mm/transparent_hugepage/enabled': 'always [madvise] never\n',
  'sys/fs/cgroup/memory.max': `${limitBytes}\n`,
  'sys/fs/cgroup/memory.current': `${100 * MIB}\n`,
  'sys/fs/cgroup/memory.stat': 'anon 1\nfile 0\n',
  'sys/fs/cgroup/cgroup.procs': `${process.pid}\n`,
  'sys/fs/cgroup/memory.pressure':
    'some avg10=1.50 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n',
  ...more,
});

function look(files: Record<string, string>, more: Partial<DoctorOptions> = {}) {
  const machine = new FakeMachine(files);
  machines.push(machine);
  const report = examine({
    root: machine.root,
    env: {},
    platform: 'linux',
    findsKoffi: () => true,
    ...more,
  });
  expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  return { report, text: renderPage(doctorPage(report)).replaceAll(machine.root, '') };
}

const found = (report: ReturnType<typeof look>['report']) =>
  report.findings.map(({ severity, mend }) => `${severity}: ${mend}`);

describe('the doctor', () => {
  it('finds nothing wrong where nothing is, and says what there is', () => {
    const { report, text } = look(container(ROOMY));
    expect(report.findings.filter(({ what }) => !what.includes('are memory'))).toEqual([]);
    expect(text).toMatch(/^plimsoll doctor: Nothing is wrong {2}linux, node v/);
    expect(text).toContain('the line           1TiB (cgroup-v2)\n');
    expect(text).toContain('charged now        100MiB (0%)\n');
    expect(text).toContain('RAM                2TiB, 1TiB to be had now, no swap\n');
    expect(text).toContain('processes          1 in the control group, 0 others of size\n');
    expect(text).toContain('waited for memory  1.5% of the last ten seconds, of this group\n');
    expect(text).toContain('/sys/fs/cgroup/memory.max  cgroup-v2   1TiB\n');
    expect(text).toContain('mmap             overcommit 0, 65530 mappings at most, huge pages madvise\n');
  });

  it('says that a heap may grow past its container, and the exact flags that mend it', () => {
    for (const files of [
      container(256 * MIB),
      {
        'proc/self/cgroup': '5:memory:/\n',
        'proc/self/mountinfo': mountV1('/sys/fs/cgroup/memory'),
        'proc/self/maps': GLIBC,
        'sys/fs/cgroup/memory/memory.limit_in_bytes': `${256 * MIB}\n`,
        'sys/fs/cgroup/memory/memory.usage_in_bytes': '1048576\n',
        'sys/fs/cgroup/memory/memory.stat': 'total_rss 1\n',
      },
    ]) {
      const { report, text } = look(files);
      const [first] = report.findings;
      expect(first).toMatchObject({
        severity: 'wrong',
        mend: 'export NODE_OPTIONS="--max-old-space-size=153 --max-semi-space-size=4"',
      });
      expect(text).toContain('    export NODE_OPTIONS="--max-old-space-size=153 --max-semi-space-size=4"\n');
      expect(text).toMatch(/^plimsoll doctor: One thing is wrong/);
    }
  });

  it('says that a container is too small for any heap', () => {
    const { report } = look(container(40 * MIB));
    expect(report.heapFlags).toBeUndefined();
    expect(found(report)[0]).toBe(
      'wrong: give it 64MiB or more: docker run --memory=64m, resources.limits.memory: 64Mi',
    );
  });

  it('says that others share the limit, by which share', () => {
    const heavy = `VmRSS: ${64 * 1024} kB\n`;
    const procs = `${process.pid}\n901\n902\n903\n`;
    const { report } = look(
      container(ROOMY, {
        'sys/fs/cgroup/cgroup.procs': procs,
        'proc/901/status': heavy,
        'proc/902/status': heavy,
        'proc/903/status': 'VmRSS: 900 kB\n',
      }),
    );
    expect(found(report)).toContain('wrong: export PLIMSOLL_SHARE=0.33');
    const { report: mended } = look(
      container(ROOMY, { 'sys/fs/cgroup/cgroup.procs': procs, 'proc/901/status': heavy, 'proc/902/status': heavy }),
      { env: { PLIMSOLL_SHARE: '0.33' } },
    );
    expect(found(mended).filter((each) => each.startsWith('wrong'))).toEqual([]);
    expect(mended.limit.bytes).toBe(Math.floor(ROOMY * 0.33));
  });

  it('says that a machine has less to give than is taken for the limit', () => {
    const { report } = look({
      'proc/meminfo': `MemTotal: ${ROOMY / 1024} kB\nMemAvailable: 102400 kB\n`,
      'proc/self/maps': GLIBC,
    });
    expect(found(report)).toContain('wrong: export PLIMSOLL_LIMIT=90MiB');
    const { report: mended } = look(
      { 'proc/meminfo': `MemTotal: ${ROOMY / 1024} kB\nMemAvailable: 102400 kB\n`, 'proc/self/maps': GLIBC },
      { env: { PLIMSOLL_LIMIT: '90Mi' } },
    );
    expect(mended.limit).toMatchObject({ from: 'configured', bytes: 90 * MIB });
  });

  it('advises on what works worse without: no trim, no PSI, no limit, huge pages, and is wrong about none of it', () => {
    const bare = {
      'proc/meminfo': `MemTotal: ${ROOMY / 1024} kB\nMemAvailable: ${ROOMY / 1024} kB\n`,
      'proc/self/maps': MUSL,
    };
    const { report } = look({
      ...bare,
      'sys/kernel/mm/transparent_hugepage/enabled': '[always] madvise never\n',
      'proc/sys/vm/max_map_count': '1000\n',
      '.dockerenv': '',
    });
    const advised = found(report).filter((each) => !each.includes('TMPDIR'));
    expect(advised).toEqual([
      'advice: docker run --memory=512m, resources.limits.memory: 512Mi',
      'advice: psi=1 on the kernel’s command line',
      'advice: FROM node:24-slim in place of node:24-alpine',
      'advice: sysctl vm.max_map_count=65530',
      'advice: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled',
    ]);
    const { report: glibc } = look(container(ROOMY), { findsKoffi: () => false });
    expect(found(glibc)).toContain('advice: npm install koffi');
  });

  it('says that a kernel without overcommitment refuses what V8 sets aside', () => {
    const { report } = look(container(ROOMY, { 'proc/sys/vm/overcommit_memory': '2\n' }));
    expect(found(report)).toContain('wrong: sysctl vm.overcommit_memory=0');
  });

  it('takes a limit of one’s own, as it would be set', () => {
    const { report } = look(container(ROOMY), { limitBytes: 512 * MIB });
    expect(report.limit).toMatchObject({ from: 'configured', bytes: 512 * MIB });
    expect(found(report)[0]).toMatch(/^wrong: export NODE_OPTIONS="--max-old-space-size=\d+ --max-semi-space-size=8"/);
  });
});
