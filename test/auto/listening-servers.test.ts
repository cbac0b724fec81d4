import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer as createNetServer, type Server } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { ListeningServers, type WebServer } from '../../src/auto/listening-servers.ts';

const open: Server[] = [];

afterEach(async () => {
  for (const server of open.splice(0)) {
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }
});

async function listen<T extends Server>(server: T): Promise<T> {
  open.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return server;
}

it('knows servers of HTTP from before they listen until they close, and no others', async () => {
  const seen: WebServer[] = [];
  using servers = new ListeningServers((server) => void seen.push(server));
  const plain = createServer();
  const secure = createSecureServer();
  const second = createHttp2Server();
  await listen(createNetServer());
  for (const server of [plain, secure, second]) await listen(server);
  expect(seen).toEqual([plain, secure, second]);
  // Drained are those that have verbs for it.
  expect(servers.current()).toEqual([plain, secure]);
  await new Promise((resolve) => plain.close(resolve));
  expect(servers.current()).toEqual([secure]);
});

it('tells a server that listens again once', async () => {
  const seen: WebServer[] = [];
  using servers = new ListeningServers((server) => void seen.push(server));
  const server = await listen(createServer());
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  await once(server.listen(port, '127.0.0.1'), 'listening');
  expect(seen).toEqual([server]);
  expect(servers.current()).toEqual([server]);
});

it('forgets those that are over, however many there were', async () => {
  using servers = new ListeningServers(() => {});
  const last = [];
  for (let i = 0; i < 200; i++) {
    const server = await listen(createServer());
    if (i < 197) await new Promise((resolve) => server.close(resolve));
    else last.push(server);
  }
  expect(servers.current()).toEqual(last);
});

it('tells one that was forgotten and listens again once as well', async () => {
  const seen: WebServer[] = [];
  using servers = new ListeningServers((server) => void seen.push(server));
  const first = await listen(createServer());
  await new Promise((resolve) => first.close(resolve));
  for (let i = 0; i < 70; i++) {
    const server = await listen(createServer());
    await new Promise((resolve) => server.close(resolve));
  }
  await listen(first);
  expect(seen.filter((server) => server === first)).toHaveLength(1);
  expect(servers.current()).toEqual([first]);
});

it('hears of nothing after its end', async () => {
  const seen: WebServer[] = [];
  const servers = new ListeningServers((server) => void seen.push(server));
  servers[Symbol.dispose]();
  await listen(createServer());
  expect(seen).toEqual([]);
});
