import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { FlightDump } from '../../src/governor/flight-dump.ts';
import { nameDump } from '../../src/governor/flight-folder.ts';
import type { FlightRecorderSettings } from '../../src/governor/flight-recorder.ts';
import { whyNoLimits } from '../cgroup/memory-group.ts';
import { runInLimit } from '../cgroup/run-in-limit.ts';
import { eventfulParts, flightParts, MIB, recordInto, trainReport } from './flight-parts.ts';

const CHILD = join(import.meta.dirname, 'flight-child.ts');
const whyNot = await whyNoLimits();
if (whyNot !== undefined) console.warn(`Tests in real memory limits are skipped: ${whyNot}.`);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-flight-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const setUp = (more: Partial<FlightRecorderSettings> = {}) => recordInto(folder, more);

/** Of one process, or of all. */
function dumps(pid: number | '' = process.pid): FlightDump[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(`plimsoll-flight-${pid}`) && name.endsWith('.json'))
    .sort((a, b) => a.length - b.length || a.localeCompare(b))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as FlightDump);
}

describe('a dump', () => {
  it('has the last samples, the journal, the consumer tree and the largest holders', () => {
    const { recorder, parts, faults } = setUp();
    expect(recorder.write('emergency')).toBe(true);
    expect(faults.rows()).toEqual([]);
    const [dump] = dumps();
    expect(recorder.lastPath).toBe(join(folder, `plimsoll-flight-${process.pid}-1.json`));
    expect(dump).toMatchObject({
      version: 1,
      why: 'emergency',
      takenAt: 1_700_000_000_000,
      pid: process.pid,
      mode: 'on',
      limitBytes: 100 * MIB,
      level: 'emergency',
      decidingMeter: 'cgroup',
      reservedBytes: 45 * MIB,
      peakReservedBytes: 50 * MIB,
      trainCount: 2,
      sampleCount: 300,
      consumerCount: 2,
    });
    expect(dump).not.toHaveProperty('truncated');
    expect(dump?.samples).toHaveLength(240);
    expect(dump?.samples[0]).toEqual({
      atMs: 299 * 50,
      level: 'emergency',
      decidingMeter: 'cgroup',
      ratio: 0.9612,
      ledgerBytes: 3e9 + 299,
      heapBytes: 0,
      externalBytes: 0,
      rssBytes: 0,
      cgroupBytes: 96 * MIB + 299,
    });
    expect(dump?.trains).toEqual([trainReport(2), trainReport(1)]);
    expect(dump?.faults).toEqual(parts.faults.rows());
    expect(dump?.largest.map(({ name, ownBytes }) => [name, ownBytes])).toEqual([
      ['pages "of" \u00e4\n', 35 * MIB],
      ['cache', 10 * MIB],
    ]);
    expect(dump?.consumers).toEqual([
      {
        name: 'cache',
        kind: 'external',
        heldBytes: 45 * MIB,
        peakBytes: 50 * MIB,
        ownBytes: 10 * MIB,
        refusals: 0,
      },
      {
        name: 'pages "of" \u00e4\n',
        kind: 'external',
        parent: 'cache',
        heldBytes: 35 * MIB,
        peakBytes: 40 * MIB,
        ownBytes: 35 * MIB,
        maxBytes: 50 * MIB,
        refusals: 0,
        reclaim: { calls: 0, claimedBytes: 0, releasedBytes: 0, faults: 0, hung: false },
      },
    ]);
  });

  it('has the scopes when they are given, and what was thrown', () => {
    const parts = { ...eventfulParts(), scopes: () => [{ name: 'tenant 7', heldBytes: 5, peakBytes: 6 }] };
    const { recorder } = setUp({ parts });
    recorder.write('fatal', new Error('Array buffer allocation failed'));
    expect(dumps()[0]).toMatchObject({
      cause: 'Array buffer allocation failed',
      scopes: [{ name: 'tenant 7', heldBytes: 5, peakBytes: 6 }],
    });
  });

  it('of more than fits leaves out whole rows, keeps something of everything and says so', () => {
    const parts = eventfulParts();
    for (let i = 0; i < 5_000; i++) {
      const account = parts.ledger.open({ name: `consumer ${i} ${'x'.repeat(40)}`, kind: 'heap', maxBytes: MIB });
      parts.ledger.charge(account, 1_000 + i);
    }
    for (let i = 3; i < 80; i++) parts.journal.record(trainReport(i, 64));
    const { recorder } = setUp({ parts });
    expect(recorder.write('emergency')).toBe(true);
    const [dump] = dumps();
    expect(dump).toMatchObject({ truncated: true, consumerCount: 5_002, trainCount: 79 });
    expect(dump?.largest).toHaveLength(20);
    expect(dump?.largest[2]?.ownBytes).toBe(5_999);
    expect(dump?.samples).toHaveLength(240);
    expect(dump?.trains[0]?.number).toBe(79);
    expect(dump?.trains.every((train) => train.parts.length === 64)).toBe(true);
    expect(dump?.consumers.length).toBeGreaterThan(500);
    expect(readFileSync(recorder.lastPath!).length).toBeLessThanOrEqual(262_144);
  });

  it('goes into the smallest buffer as well', () => {
    const { recorder } = setUp({ maxBytes: 16_384 });
    expect(recorder.write('emergency')).toBe(true);
    expect(dumps()[0]).toMatchObject({ truncated: true });
    expect(dumps()[0]?.samples.length).toBeGreaterThan(20);
  });
});

describe('the flight recorder', () => {
  it('waits between two dumps, but not for what is fatal', () => {
    const { recorder, clock } = setUp({ keep: 10 });
    expect(recorder.write('emergency')).toBe(true);
    clock.advance(9_999);
    expect(recorder.write('emergency')).toBe(false);
    expect(recorder.write('fatal')).toBe(true);
    expect(recorder.write('die-fast')).toBe(true);
    clock.advance(9_999);
    expect(recorder.write('emergency')).toBe(false);
    clock.advance(1);
    expect(recorder.write('emergency')).toBe(true);
    expect(dumps().map(({ why }) => why)).toEqual(['emergency', 'fatal', 'die-fast', 'emergency']);
    expect(recorder.count).toBe(4);
  });

  it('keeps its newest dumps, at the start the newest of the folder, and touches nothing else', () => {
    for (const [index, name] of ['7-1.json', '7-2.json', '8-1.json', '8.tmp', '9.tmp', '10.tmp', 'x.json'].entries()) {
      const path = join(folder, `plimsoll-flight-${name}`);
      writeFileSync(path, '{}');
      utimesSync(path, 1_000 + index, 1_000 + index);
    }
    writeFileSync(join(folder, 'mine.json'), '{}');
    const { recorder } = setUp({ keep: 2, minIntervalMs: 0 });
    for (let i = 0; i < 12; i++) recorder.write('emergency');
    const expected = [
      '7-2.json',
      '8-1.json',
      '9.tmp',
      '10.tmp',
      'x.json',
      `${process.pid}-11.json`,
      `${process.pid}-12.json`,
    ];
    expect(readdirSync(folder).sort()).toEqual(
      ['mine.json', ...expected.map((name) => `plimsoll-flight-${name}`)].sort(),
    );
  });

  it('goes on counting where a process of the same id has stopped: in a container every start is process 1', () => {
    setUp().recorder.write('emergency');
    setUp().recorder.write('emergency');
    expect(dumps()).toHaveLength(2);
  });

  it('writes beside another of the same process: neither takes the dumps of the other', () => {
    const one = setUp({ keep: 2, minIntervalMs: 0 });
    const other = setUp({ keep: 2, minIntervalMs: 0 });
    const paths: (string | undefined)[] = [];
    for (let i = 0; i < 3; i++) {
      one.recorder.write(`one ${i}`);
      other.recorder.write(`other ${i}`);
      paths.push(one.recorder.lastPath, other.recorder.lastPath);
    }
    expect(new Set(paths).size).toBe(6);
    expect(dumps().map(({ why }) => why)).toEqual(['one 1', 'other 1', 'one 2', 'other 2']);
    expect(readdirSync(folder)).toHaveLength(4);
    expect([...one.faults.rows(), ...other.faults.rows()]).toEqual([]);
  });

  it('writes beside that of a worker at the same moments: all dumps are there, and whole', () => {
    const child = spawnSync(process.execPath, ['--conditions=source', CHILD, folder, 'threads'], { encoding: 'utf8' });
    expect([child.stderr, child.stdout]).toEqual(['', '{"faults":[]}\n{"faults":[]}\n']);
    const why = dumps(child.pid).map((dump) => dump.why);
    expect([why.length, new Set(why).size]).toEqual([80, 80]);
    expect(readdirSync(folder)).toHaveLength(80);
  });

  it('renames where a file cannot have two names, and takes no name that is taken', () => {
    // Like a file on such a file system, a folder can be renamed and not linked.
    for (const number of [3, 4]) writeFileSync(join(folder, `plimsoll-flight-7-${number}.json`), 'theirs');
    mkdirSync(join(folder, 'ours'));
    expect(nameDump(join(folder, 'ours'), folder, 7, 3)).toBe(5);
    expect(readdirSync(folder).sort()).toEqual([3, 4, 5].map((number) => `plimsoll-flight-7-${number}.json`));
    expect(readFileSync(join(folder, 'plimsoll-flight-7-3.json'), 'utf8')).toBe('theirs');
  });

  it('writes down an uncaught exception in a process that ends by it', () => {
    const child = spawnSync(process.execPath, ['--conditions=source', CHILD, folder, 'throw'], { encoding: 'utf8' });
    expect(child.status).toBe(1);
    expect(child.stderr).toContain('Error: out of everything');
    expect(child.stdout).toBe('then\n');
    expect(dumps(child.pid)).toMatchObject([{ why: 'fatal', cause: 'out of everything' }]);
  });

  it('is no faster than usual when the program lives on after an uncaught exception', () => {
    const { recorder } = setUp();
    using _ = recorder.installFatalHooks();
    const ignore = () => {};
    process.on('uncaughtException', ignore);
    for (let i = 0; i < 5; i++)
      process.emit('uncaughtExceptionMonitor' as 'exit', new Error('again') as unknown as number);
    process.off('uncaughtException', ignore);
    expect(dumps()).toMatchObject([{ why: 'uncaught' }]);
  });

  it('takes its hooks away', () => {
    const before = process.listenerCount('uncaughtExceptionMonitor');
    const { recorder } = setUp();
    recorder.installFatalHooks()[Symbol.dispose]();
    recorder.installFatalHooks();
    expect(process.listenerCount('uncaughtExceptionMonitor')).toBe(before + 1);
    recorder[Symbol.dispose]();
    recorder[Symbol.dispose]();
    expect(process.listenerCount('uncaughtExceptionMonitor')).toBe(before);
    expect(recorder.write('fatal')).toBe(false);
  });

  it('makes its folder, and makes it again', () => {
    const deep = join(folder, 'a', 'b');
    const { recorder, faults } = setUp({ folder: deep });
    rmSync(join(folder, 'a'), { recursive: true });
    expect(recorder.write('emergency')).toBe(true);
    expect([readdirSync(deep).length, faults.rows()]).toEqual([1, []]);
  });

  it.each([
    [{ folder: '' }, 'Expected `flightRecorder.folder`'],
    [{ maxBytes: 1_000 }, 'Expected `flightRecorder.maxBytes`'],
    [{ keep: 0 }, 'Expected `flightRecorder.keep`'],
    [{ heapRatio: 0 }, 'Expected `flightRecorder.heapRatio`'],
  ])('refuses %j', (options, message) => {
    expect(() => setUp(options)).toThrow(message);
  });
});

describe('what stands in the way of a dump is a fault, and nothing is thrown', () => {
  it('a folder that is a file', () => {
    writeFileSync(join(folder, 'file'), '');
    const { recorder, faults } = setUp({ folder: join(folder, 'file') });
    expect(faults.rows()).toHaveLength(1);
    expect([recorder.write('fatal'), recorder.write('fatal')]).toEqual([false, false]);
    expect(faults.rows()).toMatchObject([{ part: 'flight recorder', count: 3 }]);
  });

  it('a full disk', (context) => {
    if (!existsSync('/dev/full')) context.skip('there is no full disk to be had');
    // Tiny file system: made where this user may.
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]);
    if (mount.status !== 0) context.skip('this user may not mount');
    const { recorder, faults } = setUp();
    try {
      expect(recorder.write('fatal')).toBe(true);
      const free = statfsSync(folder).bfree * statfsSync(folder).bsize;
      writeFileSync(join(folder, 'plug'), Buffer.alloc(free - 4_096));
      expect(recorder.write('fatal')).toBe(false);
      expect(faults.rows()).toMatchObject([{ part: 'flight recorder', message: expect.stringContaining('ENOSPC') }]);
      expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    } finally {
      recorder[Symbol.dispose]();
      spawnSync('umount', [folder]);
    }
  });

  it('a full disk: the older dumps make room, the newest of them stays', (context) => {
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=192k', 'tmpfs', folder]);
    if (mount.status !== 0) context.skip('this user may not mount');
    const { recorder, faults } = setUp({ keep: 10 });
    try {
      for (let i = 0; i < 3; i++) expect(recorder.write('fatal')).toBe(true);
      const free = statfsSync(folder).bfree * statfsSync(folder).bsize;
      writeFileSync(join(folder, 'plug'), Buffer.alloc(Math.max(0, free - 4_096)));
      expect(recorder.write('die-fast')).toBe(true);
      expect(dumps().map(({ why }) => why)).toEqual(['fatal', 'die-fast']);
      expect(faults.rows()).toEqual([]);
    } finally {
      recorder[Symbol.dispose]();
      spawnSync('umount', [folder]);
    }
  });

  it('a part of the governor that throws', () => {
    const parts = { ...flightParts(), limitBytes: (): number => Number(Symbol('no number') as unknown) };
    const { recorder, faults } = setUp({ parts });
    expect(recorder.write('fatal')).toBe(false);
    expect(faults.rows()).toHaveLength(1);
  });

  it('a link in the place of the file that is written first: what it points to is not written', () => {
    using _ = vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const { recorder, faults } = setUp();
    const names: string[] = [];
    mkdirSync(join(folder, 'elsewhere'));
    const precious = join(folder, 'elsewhere', 'precious');
    writeFileSync(precious, 'precious');
    symlinkSync(precious, join(folder, `plimsoll-flight-${process.pid}-${threadId}-i.tmp`));
    expect(recorder.write('fatal')).toBe(true);
    expect(faults.rows()).toEqual([]);
    names.push(...readdirSync(folder));
    expect(names.sort()).toEqual(['elsewhere', `plimsoll-flight-${process.pid}-1.json`]);
    expect(readFileSync(precious, 'utf8')).toBe('precious');
  });

  it('no descriptor left: one is in reserve', (context) => {
    if (process.platform === 'win32') context.skip('it has no such limit');
    const run = `ulimit -n 40; exec "$0" --conditions=source "${CHILD}" "${folder}" descriptors`;
    const child = spawnSync('sh', ['-c', run, process.execPath], { encoding: 'utf8' });
    expect(child.stderr).toBe('');
    expect(JSON.parse(child.stdout)).toEqual({ refused: 'EMFILE', written: [true, true] });
    expect(dumps('')).toHaveLength(2);
  });
});

describe('without memory', () => {
  it('a dump is written from a heap that is full', () => {
    const flags = ['--conditions=source', '--expose-gc', '--max-old-space-size=32', '--max-semi-space-size=1'];
    const child = spawnSync(process.execPath, [...flags, CHILD, folder, 'heap'], { encoding: 'utf8' });
    expect(child.stderr).toContain('heap out of memory');
    const lines = child.stdout.trim().split('\n');
    expect(JSON.parse(lines[0]!)).toEqual({ written: true });
    const leftBytes = lines.length > 1 ? Number(lines.at(-1)) : 0;
    console.log(`a dump was written, ${leftBytes} bytes later the heap was full`);
    // What V8 was still sweeping counts as full before and as free after.
    expect(leftBytes).toBeLessThan(6 * MIB);
    const [dump] = dumps(child.pid);
    expect(dump?.samples).toHaveLength(240);
    expect(dump?.trains).toHaveLength(64);
    expect(dump?.consumers).toHaveLength(200);
    expect(dump).not.toHaveProperty('truncated');
  });

  it('a dump makes next to no objects, even where V8 has compiled nothing', () => {
    const flags = ['--conditions=source', '--expose-gc', '--no-sparkplug', '--no-maglev', '--no-opt'];
    const child = spawnSync(process.execPath, [...flags, CHILD, folder, 'count'], { encoding: 'utf8' });
    const { written, allocatedBytes } = JSON.parse(child.stdout) as { written: boolean; allocatedBytes: number };
    console.log(`a dump of 240 samples, 64 trains and 200 consumers made ${allocatedBytes} bytes of objects`);
    expect(written).toBe(true);
    expect(allocatedBytes).toBeLessThan(98_304);
  });

  it('Node adds a report of its own when V8 gives up, without the environment', () => {
    const flags = ['--conditions=source', '--expose-gc', '--max-old-space-size=32', '--report-exclude-env'];
    // More than one: whether V8 is in a context when it gives up is chance, and on that hangs what Node finds of its settings.
    for (let i = 0; i < 3; i++) {
      const env = { ...process.env, PLIMSOLL_TEST_SECRET: 'sesame123' };
      const child = spawnSync(process.execPath, [...flags, CHILD, folder, 'report'], { encoding: 'utf8', env });
      expect(child.stderr).toContain('heap out of memory');
      const text = readFileSync(join(folder, `plimsoll-report-${child.pid}.json`), 'utf8');
      const report = JSON.parse(text) as { header: { trigger: string }; javascriptHeap: object };
      expect(report.header.trigger).toBe('OOMError');
      expect(Object.keys(report.javascriptHeap)).toContain('heapSpaces');
      expect(text.includes('sesame123')).toBe(false);
    }
  });

  it('Node is not asked for a report that would give away the environment', () => {
    const before = process.report.reportOnFatalError;
    const { faults } = setUp({ nodeReport: true });
    expect(process.report.reportOnFatalError).toBe(before);
    const message = expect.stringContaining('start node with --report-exclude-env');
    expect(faults.rows()).toMatchObject([{ part: 'node report', message, off: true }]);
  });

  it.skipIf(whyNot !== undefined)('a dump is written from a group that is charged to its limit', async () => {
    const run = await runInLimit({
      command: process.execPath,
      args: ['--conditions=source', '--max-old-space-size=32', CHILD, folder, 'group'],
      limitBytes: 128 * MIB,
    });
    expect(run).toMatchObject({ exitCode: 0, oomKilled: false });
    const { freeBytes, written } = JSON.parse(run.stdout) as { freeBytes: number; written: boolean };
    console.log(`${freeBytes} bytes were left of the limit`);
    expect(freeBytes).toBeLessThan(MIB);
    expect(written).toBe(true);
    expect(dumps('')).toHaveLength(1);
  });
});
