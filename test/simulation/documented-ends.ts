/** The codes with which requests of the simulation may end. `ABORTED` and `FAILED` are its own. */

/** What was asked, or asked in, has come to its end. */
export const ENDED: readonly string[] = ['PLIMSOLL_DISPOSED', 'PLIMSOLL_SCOPE_ABORTED', 'ABORTED'];

/** A request for bytes. */
export const REFUSED: readonly string[] = ['PLIMSOLL_BUDGET_EXCEEDED', ...ENDED];

/** One that may wait. */
export const NOT_ADMITTED: readonly string[] = [
  ...REFUSED,
  'PLIMSOLL_ADMISSION_TIMEOUT',
  'PLIMSOLL_ADMISSION_QUEUE_FULL',
  'PLIMSOLL_HOLD_AND_WAIT',
  'PLIMSOLL_DEADLOCK',
];

/** A scope: it may wait for what it declares, be turned away, or end as its work does. */
export const SCOPE_ENDS: readonly string[] = [...NOT_ADMITTED, 'PLIMSOLL_TOO_MANY_SCOPES', 'FAILED'];
