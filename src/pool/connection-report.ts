import type { HolderReport } from '../governor/index.ts';
import { CONNECTION_ENDS, type ConnectionCounts, type ConnectionEnd } from './connection-counts.ts';
import type { ConnectionStock } from './connection-stock.ts';
import type { WaitTimeStats } from './connection-wait-times.ts';

/** How a pool stands and what it has done. */
export interface ConnectionPoolStats {
  /** Places that are taken, connections being closed left out: `idle`, `leased`, `creating`, `checking` and `recycling` together. */
  readonly size: number;
  readonly idle: number;
  readonly leased: number;
  readonly creating: number;
  readonly checking: number;
  readonly recycling: number;
  /** Being closed; their places are not free yet. */
  readonly closing: number;
  readonly waiting: number;
  /** How long the first of those has waited, ms. */
  readonly longestWaitMs: number;
  readonly acquired: number;
  /** Of those, the ones that waited. */
  readonly waited: number;
  /** Waited longer than `slowAcquireMs`, whatever came of it. */
  readonly slowAcquires: number;
  readonly timeouts: number;
  readonly aborted: number;
  readonly refused: number;
  readonly deadlocks: number;
  readonly created: number;
  /** Those that took too long among them. */
  readonly createFailures: number;
  readonly createTimeouts: number;
  readonly budgetRefusals: number;
  readonly validated: number;
  readonly recycleFailures: number;
  readonly destroyed: number;
  readonly destroyedBy: Readonly<Record<ConnectionEnd, number>>;
  readonly destroyFailures: number;
  readonly destroyTimeouts: number;
  readonly overdueLeases: number;
  readonly forced: number;
  /** Calls of the governor that failed; the pool went on by its own bounds. */
  readonly faults: number;
  /** How long those waited who got one, ms; 0 for those who did not wait. */
  readonly acquireMs: WaitTimeStats;
}

export interface ReportSource {
  readonly stock: Pick<
    ConnectionStock<unknown>,
    'size' | 'idle' | 'leased' | 'creating' | 'checking' | 'recycling' | 'closing' | 'backOff' | 'tuning' | 'slots'
  >;
  readonly counts: ConnectionCounts;
  readonly waiting: number;
  readonly longestWaitMs: number;
  readonly faults: number;
  readonly acquireMs: WaitTimeStats;
  /** How many are to be kept open now. */
  readonly floor: number;
}

export function poolStats(source: ReportSource): ConnectionPoolStats {
  const { stock, counts, waiting, longestWaitMs, faults, acquireMs } = source;
  const { ended, ...happened } = counts;
  let destroyed = 0;
  for (const why of CONNECTION_ENDS) destroyed += ended[why];
  return {
    size: stock.size,
    idle: stock.idle.size,
    leased: stock.leased,
    creating: stock.creating,
    checking: stock.checking,
    recycling: stock.recycling,
    closing: stock.closing,
    waiting,
    longestWaitMs,
    ...happened,
    destroyed,
    destroyedBy: { ...ended },
    faults,
    acquireMs,
  };
}

/** `failing` while connections cannot be made; `degraded` while waiting is slow, some are missing, or leases are overdue. */
export function poolReport(source: ReportSource): HolderReport {
  const { acquireMs, destroyedBy, ...counts } = poolStats(source);
  const { p50, p99, p999, max } = acquireMs;
  const trouble = troubleOf(source);
  return {
    type: 'connection pool',
    ...(trouble ?? { health: 'ok' }),
    counts: { ...counts, acquireP50Ms: p50, acquireP99Ms: p99, acquireP999Ms: p999, acquireMaxMs: max },
  };
}

function troubleOf({ stock, longestWaitMs, floor }: ReportSource): Pick<HolderReport, 'health' | 'why'> | undefined {
  const { failures } = stock.backOff;
  if (failures > 0) return { health: 'failing', why: `connections cannot be made, ${failures} times in a row` };
  if (longestWaitMs > stock.tuning.slowAcquireMs) {
    return { health: 'degraded', why: `somebody has waited ${Math.round(longestWaitMs)}ms for a connection` };
  }
  let overdue = 0;
  for (const slot of stock.slots) if (slot.overdue) overdue++;
  if (overdue > 0) return { health: 'degraded', why: `${overdue} leases are overdue` };
  const open = stock.size - stock.creating;
  if (open < floor) return { health: 'degraded', why: `${open} of ${floor} connections are open` };
  return undefined;
}
