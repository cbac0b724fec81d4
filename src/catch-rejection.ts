/**
 * For what a callback of somebody else returned and nobody awaits: a promise that rejects, or anything with a `then`, calls `onRejected`
 * instead of ending the process as an unhandled rejection. Never throws. Leaves no garbage for what is no object.
 */
export function catchRejection(result: unknown, onRejected: (cause: unknown) => void): void {
  if (result === null || (typeof result !== 'object' && typeof result !== 'function')) return;
  // Resolving, unlike `Promise.resolve`, turns whatever goes wrong while `then` is looked up into a rejection.
  new Promise((resolve) => resolve(result)).catch(onRejected);
}

/** Calls a listener of somebody else, for which nothing follows from what it does: what it throws or rejects with is passed over. */
export function tell(listen: () => unknown): void {
  try {
    catchRejection(listen(), () => {});
  } catch {
    // As promised.
  }
}

/** Whether it is to be waited for. May throw: looking may run code of others. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false;
  return typeof (value as { then?: unknown }).then === 'function';
}
