import type { TrainPart } from '../governor/index.ts';

/** A row of the reclaim journal: what was claimed, what the ledger saw (released) and what the deciding meter saw (observed). Plain data. */
export interface TrainRow {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly why: string;
  readonly strategy: string;
  readonly level?: string;
  readonly meter?: string;
  readonly claimedBytes: number;
  readonly releasedBytes: number;
  readonly seenBytes?: number;
  readonly elapsedMs: number;
  /** True when nothing was done. */
  readonly observed: boolean;
  readonly parts: readonly TrainPart[];
}
