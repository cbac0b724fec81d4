import { chmodSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type Clock, type PressureThresholds, systemClock } from 'plimsoll';
import { FeedFile, type Observation } from 'plimsoll/observe';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/command-line.ts';
import { EventStreamParser } from '../../src/cli/event-stream.ts';
import { renderPage } from '../../src/cli/render.ts';
import { RunRecorder } from '../../src/cli/run-recorder.ts';
import { topPage } from '../../src/cli/top-page.ts';
import { MIB } from '../governor/fake-meter.ts';
import { looksOf } from './looks.ts';

/** Pauses are over at once; what is given up only after a long time is not. */
const HASTE: Clock = {
  ...systemClock,
  after: (ms, action) => systemClock.after(ms > 1_000 ? ms : 0, action, true),
};
/** All that takes its time takes too long. */
const LATE: Clock = { ...systemClock, after: (_ms, action) => systemClock.after(50, action, true) };

let folder: string;
const closing: (() => void)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plimsoll-top-test-'));
});
afterEach(() => {
  for (const close of closing.splice(0)) close();
  rmSync(folder, { recursive: true, force: true });
});

const top = (...args: string[]) => topAt(HASTE, ...args);
const topAt = (clock: Clock, ...args: string[]) => topWith({ clock, token: 'right' }, ...args);

async function topWith({ clock = HASTE, token }: { clock?: Clock; token?: string }, ...args: string[]) {
  const texts = { stdout: '', stderr: '' };
  const outlet = (name: 'stdout' | 'stderr') => ({ write: (text: string) => void (texts[name] += text) });
  const screen = {
    stdout: outlet('stdout'),
    stderr: outlet('stderr'),
    env: { PLIMSOLL_TOKEN: token },
    clock,
  };
  const { exitCode } = await runCommandLine(['top', ...args], { version: '0', screen });
  return { ...texts, exitCode };
}

/** A process that is there: this one. */
function feedOf(pid: number, looks: readonly Observation[], name = 'app.js') {
  const feed = new FeedFile({
    folder,
    maxBytes: 1 << 20,
    header: { feed: 1, pid, program: name, node: 'v24', startedAt: 0 },
  });
  closing.push(() => feed[Symbol.dispose]());
  for (const look of looks) feed.write(look);
  return feed;
}

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once('listening', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/dashboard`;
}

const dashboard =
  (looks: readonly Observation[], seen: string[] = []) =>
  (request: IncomingMessage, response: ServerResponse) => {
    seen.push(`${request.headers['last-event-id'] ?? '-'} ${request.url!.replace('/dashboard/', '')}`);
    if (request.headers.authorization !== 'Bearer right') return void response.writeHead(401).end('no');
    if (request.url === '/dashboard/api/observation') return void response.end(JSON.stringify(looks[0]));
    const from = Number(request.headers['last-event-id'] ?? 0);
    const next = looks.find(({ number }) => number > from);
    if (next === undefined) return void response.writeHead(410).end();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(
      `: hello\n\nevent: observation\nid: ${next.number}\ndata: ${JSON.stringify(next)}\n\nevent: other\ndata: {}\n\n`,
    );
  };

describe('what a process holds', () => {
  it('is shown at 80 columns, without colour', () => {
    const looks = looksOf(
      [
        { rss: 40, rows: 10 },
        { rss: 75, rows: 30 },
      ],
      Date.UTC(2026, 10, 30, 13),
    );
    const recorder = new RunRecorder(42);
    for (const look of looks) recorder.note(look);
    const text = renderPage(topPage(looks[1]!, recorder, 'app.js'));
    expect(text).toBe(`plimsoll top: app.js  process 42, look 2

level        high by rss
the line     100MiB (configured), mode observe
collections  1 since the last look, 2.0 ms; 2 in all
given back   nothing, as it only observes: 1 train would have run

Meters against the line
rss   ██████████████████████████████████████░░░░░░░░░░░░  75MiB of 100MiB    75%
heap  ██████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   10MiB of 50MiB    20%

The last 1.0s
rss   ▁█                                                          40MiB to 75MiB
heap  ▁▁                                                          10MiB to 10MiB
      0   1.0s

Consumers: 2 hold 30MiB, 30% of the line
consumer  kind    own   peak  at most  to be had  refused
rows      heap  30MiB  30MiB    90MiB         0B        0
runtime   heap     0B     0B        -         0B        0
`);
  });

  it('has meters in the colours of the levels that the governor has', () => {
    const [look] = looksOf([{ rss: 75 }]);
    const recorder = new RunRecorder(42);
    recorder.note(look!);
    const toneWith = (thresholds: Partial<PressureThresholds>) => {
      const snapshot = { ...look!.snapshot, thresholds: { ...look!.snapshot.thresholds, ...thresholds } };
      const { blocks } = topPage({ ...look!, snapshot }, recorder, 'app.js');
      return blocks.flatMap((block) => (block.kind === 'bars' ? [block.rows[0]!.tone] : []))[0];
    };
    expect([toneWith({}), toneWith({ high: 0.8 }), toneWith({ critical: 0.75 })]).toEqual(['warn', 'good', 'bad']);
  });

  it('has what was given back by both figures, in whole words', () => {
    const [look] = looksOf([{ rss: 40, rows: 10 }]);
    const recorder = new RunRecorder(42);
    recorder.note(look!);
    const { snapshot } = look!;
    const trains = { count: 3, releasedBytes: 0, seenBytes: 12 * MIB, spentMs: 268, running: false };
    const consumers = snapshot.consumers.slice(0, 1);
    const acted = { ...look!, snapshot: { ...snapshot, mode: 'on', trains, consumers } as const };
    const text = renderPage(topPage(acted, recorder, 'app.js'));
    expect(text).toContain('given back   0B by the books, 12MiB by the meter, in 3 trains, 268ms\n');
    expect(text).toContain('Consumers: 1 holds 10MiB');
  });

  it('is one picture with --once, and the look itself with --json', async () => {
    const [look] = looksOf([{ rss: 40, pid: process.pid }]);
    feedOf(process.pid, [look!]);
    const { stdout, exitCode } = await top(String(process.pid), '--once', '--feed', folder);
    expect({ exitCode, title: stdout.split('\n')[0] }).toEqual({
      exitCode: 0,
      title: `plimsoll top: app.js  process ${process.pid}, look 1`,
    });
    expect(stdout).not.toContain('\x1b');
    // The only one that is there needs no name.
    expect(JSON.parse((await top('--once', '--json', '--feed', folder)).stdout)).toEqual(look);
  });

  it('is shown until the process has ended, in a pipe', async () => {
    const looks = looksOf([
      { rss: 40, pid: process.pid },
      { rss: 50, pid: process.pid },
    ]);
    const feed = feedOf(process.pid, looks);
    feed.write({ ended: { at: 1, exitCode: 0 } });
    const { stdout, exitCode } = await top('--json', '--feed', folder);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(looks);
    expect(exitCode).toBe(0);
  });

  it('is a list where there are several, those that are gone left out', async () => {
    const [look] = looksOf([{ rss: 40 }]);
    for (const pid of [process.pid, process.ppid, 4_000_000_001]) feedOf(pid, [look!], `${pid}.js`);
    const { stdout } = await top('--feed', folder);
    expect(stdout).toMatch(new RegExp(`^${process.pid}\\.js .* optimal +40MiB +100MiB$`, 'm'));
    expect(stdout).toContain(`${process.ppid}.js`);
    expect(stdout).not.toContain('4000000001');
    expect(JSON.parse((await top('--json', '--feed', folder)).stdout)).toHaveLength(2);
  });
});

describe('a folder of feeds', () => {
  it('that others may write to is not read, nor one through a link, nor a feed that is a link', async () => {
    const [look] = looksOf([{ rss: 40, pid: process.pid }]);
    const feed = feedOf(process.pid, [look!]);
    const link = join(folder, 'link');
    symlinkSync(folder, link);
    const linked = { exitCode: 1, stdout: '', stderr: expect.stringContaining('it is no folder') };
    expect(await top(String(process.pid), '--once', '--feed', link)).toEqual(linked);
    chmodSync(folder, 0o777);
    const shared = { exitCode: 1, stdout: '', stderr: expect.stringContaining('others may write there') };
    for (const target of [[], [String(process.pid)]]) {
      expect(await top(...target, '--once', '--feed', folder)).toEqual(shared);
    }
    chmodSync(folder, 0o700);
    renameSync(feed.path, join(folder, 'elsewhere'));
    symlinkSync(join(folder, 'elsewhere'), feed.path);
    expect(await top(String(process.pid), '--once', '--feed', folder)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/writes no feed/),
    });
  });
});

describe('a dashboard', () => {
  it('is asked with the token, for one look', async () => {
    const [look] = looksOf([{ rss: 40 }]);
    const url = await serve(dashboard([look!]));
    expect(JSON.parse((await top(url, '--once', '--json')).stdout)).toEqual(look);
    expect((await top(`${url}/`, '--once')).stdout).toContain('40MiB of 100MiB');
  });

  it('is followed, and a connection that breaks is made anew where it was', async () => {
    const looks = looksOf([{ rss: 40 }, { rss: 50 }]);
    const seen: string[] = [];
    const { stdout, stderr, exitCode } = await top(await serve(dashboard(looks, seen)), '--json', '--token', 'right');
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(looks);
    // Then there was nothing more, however often it was asked.
    expect(seen.slice(0, 3)).toEqual(['- api/stream', '1 api/stream', '2 api/stream']);
    expect(seen.length).toBe(32);
    expect(stderr).toMatch(/answers 410 to api\/stream\n$/);
    expect(exitCode).toBe(1);
  });

  it('that refuses is said to, and its answer is not followed elsewhere with the token', async () => {
    const asked: string[] = [];
    const elsewhere = await serve((request, response) => {
      asked.push(request.headers.authorization ?? 'none');
      response.end('{}');
    });
    const refusing = await serve(dashboard([]));
    const moved = await serve((_request, response) => void response.writeHead(302, { location: elsewhere }).end());
    const strange = await serve((_request, response) => void response.end('{"version":1}'));
    expect(await top(refusing, '--once', '--token', 'wrong')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(
        /^plimsoll: http:\/\/127\.0\.0\.1:\d+\/dashboard answers 401 to api\/observation: the token that was given is wrong\n$/,
      ),
    });
    const closed = await serve((_request, response) => void response.writeHead(403).end('{}'));
    expect((await top(closed, '--once')).stderr).toMatch(/answers 403 to api\/observation: it has no token, or not/);
    expect((await topWith({}, refusing, '--once')).stderr).toMatch(
      /401 .*: give its token by PLIMSOLL_TOKEN or --token\n$/,
    );
    expect((await top(moved, '--once')).stderr).toMatch(/answers 302/);
    expect((await top(strange, '--once')).stderr).toMatch(/answers what is no look/);
    expect(asked).toEqual([]);
  });

  it('that answers without end, or not at all, is given up', async () => {
    const pieces: number[] = [];
    const endless = (type: string, piece: string) =>
      serve((_request, response) => {
        response.writeHead(200, { 'content-type': type });
        const more = () => {
          if (response.destroyed) return;
          pieces.push(piece.length);
          if (pieces.length > 1_000) response.destroy();
          else if (response.write(piece)) setImmediate(more);
          else response.once('drain', more);
        };
        more();
      });
    const look = await endless('application/json', ' '.repeat(65_536));
    expect(await top(look, '--once')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/it is too long\n$/),
    });
    for (const piece of [':\ndata\n'.repeat(8_192), 'x'.repeat(65_536)]) {
      const said = await top(await endless('text/event-stream', piece), '--json');
      expect(said).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/is cut off: .*too long\n$/) });
    }
    expect(pieces.length).toBeLessThan(1_000);
    const silent = await serve(() => {});
    const halting = await serve((_request, response) => void response.write('{'));
    for (const args of [[silent, '--once'], [halting, '--once'], [silent]]) {
      const said = await topAt(LATE, ...args);
      expect(said).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/no answer within 10 seconds\n$/) });
    }
  });

  it('whose stream has no look in it is given up after a while', async () => {
    let asked = 0;
    const empty = await serve((_request, response) => {
      asked++;
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(': hello\n\n');
    });
    expect(await top(empty)).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/there is no look in it\n$/) });
    expect(asked).toBe(31);
  });

  it('that cannot be reached is said to be so, and a password in a URL is not taken nor shown', async () => {
    const { stderr, exitCode } = await top('http://127.0.0.1:9/x', '--once');
    expect(stderr).toMatch(/^plimsoll: http:\/\/127\.0\.0\.1:9\/x cannot be reached: [^\n]+\n$/);
    expect(exitCode).toBe(1);
    expect(await top('http://me:secret@127.0.0.1:9/x')).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: 'plimsoll: no name or password in the URL: a token stands in PLIMSOLL_TOKEN\n',
    });
    for (const target of ['http://me:secret@127.0.0.1:99999/x', 'https://me:secret@', 'ws://me:secret@127.0.0.1/']) {
      const said = await top(target);
      expect(said).toMatchObject({ exitCode: 2, stdout: '' });
      expect(said.stderr).not.toContain('secret');
    }
  });
});

describe('a stream of events', () => {
  const text =
    ': note\nid: 1\nevent: observation\ndata: {"a":\ndata: 1}\n\ndata:x\r\n\r\nid: 2\rdata\rignored: y\r\r\n: only\n\ndata: cut';

  it('is the same in whatever pieces it comes', () => {
    const whole = new EventStreamParser().take(text);
    expect(whole).toEqual([
      { event: 'observation', data: '{"a":\n1}', id: '1' },
      { event: 'message', data: 'x', id: '1' },
      { event: 'message', data: '', id: '2' },
    ]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: text.length }), { maxLength: 12 }), (cuts) => {
        const parser = new EventStreamParser();
        const at = [0, ...cuts.sort((a, b) => a - b), text.length];
        const events = at.slice(1).flatMap((end, index) => parser.take(text.slice(at[index]!, end)));
        expect(events).toEqual(whole);
      }),
    );
  });

  it('has no event without end', () => {
    const parser = new EventStreamParser();
    expect(() => {
      for (let i = 0; i < 10; i++) parser.take(`data: ${'x'.repeat(MIB)}\n`);
    }).toThrow(RangeError);
    expect(() => new EventStreamParser().take('x'.repeat(5 * MIB))).toThrow(RangeError);
    const empty = new EventStreamParser();
    expect(() => {
      for (let i = 0; i < 10; i++) empty.take('data\n'.repeat(10_000));
    }).toThrow(RangeError);
  });
});
