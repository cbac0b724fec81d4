/**
 * Messages as "Standard Webhooks" 1.0.0 (standardwebhooks.com) has them: `webhook-id` stays the same for all attempts, `webhook-timestamp` is the second of the
 * attempt, `webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over id, timestamp and body with dots between. What answers are worth follows its section on
 * success and failure.
 *
 * Inside: a message is in the queue, under way, or waits by a timer for its next attempt; the first and the last count against `maxQueued`.
 */
import { tell } from '../catch-rejection.ts';
import { checkWebhookOptions, type ResolvedWebhookOptions, type WebhookOptions } from './webhook-options.ts';

export interface WebhookStats {
  /** Handed in and taken. */
  readonly accepted: number;
  /** Answered with 200 to 299. */
  readonly delivered: number;
  /** Given up: after `maxAttempts`, or by an answer that no attempt would mend. */
  readonly failed: number;
  /** Not taken or thrown away: no room, a payload that is no JSON or too long, switched off, disposed. */
  readonly dropped: number;
  readonly attempts: number;
  readonly queued: number;
  readonly underWay: number;
  /** The receiver has answered 410: nothing is sent any more. */
  readonly off: boolean;
  /** Why the last attempt failed that did: a status or a kind of failure, nothing that the address, the secret or the receiver may have put in. */
  readonly lastFailure?: string;
}

interface Message {
  readonly id: string;
  readonly body: string;
  attempts: number;
}

/** What came of an attempt. */
type Outcome = 'delivered' | 'gone' | { readonly failure: string; readonly again: boolean; readonly afterMs: number };

const GONE = 410;
const MOST_DOUBLINGS = 30;

/**
 * Sends JSON to one address, signed, a few at a time, again after failures, never following redirects. Sending never throws and never waits: what there is no room
 * for is dropped and counted. Whoever made it disposes it.
 * @example
 * import { Webhook } from 'plimsoll/observe';
 * const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
 * using webhook = new Webhook({ url: 'http://127.0.0.1:9/alerts', secret });
 * webhook.send({ type: 'alert.raised', data: {} });
 */
export class Webhook implements Disposable {
  readonly #options: ResolvedWebhookOptions;
  readonly #queue: Message[] = [];
  /** Between two attempts, with what ends the wait. */
  readonly #resting = new Map<Message, Disposable>();
  readonly #underWay = new Map<Message, AbortController>();
  /** One for all who wait for it. */
  #idle: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  #accepted = 0;
  #delivered = 0;
  #failed = 0;
  #dropped = 0;
  #attempts = 0;
  #off = false;
  #disposed = false;
  #lastFailure: string | undefined;

  constructor(options: WebhookOptions) {
    this.#options = checkWebhookOptions(options);
  }

  /** Takes a payload, as it is now. False where it was dropped. Never throws. */
  send(payload: unknown): boolean {
    const body = this.#disposed || this.#off ? undefined : this.#bodyOf(payload);
    if (body === undefined || this.#off || this.#disposed || this.#queued >= this.#options.maxQueued) {
      this.#dropped++;
      return false;
    }
    this.#accepted++;
    this.#queue.push({ id: `msg_${crypto.randomUUID()}`, body, attempts: 0 });
    this.#startWaiting();
    return true;
  }

  /** Resolves when nothing is queued or under way. Never rejects. */
  whenIdle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    if (this.#idle === undefined) {
      let resolve!: () => void;
      const promise = new Promise<void>((done) => {
        resolve = done;
      });
      this.#idle = { promise, resolve };
    }
    return this.#idle.promise;
  }

  get stats(): WebhookStats {
    return {
      accepted: this.#accepted,
      delivered: this.#delivered,
      failed: this.#failed,
      dropped: this.#dropped,
      attempts: this.#attempts,
      queued: this.#queued,
      underWay: this.#underWay.size,
      off: this.#off,
      ...(this.#lastFailure === undefined ? {} : { lastFailure: this.#lastFailure }),
    };
  }

  /** Throws away what waits and aborts what is under way; `whenIdle` before that delivers it. Twice is once. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#throwAway();
    for (const [message, controller] of [...this.#underWay]) {
      this.#dropped++;
      this.#underWay.delete(message);
      controller.abort();
    }
    this.#tellIdle();
  }

  get #queued(): number {
    return this.#queue.length + this.#resting.size;
  }

  get #isIdle(): boolean {
    return this.#queued === 0 && this.#underWay.size === 0;
  }

  #bodyOf(payload: unknown): string | undefined {
    try {
      const body: unknown = JSON.stringify(payload);
      if (typeof body !== 'string' || Buffer.byteLength(body) > this.#options.maxBodyBytes) return undefined;
      return body;
    } catch {
      return undefined;
    }
  }

  #startWaiting(): void {
    while (this.#underWay.size < this.#options.maxConcurrent) {
      const message = this.#queue.shift();
      if (message === undefined) return;
      const controller = new AbortController();
      this.#underWay.set(message, controller);
      void this.#attempt(message, controller).then((outcome) => this.#settle(message, outcome));
    }
  }

  /** One request. Resolves within `timeoutMs`, also where `fetch` minds no signal; never rejects. */
  #attempt(message: Message, controller: AbortController): Promise<Outcome> {
    message.attempts++;
    this.#attempts++;
    const { clock, timeoutMs } = this.#options;
    return new Promise((resolve) => {
      const timer = clock.after(timeoutMs, () => {
        resolve({ failure: 'timed out', again: true, afterMs: 0 });
        controller.abort();
      });
      void this.#post(message, controller.signal).then((outcome) => {
        timer[Symbol.dispose]();
        resolve(outcome);
      });
      controller.signal.addEventListener('abort', () => {
        timer[Symbol.dispose]();
        resolve({ failure: 'aborted', again: false, afterMs: 0 });
      });
    });
  }

  async #post({ id, body }: Message, signal: AbortSignal): Promise<Outcome> {
    try {
      const { url, fetch } = this.#options;
      const headers = { 'content-type': 'application/json', ...this.#signed(id, body) };
      const answer = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal });
      const { status } = answer;
      tell(() => answer.body?.cancel());
      if (status >= 200 && status < 300) return 'delivered';
      if (status === GONE) return 'gone';
      const again = status === 408 || status === 429 || status >= 500;
      return { failure: `status ${Number(status)}`, again, afterMs: again ? this.#retryAfterMs(answer.headers) : 0 };
    } catch {
      // What was thrown may carry the address, and is not shown.
      return { failure: 'could not be sent', again: true, afterMs: 0 };
    }
  }

  #signed(id: string, body: string): Record<string, string> {
    const { clock, key } = this.#options;
    const timestamp = String(Math.floor(clock.wall() / 1_000));
    // Loaded when it is needed: with it this room would take 10 MB and ten times as long to load.
    const { createHmac } = process.getBuiltinModule('node:crypto');
    const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
    return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
  }

  /** In seconds only; a date, which is the other way to say it, counts as nothing said. */
  #retryAfterMs(headers: { get(name: string): string | null }): number {
    const seconds = Number(headers.get('retry-after') ?? 0);
    return Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 0;
  }

  #settle(message: Message, outcome: Outcome): void {
    // Disposed, and counted there.
    if (!this.#underWay.delete(message)) return;
    if (outcome === 'delivered') this.#delivered++;
    else if (outcome === 'gone') this.#switchOff();
    else {
      this.#lastFailure = outcome.failure;
      const isLast = message.attempts >= this.#options.maxAttempts || this.#off;
      if (isLast || !outcome.again) this.#failed++;
      else this.#rest(message, outcome.afterMs);
    }
    this.#startWaiting();
    this.#tellIdle();
  }

  #rest(message: Message, askedMs: number): void {
    const { clock, backOffMs, maxBackOffMs, random } = this.#options;
    const most = Math.min(backOffMs * 2 ** Math.min(message.attempts - 1, MOST_DOUBLINGS), maxBackOffMs);
    const waitMs = Math.min(Math.max(most / 2 + (most / 2) * chance(random), askedMs), maxBackOffMs);
    const timer = clock.after(waitMs, () => {
      this.#resting.delete(message);
      this.#queue.push(message);
      this.#startWaiting();
    });
    this.#resting.set(message, timer);
  }

  #switchOff(): void {
    this.#off = true;
    this.#failed++;
    this.#lastFailure = `status ${GONE}`;
    this.#throwAway();
  }

  #throwAway(): void {
    for (const timer of this.#resting.values()) timer[Symbol.dispose]();
    this.#dropped += this.#queued;
    this.#resting.clear();
    this.#queue.length = 0;
  }

  #tellIdle(): void {
    if (!this.#isIdle) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}

/** From 0 to 1, whatever it does. */
function chance(random: ResolvedWebhookOptions['random']): number {
  try {
    const value = random();
    return value >= 0 && value <= 1 ? value : 1;
  } catch {
    return 1;
  }
}
