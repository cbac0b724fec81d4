/**
 * What adapters have in common that work on Node's own requests and responses: they turn away, run in a scope, and give up a request in the middle.
 *
 * Unread bodies. A client that is still sending when its connection is closed gets a reset, and often never sees the answer. Node reads on and drops what
 * comes, which is right for a small body, and for a large one is as long as the client pleases. So a large one is answered in full at once, with
 * `connection: close`, and read on for a bounded time and a bounded number of bytes before the connection is closed.
 *
 * Giving up. A handler that is at work may still write. After an answer in its name that would throw (`ERR_HTTP_HEADERS_SENT`, or an `error` event that nobody
 * listens to), and end the process. So the answer goes to the socket past the response, and the response is destroyed: for the handler, the client has gone.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Scope } from '../governor/index.ts';
import type { Call } from './call-match.ts';
import type { Refusal } from './refusals.ts';
import { ResponseEnds } from './response-ends.ts';
import type { ShedPolicy } from './shed-policy.ts';

/** A body up to here is read and dropped, and its connection stays. */
const SMALL_BODY_BYTES = 16_384;
/** How much of a larger one is read, how long, and from how many clients at once, before the connection is closed. */
const LINGER_BYTES = 1_048_576;
const LINGER_MS = 1_000;
const MOST_LINGERING = 64;
/** `CANCEL` of RFC 9113: the stream is no longer needed. */
const HTTP2_CANCEL = 8;

/** A request that came through the line, as its handler sees it. */
export interface LinedRequest {
  /** The scope that it runs in, where requests have scopes. */
  memoryScope?: Scope;
}

export class NodeLine {
  readonly #policy: ShedPolicy;
  readonly #ends = new ResponseEnds();
  #lingering = 0;

  constructor(policy: ShedPolicy) {
    this.#policy = policy;
  }

  /**
   * Answers for the handler, or has `work` call it. `awaitsContinue`: the client has not begun to send its body, and waits for `100 Continue`. Throws what
   * `work` throws.
   */
  run(request: IncomingMessage, response: ServerResponse, work: (scope?: Scope) => void, awaitsContinue = false): void {
    const path = (request as { originalUrl?: string }).originalUrl ?? request.url ?? '/';
    const call = { method: request.method ?? 'GET', path };
    const refusal = this.#policy.decide(call);
    const refuse = (answer: Refusal) => this.refuse(request, response, answer, awaitsContinue);
    if (refusal !== undefined) refuse(refusal);
    else if (!this.#policy.hasScopes) work();
    else this.span(call, request, response, { work, refuse });
  }

  /** Calls `work` in a scope that ends with the response. */
  span(
    call: Call,
    request: IncomingMessage,
    response: ServerResponse,
    life: { readonly work: (scope?: Scope) => void; readonly refuse: (refusal: Refusal) => void },
  ): void {
    this.#policy.span(call, {
      work: (scope) => {
        if (scope !== undefined) (request as LinedRequest).memoryScope = scope;
        life.work(scope);
      },
      until: (end) => this.#ends.watch(request, response, end),
      refuse: life.refuse,
      abort: (refusal) => this.giveUp(response, refusal),
    });
  }

  /** Sends the answer, and sees to a body that nobody reads. Never throws. */
  refuse(request: IncomingMessage, response: ServerResponse, refusal: Refusal, awaitsContinue = false): void {
    try {
      if (response.headersSent || response.destroyed) return;
      const { status, headers, body } = refusal;
      const isLarge = !awaitsContinue && isLargeUpload(request);
      const sent: Record<string, string | number> = { ...headers, 'content-length': Buffer.byteLength(body) };
      // HTTP/2 has no such header. Without 100 nobody knows whether the body that was announced comes.
      if (request.httpVersionMajor >= 2) delete sent.connection;
      else if (isLarge || awaitsContinue) sent.connection = 'close';
      response.removeHeader('x-powered-by');
      response.writeHead(status, sent);
      if (isLarge && this.#lingering < MOST_LINGERING) this.#linger(request, response, body);
      else response.end(body);
    } catch (cause) {
      this.#policy.faults.note(cause);
    }
  }

  /** Turns away a request for another protocol, whose connection has no response yet. Never throws. */
  refuseUpgrade(socket: Duplex, refusal: Refusal): void {
    try {
      socket.on('error', () => {});
      socket.end(rawAnswer(refusal), () => socket.destroy());
    } catch (cause) {
      this.#policy.faults.note(cause);
    }
  }

  /** Ends a response that somebody may be at work on: with the answer where nothing has been sent. */
  giveUp(response: ServerResponse, refusal: Refusal): void {
    const { stream } = response as { stream?: { close?: (code: number) => void } };
    const { socket } = response;
    if (typeof stream?.close === 'function') stream.close(HTTP2_CANCEL);
    // Without a socket it waits behind another response: it breaks the connection when its turn comes.
    else if (response.headersSent || socket === null) response.destroy();
    else socket.write(rawAnswer(refusal), () => void response.destroy());
  }

  #linger(request: IncomingMessage, response: ServerResponse, body: string): void {
    // All of the answer, but for the end that closes the connection.
    if (body === '') response.flushHeaders();
    else response.write(body);
    this.#lingering++;
    let bytes = 0;
    let isOver = false;
    const end = () => {
      if (isOver) return;
      isOver = true;
      this.#lingering--;
      timer[Symbol.dispose]();
      request.off('data', onData);
      response.end();
    };
    const onData = (chunk: Uint8Array) => {
      bytes += chunk.length;
      if (bytes > LINGER_BYTES) end();
    };
    const timer = this.#policy.clock.after(LINGER_MS, end);
    request.once('end', end);
    request.once('error', end);
    response.once('close', end);
    request.on('data', onData);
  }
}

/** Whether more of a body is to come than is worth reading for the sake of the connection. */
export function isLargeUpload({ headers, httpVersionMajor, complete }: IncomingMessage): boolean {
  if (complete || httpVersionMajor >= 2) return false;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > SMALL_BODY_BYTES;
}

function rawAnswer({ status, headers, body }: Refusal): string {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unavailable'}`];
  for (const [name, value] of Object.entries(headers)) if (name !== 'connection') lines.push(`${name}: ${value}`);
  lines.push(`content-length: ${Buffer.byteLength(body)}`, 'connection: close', '', body);
  return lines.join('\r\n');
}
