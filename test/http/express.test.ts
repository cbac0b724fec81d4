import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { expressLine } from 'plimsoll/http';
import { describe, expect } from 'vitest';
import { lineContract } from './line-contract.ts';

// It comes without types.
const express = createRequire(import.meta.url)('express');

interface Response extends ServerResponse {
  send(body: string): void;
  json(body: unknown): void;
  status(code: number): Response;
}
type Request = IncomingMessage & { readonly body: { readonly rows?: number } };

describe('Express', () => {
  lineContract(
    async (site, governor, options) => {
      const app = express();
      app.use(expressLine(governor, options));
      app.use(express.json());
      app.get('/hold', async (_: Request, response: Response) => response.send(await site.hold()));
      app.post('/count', (request: Request, response: Response) => response.json(site.count(request.body)));
      app.get('/fail', () => {
        throw new Error('of the handler');
      });
      app.get('/stream', async (_: Request, response: Response) => {
        response.write('begun');
        response.end(await site.hold());
      });
      app.use((_: Request, response: Response) => response.send('hello'));
      app.use((error: Error, _: Request, response: Response, _next: unknown) =>
        response.status(500).send(`mine: ${error.message}`),
      );
      const server = app.listen(0, '127.0.0.1');
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
