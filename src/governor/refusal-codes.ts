const REFUSAL_CODES: ReadonlySet<unknown> = new Set([
  'PLIMSOLL_BUDGET_EXCEEDED',
  'PLIMSOLL_ADMISSION_TIMEOUT',
  'PLIMSOLL_ADMISSION_QUEUE_FULL',
  'PLIMSOLL_HOLD_AND_WAIT',
  'PLIMSOLL_DEADLOCK',
  'PLIMSOLL_SCOPE_ABORTED',
  'PLIMSOLL_TOO_MANY_SCOPES',
]);

/** Whether the governor said no, on purpose. Anything else that it throws is a fault of its own, or of the options it was given. By the code. */
export function isGovernorRefusal(cause: unknown): boolean {
  return typeof cause === 'object' && cause !== null && REFUSAL_CODES.has((cause as { code?: unknown }).code);
}
