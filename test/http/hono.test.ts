import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { stream } from 'hono/streaming';
import { honoLine } from 'plimsoll/http';
import { describe, expect } from 'vitest';
import { lineContract } from './line-contract.ts';

describe('Hono', () => {
  lineContract(
    async (site, governor, options) => {
      const app = new Hono();
      app.use(honoLine(governor, options));
      app.get('/hold', async (context) => context.text(await site.hold()));
      app.post('/count', async (context) => context.json(site.count(await context.req.json())));
      app.get('/fail', () => {
        throw new Error('of the handler');
      });
      app.get('/stream', (context) =>
        stream(context, async (out) => {
          await out.write('begun');
          await out.write(await site.hold());
        }),
      );
      app.all('*', (context) => context.text('hello'));
      app.onError((error, context) => context.text(`mine: ${error.message}`, 500));
      const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server;
      await once(server, 'listening');
      return {
        port: (server.address() as AddressInfo).port,
        async [Symbol.asyncDispose]() {
          server.closeAllConnections();
          server.close();
          await once(server, 'close');
        },
      };
    },
    (status, body) => expect([status, body]).toEqual([500, 'mine: of the handler']),
  );
});
