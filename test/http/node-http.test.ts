import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { lineServer, withLine } from 'plimsoll/http';
import { describe, expect, it } from 'vitest';
import { MIB } from '../governor/fake-meter.ts';
import { lineContract } from './line-contract.ts';
import { type Site, setUpSite } from './site.ts';

async function readJson(request: IncomingMessage) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return JSON.parse(text);
}

function handlerOf(site: Site): RequestListener {
  const routes: Record<string, (request: IncomingMessage, response: ServerResponse) => unknown> = {
    '/hold': async (_, response) => {
      const text = await site.hold();
      response.setHeader('x-late', '1').end(text);
    },
    '/count': async (request, response) => response.end(JSON.stringify(site.count(await readJson(request)))),
    '/fail': (_, response) => {
      try {
        throw new Error('of the handler');
      } catch {
        response.writeHead(500).end('its own');
      }
    },
    '/stream': async (_, response) => {
      response.write('begun');
      response.end(await site.hold());
    },
  };
  return (request, response) => {
    const route = routes[request.url!];
    if (route === undefined) response.end('hello');
    else void route(request, response);
  };
}

async function listen(server: ReturnType<typeof createServer>) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const ownError = (status: number, body: string) => expect([status, body]).toEqual([500, 'its own']);

describe('withLine', () => {
  lineContract(
    (site, governor, options) => listen(createServer(withLine(governor, handlerOf(site), options))),
    ownError,
  );

  it.each([
    ['without a scope', undefined],
    ['in a scope', { maxBytes: MIB }],
    ['when it had to wait for room', { maxBytes: 60 * MIB, upFrontBytes: 60 * MIB }],
  ])('leaves what an async handler throws to a server that captures rejections, %s', async (_, scope) => {
    const { governor } = setUpSite();
    const held = governor.consumer({ name: 'rows', kind: 'external', maxBytes: 80 * MIB }).reserve(80 * MIB);
    const handler = async () => {
      throw new Error('of the handler');
    };
    EventEmitter.captureRejections = true;
    const server = createServer(withLine(governor, handler, scope === undefined ? {} : { scope }));
    EventEmitter.captureRejections = false;
    await using service = await listen(server);
    const answer = fetch(`http://127.0.0.1:${service.port}/`);
    await once(server, 'request');
    held[Symbol.dispose]();
    expect((await answer).status).toBe(500);
  });
});

describe('lineServer', () => {
  lineContract((site, governor, options) => {
    const server = createServer(handlerOf(site));
    lineServer(governor, server, options);
    return listen(server);
  }, ownError);
});
