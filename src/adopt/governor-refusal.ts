/** What the governor says on purpose; anything else it throws is a fault of its own. */
const REFUSALS: ReadonlySet<unknown> = new Set([
  'PLIMSOLL_BUDGET_EXCEEDED',
  'PLIMSOLL_ADMISSION_TIMEOUT',
  'PLIMSOLL_ADMISSION_QUEUE_FULL',
  'PLIMSOLL_HOLD_AND_WAIT',
  'PLIMSOLL_DEADLOCK',
  'PLIMSOLL_SCOPE_ABORTED',
]);

/** Whether a request was turned away, or somebody who asked for it does not want it any more. */
export function isRefusal(cause: unknown): boolean {
  return REFUSALS.has((cause as { code?: unknown } | null)?.code) || isAborted(cause);
}

/** As far as it can be seen: a scope, or a signal, may be aborted for any reason. */
export function isAborted(cause: unknown): boolean {
  const { code, name } = (cause ?? {}) as { code?: unknown; name?: unknown };
  return code === 'PLIMSOLL_SCOPE_ABORTED' || name === 'AbortError' || name === 'TimeoutError';
}
