import { isGovernorRefusal } from '../governor/index.ts';

/** Whether a request was turned away, or somebody who asked for it does not want it any more. */
export function isRefusal(cause: unknown): boolean {
  return isGovernorRefusal(cause) || isAborted(cause);
}

/** As far as it can be seen: a scope, or a signal, may be aborted for any reason. */
export function isAborted(cause: unknown): boolean {
  const { code, name } = (cause ?? {}) as { code?: unknown; name?: unknown };
  return code === 'PLIMSOLL_SCOPE_ABORTED' || name === 'AbortError' || name === 'TimeoutError';
}
