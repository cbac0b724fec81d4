import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { get, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { ManualClock } from 'plimsoll';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { parseRange } from '../../src/serve/byte-range.ts';
import { acceptsGzip, matchesAny } from '../../src/serve/preconditions.ts';
import type { RunSummary } from '../../src/serve/regenerator.ts';
import { type RunningServer, startServer } from '../../src/serve/start-server.ts';

const SUMMARY: RunSummary = { channels: 3, programmes: 5, elapsedMs: 7, warnings: [] };
const HOUR = 3_600_000;
const PLAYLIST = `#EXTM3U\n${'#EXTINF:-1,x\nhttp://x/\n'.repeat(20_000)}`;
const GUIDE = '[[guide]]\npath = "g"\n';
let folder: string;
let clock: ManualClock;
let server: RunningServer;
let runs: PromiseWithResolvers<RunSummary>[];
let signals: AbortSignal[];
let warnings: string[];

async function start(serve: Record<string, string | number> = {}, guide = GUIDE): Promise<RunningServer> {
  const keys = Object.entries({ port: 0, token: 'correct horse', schedule: '1h', ...serve });
  const file = join(folder, 'my.toml');
  const toml = keys.map(([key, value]) => `${key} = ${JSON.stringify(value)}`).join('\n');
  writeFileSync(file, `[[source]]\npath = "x"\n${guide}[output]\ndir = "."\nname = "my list"\n[serve]\n${toml}\n`);
  return await startServer({
    config: loadConfig({ file, env: {} }),
    clock,
    regenerate: (signal) => {
      const run = Promise.withResolvers<RunSummary>();
      runs.push(run);
      signals.push(signal);
      signal.addEventListener('abort', () => run.reject(signal.reason));
      return run.promise;
    },
    describeError: (error) => `it failed: ${error}`,
    warn: (line) => warnings.push(line),
  });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'playlist-serve-'));
  clock = new ManualClock(1_000_000);
  runs = [];
  signals = [];
  warnings = [];
  server = await start();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

interface Reply {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
}

/** A bare client: no decompression, no redirects. */
function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Reply> {
  return new Promise((resolve, reject) => {
    request(`${server.origin}${path}`, { method, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(parts) }),
      );
      response.on('error', reject);
    })
      .on('error', reject)
      .end();
  });
}

const LIST = '/my%20list.m3u8';
const put = (text: string, name = 'my list.m3u8') => {
  writeFileSync(join(folder, 'new'), text);
  renameSync(join(folder, 'new'), join(folder, name));
};

describe('the files', () => {
  it('are served with their types, lengths and tags', async () => {
    put(PLAYLIST);
    put('<tv/>', 'my list.xmltv');
    const list = await ask(LIST);
    expect(list.status).toBe(200);
    expect(list.body.toString()).toBe(PLAYLIST);
    expect(list.headers).toMatchObject({
      'content-type': 'audio/x-mpegurl; charset=utf-8',
      'content-length': String(PLAYLIST.length),
      etag: expect.stringMatching(/^"[\w-]+"$/),
      'cache-control': 'no-cache',
      vary: 'accept-encoding',
      'accept-ranges': 'bytes',
    });
    const guide = await ask('/my%20list.xmltv');
    expect([guide.body.toString(), guide.headers['content-type']]).toEqual(['<tv/>', 'application/xml; charset=utf-8']);
  });

  it('do not include a guide that an earlier configuration left', async () => {
    put(PLAYLIST);
    put('<tv/>', 'my list.xmltv');
    await using without = await start({}, '');
    expect((await fetch(`${without.origin}/my%20list.m3u8`)).status).toBe(200);
    expect((await fetch(`${without.origin}/my%20list.xmltv`)).status).toBe(404);
  });

  it('are told about by HEAD', async () => {
    put(PLAYLIST);
    const { status, headers, body } = await ask(LIST, { range: 'bytes=0-1' }, 'HEAD');
    expect([status, headers['content-length'], body.length]).toEqual([200, String(PLAYLIST.length), 0]);
  });

  it('are 404 until they are there; so is everything else', async () => {
    for (const path of [LIST, '/my%20list.xmltv', '/', '/my.toml', '/../my.toml', '/%', '/.cache'])
      expect((await ask(path)).status).toBe(404);
  });

  it('are not sent again to who has them', async () => {
    put(PLAYLIST);
    const { headers } = await ask(LIST);
    const etag = headers.etag as string;
    for (const known of [etag, `"other", W/${etag}`, '*']) {
      const again = await ask(LIST, { 'if-none-match': known });
      expect([again.status, again.body.length, again.headers.etag]).toEqual([304, 0, etag]);
    }
    expect(
      (await ask(LIST, { 'if-none-match': '"other"', 'if-modified-since': headers['last-modified'] as string })).status,
    ).toBe(200);
    expect((await ask(LIST, { 'if-modified-since': headers['last-modified'] as string })).status).toBe(304);
    put(PLAYLIST);
    expect((await ask(LIST, { 'if-none-match': etag })).status).toBe(200);
  });

  it('are packed for who takes gzip, under a tag of their own', async () => {
    put(PLAYLIST);
    const packed = await ask(LIST, { 'accept-encoding': 'br, gzip' });
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(packed.body).toString()).toBe(PLAYLIST);
    expect(packed.body.length).toBeLessThan(PLAYLIST.length / 5);
    expect(packed.headers.etag).not.toBe((await ask(LIST)).headers.etag);
    expect(
      (await ask(LIST, { 'accept-encoding': 'gzip', 'if-none-match': packed.headers.etag as string })).status,
    ).toBe(304);
    expect((await ask(LIST, { 'accept-encoding': 'gzip', range: 'bytes=0-6' })).body.toString()).toBe('#EXTM3U');
  });

  it.each([
    ['bytes=0-6', 206, '#EXTM3U', `bytes 0-6/${PLAYLIST.length}`],
    ['bytes=-3', 206, PLAYLIST.slice(-3), `bytes ${PLAYLIST.length - 3}-${PLAYLIST.length - 1}/${PLAYLIST.length}`],
    [`bytes=${PLAYLIST.length - 2}-999999999`, 206, PLAYLIST.slice(-2), expect.any(String)],
    [`bytes=${PLAYLIST.length}-`, 416, '', `bytes */${PLAYLIST.length}`],
    ['bytes=0-1,4-5', 200, PLAYLIST, undefined],
    ['bytes=5-1', 200, PLAYLIST, undefined],
    ['lines=1-2', 200, PLAYLIST, undefined],
  ])('are given in part: %s', async (range, status, body, contentRange) => {
    put(PLAYLIST);
    const reply = await ask(LIST, { range });
    expect([reply.status, reply.headers['content-range'], reply.body.toString() === body]).toEqual([
      status,
      contentRange,
      true,
    ]);
  });

  it('are given in part only while they are the same', async () => {
    put(PLAYLIST);
    const { etag, 'last-modified': date } = (await ask(LIST)).headers as Record<string, string>;
    for (const same of [etag!, date!])
      expect((await ask(LIST, { range: 'bytes=0-1', 'if-range': same })).status).toBe(206);
    put('#EXTM3U');
    expect((await ask(LIST, { range: 'bytes=0-1', 'if-range': etag! })).body.toString()).toBe('#EXTM3U');
  });

  it('stay the old ones, whole, for a reader who began before they were replaced', async () => {
    const big = PLAYLIST.repeat(20);
    put(big);
    const body = await new Promise<Buffer>((resolve, reject) => {
      get(`${server.origin}${LIST}`, { agent: false }, (response) => {
        const parts: Buffer[] = [];
        response.once('data', (part) => {
          parts.push(part);
          put('#EXTM3U new');
          response.on('data', (more) => parts.push(more));
        });
        response.on('end', () => resolve(Buffer.concat(parts)));
      }).on('error', reject);
    });
    expect(body.toString()).toBe(big);
    expect((await ask(LIST)).body.toString()).toBe('#EXTM3U new');
  });

  it('are let go of when a reader leaves in the middle', async () => {
    put(PLAYLIST.repeat(50));
    for (const encoding of ['identity', 'gzip']) {
      await new Promise<void>((resolve) => {
        const client = get(
          `${server.origin}${LIST}`,
          { agent: false, headers: { 'accept-encoding': encoding } },
          (response) => response.once('data', () => client.destroy()),
        );
        client.on('error', () => {}).on('close', resolve);
      });
    }
    await expect.poll(async () => JSON.parse((await ask('/health')).body.toString()).readers).toBe(0);
  });
});

describe('parts of requests', () => {
  it('ranges lie within the file, whatever is asked', () => {
    const number = fc.oneof(fc.nat(100), fc.constant(''));
    fc.assert(
      fc.property(number, number, fc.nat(60), (first, last, size) => {
        const range = parseRange(`bytes=${first}-${last}`, size);
        if (range === undefined || range === 'unsatisfiable') return;
        expect(range.first).toBeGreaterThanOrEqual(0);
        expect(range.first).toBeLessThanOrEqual(range.last);
        expect(range.last).toBeLessThan(size);
      }),
    );
  });

  it('gzip may be refused', () => {
    for (const yes of ['gzip', 'br, gzip;q=0.5', '*', 'GZIP', 'identity;q=0, *;q=0.1'])
      expect(acceptsGzip(yes)).toBe(true);
    for (const no of [undefined, '', 'br', 'gzip;q=0', 'gzip; q=0.000, *', '*;q=0', 'identity'])
      expect(acceptsGzip(no)).toBe(false);
    expect(matchesAny('"a,b", "c"', '"c"')).toBe(true);
  });
});

describe('runs', () => {
  const health = async () => JSON.parse((await ask('/health')).body.toString());
  const post = (authorization?: string) =>
    ask('/regenerate', authorization === undefined ? {} : { authorization }, 'POST');
  const finish = async (count: number) => {
    runs.at(-1)!.resolve(SUMMARY);
    await expect.poll(() => server.regenerator.running).toBe(false);
    expect(runs).toHaveLength(count);
  };

  it('start at once and then by the clock, never two at a time', async () => {
    expect(runs).toHaveLength(1);
    expect(await health()).toMatchObject({ ok: false, running: true, lastRun: null, nextRunMs: null });
    expect(await ask('/live')).toMatchObject({ status: 200 });
    clock.advance(10 * HOUR);
    expect(runs).toHaveLength(1);
    await finish(1);
    put(PLAYLIST);
    expect(await health()).toEqual({
      ok: true,
      running: false,
      lastRun: { startedMs: 1_000_000, elapsedMs: 10 * HOUR, ok: true, summary: SUMMARY },
      nextRunMs: 1_000_000 + 11 * HOUR,
      readers: 0,
    });
    clock.advance(HOUR - 1);
    expect(runs).toHaveLength(1);
    clock.advance(1);
    expect(runs).toHaveLength(2);
  });

  it('go on after one that failed; the old files are served', async () => {
    put(PLAYLIST);
    runs[0]!.reject('boom');
    await expect.poll(() => server.regenerator.running).toBe(false);
    expect(await health()).toMatchObject({ ok: true, lastRun: { ok: false, error: 'it failed: boom' } });
    clock.advance(HOUR);
    expect(runs).toHaveLength(2);
  });

  it('can be asked for with the token, and only with it', async () => {
    await finish(1);
    for (const wrong of [undefined, 'Bearer', 'Bearer wrong', 'Bearer correcthorse', 'Basic correct horse']) {
      const reply = await post(wrong);
      expect([reply.status, reply.headers['www-authenticate']]).toEqual([401, 'Bearer']);
    }
    expect(runs).toHaveLength(1);
    await server[Symbol.asyncDispose]();
    server = await start({ token: 'correct-horse' });
    expect(runs).toHaveLength(2);
    expect((await post('Bearer correct-horse')).status).toBe(409);
    await finish(2);
    expect((await post('bearer correct-horse')).status).toBe(202);
    expect(runs).toHaveLength(3);
    await finish(3);
    // A run that was asked for pushes the schedule back: there is one timer, not two.
    expect(clock.pending).toBe(1);
    expect((await ask('/regenerate')).status).toBe(404);
  });

  it('cannot be asked for without a token in the configuration', async () => {
    await server[Symbol.asyncDispose]();
    const file = join(folder, 'other.toml');
    writeFileSync(file, '[[source]]\npath = "x"\n[serve]\nport = 0\nschedule = "off"\n');
    server = await startServer({
      config: loadConfig({ file, env: {} }),
      clock,
      regenerate: async () => SUMMARY,
      describeError: String,
      warn: () => {},
    });
    expect((await post('Bearer x')).status).toBe(403);
    expect(clock.pending).toBe(0);
  });
});

describe('the server', () => {
  it('says in one line that an address cannot be had', async () => {
    const port = Number(new URL(server.origin).port);
    await expect(start({ port })).rejects.toThrow(
      /^cannot listen on 127\.0\.0\.1:\d+: the port is taken by another program: choose another with --port$/,
    );
  });

  it('warns when others can reach it', async () => {
    await using _open = await start({ host: '0.0.0.0' });
    expect(warnings).toEqual([expect.stringMatching(/^listening on 0\.0\.0\.0: everybody/)]);
  });

  it('interrupts a run when it stops, waits for it, and cuts readers off after a while', async () => {
    put(PLAYLIST.repeat(100));
    const { hostname, port } = new URL(server.origin);
    const idle = connect(Number(port), hostname);
    await new Promise((resolve) => idle.write(`GET ${LIST} HTTP/1.1\r\nhost: x\r\n\r\n`, resolve));
    await new Promise((resolve) => idle.once('readable', resolve));
    const stopping = server[Symbol.asyncDispose]();
    expect(signals[0]!.aborted).toBe(true);
    await expect(ask('/health')).rejects.toThrow();
    clock.advance(5000);
    await stopping;
    idle.destroy();
    expect(server.regenerator.last).toMatchObject({ ok: false });
    expect(clock.pending).toBe(0);
  });
});
