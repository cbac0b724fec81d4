import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';

const SCRIPT = join(import.meta.dirname, '../../../../deploy/healthcheck.sh');
let server: Server | undefined;
afterEach(() => server?.close());

async function listen(status: number): Promise<number> {
  server = createServer((request, response) => {
    response.writeHead(request.url === '/health' ? status : 404, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function check(port: number): Promise<number> {
  const child = spawn('bash', [SCRIPT], { env: { ...process.env, PLIMSOLL_PLAYLIST_SERVE_PORT: String(port) } });
  const [code] = await once(child, 'exit');
  return code;
}

describe.skipIf(process.platform === 'win32')('the health check of the image', () => {
  it('holds while there is something to serve, and neither without nor when nobody listens', async () => {
    expect(await check(await listen(200))).toBe(0);
    const port = await listen(503);
    expect(await check(port)).toBe(1);
    server?.close();
    server?.closeAllConnections();
    await once(server!, 'close');
    expect(await check(port)).toBe(1);
  });
});
