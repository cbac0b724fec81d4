/** One URL into one file, in flat memory: what arrives is written at once and forgotten. */
import { type FileHandle, open } from 'node:fs/promises';
import { type Clock, formatBytes } from 'plimsoll';
import type { Dispatcher } from 'undici';
import type { FetchLimits } from '../config/config.ts';
import { backoffMs, LONGEST_RETRY_AFTER_MS, pause, retryAfterMs } from './backoff.ts';
import type { HttpAgent } from './http-agent.ts';
import { SourceError, type SourceFault } from './source-error.ts';

const MAX_REDIRECTS = 5;
/** A server that drips its content makes no pause; it must not hold up the run for ever either. */
const SLOWEST_BYTES_PER_S = 1024;
/** The speed is an average over so long, or over the timeout where that is longer. */
const SPEED_WINDOW_MS = 30_000;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const RETRIED = new Set([408, 425, 429]);
/** Only these go along to another origin: any other header may be a credential. */
const HARMLESS_HEADERS = new Set(['user-agent', 'accept', 'accept-language', 'accept-encoding']);
const USER_AGENT = 'plimsoll-playlist';

export interface DownloadOptions extends FetchLimits {
  readonly url: string;
  /** How errors call it; holds no credential. */
  readonly label: string;
  /** Where the body goes as it came (it may be compressed). Overwritten; removed by the caller. */
  readonly path: string;
  /** Asks for the content only if it is not that one any more. */
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
  readonly agent: HttpAgent;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** 0 to 1; Math.random by default. */
  readonly random?: () => number;
}

export type Downloaded =
  | { readonly status: 'unchanged' }
  | {
      readonly status: 'fetched';
      readonly sizeBytes: number;
      readonly etag: string | undefined;
      readonly lastModified: string | undefined;
    };

/** A failure that may pass. */
class Passing extends Error {
  readonly fault: SourceFault;
  readonly waitMs: number | undefined;

  constructor(message: string, fault: SourceFault, waitMs?: number, cause?: unknown) {
    super(message, { cause });
    this.fault = fault;
    this.waitMs = waitMs;
  }
}

/**
 * Fetches `url`, trying again after connection errors, pauses longer than `timeoutMs`, less than 1 KiB/s over 30 s (or over `timeoutMs`, if that
 * is longer), cut bodies and the answers 408, 425, 429 and 5xx, with exponential backoff or as `Retry-After` says. At most 5 redirects; credentials do not follow to another origin. On success the
 * file is synced. Errors: `SourceError` with `http`, `network`, `too-large` or `cache`; an abort rejects with its reason.
 */
export async function download(options: DownloadOptions): Promise<Downloaded> {
  const { label, retryCount, clock, signal, random = Math.random } = options;
  for (let attempt = 0; ; attempt++) {
    try {
      return await fetchOnce(options);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Passing)) throw error;
      const waitMs = error.waitMs ?? backoffMs(attempt, random);
      if (attempt >= retryCount || waitMs > LONGEST_RETRY_AFTER_MS) {
        const tries = attempt === 0 ? '' : ` (tried ${attempt + 1} times)`;
        throw new SourceError(label, `${error.message}${tries}`, { fault: error.fault, cause: error.cause });
      }
      await pause(waitMs, clock, signal);
    }
  }
}

async function fetchOnce(options: DownloadOptions): Promise<Downloaded> {
  using deadline = new Deadline(options.timeoutMs, options.clock, options.signal);
  let url = new URL(options.url);
  let headers = requestHeaders(options, url);
  try {
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const answer = await options.agent.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: 'GET',
        headers,
        signal: deadline.signal,
      });
      deadline.restart();
      answer.body.on('error', () => {});
      const location = REDIRECTS.has(answer.statusCode) ? header(answer, 'location') : undefined;
      if (location === undefined) return await receive(options, answer, deadline);
      answer.body.destroy();
      const next = redirectTarget(options.label, url, location);
      if (next.origin !== url.origin) headers = withoutCredentials(headers);
      url = next;
    }
    throw new SourceError(options.label, `the server redirects more than ${MAX_REDIRECTS} times`, { fault: 'http' });
  } catch (error) {
    throw passing(error, deadline, options.timeoutMs);
  }
}

function requestHeaders({ headers, etag, lastModified }: DownloadOptions, url: URL): Record<string, string> {
  const all: Record<string, string> = { 'user-agent': USER_AGENT, 'accept-encoding': 'gzip, zstd, identity;q=0.5' };
  if (url.username !== '' || url.password !== '') {
    const pair = `${decoded(url.username)}:${decoded(url.password)}`;
    all.authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
  }
  if (etag !== undefined) all['if-none-match'] = etag;
  if (lastModified !== undefined) all['if-modified-since'] = lastModified;
  for (const [name, value] of Object.entries(headers)) all[name.toLowerCase()] = value;
  return all;
}

/** A password such as `50%off`, written as it is, has no valid escapes: then it is meant as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function withoutCredentials(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => HARMLESS_HEADERS.has(name) || name.startsWith('if-')),
  );
}

function redirectTarget(label: string, from: URL, location: string): URL {
  const next = URL.parse(location, from.href);
  if (next !== null && /^https?:$/.test(next.protocol)) return next;
  throw new SourceError(label, 'the server redirects to something that is no web address', { fault: 'http' });
}

async function receive(
  options: DownloadOptions,
  answer: Dispatcher.ResponseData,
  deadline: Deadline,
): Promise<Downloaded> {
  const { label, maxBytes, clock } = options;
  const { statusCode, body } = answer;
  if (statusCode === 304 && (options.etag !== undefined || options.lastModified !== undefined)) {
    body.destroy();
    return { status: 'unchanged' };
  }
  if (statusCode !== 200 && statusCode !== 203) {
    body.destroy();
    const message = `the server answers ${statusCode}`;
    if (statusCode < 500 && !RETRIED.has(statusCode)) throw new SourceError(label, message, { fault: 'http' });
    throw new Passing(message, 'http', retryAfterMs(header(answer, 'retry-after'), clock.wall()));
  }
  const encoding = header(answer, 'content-encoding') ?? 'identity';
  if (!/^(?:identity|x-gzip|gzip|zstd)?$/i.test(encoding.trim())) {
    body.destroy();
    throw new SourceError(
      label,
      `the server sends its content as \`${encoding.slice(0, 40)}\`, which was not asked for`,
      { fault: 'unsupported' },
    );
  }
  const tooLarge = () =>
    new SourceError(label, `has more than ${formatBytes(maxBytes)}: raise its \`max_size\` if that is meant`, {
      fault: 'too-large',
    });
  if (Number(header(answer, 'content-length') ?? 0) > maxBytes) {
    body.destroy();
    throw tooLarge();
  }
  let sizeBytes = 0;
  await using file = await openForWriting(options);
  for await (const chunk of body as AsyncIterable<Buffer>) {
    deadline.received(chunk.length);
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) throw tooLarge();
    await writeAll(file, chunk, options);
    release(chunk);
  }
  await file.sync();
  return { status: 'fetched', sizeBytes, etag: header(answer, 'etag'), lastModified: header(answer, 'last-modified') };
}

/**
 * Frees what a chunk stands in now rather than at some collection: 8 MB less at the peak. Chunks are views of the buffer the socket was
 * read into, given out in order, so the one that reaches to its end is the last to need it.
 */
function release(chunk: Buffer): void {
  const { buffer, byteOffset, length } = chunk;
  if (byteOffset + length === buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

async function openForWriting(options: DownloadOptions): Promise<FileHandle> {
  try {
    return await open(options.path, 'w', 0o600);
  } catch (cause) {
    throw cacheError(options, cause);
  }
}

async function writeAll(file: FileHandle, chunk: Buffer, options: DownloadOptions): Promise<void> {
  try {
    for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at, chunk.length - at)).bytesWritten;
  } catch (cause) {
    throw cacheError(options, cause);
  }
}

function cacheError(options: DownloadOptions, cause: unknown): SourceError {
  const { code = String(cause) } = cause as NodeJS.ErrnoException;
  const what = code === 'ENOSPC' ? 'there is no space left on the disk' : code;
  return new SourceError(options.label, `cannot be stored at ${options.path}: ${what}. Another place: [cache] dir`, {
    fault: 'cache',
    cause,
  });
}

function header(answer: Dispatcher.ResponseData, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

const PLAIN_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the server refuses the connection',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'the name of the host cannot be looked up now',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'the connection timed out',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  HPE_INVALID_EOF_STATE: 'the connection was cut',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the content is not as long as announced',
};

function passing(error: unknown, deadline: Deadline, timeoutMs: number): unknown {
  if (error instanceof SourceError || error instanceof Passing) return error;
  if (deadline.expired) return new Passing(`no answer for ${timeoutMs / 1000} s`, 'network', undefined, error);
  const { code = '', message = String(error) } = error as NodeJS.ErrnoException;
  const words = PLAIN_WORDS[code] ?? (message === 'terminated' ? 'the connection was cut' : message.split('\n', 1)[0]!);
  return new Passing(code === '' ? words : `${words} (${code})`, 'network', undefined, error);
}

/** Aborts when nothing has happened for too long, or when the run is aborted; refuses content that comes too slowly. */
class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #run: AbortSignal;
  readonly #onAbort = () => this.#controller.abort(this.#run.reason);
  #timer: Disposable | undefined;
  #windowStart: number | undefined;
  #windowBytes = 0;
  expired = false;

  constructor(timeoutMs: number, clock: Clock, run: AbortSignal) {
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#run = run;
    run.throwIfAborted();
    run.addEventListener('abort', this.#onAbort, { once: true });
    this.restart();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Throws when too little has come in a window, of which the first begins with the first piece: a slow answer is no slow content. */
  received(byteCount: number): void {
    this.restart();
    this.#windowBytes += byteCount;
    const now = this.#clock.now();
    this.#windowStart ??= now;
    const elapsedMs = now - this.#windowStart;
    if (elapsedMs < Math.max(SPEED_WINDOW_MS, this.#timeoutMs)) return;
    if (this.#windowBytes < (elapsedMs / 1000) * SLOWEST_BYTES_PER_S)
      throw new Passing(`sent only ${this.#windowBytes} bytes in ${Math.round(elapsedMs / 1000)} s`, 'network');
    this.#windowStart = now;
    this.#windowBytes = 0;
  }

  restart(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#clock.after(
      this.#timeoutMs,
      () => {
        this.expired = true;
        this.#controller.abort(new Error('timed out'));
      },
      true,
    );
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#run.removeEventListener('abort', this.#onAbort);
  }
}
