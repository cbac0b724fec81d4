import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from 'plimsoll';
import { FeedFile, MemoryProfiler, type MemoryReport } from 'plimsoll/observe';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBounded } from '../../src/cli/read-bounded.ts';
import { readRecord, recognise } from '../../src/cli/record.ts';
import { diffPage, diffRecords, figuresOf } from '../../src/cli/record-diff.ts';
import { recordPage } from '../../src/cli/record-page.ts';
import { renderPage } from '../../src/cli/render.ts';
import { Faults } from '../../src/governor/faults.ts';
import { TerminationLog } from '../../src/governor/termination-log.ts';
import { eventfulParts, recordInto } from '../governor/flight-parts.ts';
import { looksOf } from './looks.ts';

const MIB = 1_048_576;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-records-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

const shown = (path: string): string => renderPage(recordPage(readRecord(path)));

function profile(heapBytes: number): MemoryReport {
  const clock = new ManualClock(1_700_000_000_000);
  let heapUsed = 20 * MIB;
  const figures = () => ({ heapUsed, external: 2 * MIB, arrayBuffers: 0, rss: 80 * MIB });
  const take = () => ({ count: 1, pauseMs: 2.5, longestMs: 2.5, freedBytes: 10 * MIB });
  const collections = () => ({ take, [Symbol.dispose]: () => {} });
  const profiler = new MemoryProfiler({ maxCheckpoints: 100, clock, figures, collections, sampleEveryMs: 0 });
  profiler.start();
  heapUsed = heapBytes;
  clock.advance(1_500);
  profiler.checkpoint('read');
  clock.advance(500);
  return profiler.finish();
}

describe('a flight recording', () => {
  it('as the recorder writes it is shown with its last moments and its largest holders', () => {
    const own = mkdtempSync(join(folder, 'flight-'));
    const { recorder } = recordInto(own);
    expect(recorder.write('emergency')).toBe(true);
    recorder[Symbol.dispose]();
    const path = join(own, readdirSync(own).find((name) => name.endsWith('.json'))!);
    const record = readRecord(path);
    expect(record.kind).toBe('flight recording');
    const text = shown(path);
    expect(text).toMatch(/^Flight recording {2}process \d+, 2023-11-14T22:13:20Z\n/);
    expect(text).toContain('level        emergency by cgroup\n');
    expect(text).toContain('last sample  96% of the limit of cgroup; ledger 2.8GiB, cgroup 96MiB\n');
    expect(text).toMatch(/The last 11\.9s, 240 samples\nledger {2}▁+ {2}/);
    expect(text).toMatch(/pages "of" ä {2} +external +35MiB +35MiB +40MiB +0\ncache/);
    expect(text).toMatch(/Given back: 2 trains, the last first\n/);
    expect(text).toContain('- trim: no such function (1)\n');
    expect(figuresOf(record).find(({ name }) => name === 'held by cache')).toEqual({
      name: 'held by cache',
      value: 10 * MIB,
      unit: 'bytes',
    });
  });
});

describe('a termination log', () => {
  it('as the governor writes it is read back, whatever the names in it, and survives being JSON', () => {
    const path = join(folder, 'termination-log');
    const clock = new ManualClock(Date.UTC(2026, 10, 21, 3, 57, 41));
    const log = new TerminationLog({
      path,
      clock,
      faults: new Faults(),
      parts: eventfulParts(),
      dumpPath: () => '/d/1.json',
    });
    log.write('emergency lasts', 'two trains did not help; level of despair by me');
    log[Symbol.dispose]();
    const record = readRecord(path);
    expect(record.data).toEqual({
      kind: 'termination-log',
      why: 'emergency lasts: two trains did not help; level of despair by me',
      level: 'emergency',
      decidingMeter: 'cgroup',
      takenAt: '2026-11-21T03:57:41Z',
      pid: process.pid,
      limitBytes: 100 * MIB,
      reservedBytes: 45 * MIB,
      peakReservedBytes: 50 * MIB,
      ratio: 0.961,
      meters: { cgroup: 96 * MIB },
      dump: '/d/1.json',
      largest: [
        { name: 'pages "of" ä ', kind: 'external', ownBytes: 35 * MIB, peakBytes: 40 * MIB },
        { name: 'cache', kind: 'external', ownBytes: 10 * MIB, peakBytes: 10 * MIB },
      ],
    });
    expect(recognise(JSON.stringify(record.data))).toEqual(record);
    expect(shown(path)).toMatch(/^Termination log .*\n\nwhy +emergency lasts/);
    // As `kubectl` prints it: indented, with other line ends, cut off.
    const cut = `\n${readFileSync(path, 'utf8').replaceAll('\n', '\r\n').slice(0, -40)}`;
    expect(recognise(cut)).toMatchObject({ kind: 'termination log', data: { largest: [{ kind: 'external' }] } });
  });
});

describe('a profile', () => {
  it('of the profiler is shown by checkpoints', () => {
    const path = file('profile.json', JSON.stringify(profile(50 * MIB)));
    expect(readRecord(path).kind).toBe('profile');
    expect(shown(path)).toContain('read        1.5s  50MiB      2MiB  80MiB       -      40MiB   1\n');
  });

  it('of V8’s heap is summed up by function, however deep the stacks', () => {
    const frame = (functionName: string, url = '/app/src/rows.js', lineNumber = 9) => ({
      functionName,
      url,
      lineNumber,
    });
    let node: object = { callFrame: frame('leaf'), selfSize: 3 * MIB, children: [] };
    for (let depth = 0; depth < 1_000; depth++) {
      node = { callFrame: frame('walk'), selfSize: 1_024, children: [node] };
    }
    const other = { callFrame: frame('leaf'), selfSize: MIB, children: [] };
    const head = { callFrame: frame('(root)', '', -1), selfSize: 0, children: [node, other] };
    const path = file('a.heapprofile', JSON.stringify({ head, samples: [] }));
    expect(shown(path)).toBe(
      `Heap profile  5MiB by sample, by the function that allocated them

function  at                bytes  share
leaf      src/rows.js:10     4MiB    80%
walk      src/rows.js:10  1000KiB    20%
`,
    );
  });
});

describe('a feed', () => {
  it('of a process that is gone is shown as one, a torn last line or not', () => {
    const header = { feed: 1, pid: 42, program: 'app.js', node: 'v24.0.0', startedAt: 1_700_000_000_000 } as const;
    using feed = new FeedFile({ folder, maxBytes: 1 << 20, header });
    for (const look of looksOf([{ rss: 40 }, { rss: 60 }, { rss: 50 }])) feed.write(look);
    writeFileSync(feed.path, '{"version":1,"numb', { flag: 'a' });
    const record = readRecord(feed.path);
    expect(record).toMatchObject({ kind: 'feed', data: { processes: [{ looks: 3, program: 'app.js' }] } });
    expect(shown(feed.path)).toMatch(/^feed of app\.js \(process 42\) .*\n\nended +not known: it runs yet, or was/);
    expect(recognise(JSON.stringify(record.data))).toEqual(record);
    expect(diffRecords(record, record, ['a', 'b']).of).toBe('feed');
    writeFileSync(feed.path, '\n{"ended":{"at":1700000009000,"exitCode":3}}\n', { flag: 'a' });
    expect(shown(feed.path)).toMatch(/^ended +with exit code 3$/m);
  });
});

describe('what is none of it', () => {
  it.each([
    '',
    '{}',
    '[]',
    'null',
    '7',
    '{"version":1,"why":"x"}',
    'plimsoll: half a log',
    '\u0000\u0001',
    '{"feed":1}',
  ])('is said to be so in one line: %j', (text) => {
    const path = file('none', text);
    expect(() => readRecord(path)).toThrow(expect.objectContaining({ code: 'PLIMSOLL_USAGE' }));
    expect(() => readRecord(path)).toThrow(/^[^\n]*none of what can be shown[^\n]*$/);
  });

  it('is said of a file that is not there, and of a folder', () => {
    expect(() => readRecord(join(folder, 'gone'))).toThrow(/^cannot read .*gone: ENOENT: no such file or directory$/);
    expect(() => readRecord(folder)).toThrow(/^cannot read .*: EISDIR/);
  });
});

describe('what has no end', () => {
  it.skipIf(process.platform === 'win32')('is read up to a bound', () => {
    const opened = (path: string) => {
      const descriptor = openSync(path, 'r');
      return { descriptor, [Symbol.dispose]: () => closeSync(descriptor) };
    };
    using zero = opened('/dev/zero');
    expect(readBounded(zero.descriptor, 3 * MIB)).toBeUndefined();
    const text = 'x'.repeat(3 * MIB);
    using whole = opened(file('whole', text));
    expect(readBounded(whole.descriptor, 3 * MIB)?.toString()).toBe(text);
    using longer = opened(file('longer', `${text}x`));
    expect(readBounded(longer.descriptor, 3 * MIB)).toBeUndefined();
  });
});

describe('two of one kind', () => {
  it('are compared figure by figure', () => {
    const [a, b] = [profile(50 * MIB), profile(80 * MIB)].map((data) => ({ kind: 'profile', data }) as const);
    const diff = diffRecords(a!, b!, ['a.json', 'b.json']);
    expect(diff.rows.find(({ name }) => name === 'heap at most')).toEqual({
      name: 'heap at most',
      unit: 'bytes',
      a: 50 * MIB,
      b: 80 * MIB,
      change: 30 * MIB,
      ratio: 0.6,
    });
    expect(renderPage(diffPage(diff))).toContain('heap at most      50MiB  80MiB  +30MiB   +60%\n');
    expect(renderPage(diffPage(diffRecords(a!, a!, ['a', 'a'])))).not.toMatch(/[+]\d/);
  });
});
