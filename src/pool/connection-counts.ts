/**
 * Why a connection was closed. `idle`: nobody used it for `idleTimeoutMs`. `lifetime`: it had its time. `invalid`: `isValid` did not say yes. `lost`: it said that
 * it was gone. `recycle-failed`: it could not be made good for the next one. `discarded`: its borrower said so. `surplus`: `maxSize` was lowered.
 * `reclaimed`: the governor wanted its bytes. `closed`: the pool was. `late`: it came after `createTimeoutMs`.
 */
export const CONNECTION_ENDS = [
  'idle',
  'lifetime',
  'invalid',
  'lost',
  'recycle-failed',
  'discarded',
  'surplus',
  'reclaimed',
  'closed',
  'late',
] as const;
export type ConnectionEnd = (typeof CONNECTION_ENDS)[number];

/** What has happened in a pool so far. */
export class ConnectionCounts {
  /** Leases begun: those that waited are among them. */
  acquired = 0;
  waited = 0;
  slowAcquires = 0;
  timeouts = 0;
  aborted = 0;
  /** Turned away because too many waited, or the pool was closed. */
  refused = 0;
  deadlocks = 0;
  created = 0;
  createFailures = 0;
  createTimeouts = 0;
  /** Not made because the governor had no room. */
  budgetRefusals = 0;
  validated = 0;
  recycleFailures = 0;
  destroyFailures = 0;
  destroyTimeouts = 0;
  /** Leases that lasted longer than `leakDetectionMs`. */
  overdueLeases = 0;
  /** Leases over which the pool was closed. */
  forced = 0;
  readonly ended: Record<ConnectionEnd, number> = {
    idle: 0,
    lifetime: 0,
    invalid: 0,
    lost: 0,
    'recycle-failed': 0,
    discarded: 0,
    surplus: 0,
    reclaimed: 0,
    closed: 0,
    late: 0,
  };
}
