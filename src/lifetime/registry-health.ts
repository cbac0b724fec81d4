import type { HolderHealth } from '../governor/index.ts';
import type { CleanupQueue } from './cleanup-queue.ts';

/** How cleaning up goes. */
export interface RegistryHealth {
  /**
   * `failing`: half or more of at least four that ended lately failed. `degraded`: a twentieth or more of them did, or one waits for its turn for longer than ten times `agingMs`.
   */
  readonly state: HolderHealth;
  readonly why?: string;
  /** Waiting for their turn, at work, and waiting to be tried again. */
  readonly waiting: number;
  readonly running: number;
  readonly retrying: number;
  /** How long the one that has waited longest for its turn has done so, ms. */
  readonly oldestWaitingMs: number;
  /** Share of those that ended within the last `healthWindowMs` that failed or hung, 0 to 1, and how many ended. */
  readonly failureRate: number;
  readonly endedLately: number;
}

const FAILING_RATE = 0.5;
const FAILING_COUNT = 4;
const DEGRADED_RATE = 0.05;
const LONG_WAIT_STEPS = 10;

/** A pure function of what is known. */
export function registryHealth(
  queue: CleanupQueue,
  { rate, count }: { readonly rate: number; readonly count: number },
  now: number,
  agingMs: number,
): RegistryHealth {
  const oldestWaitingMs = queue.oldestWaitingMs(now);
  const isFailing = rate >= FAILING_RATE && count >= FAILING_COUNT;
  let why: string | undefined;
  if (rate >= DEGRADED_RATE) why = `${(rate * 100).toFixed(0)}% of ${count} cleanups failed`;
  else if (oldestWaitingMs > LONG_WAIT_STEPS * agingMs)
    why = `one waits to be cleaned up for ${Math.round(oldestWaitingMs)} ms`;
  return {
    state: isFailing ? 'failing' : why === undefined ? 'ok' : 'degraded',
    ...(why === undefined ? {} : { why }),
    waiting: queue.waitingCount,
    running: queue.runningCount,
    retrying: queue.retryingCount,
    oldestWaitingMs,
    failureRate: rate,
    endedLately: count,
  };
}
