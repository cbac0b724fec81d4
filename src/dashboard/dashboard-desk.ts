import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import { RECLAIM_STRATEGIES, type ReclaimStrategy } from '../governor/index.ts';
import type { CommandPort, Observation, ObservationFeed } from '../observe/index.ts';
import { answer, answerJson, beginStream, refuse } from './answer.ts';
import type { EventStreams } from './event-streams.ts';
import type { ObservationShelf } from './observation-shelf.ts';
import { type PageFile, PageFiles } from './page-files.ts';
import { cookieOf, type Refusal, type RequestGate, type Standing, sessionOf } from './request-gate.ts';
import { readSmallBody } from './small-body.ts';
import type { TrainRow } from './train-row.ts';

export interface DashboardDeskOptions {
  readonly basePath: string;
  readonly title: string;
  readonly hasToken: boolean;
  readonly feed: Pick<ObservationFeed, 'last' | 'look' | 'points'>;
  readonly shelf: ObservationShelf;
  readonly streams: EventStreams;
  readonly gate: RequestGate;
  /** Undefined: nothing can be commanded. */
  readonly commands: CommandPort | undefined;
  readonly canSnapshot: boolean;
  /** Oldest first. */
  readonly journal: () => readonly TrainRow[];
  readonly clock: Clock;
}

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
}

type Answerer = (call: Call) => void | Promise<void>;

const PAGES: Readonly<Record<string, readonly [PageFile, string]>> = {
  '/': ['page.html', 'text/html; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
};
const NUMBER = /^\d{1,15}$/;

/** Answers requests. Each is checked for the name it came by, the page it came from and what it can show, in that order. */
export class DashboardDesk {
  readonly #options: DashboardDeskOptions;
  readonly #pages = new PageFiles();
  readonly #reads: Readonly<Record<string, Answerer>>;
  readonly #acts: Readonly<Record<string, Answerer>>;
  #busy = false;

  constructor(options: DashboardDeskOptions) {
    this.#options = options;
    this.#reads = {
      '/api/observation': ({ response }) => answerJson(response, this.#last()),
      '/api/points': (call) => this.#points(call),
      '/api/stream': (call) => this.#stream(call),
      '/api/events': ({ response }) => answerJson(response, options.shelf.events()),
      '/api/runs': ({ response }) => answerJson(response, options.shelf.runs()),
      '/api/journal': ({ response }) => answerJson(response, options.journal()),
    };
    this.#acts = {
      '/api/collect': (call) => this.#act(call, (commands) => commands.collect()),
      '/api/reclaim': (call) => this.#act(call, (commands, body) => commands.reclaim(strategyOf(body))),
      '/api/heap-snapshot': (call) => this.#act(call, (commands) => commands.heapSnapshot()),
    };
  }

  /** Rejects with what is a fault of this desk. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = this.#options.gate.checkHost(request);
    if (refusal !== undefined) return void refuse(response, refusal);
    const target = targetOf(request, this.#options.basePath);
    if (target === undefined) return void refuse(response, { status: 400, error: 'the target is no path' });
    const { path, query, isBare } = target;
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (path === '/' && isBare && reads) return void redirectInto(request, response);
    const call = { request, response, query };
    if (Object.hasOwn(PAGES, path)) return reads ? this.#page(response, path) : notAllowed(response, 'GET, HEAD');
    if (path === '/api/session') return reads ? this.#session(call) : notAllowed(response, 'GET, HEAD');
    if (path === '/api/login' || path === '/api/logout') {
      if (request.method !== 'POST') return notAllowed(response, 'POST');
      return path === '/api/login' ? this.#login(call) : this.#logout(call);
    }
    const read = own(this.#reads, path);
    if (read !== undefined) return reads ? this.#read(call, read) : notAllowed(response, 'GET, HEAD');
    const act = own(this.#acts, path);
    if (act === undefined) return void refuse(response, { status: 404, error: 'there is nothing here' });
    return request.method === 'POST' ? act(call) : notAllowed(response, 'POST');
  }

  /** One look as a frame of the stream. */
  static frameOf(observation: Observation): string {
    return `id: ${observation.number}\nevent: observation\ndata: ${JSON.stringify(observation)}\n\n`;
  }

  #page(response: ServerResponse, path: string): void {
    const [file, type] = PAGES[path]!;
    const body = this.#pages.read(file);
    if (body !== undefined) return void answer(response, 200, { 'content-type': type }, body);
    refuse(response, { status: 503, error: 'the page was not built: npm run build' });
  }

  /** What whoever asks may do: the page asks first. */
  #session({ request, response }: Call): void {
    const { gate, title, hasToken, commands, canSnapshot } = this.#options;
    const origin = gate.checkOrigin(request, false);
    if (origin !== undefined) return void refuse(response, origin);
    const standing = gate.standing(request);
    const mayAct = standing === 'token';
    const can = commands !== undefined;
    const known = typeof standing === 'string' ? { title } : {};
    answerJson(response, {
      ...{ mayRead: typeof standing === 'string', mayAct, hasToken },
      ...known,
      commands: { collect: can, reclaim: can, heapSnapshot: can && canSnapshot },
    });
  }

  async #login({ request, response }: Call): Promise<void> {
    const { gate, clock, basePath } = this.#options;
    const origin = gate.checkOrigin(request, true);
    if (origin !== undefined) return void refuse(response, origin);
    const body = await readSmallBody(request, clock);
    if ('refusal' in body) return void refuse(response, body.refusal);
    const refusal = gate.checkToken(request, String(body.value.token ?? ''));
    if (refusal !== undefined) return void refuse(response, refusal);
    const cookie = cookieOf(request, cookiePathOf(request, basePath), gate.sessions.open());
    answerJson(response, { mayRead: true, mayAct: true }, 200, { 'set-cookie': cookie });
  }

  #logout({ request, response }: Call): void {
    const { gate, basePath } = this.#options;
    const origin = gate.checkOrigin(request, true);
    if (origin !== undefined) return void refuse(response, origin);
    const session = sessionOf(request);
    if (session !== undefined) gate.sessions.close(session);
    request.resume();
    answerJson(response, {}, 200, { 'set-cookie': cookieOf(request, cookiePathOf(request, basePath), undefined) });
  }

  #read(call: Call, read: Answerer): void | Promise<void> {
    const { gate } = this.#options;
    const refusal = gate.checkOrigin(call.request, false) ?? refusalOf(gate.standing(call.request));
    return refusal === undefined ? read(call) : refuse(call.response, refusal);
  }

  #last(): Observation {
    return this.#options.feed.last ?? this.#options.feed.look();
  }

  #points({ response, query }: Call): void {
    const since = query.get('since') ?? '0';
    if (!NUMBER.test(since)) return void refuse(response, { status: 400, error: '`since` is no number' });
    answerJson(response, this.#options.feed.points(Number(since)));
  }

  #stream({ request, response }: Call): void {
    const { streams, gate } = this.#options;
    if (request.method === 'HEAD') return void notAllowed(response, 'GET');
    if (streams.isFull) return void refuse(response, { status: 503, error: 'too many are looking', retryAfterS: 10 });
    const last = this.#last();
    const seen = String(request.headers['last-event-id'] ?? '');
    const session = sessionOf(request);
    const isBySession = session !== undefined && gate.sessions.isOpen(session);
    const isLive = () => !isBySession || gate.sessions.isOpen(session);
    beginStream(response);
    // Who has that look already is told of the next.
    const first = seen === String(last.number) ? '' : DashboardDesk.frameOf(last);
    streams.add(response, isLive, `retry: 2000\n\n${first}`);
  }

  /** One at a time: each of them may take all there is of processor and memory. */
  async #act(
    { request, response }: Call,
    act: (commands: CommandPort, body: Readonly<Record<string, unknown>>) => Promise<unknown>,
  ): Promise<void> {
    const { gate, commands, clock } = this.#options;
    const standing = gate.standing(request);
    const refusal =
      gate.checkOrigin(request, true) ?? refusalOf(standing) ?? (standing === 'token' ? undefined : this.#noToken());
    if (refusal !== undefined) return void refuse(response, refusal);
    if (commands === undefined) return void refuse(response, { status: 404, error: 'there is nothing to command' });
    const body = await readSmallBody(request, clock);
    if ('refusal' in body) return void refuse(response, body.refusal);
    if (this.#busy) return void refuse(response, { status: 409, error: 'another command is under way' });
    this.#busy = true;
    try {
      answerJson(response, await act(commands, body.value));
    } catch (cause) {
      const { code } = cause as { code?: unknown };
      const known = typeof code === 'string' && code.startsWith('PLIMSOLL_');
      const status = code === 'PLIMSOLL_INVALID_OPTION' ? 400 : known ? 409 : 500;
      answerJson(response, { error: describeCause(cause), ...(known ? { code } : {}) }, status);
    } finally {
      this.#busy = false;
    }
  }

  #noToken(): Refusal {
    if (this.#options.hasToken) return { status: 401, error: 'the token is missing' };
    return { status: 403, error: 'there is no token: start the dashboard with one' };
  }
}

function refusalOf(standing: Standing | Refusal): Refusal | undefined {
  return typeof standing === 'string' ? undefined : standing;
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function notAllowed(response: ServerResponse, allow: string): void {
  refuse(response, { status: 405, error: `only ${allow}` }, { allow });
}

interface Target {
  /** Below the base path. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Whether the `/` behind the base path is missing: what the page names relative to itself would be looked for beside it. */
  readonly isBare: boolean;
}

/** Undefined for a target that is no path, as a proxy is asked for. Nothing is decoded: no path that is answered has anything to decode. */
function targetOf(request: IncomingMessage, basePath: string): Target | undefined {
  const url = request.url ?? '';
  if (!url.startsWith('/')) return undefined;
  const [whole = '', query] = url.split('?', 2);
  const isBelow = basePath !== '' && (whole === basePath || whole.startsWith(`${basePath}/`));
  const path = isBelow ? whole.slice(basePath.length) : whole;
  return {
    path: path === '' ? '/' : path,
    query: new URLSearchParams(query),
    isBare: !askedPathOf(request).endsWith('/'),
  };
}

/** What was asked for, also where a framework has taken off the part at which this is mounted. */
function askedPathOf(request: IncomingMessage): string {
  const { originalUrl } = request as { originalUrl?: unknown };
  return (typeof originalUrl === 'string' ? originalUrl : (request.url ?? '')).split('?', 1)[0]!;
}

/** Relative, and to the last part of the path only: leads nowhere else. */
function redirectInto(request: IncomingMessage, response: ServerResponse): void {
  const last = askedPathOf(request).split('/').at(-1)!;
  answer(response, 308, { location: `./${last}/` });
}

/** The cookie is for what is below the mount point, wherever that is. */
function cookiePathOf(request: IncomingMessage, basePath: string): string {
  const mount = askedPathOf(request).replace(/\/api\/log(?:in|out)$/, '');
  const path = mount === '' ? basePath : mount;
  return /^(?:\/[\w.~-]+)+$/.test(path) ? path : '/';
}

function strategyOf({ strategy = 'smart' }: Readonly<Record<string, unknown>>): ReclaimStrategy {
  for (const each of RECLAIM_STRATEGIES) if (each === strategy) return each;
  throw Object.assign(new RangeError(`\`strategy\` is one of ${RECLAIM_STRATEGIES.join(', ')}`), {
    code: 'PLIMSOLL_INVALID_OPTION',
  });
}
