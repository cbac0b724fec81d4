import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock, systemClock } from 'plimsoll';
import { FeedFile } from 'plimsoll/observe';
import { expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/command-line.ts';
import { LiveLine } from '../../src/cli/live-line.ts';
import { FOOT, SCREEN } from '../../src/cli/render.ts';
import { RunRecorder } from '../../src/cli/run-recorder.ts';
import { looksOf } from './looks.ts';

function terminal(env: Record<string, string> = {}) {
  const written: string[] = [];
  const stderr = { write: (text: string) => written.push(text), isTTY: true, columns: 60, rows: 24 };
  return { written, stderr, screen: { stdout: stderr, stderr, env, clock: new ManualClock() } };
}

function seen(): RunRecorder {
  const recorder = new RunRecorder(42);
  for (const look of looksOf([{ rss: 40 }, { rss: 75 }])) recorder.note(look);
  return recorder;
}

it('the line at the foot of a terminal fits, follows its size, and leaves the terminal as it was', () => {
  const { written, stderr, screen } = terminal({ NO_COLOR: '1' });
  const live = new LiveLine(screen);
  live.draw(new RunRecorder(1));
  expect(written).toEqual([]);
  live.draw(seen());
  const text = 'high  rss 75MiB of 100MiB (75%)  heap 10MiB  2 collections…';
  expect(text.length).toBe(59);
  expect(written.splice(0)).toEqual([FOOT.open(24), FOOT.draw(24, text)]);
  stderr.rows = 30;
  live.draw(seen());
  expect(written.splice(0)).toEqual([FOOT.close(24), FOOT.open(30), FOOT.draw(30, text)]);
  live[Symbol.dispose]();
  live[Symbol.dispose]();
  expect(written).toEqual([FOOT.close(30)]);
});

it('there is no line at the foot of a terminal that is dumb or has few rows', () => {
  for (const { screen, stderr, written } of [terminal({ TERM: 'dumb' }), terminal()]) {
    if (screen.env.TERM === undefined) stderr.rows = 7;
    using live = new LiveLine(screen);
    live.draw(seen());
    expect(written).toEqual([]);
  }
});

it('top draws on a screen of its own, no more than it has rows, and gives back what stood there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-terminal-test-'));
  try {
    const header = { feed: 1, pid: process.pid, program: 'app.js', node: 'v24', startedAt: 0 } as const;
    using feed = new FeedFile({ folder, maxBytes: 1 << 20, header });
    for (const look of looksOf([{ rss: 40, pid: process.pid }])) feed.write(look);
    feed.write({ ended: { at: 1, exitCode: 0 } });
    const { written, stderr, screen } = terminal({ NO_COLOR: '1' });
    stderr.rows = 6;
    const listeners = process.listenerCount('SIGINT');
    const args = ['top', '--feed', folder];
    await runCommandLine(args, { version: '0', screen: { ...screen, clock: systemClock } });
    const [open, picture, close] = written;
    expect([open, close, written.length]).toEqual([
      SCREEN.open + SCREEN.hideCursor,
      SCREEN.showCursor + SCREEN.close,
      3,
    ]);
    expect(picture!.startsWith(`${SCREEN.home}plimsoll top: app.js`)).toBe(true);
    expect(picture!.split('\r\n').length).toBe(6);
    expect(process.listenerCount('SIGINT')).toBe(listeners);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
