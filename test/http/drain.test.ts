import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage, type RequestListener } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import Fastify from 'fastify';
import { ManualClock } from 'plimsoll';
import { Drain, type DrainOptions } from 'plimsoll/http';
import { describe, expect, it, vi } from 'vitest';

async function begin(listener: RequestListener, options: Partial<DrainOptions> = {}) {
  const clock = new ManualClock();
  const server = createServer(listener);
  const drain = new Drain({ servers: [server], clock, ...options });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true });
  const ask = async (path = '/') => {
    const [response] = (await once(get({ port, path, agent, host: '127.0.0.1' }), 'response')) as [IncomingMessage];
    return { status: response.statusCode, connection: response.headers.connection, body: await text(response) };
  };
  const close = () => {
    agent.destroy();
    server.closeAllConnections();
  };
  return { clock, server, drain, port, ask, [Symbol.dispose]: close };
}

describe('draining', () => {
  it('answers what is running and tells it to go, closes what is idle, takes nothing new', async () => {
    let answer = () => {};
    using service = await begin((request, response) => {
      if (request.url === '/slow') answer = () => response.end('slow');
      else response.end('quick');
    });
    expect((await service.ask()).connection).toBe('keep-alive');
    const idle = connect(service.port, '127.0.0.1');
    await once(idle, 'connect');
    const slow = service.ask('/slow');
    await once(service.server, 'request');
    const draining = service.drain.drain();
    expect([service.drain.draining, service.drain.isReady]).toEqual([true, false]);
    await once(idle.resume(), 'close');
    await expect(service.ask()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    answer();
    expect(await slow).toEqual({ status: 200, connection: 'close', body: 'slow' });
    expect(await draining).toEqual({ drained: 1, cut: 0 });
    expect(service.clock.pending).toBe(0);
    expect(await service.drain.drain()).toEqual({ drained: 1, cut: 0 });
  });

  it('accepts for a while after readiness has turned false, and moves clients on', async () => {
    using service = await begin((_, response) => response.end('quick'), { beforeCloseMs: 5_000 });
    const draining = service.drain.drain();
    expect(service.drain.isReady).toBe(false);
    expect(await service.ask()).toMatchObject({ status: 200, connection: 'close' });
    service.clock.advance(5_000);
    expect(await draining).toEqual({ drained: 1, cut: 0 });
    await expect(service.ask()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('cuts at the deadline what does not end: requests, event streams, other protocols', async () => {
    using service = await begin((request, response) => {
      if (request.url === '/events') response.write('data: 1\n\n');
    });
    service.server.on('upgrade', (_, socket) =>
      socket.on('error', () => {}).write('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
    );
    const clients = ['', '/events', '/socket'].map((path) => {
      const client = connect(service.port, '127.0.0.1');
      const upgrade = path === '/socket' ? 'connection: upgrade\r\nupgrade: websocket\r\n' : '';
      client.write(`GET /${path.slice(1)} HTTP/1.1\r\nhost: a\r\n${upgrade}\r\n`);
      return client;
    });
    await Promise.all(clients.slice(1).map((client) => once(client, 'data')));
    const ended = Promise.all(clients.map((client) => once(client.resume(), 'close')));
    const draining = service.drain.drain();
    await vi.waitFor(() => expect(service.clock.pending).toBe(1));
    service.clock.advance(9_999);
    expect(clients.map(({ closed }) => closed)).toEqual([false, false, false]);
    service.clock.advance(1);
    expect(await draining).toEqual({ drained: 0, cut: 3 });
    await ended;
  });

  it('a response that is on its way to a slow client arrives whole', async () => {
    const body = Buffer.alloc(32 * 1_048_576, 'a');
    using service = await begin((_, response) => response.end(body));
    const client = connect(service.port, '127.0.0.1');
    client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await once(client, 'readable');
    const draining = service.drain.drain();
    let bytes = 0;
    client.on('data', (chunk) => (bytes += chunk.length));
    await once(client, 'close');
    expect(bytes).toBeGreaterThan(body.length);
    expect(await draining).toEqual({ drained: 1, cut: 0 });
  });

  it('probes: liveness is never false', async () => {
    using service = await begin(
      (request, response) => {
        if (request.url === '/ready') service.drain.readiness(request, response);
        else service.drain.liveness(request, response);
      },
      { beforeCloseMs: 1_000 },
    );
    const probes = async () =>
      [await service.ask('/ready'), await service.ask('/live')].map(({ status, body }) => [status, body]);
    expect(await probes()).toEqual([
      [200, 'ready'],
      [200, 'alive'],
    ]);
    const draining = service.drain.drain();
    expect(await probes()).toEqual([
      [503, 'draining'],
      [200, 'alive'],
    ]);
    service.clock.advance(1_000);
    await draining;
  });

  it('disposed before it begins, it leaves nothing behind', async () => {
    using service = await begin((_, response) => response.end('quick'));
    const counts = () => ['request', 'connection', 'session'].map((event) => service.server.listenerCount(event));
    const before = counts();
    service.drain[Symbol.dispose]();
    expect(before.map((count, index) => count - counts()[index]!)).toEqual([1, 1, 1]);
    expect(await service.ask()).toMatchObject({ status: 200, connection: 'keep-alive' });
  });

  it('disposed with connections open, it listens to none of them, and neither do those made after it', async () => {
    using service = await begin((_, response) => response.end('quick'));
    const sockets = new Set<Socket>();
    service.server.on('connection', (socket) => void sockets.add(socket));
    await service.ask();
    const listeners = () => [...sockets].map((socket) => socket.listenerCount('close'));
    const before = listeners();
    for (let i = 0; i < 20; i++) {
      const drain = new Drain({ servers: [service.server], clock: service.clock });
      await service.ask();
      drain[Symbol.dispose]();
    }
    service.drain[Symbol.dispose]();
    expect(listeners().length).toBe(before.length);
    for (const [index, count] of listeners().entries()) expect(count).toBeLessThanOrEqual(before[index]!);
  });

  it('a server that does not listen is no obstacle', async () => {
    const drain = new Drain({ servers: [createServer()], clock: new ManualClock() });
    expect(await drain.drain()).toEqual({ drained: 0, cut: 0 });
  });

  it('HTTP/2: sessions end when their streams have', async () => {
    const server = createHttp2Server((_, response) => void setImmediate(() => response.end('h2')));
    const drain = new Drain({ servers: [server], clock: new ManualClock() });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const answer = text(session.request({ ':path': '/' }));
    await once(server, 'request');
    const draining = drain.drain();
    expect(await answer).toBe('h2');
    expect(await draining).toEqual({ drained: 1, cut: 0 });
    session.destroy();
  });

  it('Fastify closes after it as it would without', async () => {
    const app = Fastify();
    let closed = 0;
    app.addHook('onClose', async () => void closed++);
    app.get('/', () => 'hello');
    const drain = new Drain({ servers: [app.server], clock: new ManualClock() });
    const url = await app.listen({ port: 0, host: '127.0.0.1' });
    expect(await (await fetch(url)).text()).toBe('hello');
    expect(await drain.drain()).toEqual({ drained: 0, cut: 0 });
    await app.close();
    expect(closed).toBe(1);
  });

  it('unsound options are named', () => {
    const server = createServer();
    const make = (options: object) => () => new Drain({ servers: [server], ...options });
    expect(make({ servers: [] })).toThrow('Expected `servers` to be an array of 1 to 64 servers');
    expect(make({ servers: [{}] })).toThrow('`servers[0]`');
    expect(make({ deadlineMs: -1 })).toThrow('`deadlineMs`');
    expect(make({ deadline: 1 })).toThrow('did you mean `deadlineMs`?');
  });
});
