import { type Clock, LONGEST_MS } from '../clock.ts';
import { cleanupFailedEvents } from '../events.ts';
import { CleanupFailedError, CleanupTimeoutError } from './cleanup-errors.ts';

/**
 * Calls a disposer once and waits for it, `timeoutMs` at most. Rejects with `CleanupFailedError` when it throws or rejects and with `CleanupTimeoutError` when it
 * does not end; either is published (`plimsoll:cleanup-failed`). What a disposer that was given up does later is passed over.
 */
export async function callDisposer(
  resource: string,
  dispose: () => unknown,
  { timeoutMs, clock }: { readonly timeoutMs: number; readonly clock: Clock },
): Promise<void> {
  let timer: Disposable | undefined;
  let late: CleanupTimeoutError | undefined;
  try {
    const result = dispose();
    if (result === null || (typeof result !== 'object' && typeof result !== 'function')) return;
    // Once: asking a thenable twice may do its work twice.
    const ended = new Promise((settle) => settle(result));
    ended.catch(() => {});
    await new Promise((resolve, reject) => {
      if (timeoutMs <= LONGEST_MS) {
        const onLate = () => {
          late = new CleanupTimeoutError(resource, timeoutMs);
          reject(late);
        };
        timer = clock.after(timeoutMs, onLate, true);
      }
      ended.then(resolve, reject);
    });
  } catch (cause) {
    // What a disposer of its own was late with is a failure here.
    const error = late !== undefined && cause === late ? late : new CleanupFailedError(resource, 1, cause);
    publishFailure(resource, error);
    throw error;
  } finally {
    timer?.[Symbol.dispose]();
  }
}

/** For whoever listens: of what no registry owns. Never throws. */
export function publishFailure(resource: string, error: Error): void {
  if (!cleanupFailedEvents.heard) return;
  cleanupFailedEvents.publish({ registry: '', resource, kind: '', bytes: 0, attempts: 1, message: error.message });
}
