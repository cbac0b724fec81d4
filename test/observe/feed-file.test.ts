import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { renderPage } from '../../src/cli/render.ts';
import { endingOf } from '../../src/cli/run-ending.ts';
import { runPage } from '../../src/cli/run-page.ts';
import { RunRecorder } from '../../src/cli/run-recorder.ts';
import { topPage } from '../../src/cli/top-page.ts';
import {
  checkFeedFolder,
  FeedFile,
  feedHome,
  feedPath,
  feedsIn,
  olderFeedPath,
  openFeedFolder,
  sweepFeeds,
} from '../../src/observe/feed-file.ts';
import { FeedReader, isFeedEnd, isFeedHeader, readFeedLine } from '../../src/observe/feed-reader.ts';
import { isObservation } from '../../src/observe/is-observation.ts';
import { looksOf } from '../cli/looks.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-feed-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const header = { feed: 1, pid: 42, program: 'app.js', node: 'v24.0.0', startedAt: 5 } as const;
const open = (maxBytes = 65_536) => new FeedFile({ folder, maxBytes, header });
const numbersOf = (lines: ReturnType<FeedReader['read']>) =>
  lines.flatMap((line) => ('number' in line ? [line.number] : []));

describe('a feed', () => {
  it('is read while it is written, each line once, and to its end', () => {
    const [one, two, three] = looksOf([{ rss: 10 }, { rss: 20 }, { rss: 30 }]);
    using reader = new FeedReader(feedPath(folder, 42));
    expect(reader.read()).toEqual([]);
    using feed = open();
    feed.write(one!);
    expect(reader.read()).toEqual([header, one]);
    expect(reader.read()).toEqual([]);
    feed.write(two!);
    feed.write(three!);
    feed.write({ ended: { at: 9, exitCode: 3 } });
    const lines = reader.read();
    expect(numbersOf(lines)).toEqual([2, 3]);
    expect(isFeedEnd(lines.at(-1)!)).toBe(true);
  });

  it('is bounded, by two pieces, and a reader loses nothing at the turn', () => {
    const looks = looksOf(Array.from({ length: 200 }, () => ({ rss: 10 })));
    using feed = open();
    using reader = new FeedReader(feed.path);
    const seen: number[] = [];
    for (const look of looks) {
      feed.write(look);
      if (look.number % 7 === 0) seen.push(...numbersOf(reader.read()));
    }
    seen.push(...numbersOf(reader.read()));
    expect(seen).toEqual(looks.map(({ number }) => number));
    for (const path of [feed.path, olderFeedPath(feed.path)]) expect(statSync(path).size).toBeLessThanOrEqual(65_536);
    expect(readdirSync(folder).length).toBe(2);
    // Who comes later has both pieces, and the header.
    using late = new FeedReader(feed.path);
    const lines = late.read();
    expect(isFeedHeader(lines[0]!)).toBe(true);
    expect(numbersOf(lines).at(-1)).toBe(200);
    expect(numbersOf(lines).length).toBeGreaterThan(15);
  });

  it('has no line that is larger than a piece', () => {
    using feed = open();
    const [look] = looksOf([{ rss: 1 }]);
    feed.write({ ...look!, snapshot: { ...look!.snapshot, warnings: ['x'.repeat(70_000)] } });
    expect(feed.leftOut).toBe(1);
    expect(statSync(feed.path).size).toBeLessThan(1_000);
  });

  it('has a folder that stays where it is when the program goes elsewhere, and a bound', () => {
    for (const path of ['', 'feeds', 5 as never]) {
      expect(() => new FeedFile({ folder: path, maxBytes: 65_536, header })).toThrow('an absolute path');
    }
    expect(() => open(65_535)).toThrow('maxBytes');
  });

  it('says each time that it cannot be written, and goes on when it can be again', () => {
    const inside = join(folder, 'inside');
    mkdirSync(inside);
    using feed = new FeedFile({ folder: inside, maxBytes: 65_536, header });
    const [look] = looksOf([{ rss: 1 }]);
    rmSync(inside, { recursive: true });
    const fill = () => {
      for (let n = 0; n < 40; n++) feed.write(look!);
    };
    for (let n = 0; n < 3; n++) expect(fill).toThrow('ENOENT');
    mkdirSync(inside);
    feed.write(look!);
    using reader = new FeedReader(feed.path);
    expect(reader.read()).toEqual([header, look]);
  });

  it('is read past what is none of it, and half a line waits for its rest', () => {
    const [look] = looksOf([{ rss: 1 }]);
    using feed = open();
    using reader = new FeedReader(feed.path);
    const text = JSON.stringify(look);
    appendFileSync(feed.path, `nonsense\n{"version":2}\n[]\nnull\n${text.slice(0, 50)}`);
    expect(reader.read()).toEqual([header]);
    expect(reader.badLines).toBe(4);
    appendFileSync(feed.path, `${text.slice(50)}\n`);
    expect(reader.read()).toEqual([look]);
  });

  it('is a file of this user: links, devices behind them, pipes and folders are passed over, and nothing waits', () => {
    const [look] = looksOf([{ rss: 1 }]);
    const path = feedPath(folder, 42);
    symlinkSync('/dev/zero', path);
    using reader = new FeedReader(path);
    for (let i = 0; i < 3; i++) expect(reader.read()).toEqual([]);
    expect(reader.badLines).toBe(1);
    execFileSync('mkfifo', [feedPath(folder, 7)]);
    mkdirSync(feedPath(folder, 8));
    for (const pid of [7, 8]) {
      using other = new FeedReader(feedPath(folder, pid));
      expect([other.read(), other.badLines]).toEqual([[], 1]);
    }
    // One that is made there afterwards is read.
    using feed = open();
    feed.write(look!);
    expect(reader.read()).toEqual([header, look]);
  });

  it('that is larger than any feed is read in pieces', () => {
    const path = feedPath(folder, 42);
    writeFileSync(path, `${JSON.stringify(header)}\n`);
    truncateSync(path, 20 * 1_048_576);
    appendFileSync(path, `\n{"ended":{"at":1,"exitCode":0}}\n`);
    using reader = new FeedReader(path);
    expect(Array.from({ length: 3 }, () => reader.read().length)).toEqual([1, 1, 0]);
    // What is no line is let go of every 4 MiB, and never held as a whole.
    expect(reader.badLines).toBe(5);
  });

  it('of a process that had the number before is gone', () => {
    writeFileSync(feedPath(folder, 42), 'old\n');
    writeFileSync(olderFeedPath(feedPath(folder, 42)), 'older\n');
    using feed = open();
    expect(readFileSync(feed.path, 'utf8')).toBe(`${JSON.stringify(header)}\n`);
    expect(existsSync(olderFeedPath(feed.path))).toBe(false);
  });

  it('is not written through a link that somebody has put there, and is for this user only', () => {
    const target = join(folder, 'target');
    writeFileSync(target, 'mine');
    symlinkSync(target, feedPath(folder, 42));
    using feed = open();
    expect(readFileSync(target, 'utf8')).toBe('mine');
    expect(statSync(feed.path).mode & 0o777).toBe(0o600);
  });

  it('may be disposed twice, and is written no more then', () => {
    const feed = open();
    feed[Symbol.dispose]();
    feed[Symbol.dispose]();
    feed.write({ ended: { at: 1, exitCode: 0 } });
    expect(readFileSync(feed.path, 'utf8')).toBe(`${JSON.stringify(header)}\n`);
  });

  it('may be let go of by its reader twice, and is opened by it no more then', () => {
    using _feed = open();
    const reader = new FeedReader(feedPath(folder, 42));
    reader[Symbol.dispose]();
    reader[Symbol.dispose]();
    for (let n = 0; n < 3; n++) expect(reader.read()).toEqual([]);
  });
});

describe('the folder of feeds', () => {
  it('is this user’s, made for nobody else', () => {
    const home = feedHome(folder);
    expect(openFeedFolder(home)).toBe(home);
    expect(statSync(home).mode & 0o777).toBe(0o700);
    expect(openFeedFolder(home)).toBe(home);
  });

  it('is not used where others may write, nor through a link', () => {
    const shared = join(folder, 'shared');
    mkdirSync(shared);
    chmodSync(shared, 0o777);
    symlinkSync(shared, join(folder, 'link'));
    for (const path of [shared, join(folder, 'link')]) {
      const refusal = expect.objectContaining({ code: 'PLIMSOLL_FEED_FOLDER' });
      expect(() => openFeedFolder(path)).toThrow(refusal);
      expect(() => checkFeedFolder(path)).toThrow(refusal);
    }
    // To read there is nothing to be feared where there is none.
    expect(checkFeedFolder(join(folder, 'nowhere'))).toBeUndefined();
  });

  it('keeps the last sixteen feeds of processes that are gone, and those that are there', () => {
    const gone = Array.from({ length: 20 }, (_, index) => 4_000_000_001 + index);
    for (const [index, pid] of gone.entries()) {
      writeFileSync(feedPath(folder, pid), '');
      utimesSync(feedPath(folder, pid), 1_000 + index, 1_000 + index);
    }
    writeFileSync(feedPath(folder, process.pid), '');
    utimesSync(feedPath(folder, process.pid), 1, 1);
    writeFileSync(join(folder, 'other.feed'), '');
    writeFileSync(olderFeedPath(feedPath(folder, gone[0]!)), '');
    const left = olderFeedPath(feedPath(folder, 4_000_000_050));
    writeFileSync(left, '');
    const endless = feedPath(folder, 4_000_000_100);
    symlinkSync(endless, endless);
    sweepFeeds(folder);
    expect([...feedsIn(folder)].sort()).toEqual([process.pid, ...gone.slice(5), 4_000_000_100].sort());
    expect(existsSync(olderFeedPath(feedPath(folder, gone[0]!)))).toBe(false);
    expect(existsSync(left)).toBe(false);
    expect(feedsIn(join(folder, 'nowhere'))).toEqual([]);
  });
});

describe('a look', () => {
  const event = { number: 1, at: 2, kind: 'error', source: 'x', message: 'y', recoverable: true } as const;
  const alert = { rule: 'r', severity: 'warning', phase: 'raised', message: 'm' } as const;
  const fault = { part: 'p', message: 'm', count: 2, off: false };
  const [first] = looksOf([{ rss: 1, events: [event] }]);
  const look = JSON.parse(JSON.stringify(first));
  look.alerts = [{ ...alert, unit: '', raiseAt: 1, clearAt: 1, raises: 1, faults: 0 }];
  look.snapshot.faults = [fault];
  look.snapshot.warnings = ['w'];

  it('is known by its shape', () => {
    expect(isObservation(look)).toBe(true);
    const wrong = [
      null,
      {},
      [],
      'x',
      { ...look, version: 2 },
      { ...look, snapshot: null },
      { ...look, snapshot: { ...look.snapshot, thresholds: undefined } },
      { ...look, snapshot: { ...look.snapshot, thresholds: { ...look.snapshot.thresholds, high: 'x' } } },
      { ...look, events: {} },
      { ...look, at: 'x' },
      { ...look, feed: 1 },
      { ...look, ended: {} },
    ];
    for (const value of wrong) expect(isObservation(value)).toBe(false);
    expect(readFeedLine('{"feed":1,"pid":"x"}')).toBeUndefined();
  });

  it.each(['meters', 'consumers', 'faults', 'warnings'])('has %s that screens can show, or is none', (list) => {
    const rowsOf = (row: unknown) => ({ ...look, snapshot: { ...look.snapshot, [list]: [row] } });
    for (const row of [null, 1, {}, [], [null]]) expect(isObservation(rowsOf(row))).toBe(false);
    expect(isObservation({ ...look, snapshot: { ...look.snapshot, [list]: {} } })).toBe(false);
  });

  it.each(['events', 'alerts'])('has %s that screens can show, or is none', (list) => {
    for (const row of [null, 1, {}, [], [null]]) expect(isObservation({ ...look, [list]: [row] })).toBe(false);
  });

  it('whatever one value in it is, is none or can be recorded, reported and drawn', () => {
    const odd: unknown[] = [
      null,
      true,
      -1,
      1e300,
      '',
      'constructor',
      '__proto__',
      [],
      {},
      [null],
      { toString: 1, valueOf: 1 },
    ];
    let [taken, refused] = [0, 0];
    for (const path of pathsOf(look)) {
      for (const value of odd) {
        const changed = structuredClone(look);
        const parent = path.slice(0, -1).reduce((part, key) => part[key], changed);
        parent[path.at(-1)!] = value;
        if (isObservation(changed)) {
          taken++;
          const recorder = new RunRecorder(42);
          for (const each of [look, changed, look, changed]) recorder.note(each);
          renderPage(topPage(changed, recorder, 'x'));
          renderPage(runPage({ ...RUN, processes: [recorder.report()!] }));
          endingOf({ exitCode: null, signal: 'SIGKILL', endedAt: 5, last: changed });
        } else refused++;
      }
    }
    expect(Math.min(taken, refused)).toBeGreaterThan(200);
  });
});

const RUN = { kind: 'run', version: 1, command: ['x'], startedAt: 0, elapsedMs: 1, heapFlags: [] } as const;

/** Where anything stands in plain data. */
function pathsOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) => [[key], ...pathsOf(part).map((path) => [key, ...path])]);
}

describe('the first and the last line', () => {
  const end = { ended: { at: 1, exitCode: 0, peakRssBytes: 5 } };

  it('have what is shown of them, or are none', () => {
    for (const line of [header, end]) expect(readFeedLine(JSON.stringify(line))).toEqual(line);
    const wrong = [
      { ...header, program: 1 },
      { ...header, node: null },
      { ...header, startedAt: 'x' },
      { ...header, snapshot: {} },
      { ...header, ...end },
      { ended: { ...end.ended, at: null } },
      { ended: { ...end.ended, exitCode: 'x' } },
      { ended: { ...end.ended, peakRssBytes: [] } },
    ];
    for (const line of wrong) expect(readFeedLine(JSON.stringify(line))).toBeUndefined();
  });
});
