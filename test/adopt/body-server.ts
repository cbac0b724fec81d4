import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

const KIB = 1024;

export interface BodyServer {
  readonly origin: string;
  /** Paths asked for so far. */
  readonly asked: string[];
  /** Requests whose connection was closed before their answer had gone. */
  readonly cut: string[];
  /** Lets those go on that `/stuck` holds. */
  goOn(): void;
  close(): Promise<void>;
}

/** Answers with bodies of all sorts on loopback: `/length?bytes=`, `/chunked?bytes=`, `/gzip?bytes=`, `/stuck`, `/status?status=`, `/redirect`, `/echo`. */
export async function startBodyServer(): Promise<BodyServer> {
  const asked: string[] = [];
  const cut: string[] = [];
  const stuck = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    asked.push(pathname);
    response.on('close', () => {
      stuck.delete(response);
      if (!response.writableFinished) cut.push(pathname);
    });
    const bytes = Number(searchParams.get('bytes') ?? 0);
    if (pathname === '/stuck') {
      response.writeHead(200);
      response.write(Buffer.alloc(KIB, 'a'));
      stuck.add(response);
    } else answer(request, response, pathname, bytes, Number(searchParams.get('status') ?? 200));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    cut,
    goOn() {
      for (const response of stuck) response.end('b');
    },
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse, path: string, bytes: number, status: number): void {
  const body = Buffer.alloc(bytes, 'a');
  if (path === '/length') response.writeHead(200, { 'content-length': bytes, 'x-kind': 'length' }).end(body);
  else if (path === '/chunked') {
    response.writeHead(200, { 'content-type': 'text/plain' });
    const next = (from: number) => {
      if (from >= bytes) response.end();
      else response.write(body.subarray(from, from + 16 * KIB), () => next(from + 16 * KIB));
    };
    next(0);
  } else if (path === '/gzip') {
    const packed = gzipSync(body);
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': packed.length }).end(packed);
  } else if (path === '/status') response.writeHead(status, { 'content-length': 0 }).end();
  else if (path === '/empty') response.writeHead(status).end();
  else if (path === '/redirect') response.writeHead(302, { location: '/length?bytes=10' }).end('moved');
  else if (path === '/cookies') {
    response
      .writeHead(200, [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ])
      .end('c');
  } else if (path === '/broken') {
    response.writeHead(200, { 'content-length': 100_000 });
    response.write(body.subarray(0, 1) as Buffer, () => response.destroy());
  } else request.pipe(response);
}
