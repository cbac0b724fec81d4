import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from 'plimsoll';
import { FeedFile } from 'plimsoll/observe';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../../src/auto/settings.ts';
import { environmentLimit } from '../../src/cli/environment-limit.ts';
import { runEnvironment } from '../../src/cli/run-environment.ts';
import type { RunReport } from '../../src/cli/run-report.ts';
import { RunWatch } from '../../src/cli/run-watch.ts';
import { FakeMachine, mountV2 } from '../governor/fake-machine.ts';
import { looksOf } from './looks.ts';

const CLI = join(import.meta.dirname, '..', '..', 'src', 'cli.ts');
const MIB = 1_048_576;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-run-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program under the command line as it stands, with a folder of its own for temporary files. */
async function run(
  name: string,
  options: readonly string[],
  program: string,
  onOut?: (text: string, kill: (signal: NodeJS.Signals) => void) => void,
) {
  const home = mkdtempSync(join(folder, `${name}-`));
  const path = join(folder, `${name}.json`);
  const { NODE_OPTIONS: _, PLIMSOLL: __, ...own } = process.env;
  const args = [
    '--conditions=source',
    CLI,
    'run',
    ...options,
    '--report',
    path,
    '--',
    process.execPath,
    '-e',
    program,
    'one',
    '--two',
  ];
  const child = spawn(process.execPath, args, { env: { ...own, TMPDIR: home } });
  const texts = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (chunk: string) => {
      texts[stream] += chunk;
      onOut?.(chunk, (signal) => child.kill(signal));
    });
  }
  child.stdin.end('what comes in');
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return {
    ...texts,
    end: code ?? signal,
    report: JSON.parse(readFileSync(path, 'utf8')) as RunReport,
    left: readdirSync(home),
  };
}

describe('a program that is run', () => {
  it.concurrent('has its own input, output, arguments and exit code, and is reported', async () => {
    const program = `process.stdin.on('data', (text) => { console.log(String(text), process.argv.slice(1).join(), typeof gc); console.error('err'); process.exitCode = 7; })`;
    const { stdout, stderr, end, report, left } = await run('whole', ['--limit', '160MiB', '--mode', 'on'], program);
    expect({ stdout, stderr, end }).toEqual({ stdout: 'what comes in one,--two undefined\n', stderr: 'err\n', end: 7 });
    expect(report.heapFlags).toEqual(['--max-old-space-size=87', '--max-semi-space-size=2']);
    expect(report.ending).toEqual({ exitCode: 7, why: 'It ended with exit code 7.' });
    const [main] = report.processes;
    expect(main).toMatchObject({ mode: 'on', limitBytes: 160 * MIB, limitFrom: 'configured', exitCode: 7 });
    expect(main!.looks).toBeGreaterThanOrEqual(2);
    expect(main!.peakRssBytes).toBeGreaterThan(20 * MIB);
    // The private folder is gone.
    expect(left).toEqual([]);
  });

  it.concurrent('is told of signals, and its end by one is the end of the run', async () => {
    const hit = await run(
      'hit',
      [],
      `console.log('up'); setInterval(() => {}, 1000)`,
      (text, kill) => text.includes('up') && kill('SIGINT'),
    );
    expect({ end: hit.end, ending: hit.report.ending }).toEqual({
      end: 'SIGINT',
      ending: { signal: 'SIGINT', why: 'It was ended by SIGINT.' },
    });
  });
});

describe('who is watched', () => {
  it('is every process that writes into the folder, the one that took most first', () => {
    const home = mkdtempSync(join(folder, 'watch-'));
    const clock = new ManualClock();
    const told: number[] = [];
    using watch = new RunWatch(home, clock, (main) => told.push(main.pid));
    const open = (pid: number) =>
      new FeedFile({
        folder: home,
        maxBytes: 1 << 20,
        header: { feed: 1, pid, program: `${pid}.js`, node: 'v24', startedAt: 0 },
      });
    using small = open(11);
    using large = open(12);
    using silent = open(13);
    const [one, two] = looksOf([
      { rss: 10, pid: 11 },
      { rss: 40, pid: 12 },
    ]);
    small.write(one!);
    clock.advance(250);
    large.write(two!);
    clock.advance(250);
    clock.advance(250);
    expect(told).toEqual([11, 12]);
    expect(watch.last).toEqual(two);
    small.write({ ended: { at: one!.at + 9, exitCode: 4 } });
    expect(watch.finish().map(({ pid, exitCode }) => [pid, exitCode])).toEqual([
      [12, undefined],
      [11, 4],
    ]);
    expect(silent.path).toContain('13.feed');
  });

  it('are 256 processes at most, and those beyond are counted', () => {
    const home = mkdtempSync(join(folder, 'many-'));
    const clock = new ManualClock();
    using watch = new RunWatch(home, clock, () => {});
    for (let pid = 1; pid <= 259; pid++) writeFileSync(join(home, `${pid}.feed`), '');
    clock.advance(250);
    clock.advance(250);
    expect(watch.leftOut).toBe(3);
    expect(watch.finish()).toEqual([]);
  });
});

describe('what goes wrong in watching', () => {
  it('is counted, and what is told of the others stands', () => {
    const home = mkdtempSync(join(folder, 'faults-'));
    const clock = new ManualClock();
    using watch = new RunWatch(home, clock, () => {
      throw new Error('the terminal is gone');
    });
    using feed = new FeedFile({
      folder: home,
      maxBytes: 1 << 20,
      header: { feed: 1, pid: 11, program: '11.js', node: 'v24', startedAt: 0 },
    });
    feed.write(looksOf([{ rss: 10, pid: 11 }])[0]!);
    // Not written by a governor: as a program that means ill would.
    const look = JSON.parse(JSON.stringify(looksOf([{ rss: 90, pid: 99 }])[0]));
    look.snapshot.faults = [null];
    writeFileSync(join(home, '99.feed'), `${JSON.stringify(look)}\n`);
    symlinkSync('/dev/zero', join(home, '12345.feed'));
    clock.advance(250);
    expect(watch.faults).toBe(1);
    expect(watch.finish().map(({ pid }) => pid)).toEqual([11]);
  });

  it.concurrent('costs the program neither its exit code nor the report: links, pipes and looks of somebody else', async () => {
    const program = `
      const fs = require('node:fs');
      const feeds = process.env.PLIMSOLL_FEED;
      fs.symlinkSync('/dev/zero', feeds + '/12345.feed');
      require('node:child_process').execFileSync('mkfifo', [feeds + '/12346.feed']);
      setTimeout(() => {
        const [header, look] = fs.readFileSync(feeds + '/' + process.pid + '.feed', 'utf8').split('\\n');
        const foreign = JSON.parse(look);
        foreign.snapshot.faults = [null];
        fs.writeFileSync(feeds + '/99999.feed', header + '\\n' + JSON.stringify(foreign) + '\\n');
        process.exitCode = 3;
      }, 400)`;
    const { end, stderr, report } = await run('foreign', [], program);
    expect({ end, stderr, seen: report.processes.length }).toEqual({ end: 3, stderr: '', seen: 1 });
  });
});

describe('what a program is started with', () => {
  const settings = { heapFlags: true, feedFolder: '/feeds', entry: 'file:///p/auto.js' } as const;
  const BOX = {
    'proc/self/cgroup': '0::/\n',
    'proc/self/mountinfo': mountV2('/sys/fs/cgroup'),
    'sys/fs/cgroup/memory.max': `${256 * MIB}\n`,
  };

  it('is told of a container’s limit, and what stands in NODE_OPTIONS stays', () => {
    using box = new FakeMachine(BOX);
    const { env, heapFlags } = runEnvironment(
      { A: 'b', NODE_OPTIONS: '--no-warnings' },
      { ...settings, root: box.root },
    );
    expect(heapFlags).toEqual(['--max-old-space-size=153', '--max-semi-space-size=4']);
    expect(env).toEqual({
      A: 'b',
      NODE_OPTIONS: '--no-warnings --max-old-space-size=153 --max-semi-space-size=4 --import file:///p/auto.js',
      PLIMSOLL_FEED: '/feeds',
      PLIMSOLL_LOG: 'off',
    });
  });

  it('has the line that its environment sets, and what cannot be read there is none', () => {
    using box = new FakeMachine(BOX);
    const flagsOf = (env: Record<string, string>) => runEnvironment(env, { ...settings, root: box.root }).heapFlags[0];
    expect(flagsOf({ PLIMSOLL_LIMIT: '128MiB' })).toBe('--max-old-space-size=63');
    expect(flagsOf({ PLIMSOLL_SHARE: '0.5' })).toBe('--max-old-space-size=63');
    expect(flagsOf({ PLIMSOLL_LIMIT: 'much', PLIMSOLL_SHARE: '7' })).toBe('--max-old-space-size=153');
    expect(flagsOf({ PLIMSOLL_LIMIT: '20MiB' })).toBeUndefined();
  });

  it('has of every text in its environment the line that the program itself makes of it', () => {
    const sizes = [
      '',
      ' ',
      '512MiB',
      ' 512Mi ',
      '1.5 Gi',
      '64MB',
      '16777216',
      '16MiB',
      '16777215',
      '0',
      '3M',
      'much',
      '-1',
    ];
    const shares = ['', '1', '0.5', ' .25 ', '0', '1.5', '1e-1', '0x1', '50%', '-1'];
    for (const env of [
      ...sizes.map((text) => ({ PLIMSOLL_LIMIT: text })),
      ...shares.map((text) => ({ PLIMSOLL_SHARE: text })),
    ]) {
      const { limitBytes, share } = readSettings(env).settings;
      expect({ limitBytes: undefined, share: undefined, ...environmentLimit(env) }, JSON.stringify(env)).toEqual({
        limitBytes,
        share,
      });
    }
  });

  it('keeps a heap limit that somebody has set, however it is written', () => {
    using box = new FakeMachine(BOX);
    for (const given of ['--max-old-space-size=99', '--max_old_space_size=99', '--max-old-space-size 99']) {
      const { heapFlags } = runEnvironment({ NODE_OPTIONS: given }, { ...settings, root: box.root });
      expect(heapFlags).toEqual(['--max-semi-space-size=4']);
    }
  });

  it('is told nothing by a whole machine, nor where that is not wanted, nor by a container too small for any heap', () => {
    using machine = new FakeMachine({});
    using small = new FakeMachine({ ...BOX, 'sys/fs/cgroup/memory.max': `${40 * MIB}\n` });
    using box = new FakeMachine(BOX);
    const of = (root: string, heapFlags = true) => runEnvironment({}, { ...settings, heapFlags, root }).heapFlags;
    expect([of(machine.root), of(small.root), of(box.root, false)]).toEqual([[], [], []]);
  });
});
