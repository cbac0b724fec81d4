/** What happened below the strong tier, and what is there now. */
export interface TierStats {
  readonly weakCount: number;
  readonly compressedCount: number;
  readonly diskCount: number;
  /** Compressed, in memory. */
  readonly compressedBytes: number;
  /** What those were before. */
  readonly uncompressedBytes: number;
  readonly diskBytes: number;
  /** Of index and keys, in the heap. */
  readonly indexBytes: number;
  /** Went down from the strong tier; were asked for and came back, by tier. */
  readonly demoted: number;
  readonly notDemoted: number;
  readonly weakHits: number;
  readonly compressedHits: number;
  readonly diskHits: number;
  /** From memory to disk. */
  readonly spilled: number;
  readonly spillFailures: number;
  /** Whether nothing is written to the disk for the moment, because it failed lately or the folder is gone. */
  readonly spillPaused: boolean;
  /** Gone: to make room, past their time, collected while weak. */
  readonly dropped: number;
  readonly expired: number;
  readonly collected: number;
  /** Could not be read or unpacked any more: misses. */
  readonly lost: number;
}

/** What of it stands in the snapshot. */
export function reportedTiers(stats: TierStats): Record<string, number> {
  const { weakCount, compressedCount, diskCount, compressedBytes, diskBytes } = stats;
  const { demoted, compressedHits, diskHits, lost, spillFailures } = stats;
  const held = { weakCount, compressedCount, diskCount, compressedBytes, diskBytes };
  return { ...held, demoted, compressedHits, diskHits, lost, spillFailures };
}

/** The counters behind `TierStats`. */
export const NO_TIER_COUNTS = {
  demoted: 0,
  notDemoted: 0,
  weakHits: 0,
  compressedHits: 0,
  diskHits: 0,
  spilled: 0,
  spillFailures: 0,
  dropped: 0,
  expired: 0,
  collected: 0,
  lost: 0,
};
