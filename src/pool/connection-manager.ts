/** What a call of a manager gets. */
export interface ManagerCall {
  /** Aborted when the time of the call is over, with the reason. Made when it is first looked at: one that nobody asks for costs nothing. */
  readonly signal: AbortSignal;
}

/** What `create` gets. */
export interface CreateCall extends ManagerCall {
  /**
   * To be called when the connection is gone: the server has closed it, the socket has failed. An idle one is taken out at once, a leased one when it comes back.
   * May be called at any time, and more than once. Without it a dead connection is found when it is validated, or by who gets it.
   */
  readonly lost: (cause?: unknown) => void;
}

/**
 * How connections of one kind are made, looked at and ended. Each may answer at once or by a promise, throw, reject or hang: all of it is contained,
 * timed and counted.
 */
export interface ConnectionManager<C> {
  /**
   * Opens one. What comes after `createTimeoutMs` is destroyed, not leaked. Failing is an outage: the pool asks again, one at a time, with growing pauses.
   */
  create(call: CreateCall): C | PromiseLike<C>;
  /** Whether it still works: `false`, throwing and taking longer than `validateTimeoutMs` all mean that it does not. Without it every one counts as sound. */
  isValid?(connection: C, call: ManagerCall): boolean | PromiseLike<boolean>;
  /**
   * Makes it as good as new for whoever comes next: roll back, reset session state. `false`, throwing and taking longer than `recycleTimeoutMs` mean
   * that it is not used again. Called after each lease.
   */
  recycle?(connection: C, call: ManagerCall): unknown;
  /** Closes it. Called once for each that `create` gave. What it throws is counted; after `destroyTimeoutMs` it is not waited for. */
  destroy(connection: C, call: ManagerCall): unknown;
}
