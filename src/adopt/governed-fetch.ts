import type { Governor } from '../governor/index.ts';
import { copyOptions, invalidOption } from '../invalid-option.ts';
import { BODY_BUDGET_OPTIONS, BodyBudget, type BodyBudgetOptions } from './body-budget.ts';
import type { BodyHold } from './body-hold.ts';
import { type Branch, CountedBody } from './counted-body.ts';

type Fetch = typeof globalThis.fetch;

export interface GovernedFetchOptions extends BodyBudgetOptions {
  /** What sends the requests. Default: the global `fetch`, as it is at each call. */
  readonly fetch?: Fetch;
}

/** `fetch` under a budget. Disposing it makes it a plain `fetch`; bodies under way go on. */
export interface GovernedFetch extends Fetch, Disposable {
  /** What all bodies under way hold, bytes. */
  readonly heldBytes: number;
}

/**
 * Makes a `fetch` whose response bodies, all together, hold no more than a bound, and each no more than `maxBodyBytes`. Before a request is sent
 * `expectedBodyBytes` are waited for; that is corrected by the Content-Length, and by what arrives where there is none or the body comes compressed (what is
 * counted is decompressed). A body counts until it has been read, cancelled or failed, or is garbage; one that nobody reads holds its room, so read or
 * cancel each. Responses are `Response`s like those of `fetch`, with `url`, `redirected`, `clone()` and all.
 *
 * - A body that is too long: `fetch` resolves, reading fails with `PLIMSOLL_BODY_TOO_LARGE`, the connection is closed.
 * - No room: `fetch` rejects with the governor's own error: `PLIMSOLL_ADMISSION_TIMEOUT` after `timeoutMs`, `PLIMSOLL_ADMISSION_QUEUE_FULL`,
 *   `PLIMSOLL_BUDGET_EXCEEDED`, and inside a scope that holds what it did not declare `PLIMSOLL_HOLD_AND_WAIT`: a scope that fetches gives `upFrontBytes`
 *   for all that it fetches at a time.
 * - Bodies without a length may wait in the middle. While any is under way `maxBodyBytes` are kept back beside them, so that one can always be read to its
 *   end, then the next: make the bound of all several times that of one. One that is begun and not read on makes others fail after `timeoutMs`.
 * - `observe`: counted, nothing waits or fails. `off`, or a governor that is disposed or broken: plain `fetch`.
 *
 * Request bodies are not counted. Costs about 80 µs a request beside the 170 of `fetch` itself. Throws `RangeError` for unsound options.
 * @example
 * import { governedFetch } from 'plimsoll/adopt';
 * const fetch = governedFetch(governor, { name: 'catalogue', maxShare: 0.1, maxBodyBytes: 8 * 1024 * 1024 });
 * const response = await fetch('https://catalogue.example/songs', { signal: AbortSignal.timeout(5_000) });
 * const songs = await response.json();
 */
export function governedFetch(governor: Governor, options: GovernedFetchOptions): GovernedFetch {
  const { fetch: given, ...budgetOptions } = copyOptions('governedFetch', options, ['fetch', ...BODY_BUDGET_OPTIONS]);
  if (given !== undefined && typeof given !== 'function') throw invalidOption('fetch', 'a function', given);
  const budget = new BodyBudget(governor, 'governedFetch', budgetOptions);
  const plain: Fetch = (input, init) => (given ?? globalThis.fetch)(input, init);
  const governed = async (input: Parameters<Fetch>[0], init?: Parameters<Fetch>[1]): Promise<Response> => {
    if (budget.mode === 'off') return plain(input, init);
    const hold = await budget.admit(signalOf(input, init));
    if (hold === undefined) return plain(input, init);
    let response: Response;
    try {
      response = await plain(input, init);
    } catch (cause) {
      hold.release();
      throw cause;
    }
    return count(response, hold, budget);
  };
  Object.defineProperties(governed, {
    heldBytes: { get: () => budget.heldBytes },
    [Symbol.dispose]: { value: () => budget[Symbol.dispose]() },
  });
  return governed as GovernedFetch;
}

async function count(response: Response, hold: BodyHold, budget: BodyBudget): Promise<Response> {
  const body: ReadableStream<Uint8Array> | null = response.body;
  // None at all, or none that can be looked into, as those of other libraries.
  if (body === null || typeof body?.getReader !== 'function' || body.locked) {
    hold.release();
    return response;
  }
  try {
    const room = expectFor(response.headers, hold);
    if (room !== undefined) await room;
  } catch (cause) {
    hold.release();
    body.cancel(cause).catch(() => {});
    if ((cause as { code?: unknown } | null)?.code !== 'PLIMSOLL_BODY_TOO_LARGE') throw cause;
    return withError(response, cause);
  }
  try {
    if (isOdd(response)) new (response.constructor as typeof Response)(null, initOf(response));
  } catch (cause) {
    // What none can be made of, such as one with odd bytes in its status line, is handed on as it is.
    budget.open.note(cause);
    hold.release();
    return response;
  }
  const counted = new CountedBody(body, hold, budget);
  return withBranch(response, counted, undefined);
}

function expectFor(headers: Headers, hold: BodyHold): Promise<void> | undefined {
  const length = headers.get('content-length');
  if (length === null || !/^\d{1,15}$/.test(length)) return hold.expectAtLeast(0);
  // Of what comes compressed this is the least.
  return headers.has('content-encoding') ? hold.expectAtLeast(Number(length)) : hold.expect(Number(length));
}

function withBranch(original: Response, counted: CountedBody, of: Branch | undefined): Response {
  const { stream, branch } = counted.stream(of);
  return rebuilt(original, stream, () => withBranch(original, counted, branch));
}

function withError(original: Response, cause: unknown): Response {
  return rebuilt(original, failing(cause), () => withError(original, cause));
}

/** A `Response` of the same class with another body, which says of itself what the original says. */
function rebuilt(original: Response, body: ReadableStream<Uint8Array>, clone: () => Response): Response {
  const { status, statusText, headers, url, redirected, type } = original;
  const Own = original.constructor as typeof Response;
  const response = new Own(body, { status, statusText, headers });
  const own = (value: unknown) => ({ value, configurable: true, enumerable: false });
  Object.defineProperties(response, {
    url: own(url),
    redirected: own(redirected),
    type: own(type),
    clone: own(() => {
      if (response.bodyUsed || response.body?.locked) return Own.prototype.clone.call(response);
      return clone();
    }),
  });
  return response;
}

/** One that a `Response` may not be made of. */
function isOdd(response: Response): boolean {
  const { status, statusText } = response;
  return (
    response.constructor !== globalThis.Response || status < 200 || status > 599 || !/^[\t\x20-\x7e]*$/.test(statusText)
  );
}

function initOf({ status, statusText }: Response): ResponseInit {
  return { status, statusText };
}

function failing(cause: unknown): ReadableStream<Uint8Array> {
  return new ReadableStream({
    type: 'bytes',
    pull(controller) {
      controller.error(cause);
    },
  });
}

function signalOf(input: Parameters<Fetch>[0], init: Parameters<Fetch>[1]): AbortSignal | undefined {
  const signal: unknown = init?.signal === undefined ? (input as { signal?: unknown } | null)?.signal : init.signal;
  return signal instanceof AbortSignal ? signal : undefined;
}
