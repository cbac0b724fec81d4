import type { LoadStats } from './load-table.ts';
import type { RemovalReason } from './removal-queue.ts';
import type { TierStats } from './tier-stats.ts';
import type { WeightCorrection } from './weight-calibration.ts';

/** What a cache counted since it was made, and what it holds now. */
export interface CacheStats extends LoadStats {
  readonly entryCount: number;
  /** What all entries weigh; 0 where nothing is weighed. */
  readonly bytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  /** Of `get` and `getOrLoad`. */
  readonly hits: number;
  readonly misses: number;
  /** Values that were stored. */
  readonly stored: number;
  /** Values that were not: the governor had no room, or the removal listener went in circles. */
  readonly refused: number;
  /** Heavier than the bound. */
  readonly tooHeavy: number;
  /** `weigh` threw, or gave no weight. */
  readonly unweighed: number;
  /** Entries that went, by reason. */
  readonly removals: Readonly<Record<RemovalReason, number>>;
  /** Where there are tiers below: what they did and hold. */
  readonly tiers?: TierStats;
  /** With `calibrate`: how far `weigh` is off. */
  readonly weightCorrection?: WeightCorrection;
  /** Calls of the removal listener that threw or rejected. */
  readonly listenerFaults: number;
  /** Calls of a policy that was handed in that threw, or named no entry. */
  readonly policyFaults: number;
  /** Calls of the governor that failed; the cache went on by its own bound. */
  readonly governorFaults: number;
}

/** The counters behind `CacheStats`. */
export class CacheCounters {
  hits = 0;
  misses = 0;
  stored = 0;
  refused = 0;
  tooHeavy = 0;
  unweighed = 0;
  readonly removals: Record<RemovalReason, number> = { evicted: 0, expired: 0, replaced: 0, removed: 0, reclaimed: 0 };
}
