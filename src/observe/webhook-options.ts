import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import { checkWhole, copyOptions, invalidOption, withoutUndefined } from '../invalid-option.ts';

/** As much of `fetch` as is used. */
export type WebhookFetch = (
  url: string,
  init: {
    readonly method: 'POST';
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
    readonly redirect: 'manual';
    readonly signal: AbortSignal;
  },
) => PromiseLike<{
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body?: { cancel(): unknown } | null;
}>;

export interface WebhookOptions {
  /** Where to: `https`, or `http` to this machine. Without name and password. */
  readonly url: string;
  /** Shared with the receiver: `whsec_` and 24 to 512 bytes as base64. */
  readonly secret: string;
  /** The most that wait for their turn or their next attempt, 1 to 10,000. What comes then is dropped and counted. Default 100. */
  readonly maxQueued?: number;
  /** The most requests at a time, 1 to 100. Default 2. */
  readonly maxConcurrent?: number;
  /** The first and those after failures, 1 up. Default 5. */
  readonly maxAttempts?: number;
  /** The longest that a request takes, ms, 1 up. Default 15,000. */
  readonly timeoutMs?: number;
  /** The most before the second attempt, ms, 1 up; doubles each time. Between half of it and all is waited, by chance. Default 1,000. */
  readonly backOffMs?: number;
  /** The longest between attempts, what the receiver asks for included, ms; not less than `backOffMs`. Default 60,000. */
  readonly maxBackOffMs?: number;
  /** The most that a payload may be as JSON, bytes, 1 up. Default 65,536. */
  readonly maxBodyBytes?: number;
  /** From 0 up to 1. Default `Math.random`. */
  readonly random?: () => number;
  /** Default that of Node. */
  readonly fetch?: WebhookFetch;
  readonly clock?: Clock;
}

export const WEBHOOK_DEFAULTS = {
  maxQueued: 100,
  maxConcurrent: 2,
  maxAttempts: 5,
  timeoutMs: 15_000,
  backOffMs: 1_000,
  maxBackOffMs: 60_000,
  maxBodyBytes: 65_536,
} as const;

const OPTIONS = [
  'url',
  'secret',
  'maxQueued',
  'maxConcurrent',
  'maxAttempts',
  'timeoutMs',
  'backOffMs',
  'maxBackOffMs',
  'maxBodyBytes',
  'random',
  'fetch',
  'clock',
] as const;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;
const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/;
const LEAST_SECRET_BYTES = 24;
const MOST_SECRET_BYTES = 512;

export type ResolvedWebhookOptions = Required<Omit<WebhookOptions, 'secret'>> & {
  readonly key: Buffer;
};

/** Fills in the defaults, throws `RangeError` for what is none: neither a secret nor what an address carries stands in its message. */
export function checkWebhookOptions(given: WebhookOptions): ResolvedWebhookOptions {
  const options = copyOptions('Webhook', given, OPTIONS);
  const { random = Math.random, clock = systemClock, fetch = globalThis.fetch as unknown as WebhookFetch } = options;
  if (typeof random !== 'function') throw invalidOption('random', 'a function', random);
  if (typeof fetch !== 'function') throw invalidOption('fetch', 'a function', fetch);
  if (typeof clock?.after !== 'function') throw invalidOption('clock', 'a clock', clock);
  const { maxQueued, maxConcurrent, maxAttempts, timeoutMs, maxBodyBytes } = {
    ...WEBHOOK_DEFAULTS,
    ...withoutUndefined(options),
  };
  const backOffMs = checkWhole('backOffMs', options.backOffMs ?? WEBHOOK_DEFAULTS.backOffMs, 1, LONGEST_MS);
  const usual = Math.max(backOffMs, WEBHOOK_DEFAULTS.maxBackOffMs);
  return {
    url: checkUrl(options.url),
    key: checkSecret(options.secret),
    maxQueued: checkWhole('maxQueued', maxQueued, 1, 10_000),
    maxConcurrent: checkWhole('maxConcurrent', maxConcurrent, 1, 100),
    maxAttempts: checkWhole('maxAttempts', maxAttempts, 1),
    timeoutMs: checkWhole('timeoutMs', timeoutMs, 1, LONGEST_MS),
    backOffMs,
    maxBackOffMs: checkWhole('maxBackOffMs', options.maxBackOffMs ?? usual, backOffMs, LONGEST_MS),
    maxBodyBytes: checkWhole('maxBodyBytes', maxBodyBytes, 1),
    random,
    fetch,
    clock,
  };
}

function checkUrl(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.test(url.hostname));
  if (url === undefined || !isSafe || url.username !== '' || url.password !== '') {
    const expected = 'an address with https, or http to this machine, without name and password';
    throw invalidOption('url', expected, '(not shown)');
  }
  return url.href;
}

function checkSecret(given: string): Buffer {
  const text = typeof given === 'string' ? SECRET.exec(given)?.[1] : undefined;
  const key = Buffer.from(text ?? '', 'base64');
  if (key.length < LEAST_SECRET_BYTES || key.length > MOST_SECRET_BYTES) {
    const expected = `\`whsec_\` and ${LEAST_SECRET_BYTES} to ${MOST_SECRET_BYTES} bytes as base64`;
    throw invalidOption('secret', expected, '(not shown)');
  }
  return key;
}
