import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GuideConfig, Origin, SourceConfig } from '../../src/config/config.ts';
import { openSource } from '../../src/sources/open-source.ts';
import type { SourceContent } from '../../src/sources/source-content.ts';
import { type Answer, ImpatientClock, MisbehavingServer } from './misbehaving-server.ts';

const TIMEOUT = 7777;
let folder: string;
let server: MisbehavingServer;
let clock: ImpatientClock;
let warnings: string[];
const opened: SourceContent[] = [];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'playlist-remote-'));
  server = await new MisbehavingServer().start();
  clock = new ImpatientClock(TIMEOUT);
  warnings = [];
});
afterEach(async () => {
  for (const content of opened.splice(0)) await content[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

interface Options {
  readonly kind?: 'playlist' | 'guide';
  readonly origin?: Origin;
  readonly dryRun?: boolean;
  readonly retryCount?: number;
  readonly maxBytes?: number;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

async function open(options: Options = {}): Promise<SourceContent> {
  const config: SourceConfig & GuideConfig = {
    name: 'far',
    origin: options.origin ?? { kind: 'url', url: `${server.origin}/list.m3u?token=hunter2` },
    timeoutMs: TIMEOUT,
    retryCount: options.retryCount ?? 3,
    maxBytes: options.maxBytes ?? 1e8,
    headers: options.headers ?? {},
    onDamage: 'keep',
  };
  const content = await openSource(config, options.kind ?? 'playlist', {
    cacheDir: join(folder, 'cache'),
    shrinkLimit: 0.5,
    dryRun: options.dryRun ?? false,
    tempDir: folder,
    clock,
    signal: options.signal ?? new AbortController().signal,
    warn: (line) => warnings.push(line),
  });
  opened.push(content);
  return content;
}

async function text(content: SourceContent): Promise<string> {
  const target = Buffer.alloc(100_000);
  const pieces: Buffer[] = [];
  await using source = await content.parts[0]!.open();
  for (let got = 0; (got = await source.read(target, 0, target.length)) > 0; )
    pieces.push(Buffer.from(target.subarray(0, got)));
  return Buffer.concat(pieces).toString();
}

const list = (count: number, tag = 'x') =>
  `#EXTM3U\n${Array.from({ length: count }, (_, i) => `#EXTINF:-1,${tag} ${i}\nhttp://s.example/${tag}/${i}\n`).join('')}`;
const GOOD = list(100, 'good');
const send =
  (body: string | Buffer, headers: Record<string, string> = {}, status = 200): Answer =>
  (_, response) =>
    response.writeHead(status, headers).end(body);
const status = (code: number, headers: Record<string, string> = {}) => send('no', headers, code);
const cut =
  (body: string): Answer =>
  (_, response) => {
    response.writeHead(200, { 'content-length': String(body.length) });
    response.write(body.slice(0, body.length / 2), () => response.socket?.destroy());
  };
/** Without a length. */
const inTwo =
  (body: string): Answer =>
  (_, response) => {
    response.write(body.slice(0, body.length / 2));
    response.end(body.slice(body.length / 2));
  };
/** Begins to answer (or not) and never goes on; then the deadline passes. */
const stall =
  (begin: boolean): Answer =>
  (_, response) => {
    if (begin) response.write('#EXTM3U\n', () => setImmediate(() => clock.expire()));
    else clock.expire();
  };

describe('a server that answers', () => {
  it.each([
    ['plain', send(GOOD)],
    ['with gzip encoding', send(gzipSync(GOOD), { 'content-encoding': 'gzip' })],
    ['with zstd encoding', send(zstdCompressSync(GOOD), { 'content-encoding': 'zstd' })],
    ['with a .gz file', send(gzipSync(GOOD))],
    ['with a .gz file in gzip encoding', send(gzipSync(gzipSync(GOOD)), { 'content-encoding': 'gzip' })],
    ['without a length', inTwo(GOOD)],
  ])('%s', async (_, answer) => {
    server.answers = [answer];
    await using content = await open();
    expect(await text(content)).toBe(GOOD);
    expect(await text(content)).toBe(GOOD);
    expect(content.stale).toBe(false);
    expect(warnings).toEqual([]);
    expect(readdirSync(join(folder, 'cache')).some((name) => name.endsWith('.part'))).toBe(false);
  });

  it.each([
    ['announced', send],
    ['not announced', inTwo],
  ] as const)('with megabytes, length %s, byte for byte', async (_, answer) => {
    const large = list(120_000);
    server.answers = [answer(large)];
    expect((await text(await open())) === large).toBe(true);
    // The deadline is for each pause, not for the whole: set at the start, by the answer, and by every piece.
    expect(clock.deadlineCount).toBeGreaterThan(10);
  });

  it('is asked again only for what has changed', async () => {
    server.answers = [
      send(GOOD, { etag: '"v1"', 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT' }),
      status(304),
      send(list(90)),
    ];
    await open();
    expect(await text(await open())).toBe(GOOD);
    expect(server.requests[1]!.headers).toMatchObject({
      'if-none-match': '"v1"',
      'if-modified-since': 'Thu, 01 Jan 2026 00:00:00 GMT',
    });
    expect(await text(await open())).toBe(list(90));
    expect(readdirSync(join(folder, 'cache'))).toHaveLength(2);
    expect(warnings).toEqual([]);
  });

  it('gets the headers and credentials of the configuration, another origin does not', async () => {
    await using other = await new MisbehavingServer().start();
    other.answers = [send(GOOD)];
    server.answers = [
      (request, response) =>
        response.writeHead(302, { location: request.url === '/b' ? `${other.origin}/c` : '/b' }).end(),
    ];
    const url = `${server.origin.replace('//', '//me:p%40w@')}/a`;
    await using content = await open({ origin: { kind: 'url', url }, headers: { 'X-Key': 'k', 'User-Agent': 'box' } });
    expect(await text(content)).toBe(GOOD);
    const basic = `Basic ${Buffer.from('me:p@w').toString('base64')}`;
    for (const request of server.requests)
      expect(request.headers).toMatchObject({ authorization: basic, 'x-key': 'k' });
    expect(other.requests[0]!.headers).toMatchObject({ 'user-agent': 'box' });
    expect(other.requests[0]!.headers).not.toHaveProperty('authorization');
    expect(other.requests[0]!.headers).not.toHaveProperty('x-key');
  });

  it('gets a password with a bare % as it stands', async () => {
    server.answers = [send(GOOD)];
    const url = `${server.origin.replace('//', '//me:50%off@')}/a`;
    await using content = await open({ origin: { kind: 'url', url } });
    expect(await text(content)).toBe(GOOD);
    const basic = `Basic ${Buffer.from('me:50%off').toString('base64')}`;
    expect(server.requests[0]!.headers).toMatchObject({ authorization: basic });
  });
});

describe('a server that fails for a while', () => {
  it.each<[string, Answer]>([
    ['503', status(503)],
    ['429', status(429)],
    ['cut body', cut(GOOD)],
    ['cut connection', (_, response) => void response.socket!.destroy()],
    ['no answer', stall(false)],
    ['stalled body', stall(true)],
    ['nonsense', (_, response) => void response.socket!.end('SMTP ready\r\n\r\n')],
  ])('is asked again: %s', async (_, answer) => {
    server.answers = [answer, answer, send(GOOD)];
    await using content = await open();
    expect(await text(content)).toBe(GOOD);
    expect(clock.pauses).toHaveLength(2);
    expect(clock.pauses[0]).toBeGreaterThanOrEqual(250);
    expect(clock.pauses[0]).toBeLessThanOrEqual(500);
    expect(clock.pauses[1]).toBeGreaterThanOrEqual(500);
    expect(clock.pauses[1]).toBeLessThanOrEqual(1000);
    expect(clock.openDeadlines).toBe(0);
  });

  it('is waited for as it asks, in seconds or by date', async () => {
    server.answers = [
      status(503, { 'retry-after': '7' }),
      status(429, { 'retry-after': 'Thu, 01 Jan 2026 00:00:42 GMT' }),
      send(GOOD),
    ];
    await open();
    expect(clock.pauses).toEqual([7000, 42_000]);
  });

  it('is given up when it asks for too much patience, or after the retries', async () => {
    server.answers = [status(503, { 'retry-after': '86400' })];
    await expect(open()).rejects.toMatchObject({ fault: 'http', message: expect.stringMatching(/answers 503$/) });
    server.answers = [status(500)];
    await expect(open({ retryCount: 2 })).rejects.toThrow(
      /^source far: http:.*\/list\.m3u: the server answers 500 \(tried 3 times\)$/,
    );
    expect(server.requests).toHaveLength(4);
  });
});

describe('a server that fails for good', () => {
  const failures: [string, Answer, RegExp][] = [
    ['404', status(404), /the server answers 404/],
    ['503', status(503), /the server answers 503/],
    ['a web page', send('\n<!DOCTYPE html><html><body>Log in</body></html>'), /a web page instead of a playlist/],
    ['a web page in gzip', send(gzipSync('<html></html>')), /a web page instead of a playlist/],
    ['something else', send('{"error": 1}'), /is not a playlist/],
    ['nothing', send(''), /is empty/],
    ['white space', send(' \n\n'), /is empty/],
    ['a list without channels', send('#EXTM3U\n'), /has no channels/],
    ['a truncated .gz', send(gzipSync(GOOD).subarray(0, 200)), /ends early/],
    ['too much', send('#'.repeat(60_000)), /more than 48\.8KiB: raise its `max_size`/],
    ['too much, unannounced', inTwo('#'.repeat(80_000)), /more than 48\.8KiB/],
    ['a decompression bomb', send(gzipSync(Buffer.alloc(10e6))), /more than 48\.8KiB of content/],
    [
      'redirects without end',
      (_, response) => void response.writeHead(302, { location: '/again' }).end(),
      /redirects more than 5 times/,
    ],
    [
      'a redirect to a file',
      (_, response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
      /no web address/,
    ],
    ['an encoding nobody asked for', send('x', { 'content-encoding': 'br' }), /`br`, which was not asked for/],
  ];

  it.each(failures)('is one clear line without last good content: %s', async (_, answer, line) => {
    server.answers = [answer];
    const error = (await open({ maxBytes: 50_000, retryCount: 1 }).catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ code: 'PLIMSOLL_PLAYLIST_SOURCE', message: expect.stringMatching(line) });
    expect(error.message).toMatch(/^source far: [^\n]*$/);
    expect(error.message).not.toContain('hunter2');
    expect(readdirSync(join(folder, 'cache'))).toEqual([]);
  });

  it.each([...failures, ['shrunk', send(list(49)), /has shrunk from 100 channels to 49/] as const])(
    'keeps its last good content: %s',
    async (_, answer, line) => {
      server.answers = [send(GOOD)];
      await open({ maxBytes: 50_000 });
      const before = readdirSync(join(folder, 'cache')).sort();
      server.answers = [answer];
      for (let run = 0; run < 2; run++) {
        await using content = await open({ maxBytes: 50_000, retryCount: 0 });
        expect(content.stale).toBe(true);
        expect(await text(content)).toBe(GOOD);
      }
      expect(warnings).toHaveLength(2);
      expect(warnings[0]).toMatch(line);
      expect(warnings[0]).toMatch(/^source far: .*: the last good content \(2026-01-01 00:00 UTC\) is used/);
      expect(warnings[0]).not.toContain('hunter2');
      expect(readdirSync(join(folder, 'cache')).sort()).toEqual(before);
    },
  );

  it('does not use last good content whose copy is gone or cut', async () => {
    server.answers = [send(GOOD), status(404)];
    await open();
    const cache = join(folder, 'cache');
    for (const name of readdirSync(cache)) if (!name.endsWith('.json')) rmSync(join(cache, name));
    await expect(open()).rejects.toThrow(/answers 404/);
  });

  it('is left at once when the run is interrupted', async () => {
    const controller = new AbortController();
    server.answers = [() => controller.abort('SIGTERM')];
    await expect(open({ signal: controller.signal })).rejects.toBe('SIGTERM');
    expect(readdirSync(join(folder, 'cache'))).toEqual([]);
  });
});

describe('a dry run', () => {
  it('leaves nothing behind', async () => {
    server.answers = [send(GOOD)];
    const content = await open({ dryRun: true });
    expect(await text(content)).toBe(GOOD);
    await content.keep();
    await content[Symbol.asyncDispose]();
    expect(readdirSync(folder)).toEqual([]);
    await expect(content.parts[0]!.open()).rejects.toMatchObject({ fault: 'missing' });
  });
});

describe('a guide', () => {
  const guide = '<?xml version="1.0"?><tv><channel id="a"/><programme channel="a">x</programme></tv>';
  it('is checked to be one', async () => {
    server.answers = [send(guide)];
    expect(await text(await open({ kind: 'guide' }))).toBe(guide);
    server.answers = [send(GOOD)];
    expect(await text(await open({ kind: 'guide' }))).toBe(guide);
    expect(warnings[0]).toMatch(/^guide far: is not a guide/);
  });

  it('is used damaged when there is no better one, and never remembered so', async () => {
    const damaged = gzipSync(guide.repeat(3000)).subarray(0, -20);
    server.answers = [send(damaged)];
    const content = await open({ kind: 'guide' });
    await expect(text(content)).rejects.toMatchObject({ fault: 'truncated' });
    await content[Symbol.asyncDispose]();
    expect(readdirSync(join(folder, 'cache'))).toEqual([]);
    server.answers = [send(guide)];
    await open({ kind: 'guide' });
    server.answers = [send(damaged)];
    expect((await open({ kind: 'guide' })).stale).toBe(true);
  });
});

describe('an Xtream account', () => {
  const streams = [
    {
      num: 7,
      name: 'News "24"',
      stream_type: 'live',
      stream_id: 11,
      stream_icon: 'http://i/1.png',
      epg_channel_id: 'news.uk',
      category_id: '2',
    },
    { num: '8', name: 'Line\nbreak, comma', stream_id: '12', epg_channel_id: null, category_id: 9 },
    { name: 'no id' },
  ];
  const account = () => ({ kind: 'xtream', host: server.origin, user: 'us er', password: 'hunter2/x' }) as const;
  const panel: Answer = (request, response) => {
    const query = new URL(request.url!, 'http://x').searchParams;
    if (query.get('username') !== 'us er' || query.get('password') !== 'hunter2/x')
      return void response.writeHead(403).end();
    if (query.get('action') === 'get_live_streams') return void response.end(JSON.stringify(streams));
    if (query.get('action') === 'get_live_categories')
      return void response.end('[{"category_id":"2","category_name":"N\\u00e9ws"}]');
    response.end('?');
  };

  it('becomes a playlist', async () => {
    server.answers = [panel];
    await using content = await open({ origin: account() });
    expect(content.type).toBe('xtream');
    expect(content.parts[0]!.url).toBe(server.origin);
    const base = `${server.origin}/live/us%20er/hunter2%2Fx`;
    expect(await text(content)).toBe(
      `#EXTM3U\n#EXTINF:-1 tvg-id="news.uk" tvg-name="News '24'" tvg-logo="http://i/1.png" tvg-chno="7" group-title="Néws",News "24"\n${base}/11.ts\n` +
        `#EXTINF:-1 tvg-id="" tvg-name="Line break, comma" tvg-chno="8",Line break, comma\n${base}/12.ts\n`,
    );
  });

  it('is read by get.php when there is no API', async () => {
    for (const answer of [status(404), send('<html>nothing here')]) {
      server.answers = [
        (request, response) =>
          request.url!.startsWith('/get.php') ? send(GOOD)(request, response) : answer(request, response),
      ];
      expect(await text(await open({ origin: account() }))).toBe(GOOD);
    }
  });

  it('is refused in one line without its password', async () => {
    server.answers = [send('{"user_info":{"auth":0}}')];
    await expect(open({ origin: account() })).rejects.toThrow(
      /^source far: the server refuses the account: check `user` and `password`$/,
    );
    server.answers = [status(403)];
    const error = (await open({ origin: account() }).catch((thrown: unknown) => thrown)) as Error;
    expect(error.message).toMatch(/answers 403/);
    expect(error.message).not.toMatch(/hunter2|us er|us%20er/);
  });

  it('gives its guide, too', async () => {
    server.answers = [send('<tv><programme/></tv>')];
    await open({ origin: account(), kind: 'guide' });
    expect(server.requests[0]!.url).toBe('/xmltv.php?username=us%20er&password=hunter2%2Fx');
  });

  it('keeps its files to its owner', async () => {
    server.answers = [panel];
    await open({ origin: account() });
    for (const name of readdirSync(join(folder, 'cache'))) {
      if (name.endsWith('.json')) expect(readFileSync(join(folder, 'cache', name), 'utf8')).not.toContain('hunter2');
    }
  });
});
