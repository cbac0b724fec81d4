import { request } from 'node:http';
import { createGovernor, ManualClock } from 'plimsoll';
import { Dashboard } from 'plimsoll/dashboard';
import { type CommandPort, ObservationFeed } from 'plimsoll/observe';
import { afterEach, describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { ask, BEARER, JSON_TYPE, TOKEN } from './ask.ts';
import { MadeDashboards } from './made-dashboard.ts';
import { holdConnection, sendRaw } from './raw-request.ts';

const MiB = 2 ** 20;

const open = new MadeDashboards();
const make = open.make.bind(open);
afterEach(() => open[Symbol.asyncDispose]());

/** Reads a stream until it has `count` looks. */
function readLooks(
  port: number,
  count: number,
  headers: Record<string, string> = {},
  onOpen?: () => void,
): Promise<{ id: number; data: { number: number } }[]> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path: '/api/stream', headers, agent: false }, (response) => {
      let text = '';
      onOpen?.();
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        const looks = [...text.matchAll(/^id: (\d+)\nevent: observation\ndata: (.*)\n\n/gm)];
        if (looks.length < count) return;
        response.destroy();
        resolve(looks.map(([, id, data]) => ({ id: Number(id), data: JSON.parse(data!) as { number: number } })));
      });
    });
    asked.on('error', reject);
    asked.end();
  });
}

describe('what is served', () => {
  it('the page, its script and its style, with headers that let in nothing else', async () => {
    const { dashboard } = make();
    const { port } = await dashboard.listen({ port: 0 });
    for (const [path, type] of [
      ['/', 'text/html'],
      ['/page.js', 'text/javascript'],
      ['/page.css', 'text/css'],
    ] as const) {
      const { status, headers } = await ask(port, path);
      expect([path, status]).toEqual([path, 200]);
      expect(headers['content-type']).toContain(type);
      expect(headers['content-security-policy']).toMatch(
        /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; .*frame-ancestors 'none'$/,
      );
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
      });
      expect(headers['cache-control']).toContain('no-store');
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
    const { body } = await ask(port, '/page.js');
    expect(body).toContain('Copyright (c) 2022 Leon Sorokin');
    expect(body).not.toMatch(/\b(?:eval|Function)\(/);
  });

  it('one look, the points since a number, the events, the runs and the journal', async () => {
    const { clock, governor, dashboard } = make();
    governor.consumer({ name: 'images', kind: 'external', maxBytes: MiB }).reserve(1_000);
    const { port } = await dashboard.listen({ port: 0 });
    const first = JSON.parse((await ask(port, '/api/observation')).body) as {
      number: number;
      snapshot: { consumers: object[] };
    };
    expect(first).toMatchObject({ version: 1, number: 1, pid: process.pid });
    expect(first.snapshot.consumers).toHaveLength(2);
    clock.advance(2_000);
    const since = async (value: string) =>
      JSON.parse((await ask(port, `/api/points?since=${value}`)).body) as { number: number }[];
    expect((await since('0')).map(({ number }) => number)).toEqual([1, 2, 3]);
    expect((await since('2')).map(({ number }) => number)).toEqual([3]);
    for (const wrong of ['x', '-1', '1e9', '99999999999999999'])
      expect((await ask(port, `/api/points?since=${wrong}`)).status).toBe(400);
    await governor.reclaim();
    clock.advance(1_000);
    const [events, runs, journal] = await Promise.all(
      ['/api/events', '/api/runs', '/api/journal'].map(
        async (path) => JSON.parse((await ask(port, path)).body) as object[],
      ),
    );
    expect(events).toEqual(expect.arrayContaining([expect.objectContaining({ kind: 'reclaim', source: 'train' })]));
    expect(runs).toEqual([]);
    expect(journal).toMatchObject([{ why: 'asked', strategy: 'smart' }]);
  });

  it('looks as they are taken, and after a lost connection those that are new', async () => {
    const { clock, dashboard } = make();
    const { port } = await dashboard.listen({ port: 0 });
    const looks = await readLooks(port, 2, {}, () => clock.advance(1_000));
    expect(looks.map(({ id, data }) => [id, data.number])).toEqual([
      [1, 1],
      [2, 2],
    ]);
    expect(await readLooks(port, 1, { 'last-event-id': '1' })).toMatchObject([{ id: 2 }]);
    const again = readLooks(port, 1, { 'last-event-id': '2' }, () => clock.advance(1_000));
    expect((await again).map(({ id }) => id)).toEqual([3]);
  });

  it('one stream too many hears 503, and when to come again', async () => {
    const { clock, dashboard } = make({ maxStreams: 1 });
    const { port } = await dashboard.listen({ port: 0 });
    const first = readLooks(port, 2);
    while (dashboard.stats.streams === 0) await new Promise(setImmediate);
    expect(await ask(port, '/api/stream')).toMatchObject({ status: 503, headers: { 'retry-after': '10' } });
    clock.advance(1_000);
    await first;
  });

  it('a wave of pressure is looked at when it comes, not when the second is over', async () => {
    let bytes = MiB;
    const clock = new ManualClock();
    const meters = [{ name: 'rss' as const, limitBytes: 64 * MiB, read: () => bytes }];
    const governor = createGovernor({ limitBytes: 64 * MiB, runtimeBytes: 0, clock, meters, terminationLog: false });
    const dashboard = new Dashboard({ governor, clock, everyMs: 60_000 });
    open.push(governor, dashboard);
    const { port } = await dashboard.listen({ port: 0 });
    const looks = await readLooks(port, 2, {}, () => {
      bytes = 63 * MiB;
      governor.sample();
      clock.advance(50);
    });
    expect(looks[1]).toMatchObject({ data: { snapshot: { level: 'emergency' } } });
  });

  it('nothing else: not by another method, another path, a path up, an encoded one, or a whole address', async () => {
    const { dashboard } = make();
    const { port } = await dashboard.listen({ port: 0 });
    const statuses: Record<string, number> = {};
    const paths = [
      '/page.ts',
      '/../package.json',
      '/%2e%2e/package.json',
      '/api/',
      '/api/toString',
      '/__proto__',
      '/page.html',
      '//',
      '/page.js/',
    ];
    for (const path of paths) statuses[path] = (await ask(port, path)).status;
    expect(statuses).toEqual(Object.fromEntries(paths.map((path) => [path, 404])));
    expect((await ask(port, 'http://evil.example/api/observation')).status).toBe(400);
    expect((await ask(port, '*', { method: 'OPTIONS' })).status).toBe(400);
    for (const [path, method] of [
      ['/', 'POST'],
      ['/api/points', 'DELETE'],
      ['/api/collect', 'GET'],
      ['/api/login', 'PUT'],
      ['/api/stream', 'HEAD'],
    ] as const) {
      expect((await ask(port, path, { method, headers: BEARER })).status, path).toBe(405);
    }
  });
});

describe('commands', () => {
  function fakeCommands(): CommandPort & { readonly asked: string[] } {
    const asked: string[] = [];
    return {
      asked,
      collect: async () => void asked.push('collect') as unknown as { durationMs: number; freedBytes: number },
      reclaim: async (strategy) => {
        asked.push(`reclaim ${strategy}`);
        return { claimedBytes: 3, releasedBytes: 2, seenBytes: 1, durationMs: 4 };
      },
      heapSnapshot: async () => {
        throw Object.assign(new Error('no room'), { code: 'PLIMSOLL_NO_ROOM_FOR_SNAPSHOT' });
      },
    };
  }

  it('are done for who has the token, and say what came of it', async () => {
    const commands = fakeCommands();
    const { dashboard } = make({ commands });
    const { port } = await dashboard.listen({ port: 0 });
    const post = (path: string, body?: string) =>
      ask(port, path, { method: 'POST', headers: BEARER, ...(body === undefined ? {} : { body }) });
    expect((await post('/api/collect')).status).toBe(200);
    expect(JSON.parse((await post('/api/reclaim', '{"strategy":"basic"}')).body)).toEqual({
      claimedBytes: 3,
      releasedBytes: 2,
      seenBytes: 1,
      durationMs: 4,
    });
    expect((await post('/api/reclaim', '{"strategy":"all"}')).status).toBe(400);
    expect(await post('/api/heap-snapshot')).toMatchObject({
      status: 409,
      body: '{"error":"no room","code":"PLIMSOLL_NO_ROOM_FOR_SNAPSHOT"}',
    });
    expect(commands.asked).toEqual(['collect', 'reclaim basic']);
  });

  it('without the token, with a wrong one, of another site, or as a form: nothing is done', async () => {
    const commands = fakeCommands();
    const { dashboard } = make({ commands });
    const { port } = await dashboard.listen({ port: 0 });
    const tries: readonly (readonly [number, Record<string, string>])[] = [
      [401, JSON_TYPE],
      [401, { ...BEARER, authorization: 'Bearer wrong-one' }],
      [403, { ...BEARER, origin: 'http://evil.example' }],
      [403, { ...BEARER, 'sec-fetch-site': 'same-site' }],
      [421, { ...BEARER, host: 'evil.example' }],
      [415, { ...BEARER, 'content-type': 'application/x-www-form-urlencoded' }],
      [415, { ...BEARER, 'content-type': 'text/plain' }],
    ];
    for (const [status, headers] of tries) {
      expect((await ask(port, '/api/reclaim', { method: 'POST', headers })).status, JSON.stringify(headers)).toBe(
        status,
      );
    }
    expect(commands.asked).toEqual([]);
  });

  it('where no token was given, nobody can command, and this machine may look', async () => {
    const clock = new ManualClock();
    const governor = createGovernor({ limitBytes: MiB, runtimeBytes: 0, clock, meters: [], terminationLog: false });
    const dashboard = new Dashboard({ governor, clock });
    open.push(governor, dashboard);
    const { port } = await dashboard.listen({ port: 0 });
    expect((await ask(port, '/api/collect', { method: 'POST', headers: JSON_TYPE })).status).toBe(403);
    expect((await ask(port, '/api/observation')).status).toBe(200);
    expect(JSON.parse((await ask(port, '/api/session')).body)).toMatchObject({
      mayRead: true,
      mayAct: false,
      hasToken: false,
    });
  });

  it('one at a time', async () => {
    const commands = fakeCommands();
    const { promise, resolve } = Promise.withResolvers<{ durationMs: number; freedBytes: number }>();
    const { dashboard } = make({ commands: { ...commands, collect: () => promise } });
    const { port } = await dashboard.listen({ port: 0 });
    const first = ask(port, '/api/collect', { method: 'POST', headers: BEARER });
    while (dashboard.stats.requests === 0) await new Promise(setImmediate);
    let second = 0;
    // Until the first has had its body read, it is not under way.
    while (second !== 409) second = (await ask(port, '/api/reclaim', { method: 'POST', headers: BEARER })).status;
    resolve({ durationMs: 1, freedBytes: 2 });
    expect((await first).status).toBe(200);
  });

  it('a login gives a cookie that reads, acts and ends with the logout', async () => {
    const commands = fakeCommands();
    const { dashboard } = make({ commands });
    const { port } = await dashboard.listen({ port: 0 });
    const origin = `http://127.0.0.1:${port}`;
    const headers = { ...JSON_TYPE, origin, 'x-forwarded-for': '192.0.2.1' };
    expect((await ask(port, '/api/observation', { headers })).status).toBe(401);
    expect((await ask(port, '/api/login', { method: 'POST', headers, body: '{"token":"wrong"}' })).status).toBe(401);
    const login = await ask(port, '/api/login', { method: 'POST', headers, body: `{"token":"${TOKEN}"}` });
    const cookie = login.headers['set-cookie']![0]!.split(';')[0]!;
    expect(login.headers['set-cookie']![0]).toMatch(/; Path=\/; HttpOnly; SameSite=Strict$/);
    const withCookie = { ...headers, cookie };
    expect((await ask(port, '/api/observation', { headers: withCookie })).status).toBe(200);
    expect((await ask(port, '/api/collect', { method: 'POST', headers: withCookie })).status).toBe(200);
    const { origin: _, ...silent } = withCookie;
    expect((await ask(port, '/api/collect', { method: 'POST', headers: silent })).status).toBe(403);
    expect((await ask(port, '/api/logout', { method: 'POST', headers: withCookie })).status).toBe(200);
    expect((await ask(port, '/api/observation', { headers: withCookie })).status).toBe(401);
  });

  it('a stream that was opened by a cookie ends with the logout, and is told of no further look', async () => {
    const { dashboard, clock } = make();
    const { port } = await dashboard.listen({ port: 0 });
    const headers = { ...JSON_TYPE, origin: `http://127.0.0.1:${port}`, 'x-forwarded-for': '192.0.2.1' };
    const login = await ask(port, '/api/login', { method: 'POST', headers, body: `{"token":"${TOKEN}"}` });
    const withCookie = { ...headers, cookie: login.headers['set-cookie']![0]!.split(';')[0]! };
    const stream = ask(port, '/api/stream', { headers: withCookie });
    while (dashboard.stats.streams === 0) await new Promise(setImmediate);
    await ask(port, '/api/logout', { method: 'POST', headers: withCookie });
    clock.advance(1_000);
    expect((await stream).body.match(/^id: /gm)).toHaveLength(1);
  });

  it('a body over 1 KiB, one that never comes whole, and one that is no object are refused', async () => {
    const commands = fakeCommands();
    const { dashboard, clock } = make({ commands });
    const { port } = await dashboard.listen({ port: 0 });
    const post = (body: string, more: Record<string, string> = {}) =>
      ask(port, '/api/reclaim', { method: 'POST', headers: { ...BEARER, ...more }, body });
    expect((await post('x'.repeat(1_025))).status).toBe(413);
    const head = `POST /api/reclaim HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer ${TOKEN}\r\n`;
    // What says that it is too long is not waited for.
    expect((await sendRaw(port, `${head}Content-Length: 10000000000\r\n\r\n`)).status).toBe(413);
    expect((await post(`{"strategy":"${'x'.repeat(2_000)}"}`, { 'transfer-encoding': 'chunked' })).status).toBe(413);
    for (const body of ['[]', '"smart"', 'null', '{', '1']) expect((await post(body)).status, body).toBe(400);
    const late = new Promise<number>((resolve, reject) => {
      const headers = { ...BEARER, 'content-length': '100' };
      const asked = request(
        { host: '127.0.0.1', port, path: '/api/reclaim', method: 'POST', headers, agent: false },
        ({ statusCode }) => {
          asked.destroy();
          resolve(statusCode!);
        },
      );
      asked.on('error', reject);
      asked.write('{');
    });
    const before = dashboard.stats.requests;
    while (dashboard.stats.requests === before) await new Promise(setImmediate);
    await new Promise(setImmediate);
    clock.advance(5_000);
    expect(await late).toBe(408);
    expect(commands.asked).toEqual([]);
  });
});

describe('the end', () => {
  it('disposing ends streams, connections, timers and what was made, twice is once, and a late request hears 503', async () => {
    const { clock, governor, dashboard } = make({ basePath: '/memory' });
    const { port } = await dashboard.listen({ port: 0 });
    const ended = new Promise<void>((resolve) => {
      request(
        { host: '127.0.0.1', port, path: '/memory/api/stream' },
        (response) => void response.resume().on('close', resolve),
      )
        .on('error', () => resolve())
        .end();
    });
    while (dashboard.stats.streams === 0) await new Promise(setImmediate);
    // One in the middle of its request is not waited for.
    const half = await holdConnection(port);
    const cut = new Promise((resolve) => half.on('close', resolve));
    half.write('POST /memory/api/collect HTTP/1.1\r\nHost: loc');
    while (dashboard.stats.connections < 2) await new Promise(setImmediate);
    await Promise.all([dashboard[Symbol.asyncDispose](), dashboard[Symbol.asyncDispose]()]);
    await Promise.all([ended, cut]);
    expect(dashboard.stats).toMatchObject({ streams: 0, connections: 0 });
    governor[Symbol.dispose]();
    expect(clock.pending).toBe(0);
    await expect(dashboard.listen({ port: 0 })).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
    await expect(ask(port, '/memory/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it.each(['127.0.0.1', 'localhost'])('one that is disposed before it listens on %s says so', async (host) => {
    const { dashboard } = make();
    const listening = expect(dashboard.listen({ port: 0, host })).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
    await dashboard[Symbol.asyncDispose]();
    await listening;
  });

  it('a port that is taken, and a second one, are said in a line', async () => {
    const [{ dashboard }, { dashboard: other }] = [make(), make()];
    const { port } = await dashboard.listen({ port: 0 });
    await expect(other.listen({ port })).rejects.toMatchObject({ code: 'PLIMSOLL_DASHBOARD_LISTEN' });
    await expect(dashboard.listen({ port: 0 })).rejects.toMatchObject({ code: 'PLIMSOLL_DASHBOARD_LISTEN' });
    const again = await other.listen({ port: 0 });
    await again[Symbol.asyncDispose]();
    await other.listen({ port: 0 });
  });

  it('a broken governor breaks no answer: it is told, counted, and the page is still there', async () => {
    const { governor, breakIt } = breakable(
      createGovernor({ limitBytes: MiB, runtimeBytes: 0, meters: [], clock: new ManualClock(), terminationLog: false }),
    );
    const { clock, dashboard } = make({}, () => governor);
    const { port } = await dashboard.listen({ port: 0 });
    breakIt();
    clock.advance(5_000);
    expect((await ask(port, '/api/journal')).status).toBe(500);
    expect(await ask(port, '/api/reclaim', { method: 'POST', headers: BEARER })).toMatchObject({
      status: 500,
      body: '{"error":"broken on purpose"}',
    });
    expect((await ask(port, '/')).status).toBe(200);
    expect(dashboard.stats.faults).toBeGreaterThan(0);
  });

  it('a feed of somebody else is shown, and goes on when the dashboard ends', async () => {
    const clock = new ManualClock();
    const governor = createGovernor({ limitBytes: MiB, runtimeBytes: 0, clock, meters: [], terminationLog: false });
    const feed = new ObservationFeed({ source: governor, maxPoints: 10, clock });
    open.push(governor, feed);
    const dashboard = new Dashboard({ feed, token: TOKEN, clock });
    const { port } = await dashboard.listen({ port: 0 });
    clock.advance(1_000);
    expect(JSON.parse((await ask(port, '/api/observation')).body)).toMatchObject({ number: 1 });
    expect((await ask(port, '/api/collect', { method: 'POST', headers: BEARER })).status).toBe(404);
    expect(JSON.parse((await ask(port, '/api/journal')).body)).toEqual([]);
    await dashboard[Symbol.asyncDispose]();
    expect(feed.look().number).toBe(2);
    expect(feed.stats.subscribers).toBe(0);
  });
});
