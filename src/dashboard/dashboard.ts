/**
 * Inside: the page itself says nothing and is given to whoever asks by a name that is allowed; what it shows comes from `api/`, where the gate stands before
 * everything. What is sent to streams is made once for all of them.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describeCause } from '../describe-cause.ts';
import { DisposedError, PlimsollError } from '../errors.ts';
import type { Governor } from '../governor/index.ts';
import { Alerts, type CommandPort, Monitor, type Observation, ObservationFeed } from '../observe/index.ts';
import { shortText } from '../short-text.ts';
import { refuse } from './answer.ts';
import { ConnectionBound } from './connection-bound.ts';
import { DashboardDesk } from './dashboard-desk.ts';
import {
  checkDashboardOptions,
  checkListenOptions,
  type DashboardListenOptions,
  type DashboardOptions,
  type ResolvedDashboard,
} from './dashboard-options.ts';
import { EventStreams } from './event-streams.ts';
import { governorCommands } from './governor-commands.ts';
import { ObservationShelf } from './observation-shelf.ts';
import { RequestGate } from './request-gate.ts';
import { rowOfReport } from './train-rows.ts';

/** Where it listens, until it is disposed. */
export interface DashboardAddress extends AsyncDisposable {
  /** Of the page, such as `http://127.0.0.1:9229/`. */
  readonly url: string;
  readonly port: number;
}

export interface DashboardStats {
  readonly requests: number;
  /** Requests that ended in a fault of the dashboard. */
  readonly faults: number;
  readonly lastFault?: string;
  readonly streams: number;
  /** Looks that slow clients did not get. */
  readonly skipped: number;
  readonly connections: number;
  /** Connections closed or not let in because there were too many. */
  readonly turnedAway: number;
}

/** A client that takes nothing for so long is let go of. */
const STUCK_MS = 30_000;
/** Between a change of level and the look that shows it: what follows from the change is in it. */
const LEVEL_LOOK_MS = 50;
const HEADERS_MS = 5_000;
const REQUEST_MS = 10_000;
const MOST_HEADER_BYTES = 8_192;

/**
 * The page that shows the memory of a process, live, and the requests behind it. `listener` fits any server of `node:http` and what stands on it; `listen` opens one of its
 * own. Without a token only this machine is answered, and nobody can have anything done.
 *
 * It takes about 2 MiB, with what it stands on. A look with 20 consumers is about 9 KB of JSON, made once a second however many watch, and not at all while nobody does. The points take about 1.2 KB each. Nothing that a
 * client sends is kept but a digest of its session. It never throws into the server: what fails is answered with 500 and counted. Whoever made it disposes
 * it: that ends every stream and connection, and what it made itself.
 * @example
 * import { createGovernor } from 'plimsoll';
 * import { Dashboard } from 'plimsoll/dashboard';
 * using governor = createGovernor();
 * await using dashboard = new Dashboard({ governor, token: process.env.DASHBOARD_TOKEN });
 * const { url } = await dashboard.listen({ port: 9229 });
 */
export class Dashboard implements AsyncDisposable {
  /** For `createServer(listener)`, Express, Fastify, Hono: takes every request that it is given. Never throws. */
  readonly listener: (request: IncomingMessage, response: ServerResponse) => void;
  readonly #options: ResolvedDashboard;
  readonly #feed: ObservationFeed;
  readonly #streams: EventStreams;
  readonly #gate: RequestGate;
  readonly #desk: DashboardDesk;
  /** Made here, in the order in which it was made. */
  readonly #own: (Disposable | AsyncDisposable)[] = [];
  #server: Server | undefined;
  #bound: ConnectionBound | undefined;
  #soon: Disposable | undefined;
  #requests = 0;
  #faults = 0;
  #lastFault: string | undefined;
  #ending: Promise<void> | undefined;

  /** Throws `RangeError` for unsound options. */
  constructor(options: DashboardOptions) {
    const resolved = (this.#options = checkDashboardOptions(options));
    const { clock, maxStreams, token, hosts, governor } = resolved;
    this.#streams = new EventStreams({ maxStreams, stuckMs: STUCK_MS, clock });
    this.#gate = new RequestGate({ token, hosts, clock });
    this.#feed = resolved.feed ?? this.#makeFeed();
    const shelf = new ObservationShelf();
    this.#own.push(this.#feed.subscribe((observation) => this.#tell(observation, shelf)));
    if (governor !== undefined) this.#hearLevel(governor);
    const canSnapshot = options.commands !== undefined || resolved.snapshotFolder !== undefined;
    this.#desk = new DashboardDesk({
      ...{ basePath: resolved.basePath, title: resolved.title, hasToken: token !== undefined },
      ...{ feed: this.#feed, shelf, streams: this.#streams, gate: this.#gate, clock, canSnapshot },
      commands: resolved.commands ?? commandsOf(resolved),
      journal: governor === undefined ? () => shelf.trains() : () => governor.journal().map(rowOfReport),
    });
    this.listener = (request, response) => this.#answer(request, response);
  }

  /** Whether a request is for what is below `basePath`: for a server that has other things to answer. */
  handles(request: IncomingMessage): boolean {
    const path = (request.url ?? '').split('?', 1)[0]!;
    const { basePath } = this.#options;
    return path === basePath || path.startsWith(`${basePath}/`);
  }

  /**
   * Opens a server of its own, which does not keep the process alive. `RangeError` for an address that is not this machine's alone without a token;
   * `PLIMSOLL_DASHBOARD_LISTEN` where it cannot be had, or where it listens already.
   */
  async listen(options: DashboardListenOptions): Promise<DashboardAddress> {
    const { host, port, maxConnections } = checkListenOptions(options, this.#options.token);
    if (this.#ending !== undefined) throw new DisposedError('The dashboard');
    if (this.#server !== undefined) throw cannotListen(`${host}:${port}`, 'it listens already');
    const limits = { headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS, connectionsCheckingInterval: 1_000 };
    const server = createServer(
      { ...limits, maxHeaderSize: MOST_HEADER_BYTES, keepAliveTimeout: HEADERS_MS },
      this.listener,
    );
    this.#server = server;
    this.#bound = new ConnectionBound(server, maxConnections);
    try {
      server.listen({ host, port });
      // One that is closed meanwhile never says that it listens.
      await Promise.race([once(server, 'listening'), once(server, 'close')]);
    } catch (cause) {
      this.#server = undefined;
      throw cannotListen(`${host}:${port}`, describeCause(cause), cause);
    }
    if (this.#server !== server) throw new DisposedError('The dashboard');
    server.unref();
    const address = server.address() as AddressInfo;
    const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return {
      url: `http://${name}:${address.port}${this.#options.basePath}/`,
      port: address.port,
      [Symbol.asyncDispose]: () => this.#close(server),
    };
  }

  get stats(): DashboardStats {
    return {
      requests: this.#requests,
      faults: this.#faults,
      ...(this.#lastFault === undefined ? {} : { lastFault: this.#lastFault }),
      streams: this.#streams.size,
      skipped: this.#streams.skipped,
      connections: this.#server === undefined ? 0 : (this.#bound?.count ?? 0),
      turnedAway: this.#bound?.turnedAway ?? 0,
    };
  }

  /** Ends streams, connections and sessions, and what it made. A request that comes later is answered with 503. Twice is once. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    this.#soon?.[Symbol.dispose]();
    this.#streams[Symbol.dispose]();
    this.#gate.sessions.clear();
    if (this.#server !== undefined) await this.#close(this.#server);
    for (const each of this.#own.toReversed()) {
      try {
        if (Symbol.asyncDispose in each) await each[Symbol.asyncDispose]();
        else each[Symbol.dispose]();
      } catch (cause) {
        // Of a governor that is broken; the others end all the same.
        this.#fault(cause);
      }
    }
  }

  /** Those that listen now are cut off: whoever ends it waits for nobody. */
  async #close(server: Server): Promise<void> {
    if (this.#server !== server) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  #makeFeed(): ObservationFeed {
    const { clock, maxPoints, everyMs } = this.#options;
    const governor = this.#options.governor!;
    let { monitor, alerts } = this.#options;
    if (monitor === undefined) this.#own.push((monitor = new Monitor({ clock })));
    if (alerts === undefined) this.#own.push((alerts = new Alerts({ source: governor, clock })));
    const feed = new ObservationFeed({ source: governor, monitor, alerts, clock, maxPoints, everyMs });
    this.#own.push(feed);
    return feed;
  }

  #hearLevel(governor: Governor): void {
    try {
      this.#own.push(governor.onLevel(() => this.#lookSoon()));
    } catch (cause) {
      this.#fault(cause);
    }
  }

  /** So that a wave of pressure shows at once. Any number of changes in that time are one look. */
  #lookSoon(): void {
    this.#soon ??= this.#options.clock.after(LEVEL_LOOK_MS, () => {
      this.#soon = undefined;
      try {
        this.#feed.look();
      } catch (cause) {
        this.#fault(cause);
      }
    });
  }

  #tell(observation: Observation, shelf: ObservationShelf): void {
    shelf.note(observation);
    if (this.#streams.size > 0) this.#streams.send(DashboardDesk.frameOf(observation));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.#requests++;
    response.on('error', () => {});
    if (this.#ending !== undefined)
      return void refuse(response, { status: 503, error: 'the dashboard has been disposed' });
    this.#desk.handle(request, response).catch((cause: unknown) => {
      this.#fault(cause);
      refuse(response, { status: 500, error: 'the dashboard failed' });
    });
  }

  #fault(cause: unknown): void {
    this.#faults++;
    this.#lastFault = shortText(describeCause(cause));
  }
}

function commandsOf({ governor, snapshotFolder, clock }: ResolvedDashboard): CommandPort | undefined {
  if (governor === undefined) return undefined;
  return governorCommands({ governor, clock, ...(snapshotFolder === undefined ? {} : { snapshotFolder }) });
}

function cannotListen(where: string, why: string, cause?: unknown): PlimsollError {
  const message = `the dashboard cannot listen on ${where}: ${why}`;
  return new PlimsollError(message, { code: 'PLIMSOLL_DASHBOARD_LISTEN', recovery: 'fail', cause });
}
