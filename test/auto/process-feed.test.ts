import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock, setProcessGovernor } from 'plimsoll';
import { FeedReader, feedHome, feedPath, type Observation } from 'plimsoll/observe';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ProcessFeed } from '../../src/auto/process-feed.ts';
import { readSettings } from '../../src/auto/settings.ts';
import { startAuto } from '../../src/auto/start-auto.ts';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';

let folder: string;
const open: Disposable[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-process-feed-'));
});
afterEach(() => {
  for (const one of open.splice(0)) one[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

function keep<T extends Disposable>(one: T): T {
  open.push(one);
  return one;
}

const governed = () => setUp({ mode: 'observe', collect: false, trim: false });

function looks(home: string): Observation[] {
  using reader = new FeedReader(feedPath(home, process.pid));
  return reader.read().filter((line) => 'snapshot' in line);
}

describe('the feed of a process', () => {
  it('looks soon after the start, then ever less often, up to once a second', () => {
    const { governor, clock, rss } = governed();
    const startedAt = clock.wall();
    const feed = keep(new ProcessFeed({ governor, clock, folder }));
    rss.bytes = 30 * MIB;
    clock.advance(10_000);
    const at = looks(folder).map((look) => look.at - startedAt);
    expect(at.slice(0, 4).map(Math.round)).toEqual([0, 50, 113, 191]);
    expect(at.at(-1)! - at.at(-2)!).toBe(1_000);
    // A look shows what is, and not what was at the governor's last sample.
    expect(looks(folder)[1]!.snapshot.meters.find(({ name }) => name === 'rss')!.bytes).toBe(30 * MIB);
    feed[Symbol.dispose]();
    feed[Symbol.dispose]();
    clock.advance(5_000);
    expect(looks(folder).length).toBe(at.length);
    governor[Symbol.dispose]();
  });

  it('looks when the level changes, without waiting for its time', () => {
    const { governor, clock, rss } = governed();
    keep(new ProcessFeed({ governor, clock, folder }));
    clock.advance(20_000);
    const before = looks(folder).length;
    clock.advance(100);
    rss.bytes = 96 * MIB;
    governor.sample();
    expect(looks(folder).length).toBe(before + 1);
    expect(looks(folder).at(-1)!.snapshot.level).toBe('emergency');
    governor[Symbol.dispose]();
  });

  it('looks no more than once in 50 ms, however often the level changes', () => {
    const { governor, clock, rss } = governed();
    keep(new ProcessFeed({ governor, clock, folder }));
    clock.advance(20_100);
    const before = looks(folder).length;
    for (let turn = 0; turn < 10; turn++) {
      rss.bytes = (turn % 2 === 0 ? 96 : 1) * MIB;
      governor.sample();
    }
    expect(looks(folder).length).toBe(before + 1);
    governor[Symbol.dispose]();
  });

  it('of the user’s own folder clears away those of processes that are gone, but for the last sixteen', () => {
    vi.stubEnv('TMPDIR', folder);
    try {
      const { governor, clock } = governed();
      mkdirSync(feedHome(), { mode: 0o700 });
      for (let pid = 4_000_000_001; pid <= 4_000_000_020; pid++) writeFileSync(feedPath(feedHome(), pid), '');
      keep(new ProcessFeed({ governor, clock, folder: 'on' }));
      expect(readdirSync(feedHome()).length).toBe(17);
      governor[Symbol.dispose]();
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('ends with a look and a last line when the process does', () => {
    const { governor, clock } = governed();
    const listeners = process.listeners('exit');
    const feed = keep(new ProcessFeed({ governor, clock, folder }));
    const [added] = process.listeners('exit').filter((listener) => !listeners.includes(listener));
    added!(3);
    using reader = new FeedReader(feedPath(folder, process.pid));
    const lines = reader.read();
    expect(lines.map((line) => Object.keys(line)[0])).toEqual(['feed', 'version', 'version', 'ended']);
    expect(lines.at(-1)).toMatchObject({ ended: { exitCode: 3, peakRssBytes: expect.any(Number) } });
    feed[Symbol.dispose]();
    expect(process.listeners('exit')).toEqual(listeners);
    governor[Symbol.dispose]();
  });

  it('hurts nobody when the governor breaks, nor when its file can be written no more', () => {
    const { governor, clock } = governed();
    const { governor: broken, breakIt } = breakable(governor);
    keep(new ProcessFeed({ governor: broken, clock, folder }));
    breakIt();
    expect(() => clock.advance(3_000)).not.toThrow();
    rmSync(folder, { recursive: true });
    expect(() => clock.advance(3_000)).not.toThrow();
    governor[Symbol.dispose]();
  });
});

describe('the setting', () => {
  const settingsOf = (text: string) => readSettings({ PLIMSOLL_FEED: text });

  it('is `on`, `off` or an absolute path', () => {
    expect(settingsOf('ON').settings.feedFolder).toBe('on');
    expect(settingsOf('/feeds').settings.feedFolder).toBe('/feeds');
    for (const text of ['off', '', ' ']) expect(settingsOf(text)).toMatchObject({ settings: {}, complaints: [] });
    expect(settingsOf('off').settings).not.toHaveProperty('feedFolder');
    expect(settingsOf('yes')).toEqual({
      settings: readSettings({}).settings,
      complaints: ['PLIMSOLL_FEED: Expected `on`, `off` or an absolute path, got `yes`: none holds'],
    });
  });

  it('has a program that sets a governor of its own looked at by that, to its end', () => {
    const lines: string[] = [];
    const write = (line: string) => void lines.push(line);
    const { settings } = readSettings({ PLIMSOLL_FEED: folder });
    const auto = keep(startAuto(settings, [], { write, clock: new ManualClock() }));
    using watcher = new FeedReader(feedPath(folder, process.pid));
    const limits = () => watcher.read().map((line) => ('number' in line ? line.snapshot.limitBytes : 'header'));
    expect(limits()).toEqual(['header', auto.governor.limitBytes]);
    const { governor } = setUp({ mode: 'observe' });
    using _set = setProcessGovernor(governor);
    expect(limits()).toEqual(['header', governor.limitBytes]);
    const [added] = process.listeners('exit').slice(-1);
    added!(0);
    expect(watcher.read().map((line) => ('ended' in line ? line.ended.exitCode : 'look'))).toEqual(['look', 0]);
    auto[Symbol.dispose]();
    expect(governor.disposed).toBe(false);
    governor[Symbol.dispose]();
  });

  it('has auto write a feed, and say in a line why it cannot', () => {
    const { governor, clock } = governed();
    const lines: string[] = [];
    const parts = { governor, clock, write: (line: string) => void lines.push(line) };
    const begin = (path: string) => keep(startAuto(readSettings({ PLIMSOLL_FEED: path }).settings, [], parts));
    begin(folder);
    expect(readdirSync(folder)).toEqual([`${process.pid}.feed`]);
    expect(lines.filter((line) => line.includes('feed'))).toEqual([]);
    const shared = join(folder, 'shared');
    mkdirSync(shared);
    chmodSync(shared, 0o777);
    begin(shared);
    expect(lines.filter((line) => line.startsWith('no feed'))).toEqual([
      `no feed: The folder ${shared} is not used for feeds: others may write there`,
    ]);
    expect(readdirSync(shared)).toEqual([]);
    expect(feedHome('/t')).toMatch(/^\/t\/plimsoll-feed-\d+$/);
    governor[Symbol.dispose]();
  });
});
