import type { Clock } from 'plimsoll';

const FIRST_MS = 500;
const LONGEST_MS = 30_000;
/** A server that asks for more patience than this is taken at its word by giving up. */
export const LONGEST_RETRY_AFTER_MS = 120_000;

/**
 * Milliseconds to wait before retry number `attempt` (from 0): doubling from 500 ms to 30 s, of which the upper half is left to chance so
 * that many clients do not come back at the same moment. `random` gives 0 to 1.
 */
export function backoffMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(ceiling / 2 + random() * (ceiling / 2));
}

/** What a `Retry-After` header asks for (seconds or a date), in milliseconds from now; undefined when it says nothing sensible. */
export function retryAfterMs(header: string | undefined, wallMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - wallMs);
}

/** Waits by the clock; rejects with the signal's reason when it is aborted. */
export async function pause(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const onAbort = () => {
      timer[Symbol.dispose]();
      reject(signal.reason);
    };
    const timer = clock.after(
      ms,
      () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      },
      true,
    );
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
