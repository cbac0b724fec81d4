import type { ServerResponse } from 'node:http';
import type { Refusal } from './request-gate.ts';

type Headers = Readonly<Record<string, string | number>>;

/** What stands above every answer: nothing is kept, framed, sniffed, or run that is not of this page. */
const ALWAYS: Headers = {
  'cache-control': 'no-store, no-transform',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

export function answer(response: ServerResponse, status: number, headers: Headers, body?: string | Buffer): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    ...ALWAYS,
    ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
    ...headers,
  });
  response.end(body);
}

export function answerJson(response: ServerResponse, value: unknown, status = 200, headers: Headers = {}): void {
  answer(response, status, { 'content-type': 'application/json; charset=utf-8', ...headers }, JSON.stringify(value));
}

/** Says why, and ends the connection: what the request still brings is not read. */
export function refuse(response: ServerResponse, refusal: Refusal, headers: Headers = {}): void {
  const { status, error, retryAfterS } = refusal;
  answerJson(response, { error }, status, {
    connection: 'close',
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    ...(retryAfterS === undefined ? {} : { 'retry-after': retryAfterS }),
    ...headers,
  });
}

/** The head of a stream of events; what comes after is the caller's. */
export function beginStream(response: ServerResponse): void {
  response.writeHead(200, { ...ALWAYS, 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' });
}
