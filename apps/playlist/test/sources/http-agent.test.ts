import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHttpAgent, type HttpAgent } from '../../src/sources/http-agent.ts';

const BODY = Buffer.alloc(130_000, 'plimsoll ');
let server: Server;
let agent: HttpAgent;
let answer: (socket: Socket, request: string) => void;

beforeEach(async () => {
  agent = createHttpAgent();
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (request) => answer(socket, request.toString()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  await agent[Symbol.asyncDispose]();
  server.close();
});

const withLength = (socket: Socket, body = BODY) => {
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n`);
  socket.write(body);
  return socket;
};
const inChunks = (socket: Socket, last = '0\r\n\r\n') => {
  socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
  socket.write(`${BODY.length.toString(16)}\r\n${BODY}\r\n${last}`);
  return socket;
};

async function manyTurns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
}

/** Reads no piece before the other side has had its turn: its end arrives while the parser is held back. */
async function readSlowly(): Promise<Buffer> {
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { body } = await agent.request({ origin, path: '/', method: 'GET' });
  body.on('error', () => {});
  const pieces: Buffer[] = [];
  await manyTurns();
  for await (const piece of body as AsyncIterable<Buffer>) {
    pieces.push(Buffer.from(piece));
    await manyTurns();
  }
  return Buffer.concat(pieces);
}

describe('a server that ends the connection behind its answer without having said so', () => {
  it.each<[string, typeof answer]>([
    ['always', (socket) => withLength(socket).end()],
    ['always, in chunks', (socket) => inChunks(socket).end()],
    [
      'when it is asked to',
      (socket, request) => {
        withLength(socket);
        if (/^connection: close/im.test(request)) socket.end();
      },
    ],
  ])('has sent a good answer: %s', async (_, how) => {
    answer = how;
    for (let i = 0; i < 20; i++) expect((await readSlowly()).equals(BODY)).toBe(true);
  });

  it.each<[string, typeof answer]>([
    ['short of its length', (socket) => withLength(socket, BODY.subarray(1)).end()],
    ['without the last chunk', (socket) => inChunks(socket, '').end()],
  ])('has sent a bad one: %s', async (_, how) => {
    answer = how;
    await expect(readSlowly()).rejects.toThrow();
  });
});
