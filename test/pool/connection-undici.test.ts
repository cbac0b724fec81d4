import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { ConnectionPool } from 'plimsoll/pool';
import { Client } from 'undici';
import { expect, it } from 'vitest';

const USERS = 200;
const CONNECTIONS = 10;

/** A server that counts its sockets, and may cut all of them. */
async function startServer() {
  const sockets = new Set<Socket>();
  let most = 0;
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.end(request.url));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    most = Math.max(most, sockets.size);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets,
    most: () => most,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

it('undici clients: users see at most the errors of what was under way when sockets were cut, and the pool heals', async () => {
  await using server = await startServer();
  let opened = 0;
  let closed = 0;
  const pool = new ConnectionPool<Client>(
    {
      async create({ lost }) {
        const client = new Client(server.origin, { pipelining: 1 });
        // The socket is opened here, and not by whoever borrows first.
        await (await client.request({ path: '/hello', method: 'GET' })).body.dump();
        client.on('disconnect', (_origin, _targets, cause) => lost(cause));
        opened++;
        return client;
      },
      isValid: async (client) => (await client.request({ path: '/valid', method: 'HEAD' })).statusCode === 200,
      async destroy(client) {
        closed++;
        await client.destroy();
      },
    },
    { maxSize: CONNECTIONS, maxWaiting: USERS, acquireTimeoutMs: 20_000, backoffMs: 1 },
  );
  let answered = 0;
  let failed = 0;
  let cut = 0;
  let asked = 0;
  const order: number[] = [];
  const user = async (number: number) => {
    for (let done = 0; done < 3; ) {
      const ticket = asked++;
      using lease = await pool.acquire();
      order.push(ticket);
      try {
        const { body } = await lease.connection.request({ path: `/${number}`, method: 'GET' });
        expect(await body.text()).toBe(`/${number}`);
        done++;
        if (++answered % 150 === 0 && answered < 600) {
          cut += server.sockets.size;
          server.cut();
        }
      } catch {
        failed++;
        lease.suspect();
      }
    }
  };
  await Promise.all(Array.from({ length: USERS }, (_, number) => user(number)));
  expect(answered).toBe(USERS * 3);
  expect(order).toEqual(order.toSorted((a, b) => a - b));
  expect(failed).toBeGreaterThan(0);
  expect(failed).toBeLessThanOrEqual(cut);
  expect(pool.stats).toMatchObject({ leased: 0, waiting: 0, timeouts: 0 });
  expect(await pool.use(async (client) => (await client.request({ path: '/', method: 'GET' })).statusCode)).toBe(200);
  expect(await pool.drain({ deadlineMs: 5_000 })).toMatchObject({ rejected: 0, forced: 0, unfinished: 0 });
  expect(closed).toBe(opened);
});
