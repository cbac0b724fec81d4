/**
 * For what a callback of somebody else returned and nobody awaits: a promise that rejects, or anything with a `then`, calls `onRejected`
 * instead of ending the process as an unhandled rejection. Never throws. Leaves no garbage for what is no object.
 */
export function catchRejection(result: unknown, onRejected: (cause: unknown) => void): void {
  if (result === null || (typeof result !== 'object' && typeof result !== 'function')) return;
  // Resolving, unlike `Promise.resolve`, turns whatever goes wrong while `then` is looked up into a rejection.
  new Promise((resolve) => resolve(result)).catch(onRejected);
}
