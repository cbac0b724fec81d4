import type { Clock } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import {
  type FeedLine,
  FeedReader,
  feedPath,
  isFeedEnd,
  isObservation,
  isRunning,
  type Observation,
} from '../observe/index.ts';
import { EventStreamParser } from './event-stream.ts';
import { NoFeedError } from './no-feed-error.ts';

const EVERY_MS = 250;
const RETRY_MS = 1_000;
const MOST_RETRIES = 30;
/** For a look, or for a stream to begin. One that then says nothing is broken off by `fetch` after five minutes (`bodyTimeout` of undici), and made anew. */
const ANSWER_MS = 10_000;
/** A look of a thousand consumers has 600,000. */
const MOST_CHARACTERS = 4 * 1_048_576;

/** Waits, or until the signal. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      timer[Symbol.dispose]();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.after(ms, end, true);
    signal.addEventListener('abort', end);
  });
}

/** What a process of this machine writes, a list whenever there is something new, until it has ended. Throws `PLIMSOLL_NO_FEED`. */
export async function* followProcess(
  folder: string,
  pid: number,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<readonly FeedLine[]> {
  using reader = new FeedReader(feedPath(folder, pid));
  let lines = readLines(reader);
  if (lines.length === 0) {
    const start = 'start it with PLIMSOLL_FEED=on node --import plimsoll/auto';
    throw new NoFeedError(isRunning(pid) ? `process ${pid} writes no feed: ${start}` : `there is no process ${pid}`);
  }
  while (!signal.aborted) {
    const isGone = !isRunning(pid);
    if (lines.length > 0) yield lines;
    if (lines.some(isFeedEnd) || (isGone && lines.length === 0)) return;
    await pause(clock, EVERY_MS, signal);
    lines = readLines(reader);
  }
}

function readLines(reader: FeedReader): readonly FeedLine[] {
  try {
    return reader.read();
  } catch (cause) {
    throw new NoFeedError(`the feed cannot be read: ${describeCause(cause)}`, cause);
  }
}

export interface RemoteOptions {
  /** Of the dashboard, where its page stands. */
  readonly url: URL;
  readonly token: string | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** One look at what a dashboard shows, of at most 4 Mi characters and within ten seconds. Throws `PLIMSOLL_NO_FEED`. */
export async function askOnce(options: RemoteOptions): Promise<Observation> {
  using deadline = new Deadline(options);
  const response = await ask(options, deadline.signal, 'api/observation', {});
  let text = '';
  try {
    for await (const piece of textOf(response)) {
      text += piece;
      if (text.length > MOST_CHARACTERS) throw new RangeError('it is too long');
    }
  } catch (cause) {
    throw new NoFeedError(`${shown(options.url)} gives no look: ${describeCause(cause)}`, cause);
  }
  const look = parse(text);
  if (!isObservation(look)) throw new NoFeedError(`${shown(options.url)} answers what is no look`);
  return look;
}

/**
 * What a dashboard shows, look by look. A connection that breaks is made anew, once a second, thirty times; it ends when that is in vain. Throws
 * `PLIMSOLL_NO_FEED`, at once where the first cannot be made.
 */
export async function* followDashboard(options: RemoteOptions): AsyncGenerator<readonly FeedLine[]> {
  const { clock, signal } = options;
  const after: { id?: string } = {};
  for (let tries = 0; !signal.aborted; tries++) {
    try {
      const headers = after.id === undefined ? {} : { 'last-event-id': after.id };
      const response = await beginStream(options, { ...headers, accept: 'text/event-stream' });
      for await (const look of looksIn(response, after)) {
        tries = 0;
        yield [look];
      }
      if (tries >= MOST_RETRIES) throw new Error('there is no look in it');
    } catch (cause) {
      if (signal.aborted) return;
      if (after.id === undefined || tries >= MOST_RETRIES) throw asNoFeed(cause, options.url);
    }
    await pause(clock, RETRY_MS, signal);
  }
}

async function beginStream(options: RemoteOptions, headers: Readonly<Record<string, string>>): Promise<Response> {
  using deadline = new Deadline(options);
  return await ask(options, deadline.signal, 'api/stream', headers);
}

/** Its signal is the command's own, and that of a time that is over; the time ends when this is disposed. */
class Deadline implements Disposable {
  readonly signal: AbortSignal;
  readonly #timer: Disposable;

  constructor({ clock, signal }: RemoteOptions) {
    const over = new AbortController();
    const late = () => over.abort(new Error(`there was no answer within ${ANSWER_MS / 1_000} seconds`));
    this.#timer = clock.after(ANSWER_MS, late, true);
    this.signal = AbortSignal.any([signal, over.signal]);
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }
}

function asNoFeed(cause: unknown, url: URL): NoFeedError {
  if (cause instanceof NoFeedError) return cause;
  return new NoFeedError(`the stream of ${shown(url)} is cut off: ${describeCause(cause)}`, cause);
}

async function* textOf({ body }: Response): AsyncGenerator<string> {
  if (body !== null) yield* body.pipeThrough(new TextDecoderStream());
}

async function* looksIn(response: Response, after: { id?: string }): AsyncGenerator<Observation> {
  const parser = new EventStreamParser();
  for await (const piece of textOf(response)) {
    for (const { event, data, id } of parser.take(piece)) {
      if (id !== undefined) after.id = id;
      const look = event === 'observation' ? parse(data) : undefined;
      if (isObservation(look)) yield look;
    }
  }
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

async function ask(
  { url, token }: RemoteOptions,
  signal: AbortSignal,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  const target = new URL(url);
  target.pathname = `${target.pathname.replace(/\/+$/, '')}/${path}`;
  let response: Response;
  try {
    response = await fetch(target, {
      headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      // A token is for the host that was named, and for no other.
      redirect: 'manual',
      signal,
    });
  } catch (cause) {
    const why = describeCause((cause as Error).cause ?? cause);
    throw new NoFeedError(`${shown(url)} cannot be reached: ${why === '' ? describeCause(cause) : why}`, cause);
  }
  if (response.ok) return response;
  await response.body?.cancel();
  const { status } = response;
  throw new NoFeedError(`${shown(url)} answers ${status} to ${path}${adviceFor(status, token !== undefined)}`);
}

function adviceFor(status: number, hasToken: boolean): string {
  if (status === 429) return ': too many asked, or gave a wrong token: wait a minute';
  if (status !== 401 && status !== 403) return '';
  if (!hasToken) return ': give its token by PLIMSOLL_TOKEN or --token';
  return status === 401
    ? ': the token that was given is wrong'
    : ': it has no token, or not for this; give none, or start it with one';
}

/** Without what is asked, which may be long. */
const shown = (url: URL): string => `${url.origin}${url.pathname}`;
