import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { Clock } from 'plimsoll';
import type { Dashboard } from 'plimsoll/dashboard';
import type { PlaylistConfig } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { createApp } from './app.ts';
import { type Regenerate, Regenerator, type RunOutcome } from './regenerator.ts';

/** A reader that takes nothing for so long is cut off. */
const IDLE_READER_MS = 120_000;
/** What is being sent when the server stops has so long to finish. */
const GRACE_MS = 5000;
const MAX_CONNECTIONS = 1024;

export interface ServerOptions {
  readonly config: PlaylistConfig;
  /** Makes the files anew; called at the start, on the schedule, and when asked. */
  readonly regenerate: Regenerate;
  readonly clock: Clock;
  readonly describeError: (error: unknown) => string;
  readonly onOutcome?: (outcome: RunOutcome) => void;
  readonly warn: (line: string) => void;
  /** Asked for each request first. */
  readonly dashboard?: Pick<Dashboard, 'handles' | 'listener'> | undefined;
}

export interface RunningServer extends AsyncDisposable {
  /** Where it listens, such as `http://127.0.0.1:8080`. */
  readonly origin: string;
  readonly regenerator: Regenerator;
}

/**
 * Listens and starts the first run; files of earlier runs are served meanwhile. Disposing stops the schedule, lets answers that are being
 * sent finish for 5 seconds, interrupts a run and waits for its cleanup. An address that cannot be had is a `ConfigError`.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { config, clock, warn } = options;
  const { host, port, token } = config.serve;
  const regenerator = new Regenerator({ ...options, everyMs: config.serve.everyMs });
  const app = createApp({
    ...config.output,
    guideFile: config.guides.length > 0 ? config.output.guideFile : undefined,
    token,
    regenerator,
  });
  const files = getRequestListener(app.fetch as Parameters<typeof getRequestListener>[0], {
    overrideGlobalObjects: false,
  });
  const { dashboard } = options;
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    if (dashboard?.handles(request) === true) dashboard.listener(request, response);
    else void files(request, response);
  };
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: 16 * 1024 }, listener);
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = IDLE_READER_MS;
  await listen(server, host, port);
  if (!isLoopback(host)) {
    warn(
      `listening on ${host}: everybody who reaches it can read the files, with any credentials in their stream URLs`,
    );
    if (token === undefined) warn('POST /regenerate is off: set [serve] token to allow it');
  }
  regenerator.start();
  return {
    origin: originOf(server),
    regenerator,
    [Symbol.asyncDispose]: () => stop(server, regenerator, clock),
  };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    server.listen({ host: host.replace(/^\[(.*)\]$/, '$1'), port });
    await once(server, 'listening');
  } catch (cause) {
    const { code = String(cause) } = cause as NodeJS.ErrnoException;
    const what: Readonly<Record<string, string>> = {
      EADDRINUSE: 'the port is taken by another program: choose another with --port',
      EACCES: 'the port is not allowed to this user: choose one from 1024 up with --port',
      EADDRNOTAVAIL: 'this machine has no such address: choose another with --host',
      ENOTFOUND: 'there is no host of that name: choose another with --host',
    };
    throw new ConfigError([`cannot listen on ${host}:${port}: ${what[code] ?? code}`], cause);
  }
}

async function stop(server: Server, regenerator: Regenerator, clock: Clock): Promise<void> {
  const closed = server.listening ? once(server, 'close') : Promise.resolve();
  server.close();
  server.closeIdleConnections();
  using _grace = clock.after(GRACE_MS, () => server.closeAllConnections(), true);
  await Promise.all([closed, regenerator[Symbol.asyncDispose]()]);
}

function originOf(server: Server): string {
  const { address, port, family } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
