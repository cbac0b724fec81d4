import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import { fastifyLine } from 'plimsoll/http';
import { describe, expect } from 'vitest';
import { lineContract } from './line-contract.ts';

describe('Fastify', () => {
  lineContract(
    async (site, governor, options) => {
      const app = Fastify({ forceCloseConnections: true });
      app.register(fastifyLine, { governor, ...options });
      app.register(async (child) => {
        child.get('/hold', () => site.hold());
        child.post('/count', (request) => site.count(request.body as { rows?: number }));
        child.get('/fail', () => {
          throw new Error('of the handler');
        });
        child.get('/stream', async (_request, reply) => {
          reply.hijack();
          reply.raw.write('begun');
          reply.raw.end(await site.hold());
        });
        for (const path of ['/', '/health', '/report/:id']) child.get(path, () => 'hello');
      });
      await app.listen({ port: 0, host: '127.0.0.1' });
      return {
        port: (app.server.address() as AddressInfo).port,
        [Symbol.asyncDispose]: () => app.close(),
      };
    },
    (status, body) => expect([status, JSON.parse(body).message]).toEqual([500, 'of the handler']),
  );
});
