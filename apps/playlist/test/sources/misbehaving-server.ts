import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from 'plimsoll';

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A real server that answers each request in turn with the next of `answers`, and goes on with the last. */
export class MisbehavingServer implements AsyncDisposable {
  readonly #server;
  readonly requests: IncomingMessage[] = [];
  answers: Answer[] = [];
  origin = '';

  constructor() {
    this.#server = createServer((request, response) => {
      const answer = this.answers[Math.min(this.requests.length, this.answers.length - 1)]!;
      this.requests.push(request);
      response.on('error', () => {});
      answer(request, response);
    });
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.origin = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Pauses pass at once and are noted; deadlines (of exactly `timeoutMs`) stand until `expire`. */
export class ImpatientClock implements Clock {
  readonly pauses: number[] = [];
  /** How often a deadline was set, the first time included. */
  deadlineCount = 0;
  readonly #timeoutMs: number;
  readonly #deadlines = new Set<() => void>();

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  now(): number {
    return 0;
  }

  wall(): number {
    return Date.UTC(2026, 0, 1);
  }

  after(delayMs: number, action: () => void): Disposable {
    if (delayMs === this.#timeoutMs) {
      this.#deadlines.add(action);
      this.deadlineCount++;
      return { [Symbol.dispose]: () => void this.#deadlines.delete(action) };
    }
    this.pauses.push(delayMs);
    const immediate = setImmediate(action);
    return { [Symbol.dispose]: () => clearImmediate(immediate) };
  }

  get openDeadlines(): number {
    return this.#deadlines.size;
  }

  expire(): void {
    for (const action of [...this.#deadlines]) action();
  }
}
