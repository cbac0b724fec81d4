import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import fastify from 'fastify';
import { Hono } from 'hono';
import { afterEach, describe, expect, it } from 'vitest';
import { ask, BEARER, JSON_TYPE, TOKEN } from './ask.ts';
import { MadeDashboards } from './made-dashboard.ts';

/** It brings no types. */
const express = createRequire(import.meta.url)('express');

const open = new MadeDashboards();
const make = open.make.bind(open);
afterEach(() => open[Symbol.asyncDispose]());

describe('in a server that is there', () => {
  async function serve(listener: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    open.push({ [Symbol.dispose]: () => void server.close() });
    return (server.address() as AddressInfo).port;
  }

  async function works(port: number): Promise<void> {
    expect(await ask(port, '/memory')).toMatchObject({ status: 308, headers: { location: './memory/' } });
    expect((await ask(port, '/memory/')).body).toContain('<title>Plimsoll</title>');
    expect((await ask(port, '/memory/api/observation')).status).toBe(200);
    const login = await ask(port, '/memory/api/login', {
      method: 'POST',
      headers: JSON_TYPE,
      body: `{"token":"${TOKEN}"}`,
    });
    expect(login.headers['set-cookie']?.[0]).toContain('; Path=/memory; ');
    const reclaim = await ask(port, '/memory/api/reclaim', {
      method: 'POST',
      headers: BEARER,
      body: '{"strategy":"basic"}',
    });
    expect(reclaim.status).toBe(200);
    expect((await ask(port, '/memories')).body).toBe('not ours');
  }

  it('plain', async () => {
    const { dashboard } = make({ basePath: '/memory' });
    await works(
      await serve((req, res) => (dashboard.handles(req) ? dashboard.listener(req, res) : void res.end('not ours'))),
    );
  });

  it('Express, also behind its own reading of bodies', async () => {
    const { dashboard } = make();
    const app = express();
    app.use(express.json());
    app.use('/memory', dashboard.listener);
    app.use((_req: IncomingMessage, res: ServerResponse) => void res.end('not ours'));
    await works(await serve(app));
  });

  it('Fastify', async () => {
    const { dashboard } = make({ basePath: '/memory' });
    const app = fastify();
    app.addHook('onRequest', (req, reply, done) => {
      if (!dashboard.handles(req.raw)) return done();
      reply.hijack();
      dashboard.listener(req.raw, reply.raw);
    });
    app.get('*', () => 'not ours');
    await app.listen({ port: 0 });
    open.push({ [Symbol.asyncDispose]: () => app.close() });
    await works((app.server.address() as AddressInfo).port);
  });

  it('Hono', async () => {
    const { dashboard } = make({ basePath: '/memory' });
    const app = new Hono<{ Bindings: HttpBindings }>();
    app.use('*', async (c, next) => {
      if (!dashboard.handles(c.env.incoming)) return next();
      dashboard.listener(c.env.incoming, c.env.outgoing);
      return RESPONSE_ALREADY_SENT;
    });
    app.get('*', (c) => c.text('not ours'));
    await works(
      await serve(
        getRequestListener(app.fetch as Parameters<typeof getRequestListener>[0], { overrideGlobalObjects: false }),
      ),
    );
  });
});
