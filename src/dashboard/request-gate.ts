/**
 * Who may ask for what. Three things are told apart:
 *
 * - *which name was asked for* (`Host`): a page of somebody else whose name is made to point at this machine (DNS rebinding) asks by that name. Names are
 *   listed; addresses cannot be made to point elsewhere;
 * - *who is behind the request* (`Origin`, `Sec-Fetch-Site`): another page in the same browser, one on another port of this machine included, gets nothing and does nothing;
 * - *what it can show*: the token, or a cookie that was given for it. Without either a request of this very machine may look, and nobody may act.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../clock.ts';
import { FailureLimit } from './failure-limit.ts';
import { isAddress, isLoopbackAddress, isLoopbackHost } from './loopback.ts';
import { SessionBook } from './session-book.ts';

/** What a request is refused with. */
export interface Refusal {
  readonly status: number;
  readonly error: string;
  readonly retryAfterS?: number;
}

/** What a request may do: `token` all, `local` look only. */
export type Standing = 'token' | 'local';

export interface RequestGateOptions {
  readonly token: string | undefined;
  /** Lower case, without a port. */
  readonly hosts: readonly string[];
  readonly clock: Clock;
}

const HOST = /^(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::\d{1,5})?$/;
/** What a proxy adds: then the address of the connection is not that of who asks. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'];
const COOKIE = 'plimsoll-dashboard';

export class RequestGate {
  readonly #options: RequestGateOptions;
  readonly #failures: FailureLimit;
  readonly sessions: SessionBook;

  constructor(options: RequestGateOptions) {
    this.#options = options;
    this.#failures = new FailureLimit(options.clock);
    this.sessions = new SessionBook(options.clock);
  }

  /** Why a request by this name is refused, if it is. */
  checkHost(request: IncomingMessage): Refusal | undefined {
    const name = hostOf(request);
    if (name === undefined) return { status: 400, error: 'the request names no host, or several' };
    if (isLoopbackHost(name) || this.#options.hosts.includes(name)) return undefined;
    // Where there is no token only this machine is answered, and it asks by a name of its own.
    if (isAddress(name) && this.#options.token !== undefined) return undefined;
    return { status: 421, error: 'this dashboard is not called by that name: list the name in `hosts`' };
  }

  /** Why a request that reads or, with `acts`, changes something is refused for the page it comes from, if it is. */
  checkOrigin(request: IncomingMessage, acts: boolean): Refusal | undefined {
    const { origin, 'sec-fetch-site': site } = request.headers;
    const known = acts ? ['same-origin'] : ['same-origin', 'none'];
    if (site !== undefined && !known.includes(String(site))) return { status: 403, error: 'asked for by another site' };
    if (origin !== undefined && !isSameHost(origin, request.headers.host ?? '')) {
      return { status: 403, error: 'asked for by another site' };
    }
    // A browser says where a change comes from; a cookie without that is not from one that can be trusted.
    const says = origin !== undefined || site !== undefined;
    if (acts && !says && request.headers.authorization === undefined && sessionOf(request) !== undefined) {
      return { status: 403, error: 'does not say where it comes from: send the token, not a cookie' };
    }
    return undefined;
  }

  /** What a request may do, or why nothing. A token that is wrong is refused also where none is needed. */
  standing(request: IncomingMessage): Standing | Refusal {
    const session = sessionOf(request);
    if (session !== undefined && this.sessions.isOpen(session)) return 'token';
    const { authorization } = request.headers;
    if (authorization !== undefined) {
      return this.checkToken(request, /^bearer +(\S.*?)\s*$/i.exec(authorization)?.[1] ?? '') ?? 'token';
    }
    if (isOfThisMachine(request)) return 'local';
    return { status: 401, error: 'the token is missing' };
  }

  /** Why a token is not taken, if it is not. Takes as long whatever is wrong with it. */
  checkToken(request: IncomingMessage, given: string): Refusal | undefined {
    const { token } = this.#options;
    if (token === undefined) return { status: 403, error: 'there is no token: start the dashboard with one' };
    const address = request.socket.remoteAddress ?? '';
    const waitMs = this.#failures.waitMs(address);
    if (waitMs > 0) {
      return { status: 429, error: 'too many wrong tokens: wait a minute', retryAfterS: Math.ceil(waitMs / 1_000) };
    }
    if (timingSafeEqual(digestOf(given), digestOf(token))) return undefined;
    this.#failures.note(address);
    return { status: 401, error: 'the token is wrong' };
  }
}

/** The session id in the cookie of the request. */
export function sessionOf(request: IncomingMessage): string | undefined {
  const name = cookieNameOf(request);
  for (const each of (request.headers.cookie ?? '').split(';', 64)) {
    const [key = '', value] = each.trim().split('=', 2);
    if (key === name) return value;
  }
  return undefined;
}

/** A cookie that holds `id`, or with undefined one that takes it away. Browsers share cookies between the ports of a host: each port has a name of its own. */
export function cookieOf(request: IncomingMessage, path: string, id: string | undefined): string {
  const secure = (request.socket as { encrypted?: boolean }).encrypted === true ? '; Secure' : '';
  const age = id === undefined ? '; Max-Age=0' : '';
  return `${cookieNameOf(request)}=${id ?? ''}; Path=${path}; HttpOnly; SameSite=Strict${secure}${age}`;
}

function cookieNameOf(request: IncomingMessage): string {
  return `${COOKIE}-${request.socket.localPort ?? 0}`;
}

/** Lower case, without a port; undefined where there is none, more than one, or one that is none. */
function hostOf(request: IncomingMessage): string | undefined {
  let count = 0;
  for (let i = 0; i < request.rawHeaders.length; i += 2) if (/^host$/i.test(request.rawHeaders[i]!)) count++;
  const host = request.headers.host ?? String(request.headers[':authority'] ?? '');
  return count > 1 ? undefined : HOST.exec(host)?.[1]?.toLowerCase();
}

/** Host and port alike; a scheme may be changed on the way by who ends TLS. */
function isSameHost(origin: string, host: string): boolean {
  const bare = (text: string) => text.toLowerCase().replace(/:(?:80|443)$/, '');
  const found = /^https?:\/\/([^/]+)$/i.exec(origin)?.[1];
  return found !== undefined && bare(found) === bare(host);
}

function isOfThisMachine(request: IncomingMessage): boolean {
  const { headers, socket } = request;
  const host = hostOf(request);
  if (host === undefined || !isLoopbackHost(host) || FORWARDED.some((name) => headers[name] !== undefined))
    return false;
  return isLoopbackAddress(socket.remoteAddress);
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
