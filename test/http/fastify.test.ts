import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import { fastifyLine } from 'plimsoll/http';
import { describe, expect, it } from 'vitest';
import { lineContract } from './line-contract.ts';
import { setUpSite } from './site.ts';

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

describe('the plugin for Fastify', () => {
  it('goes by what a route says of itself, in plugins registered later as well', async () => {
    const { governor, press } = setUpSite();
    const app = Fastify();
    app.register(fastifyLine, { governor, exempt: [], logLevel: 'warn' });
    app.register(async (child) => {
      child.get('/up', { config: { plimsoll: 'exempt' } }, () => 'up');
      child.get('/report', { config: { plimsoll: 'first' } }, () => 'report');
      child.get('/other', () => 'other');
    });
    const all = async () => {
      const codes: number[] = [];
      for (const url of ['/up', '/report', '/other']) codes.push((await app.inject(url)).statusCode);
      return codes;
    };
    expect(await all()).toEqual([200, 200, 200]);
    press(0.75);
    expect(await all()).toEqual([200, 503, 200]);
    press(0.9);
    expect(await all()).toEqual([200, 503, 503]);
  });

  it('names scopes for their routes, and ends them in requests that are made up', async () => {
    const { governor } = setUpSite();
    const app = Fastify();
    const names: (string | undefined)[] = [];
    app.register(fastifyLine, { governor, scope: { maxBytes: 1_000 } });
    app.get('/user/:id', (request) => {
      names.push(
        governor.snapshot().scopes[0]?.name,
        (request as { memoryScope?: { name: string } }).memoryScope?.name,
      );
      return 'ok';
    });
    expect((await app.inject('/user/7')).body).toBe('ok');
    expect(names).toEqual(['GET /user/:id', 'GET /user/:id']);
    expect(governor.snapshot().scopeCount).toBe(0);
  });

  it('boot fails for unsound options', async () => {
    const app = Fastify();
    app.register(fastifyLine, { governor: setUpSite().governor, status: 200 });
    await expect(app.ready()).rejects.toThrow('Expected `status`');
  });
});
