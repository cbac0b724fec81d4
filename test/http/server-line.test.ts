import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { lineServer, type ServerLineOptions } from 'plimsoll/http';
import { describe, expect, it } from 'vitest';
import { setUpSite } from './site.ts';

async function begin(listener: RequestListener, options: ServerLineOptions = {}) {
  const { governor, press } = setUpSite();
  const server = createServer(listener);
  const line = lineServer(governor, server, options);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const send = async (...heads: string[]) => {
    const client = connect(port, '127.0.0.1');
    client.write(heads.join('\r\n'));
    const [first] = (await once(client, 'data')) as [Buffer];
    return { client, first: String(first) };
  };
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { press, server, line, port, send, [Symbol.dispose]: close };
}

const EXPECT = ['POST / HTTP/1.1', 'host: a', 'connection: close', 'content-length: 4', 'expect: 100-continue', '', ''];
const UPGRADE = ['GET /ws HTTP/1.1', 'host: a', 'connection: upgrade', 'upgrade: websocket', '', ''];

describe('a server behind the line', () => {
  it('is asked before 100 Continue: a body that nobody wants is not sent', async () => {
    using service = await begin(async (request, response) => response.end(await text(request)));
    const { client, first } = await service.send(...EXPECT);
    expect(first).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    client.write('body');
    expect(await text(client)).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*body/);
    service.press(0.9);
    const refused = await service.send(...EXPECT);
    expect(refused.first).toMatch(/^HTTP\/1.1 503 [\s\S]*connection: close/i);
    await once(refused.client.resume(), 'close');
  });

  it('leaves 100 Continue to whoever listens for it', async () => {
    using service = await begin((_, response) => response.end());
    service.server.on('checkContinue', (_, response) => response.writeHead(417).end());
    expect((await service.send(...EXPECT)).first).toMatch(/^HTTP\/1.1 417 /);
  });

  it('answers 100 Continue once where several lines stand before one server, and still when one has gone', async () => {
    using service = await begin(async (request, response) => response.end(await text(request)));
    const { governor, press } = setUpSite();
    using _outer = lineServer(governor, service.server);
    for (const isAlone of [false, true]) {
      if (isAlone) service.line[Symbol.dispose]();
      const { client, first } = await service.send(...EXPECT);
      expect(first).toBe('HTTP/1.1 100 Continue\r\n\r\n');
      client.write('body');
      expect(await text(client)).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*body/);
    }
    press(0.9);
    expect((await service.send(...EXPECT)).first).toMatch(/^HTTP\/1.1 503 /);
  });

  it.each([true, false])('turns upgrades away when asked to (%s)', async (upgrades) => {
    using service = await begin((_, response) => response.end(), { upgrades });
    service.server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
    expect((await service.send(...UPGRADE)).first).toMatch(/^HTTP\/1.1 101 /);
    service.press(0.9);
    const { first } = await service.send(...UPGRADE);
    expect(first).toMatch(upgrades ? /^HTTP\/1.1 503 [\s\S]*retry-after: \d+/ : /^HTTP\/1.1 101 /);
  });

  it('disposed, the server is as it was', async () => {
    using service = await begin((_, response) => response.end('hello'));
    service.press(0.9);
    const ask = () => fetch(`http://127.0.0.1:${service.port}/`);
    expect((await ask()).status).toBe(503);
    service.line[Symbol.dispose]();
    expect((await ask()).status).toBe(200);
    expect([Object.hasOwn(service.server, 'emit'), service.server.listenerCount('checkContinue')]).toEqual([false, 0]);
  });

  it('disposed under the wrap of somebody else, it only passes on', async () => {
    using service = await begin((_, response) => response.end('hello'));
    const { emit } = service.server;
    const events: unknown[] = [];
    service.server.emit = function (this: unknown, ...args: never[]) {
      events.push(args[0]);
      return Reflect.apply(emit, this, args);
    } as typeof emit;
    service.press(0.9);
    service.line[Symbol.dispose]();
    expect((await fetch(`http://127.0.0.1:${service.port}/`)).status).toBe(200);
    expect(events).toContain('request');
  });
});
