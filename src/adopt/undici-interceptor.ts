/**
 * Handlers of undici come in two generations: `onRequestStart`, `onResponseStart`, ... with a controller (7 and later), and `onConnect`, `onHeaders`, ... (6). Both
 * are wrapped, each in its own kind. While a body waits for room its connection is paused, and what comes all the same is kept in order.
 */
import type { Governor } from '../governor/index.ts';
import { copyOptions } from '../invalid-option.ts';
import { BODY_BUDGET_OPTIONS, BodyBudget, type BodyBudgetOptions } from './body-budget.ts';
import type { BodyHold } from './body-hold.ts';
import { GovernedHandler, type UndiciHandler } from './undici-handler.ts';
import { GovernedLegacyHandler, type UndiciLegacyHandler } from './undici-legacy-handler.ts';

/** The `dispatch` of an undici dispatcher, as interceptors see it. */
// biome-ignore lint/suspicious/noExplicitAny: what undici calls options and handlers differs by version
export type UndiciDispatch = (options: any, handler: any) => boolean;

/** What `agent.compose(...)` takes. Disposing it makes it pass everything through. */
export interface GovernedDispatch extends Disposable {
  (dispatch: UndiciDispatch): UndiciDispatch;
  /** What all bodies under way hold, bytes. */
  readonly heldBytes: number;
}

/**
 * An interceptor for `dispatcher.compose()` of undici 6 to 8 that holds response bodies, all together and each, to a bound, as `governedFetch` does. A body
 * counts from before its request is sent until its last byte has been handed on; what undici's own stream buffers after that is at most its
 * `highWaterMark`. Put it last among the interceptors, it is asked first then: what `decompress` makes of a body is what counts.
 *
 * A request that gets no room fails with the governor's own error, a body that is too long with `PLIMSOLL_BODY_TOO_LARGE`, and its connection is closed. `dispatch`
 * answers true where it waits. `observe`: counted only. `off`, or a governor that is disposed or broken: passes through. Costs about 25 µs a request
 * beside the 60 of undici itself. Throws
 * `RangeError` for unsound options.
 * @example
 * import { governedDispatch } from 'plimsoll/adopt';
 * const agent = new Agent().compose(governedDispatch(governor, { name: 'upstream', maxShare: 0.1, maxBodyBytes: 8 * 1024 * 1024 }));
 * const { body } = await agent.request({ origin: 'https://upstream.example', path: '/', method: 'GET' });
 */
export function governedDispatch(governor: Governor, options: BodyBudgetOptions): GovernedDispatch {
  const budget = new BodyBudget(
    governor,
    'governedDispatch',
    copyOptions('governedDispatch', options, BODY_BUDGET_OPTIONS),
  );
  const interceptor = (dispatch: UndiciDispatch): UndiciDispatch => {
    return (dispatchOptions, handler) => {
      if (budget.mode === 'off') return dispatch(dispatchOptions, handler);
      budget.admit(signalOf(dispatchOptions)).then(
        (hold) => send(dispatch, dispatchOptions, handler, hold),
        (cause) => fail(handler, cause),
      );
      return true;
    };
  };
  Object.defineProperties(interceptor, {
    heldBytes: { get: () => budget.heldBytes },
    [Symbol.dispose]: { value: () => budget[Symbol.dispose]() },
  });
  return interceptor as GovernedDispatch;
}

type AnyHandler = UndiciHandler & UndiciLegacyHandler;

function send(dispatch: UndiciDispatch, options: unknown, handler: AnyHandler, hold: BodyHold | undefined): void {
  try {
    dispatch(options, hold === undefined ? handler : wrapped(handler, hold, hasNoBody(options)));
  } catch (cause) {
    hold?.release();
    fail(handler, cause);
  }
}

function wrapped(handler: AnyHandler, hold: BodyHold, noBody: boolean): object {
  const isLegacy = typeof handler.onConnect === 'function' && typeof handler.onRequestStart !== 'function';
  return isLegacy ? new GovernedLegacyHandler(handler, hold, noBody) : new GovernedHandler(handler, hold, noBody);
}

function fail(handler: AnyHandler, cause: unknown): void {
  if (typeof handler.onResponseError === 'function') handler.onResponseError(undefined, cause as Error);
  else handler.onError?.(cause as Error);
}

function hasNoBody(options: unknown): boolean {
  return (options as { method?: unknown } | null)?.method === 'HEAD';
}

/** Emitters are left to undici. */
function signalOf(options: unknown): AbortSignal | undefined {
  const signal = (options as { signal?: unknown } | null)?.signal;
  return signal instanceof AbortSignal ? signal : undefined;
}
