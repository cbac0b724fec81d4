import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DashboardChild } from '../dashboard/dashboard-child.ts';
import { holdConnection, sendRaw } from '../dashboard/raw-request.ts';
import { demand, type Gate, mib } from './gate.ts';

const TOKEN = 'correct-horse-battery';
const IDLE = 1_000;
const MAX_CONNECTIONS = 128;
/** What a thousand connections that only connect may add. */
const MOST_GROWTH_BYTES = 24 * 2 ** 20;
const MOST_STREAMS = 32;
/** Of looks as large as a thousand consumers make them: what the system takes for a socket is soon full. */
const SLOW_STREAMS = 6;
const SLOW_CONSUMERS = 1_000;
const SLOW_MS = 6_000;
const MOST_SLOW_BYTES = 48 * 2 ** 20;

type Case = readonly [what: string, expected: readonly number[], request: string | Buffer];

/** The dashboard as an attacker meets it: by raw sockets, in a process of its own. */
export const dashboardSecurityGate: Gate = {
  name: 'dashboard-security',
  promise: `without the token, with a wrong one, from another site, by a rebound name, malformed, oversized or ${IDLE} idle connections at once: nothing is read, nothing is done, and its owner gets in`,
  async run(say) {
    using child = await DashboardChild.start(
      { token: TOKEN, maxStreams: MOST_STREAMS },
      { port: 0, maxConnections: MAX_CONNECTIONS },
    );
    const cases = casesOf(child.port);
    for (const [what, expected, request] of cases) {
      const { status, text } = await sendRaw(child.port, request);
      demand(
        expected.includes(status),
        `${what}: answered with ${status}, not ${expected.join(' or ')}: ${text.slice(0, 200)}`,
      );
      demand(
        !/reservedBytes|"claimedBytes"|access-control/i.test(text),
        `${what}: got what it must not have: ${text.slice(0, 200)}`,
      );
    }
    say(`${cases.length} requests are refused, each with its status`);
    const before = await child.stats();
    demand(before.faults === 0, `${before.faults} faults inside: ${before.lastFault}`);
    const guesses = await guessTokens(child.port);
    say(`guessing ends at the ${guesses}th wrong token`);
    const { worstMs, growth, closedMs } = await idleConnections(child, say);
    const streams = await manyStreams(child);
    const { skipped, slowGrowth } = await slowStreams();
    say(`streams that nobody reads: ${skipped} looks left out, ${mib(slowGrowth)} more`);
    const after = await child.stats();
    demand(after.faults === 0, `${after.faults} faults inside: ${after.lastFault}`);
    return `${cases.length} hostile requests refused; ${guesses} guesses; ${IDLE} idle connections: ${mib(growth)} more, an answer in ${worstMs.toFixed(0)} ms at most, all closed after ${(closedMs / 1_000).toFixed(1)} s; stream ${streams + 1} turned away; ${SLOW_STREAMS} unread streams: ${mib(slowGrowth)} more`;
  },
};

function casesOf(port: number): Case[] {
  const host = `Host: 127.0.0.1:${port}`;
  const json = 'Content-Type: application/json';
  const bearer = `Authorization: Bearer ${TOKEN}`;
  const get = (path: string, ...headers: readonly string[]) =>
    `GET ${path} HTTP/1.1\r\n${headers.join('\r\n')}\r\nConnection: close\r\n\r\n`;
  const post = (path: string, headers: readonly string[], body = '{}') =>
    `POST ${path} HTTP/1.1\r\n${headers.join('\r\n')}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
  const cases: Case[] = [];
  for (const path of ['/api/collect', '/api/reclaim', '/api/heap-snapshot']) {
    cases.push(
      [`${path} without a token`, [401], post(path, [host, json])],
      [`${path} with a wrong token`, [401], post(path, [host, json, 'Authorization: Bearer correct-horse-batterx'])],
      [
        `${path} with a cookie that was never given`,
        [403],
        post(path, [host, json, `Cookie: plimsoll-dashboard-${port}=AAAA`]),
      ],
      [`${path} from another site`, [403], post(path, [host, json, bearer, 'Origin: http://evil.example'])],
      [
        `${path} from another port of this machine`,
        [403],
        post(path, [host, json, bearer, `Origin: http://127.0.0.1:${port + 1}`]),
      ],
      [
        `${path} as a frame of another site has it`,
        [403],
        post(path, [host, json, bearer, 'Origin: null', 'Sec-Fetch-Site: cross-site']),
      ],
      [
        `${path} as a form`,
        [415],
        post(path, [host, bearer, 'Content-Type: application/x-www-form-urlencoded'], 'strategy=smart'),
      ],
      [`${path} by a rebound name`, [421], post(path, ['Host: evil.example', json, bearer])],
      [`${path} by GET`, [405], get(path, host, bearer)],
    );
  }
  for (const path of ['/api/observation', '/api/points', '/api/stream', '/api/events', '/api/runs', '/api/journal']) {
    cases.push(
      [`${path} by a rebound name`, [421], get(path, `Host: rebound.example:${port}`)],
      [`${path} from another site`, [403], get(path, host, 'Origin: http://evil.example')],
      [
        `${path} as a script of another site asks`,
        [403],
        get(path, host, 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: no-cors'),
      ],
      [`${path} from another port of this machine`, [403], get(path, host, 'Sec-Fetch-Site: same-site')],
      [`${path} through a proxy`, [401], get(path, host, 'X-Forwarded-For: 192.0.2.1')],
      [`${path} with a wrong token`, [401], get(path, host, 'Authorization: Bearer wrong-token')],
    );
  }
  return [...cases, ...malformed({ host, json, bearer, get, post })];
}

interface Parts {
  readonly host: string;
  readonly json: string;
  readonly bearer: string;
  readonly get: (path: string, ...headers: readonly string[]) => string;
  readonly post: (path: string, headers: readonly string[], body?: string) => string;
}

function malformed({ host, json, bearer, get, post }: Parts): Case[] {
  const chunked = 'Transfer-Encoding: chunked';
  return [
    ['no host', [400], get('/api/observation', 'X: y')],
    ['two hosts', [400], get('/api/observation', host, 'Host: evil.example')],
    ['a host with a user', [400], get('/api/observation', 'Host: a@127.0.0.1')],
    ['a whole address as target', [400], get('http://evil.example/api/observation', host)],
    ['a target that is no path', [400], get('api/observation', host)],
    ['a path up', [404], get('/../../package.json', host)],
    ['an encoded path up', [404], get('/%2e%2e%2fpackage.json', host)],
    ['an encoded nothing', [404], get('/%00', host)],
    ['a bad escape', [404], get('/%zz', host)],
    ['a prototype', [404], get('/__proto__', host)],
    ['a number that is none', [400], get('/api/points?since=NaN', host)],
    ['a long target', [414, 431], get(`/${'a'.repeat(20_000)}`, host)],
    ['a long header', [431], get('/api/observation', host, `X: ${'a'.repeat(20_000)}`)],
    ['many headers', [431], get('/api/observation', host, ...Array.from({ length: 3_000 }, (_, i) => `X${i}: y`))],
    ['a header without a name', [400], get('/api/observation', host, ': y')],
    ['a folded header', [400], get('/api/observation', host, ' folded')],
    ['a body over 1 KiB', [413], post('/api/reclaim', [host, json, bearer], 'x'.repeat(2_000))],
    [
      'a body that says to be 10 GB',
      [413],
      `POST /api/reclaim HTTP/1.1\r\n${host}\r\n${json}\r\n${bearer}\r\nContent-Length: 10000000000\r\n\r\n`,
    ],
    ['a login over 1 KiB', [413], post('/api/login', [host, json], `{"token":"${'x'.repeat(2_000)}"}`)],
    [
      'chunks over 1 KiB',
      [413],
      `POST /api/reclaim HTTP/1.1\r\n${host}\r\n${json}\r\n${bearer}\r\n${chunked}\r\n\r\n800\r\n${'x'.repeat(0x800)}\r\n0\r\n\r\n`,
    ],
    [
      'two lengths',
      [400],
      `POST /api/reclaim HTTP/1.1\r\n${host}\r\n${json}\r\n${bearer}\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
    ],
    [
      'a length and chunks',
      [400],
      `POST /api/reclaim HTTP/1.1\r\n${host}\r\n${json}\r\n${bearer}\r\nContent-Length: 2\r\n${chunked}\r\n\r\n0\r\n\r\n`,
    ],
    [
      'a negative length',
      [400],
      `POST /api/reclaim HTTP/1.1\r\n${host}\r\n${json}\r\n${bearer}\r\nContent-Length: -1\r\n\r\n`,
    ],
    ['no JSON', [400], post('/api/reclaim', [host, json, bearer], '{"strategy":')],
    ['JSON that is no object', [400], post('/api/reclaim', [host, json, bearer], '["smart"]')],
    ['a strategy that is none', [400], post('/api/reclaim', [host, json, bearer], '{"strategy":"__proto__"}')],
    ['another method', [405], `DELETE /api/points HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`],
    ['a method that is none', [400], `STEAL / HTTP/1.1\r\n${host}\r\n\r\n`],
    ['another protocol', [400], 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['noise', [400], Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 197 + 31) % 256))],
    ['a TLS hello', [400], Buffer.from('16030100a5010000a10303', 'hex')],
  ];
}

/** From an address of its own, so that the others are not kept out. */
async function guessTokens(port: number): Promise<number> {
  const request = (n: number) =>
    `GET /api/observation HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer guess-${n}-x\r\nConnection: close\r\n\r\n`;
  for (let n = 1; n <= 40; n++) {
    const { status } = await sendRaw(port, request(n));
    if (status === 429) return n;
    demand(status === 401, `guess ${n} was answered with ${status}`);
  }
  demand(false, 'forty wrong tokens may be tried in a row');
}

async function idleConnections(child: DashboardChild, say: (line: string) => void) {
  const { port } = child;
  const before = await child.stats();
  const sockets: Socket[] = [];
  let closed = 0;
  let worstMs = 0;
  const started = performance.now();
  for (let n = 0; n < IDLE; n++) {
    const socket = await holdConnection(port);
    socket.on('close', () => closed++).resume();
    sockets.push(socket);
    // One in four has begun a request and goes no further.
    if (n % 4 === 0) socket.write('GET / HTTP/1.1\r\nHost: 127');
    if (n % 100 === 99) worstMs = Math.max(worstMs, await timeOfAnswer(port));
  }
  const during = await child.stats();
  demand(during.connections <= MAX_CONNECTIONS, `${during.connections} connections are open at once`);
  demand(worstMs < 1_000, `whoever asks while ${IDLE} are connected waits ${worstMs.toFixed(0)} ms`);
  const growth = during.rssBytes - before.rssBytes;
  demand(growth < MOST_GROWTH_BYTES, `${IDLE} idle connections took ${mib(growth)}`);
  say(
    `${IDLE} idle connections: ${during.connections} open, ${during.turnedAway} closed to make room, ${mib(growth)} more`,
  );
  while (closed < IDLE && performance.now() - started < 15_000) await sleep(50);
  demand(closed === IDLE, `${IDLE - closed} idle connections are still open after 15 s`);
  return { worstMs, growth, closedMs: performance.now() - started };
}

async function timeOfAnswer(port: number): Promise<number> {
  const started = performance.now();
  const { status } = await sendRaw(
    port,
    `GET /api/session HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\n\r\n`,
  );
  demand(status === 200, `the owner is answered with ${status}`);
  return performance.now() - started;
}

/** Streams that are never read: each takes its place and no more; what goes by is not kept for them. */
async function manyStreams(child: DashboardChild): Promise<number> {
  const { port } = child;
  const request = `GET /api/stream HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`;
  const sockets: Socket[] = [];
  for (let n = 0; n < MOST_STREAMS; n++) {
    const socket = await holdConnection(port);
    socket.pause().write(request);
    sockets.push(socket);
  }
  while ((await child.stats()).streams < MOST_STREAMS) await sleep(20);
  const { status } = await sendRaw(port, request);
  demand(status === 503, `stream ${MOST_STREAMS + 1} was answered with ${status}`);
  for (const socket of sockets) socket.destroy();
  return MOST_STREAMS;
}

/** Streams that are opened and never read, while a look of some 200 KB comes twenty times a second. */
async function slowStreams(): Promise<{ skipped: number; slowGrowth: number }> {
  using child = await DashboardChild.start({ everyMs: 50 }, { port: 0 }, SLOW_CONSUMERS);
  await sleep(2_000);
  const before = await child.stats();
  const request = `GET /api/stream HTTP/1.1\r\nHost: localhost:${child.port}\r\n\r\n`;
  const sockets: Socket[] = [];
  for (let n = 0; n < SLOW_STREAMS; n++) {
    const socket = await holdConnection(child.port);
    socket.pause().write(request);
    sockets.push(socket);
  }
  await sleep(SLOW_MS);
  const { skipped, rssBytes, streams } = await child.stats();
  const slowGrowth = rssBytes - before.rssBytes;
  demand(streams === SLOW_STREAMS, `${streams} of ${SLOW_STREAMS} unread streams are open`);
  demand(skipped > 0, 'no look was left out for who reads nothing');
  demand(slowGrowth < MOST_SLOW_BYTES, `${SLOW_STREAMS} unread streams took ${mib(slowGrowth)}`);
  for (const socket of sockets) socket.destroy();
  return { skipped, slowGrowth };
}
