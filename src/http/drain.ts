/**
 * Stops a server without breaking what it is answering.
 *
 * Node's own `close` on an HTTP server cuts off responses that have been ended and are still on their way to a slow client: it takes their connections for idle
 * (seen on Node 20 and 24: of 60 MB the client got 4). So the listening socket alone is closed here, and idle connections only while no
 * response is on its way.
 */
import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import { FailOpen } from '../fail-open.ts';
import { checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { ResponseEnds } from './response-ends.ts';

/** What is used of a server of `node:http`, `node:https` or `node:http2`. */
export interface DrainableServer extends EventEmitter {
  close(closed?: (error?: Error) => void): unknown;
  closeIdleConnections?(): void;
  closeAllConnections?(): void;
}

export interface DrainOptions {
  /** At most 64. */
  readonly servers: readonly DrainableServer[];
  /** How long requests that are running may go on once nothing new is accepted, ms. Default 10,000. */
  readonly deadlineMs?: number;
  /** How long connections are accepted after readiness has turned false, for balancers that hear of it late, ms. Default 0. */
  readonly beforeCloseMs?: number;
  readonly clock?: Clock;
}

/** What came of draining. */
export interface DrainReport {
  /** Requests that were running when it began, or came in since, and were answered to their end. */
  readonly drained: number;
  /** Connections that were cut at the deadline: requests that took too long, event streams, WebSockets. */
  readonly cut: number;
}

const MOST_SERVERS = 64;
/** `closed` never comes where somebody keeps a server open that cannot be closed. */
const AFTER_DEADLINE_MS = 1_000;

/**
 * Takes servers out of service: readiness turns false, nothing new is accepted, what is running is answered with `connection: close`, idle connections are
 * closed, and what is left at the deadline is cut. Make it before the servers listen: connections from before it are not known. Holds one entry for each open
 * connection and each running request. Disposing it before `drain` takes it off the servers; draining cannot be taken back.
 * @example
 * import { Drain } from 'plimsoll/http';
 * const drain = new Drain({ servers: [server], beforeCloseMs: 5_000 });
 * process.once('SIGTERM', async () => {
 *   await drain.drain();
 *   process.exit();
 * });
 */
export class Drain implements Disposable {
  readonly #servers: readonly DrainableServer[];
  readonly #deadlineMs: number;
  readonly #beforeCloseMs: number;
  readonly #clock: Clock;
  readonly #faults = new FailOpen('drain');
  readonly #ends = new ResponseEnds();
  readonly #running = new Set<ServerResponse>();
  /** With what listens to the end of each. */
  readonly #connections = new Map<Socket, () => void>();
  readonly #sessions = new Map<EventEmitter & { close(): void }, () => void>();
  #drained = 0;
  #closing = false;
  #report: Promise<DrainReport> | undefined;

  /** Throws `RangeError` for unsound options. */
  constructor(options: DrainOptions) {
    const { servers, deadlineMs, beforeCloseMs, clock } = checkOptions(options);
    this.#servers = servers;
    this.#deadlineMs = deadlineMs;
    this.#beforeCloseMs = beforeCloseMs;
    this.#clock = clock;
    for (const server of servers) {
      // Before the listener that answers: what is answered at once is seen as well.
      server.prependListener('request', this.#onRequest);
      server.on('connection', this.#onConnection);
      server.on('session', this.#onSession);
    }
  }

  get draining(): boolean {
    return this.#report !== undefined;
  }

  /** False from the moment draining begins, and never for another reason: pressure is answered call by call. */
  get isReady(): boolean {
    return !this.draining;
  }

  /** The most that draining takes, ms. */
  get longestMs(): number {
    return this.#beforeCloseMs + this.#deadlineMs + AFTER_DEADLINE_MS;
  }

  /** Answers a readiness probe: 200 `ready`, or 503 `draining`. */
  readonly readiness = (_request: unknown, response: ServerResponse): void => {
    answer(response, this.isReady ? 200 : 503, this.isReady ? 'ready' : 'draining');
  };

  /** Answers a liveness probe: 200 `alive`, always. One that cannot answer does not. */
  readonly liveness = (_request: unknown, response: ServerResponse): void => {
    answer(response, 200, 'alive');
  };

  /** Begins, once; resolves when all connections are closed. Never rejects. It keeps the process alive meanwhile. */
  drain(): Promise<DrainReport> {
    this.#report ??= this.#drain();
    return this.#report;
  }

  [Symbol.dispose](): void {
    if (this.draining) return;
    this.#takeOff();
    this.#running.clear();
  }

  async #drain(): Promise<DrainReport> {
    for (const response of this.#running) this.#markLast(response);
    if (this.#beforeCloseMs > 0) await this.#wait(this.#beforeCloseMs).passed;
    this.#closing = true;
    const closed = Promise.all(this.#servers.map((server) => this.#stopAccepting(server)));
    for (const session of this.#sessions.keys()) this.#faults.run(() => session.close(), undefined);
    this.#closeUnused();
    this.#closeIdle();
    const deadline = this.#wait(this.#deadlineMs);
    const inTime = await Promise.race([closed.then(() => true), deadline.passed.then(() => false)]);
    deadline[Symbol.dispose]();
    const cut = inTime ? 0 : this.#connections.size;
    if (!inTime) {
      this.#cut();
      const grace = this.#wait(AFTER_DEADLINE_MS);
      await Promise.race([closed, grace.passed]);
      grace[Symbol.dispose]();
    }
    this.#takeOff();
    // What is left of it to close is its timer that looks for stalled requests.
    for (const server of this.#servers) this.#faults.run(() => void server.close(() => {}), undefined);
    return { drained: this.#drained, cut };
  }

  #stopAccepting(server: DrainableServer): Promise<void> {
    return new Promise((resolve) => {
      const closed = () => resolve();
      try {
        if (server instanceof NetServer) NetServer.prototype.close.call(server, closed);
        else server.close(closed);
      } catch (cause) {
        this.#faults.note(cause);
        resolve();
      }
    });
  }

  /** Connections that were opened ahead and have not been used. For Node they are not idle. */
  #closeUnused(): void {
    for (const connection of this.#connections.keys()) if (connection.bytesRead === 0) connection.destroy();
  }

  /** Not while a response is on its way: its connection would count as idle. When it has arrived, this is called again. */
  #closeIdle(): void {
    if (!this.#closing) return;
    for (const response of this.#running) if (response.writableEnded) return;
    for (const server of this.#servers) this.#faults.run(() => server.closeIdleConnections?.(), undefined);
  }

  #cut(): void {
    for (const server of this.#servers) this.#faults.run(() => server.closeAllConnections?.(), undefined);
    // Those that speak another protocol by now are not among them.
    for (const connection of this.#connections.keys()) connection.destroy();
  }

  readonly #onConnection = (connection: Socket): void => {
    const onClose = () => void this.#connections.delete(connection);
    this.#connections.set(connection, onClose);
    connection.once('close', onClose);
  };

  readonly #onSession = (session: EventEmitter & { close(): void }): void => {
    const onClose = () => void this.#sessions.delete(session);
    this.#sessions.set(session, onClose);
    session.once('close', onClose);
    if (this.#closing) session.close();
  };

  readonly #onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    this.#running.add(response);
    this.#ends.watch(request, response, () => {
      this.#running.delete(response);
      if (!this.draining) return;
      if (response.writableFinished) this.#drained++;
      // When Node has seen to the end of it, too.
      setImmediate(() => this.#closeIdle());
    });
    if (this.draining) this.#markLast(response);
  };

  /** The client is told not to come back on this connection. HTTP/2 says that with the session. */
  #markLast(response: ServerResponse): void {
    if (response.headersSent || 'stream' in response) return;
    this.#faults.run(() => void response.setHeader('connection', 'close'), undefined);
  }

  #wait(ms: number): { readonly passed: Promise<void> } & Disposable {
    let timer: Disposable | undefined;
    const passed = new Promise<void>((resolve) => {
      timer = this.#clock.after(ms, resolve, true);
    });
    return { passed, [Symbol.dispose]: () => timer?.[Symbol.dispose]() };
  }

  #takeOff(): void {
    for (const server of this.#servers) {
      server.off('request', this.#onRequest);
      server.off('connection', this.#onConnection);
      server.off('session', this.#onSession);
    }
    this.#ends[Symbol.dispose]();
    for (const held of [this.#connections, this.#sessions]) {
      for (const [one, onClose] of held) one.off('close', onClose);
      held.clear();
    }
  }
}

function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
  response.end(body);
}

function checkOptions(given: DrainOptions): Required<DrainOptions> {
  const { servers, deadlineMs, beforeCloseMs, clock } = copyOptions('Drain', given, [
    'servers',
    'deadlineMs',
    'beforeCloseMs',
    'clock',
  ]);
  if (!Array.isArray(servers) || servers.length === 0 || servers.length > MOST_SERVERS) {
    throw invalidOption('servers', `an array of 1 to ${MOST_SERVERS} servers`, servers);
  }
  for (const [index, server] of servers.entries()) {
    if (typeof server?.close === 'function' && typeof server.prependListener === 'function') continue;
    throw invalidOption(`servers[${index}]`, 'a server of `node:http`', server);
  }
  return {
    servers: [...servers],
    deadlineMs: checkWhole('deadlineMs', deadlineMs ?? 10_000, 0, LONGEST_MS),
    beforeCloseMs: checkWhole('beforeCloseMs', beforeCloseMs ?? 0, 0, LONGEST_MS),
    clock: clock ?? systemClock,
  };
}
