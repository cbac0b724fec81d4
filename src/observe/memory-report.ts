import type { DriftRow, MemoryKind, PressureLevel } from '../governor/index.ts';

/** What happened between two moments. Bytes allocated minus bytes freed is what the heap grew by, always. */
export interface MemorySpan {
  readonly elapsedMs: number;
  readonly heapGrowthBytes: number;
  /**
   * Growth of the used heap and what collections took from it meanwhile: what was allocated in V8's heap. Buffers outside it are in `externalBytes` alone.
   * Absent, as `freedBytes` is, where collections cannot tell what they freed.
   */
  readonly allocatedBytes?: number;
  readonly freedBytes?: number;
  readonly allocatedBytesPerSecond?: number;
  /** Freed by allocated. Above 1 where more went than came; absent where nothing was allocated. */
  readonly efficiency?: number;
  readonly collections: number;
  readonly pauseMs: number;
  readonly longestPauseMs: number;
  /** How many things were made, as the caller counted them. */
  readonly items?: number;
  /** Allocated bytes by `items`. V8 does not count its allocations, so there is no such figure unless the caller counts. Of the total: over the spans that have `items`. */
  readonly averageAllocationBytes?: number;
}

/** What was used at one moment, and the span since the checkpoint before. The first has a span of nothing. */
export interface MemoryCheckpoint {
  readonly label: string;
  /** Since the start. */
  readonly atMs: number;
  /** Used heap of V8, memory outside it that V8 knows of (buffers), and what is in RAM. */
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly rssBytes: number;
  /** What was reserved, and the level; absent without a source of snapshots. */
  readonly ledgerBytes?: number;
  readonly level?: PressureLevel;
  readonly span: MemorySpan;
}

export interface TopConsumer {
  readonly name: string;
  readonly kind: MemoryKind;
  /** Its own, those of its children left out. */
  readonly ownBytes: number;
}

/** Who held most, at the checkpoint at which most was reserved. Rows and `otherBytes` make up `reservedBytes`. */
export interface TopConsumers {
  readonly at: string;
  readonly reservedBytes: number;
  readonly rows: readonly TopConsumer[];
  readonly otherBytes: number;
}

/** What a `MemoryProfiler` found. Plain data: JSON and back gives the same. Spans of the checkpoints add up to `total`. */
export interface MemoryReport {
  readonly version: 1;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** The start first, the end last. */
  readonly checkpoints: readonly MemoryCheckpoint[];
  /** Asked for when `maxCheckpoints` were there: what happened is in the span of the next that is kept. */
  readonly droppedCheckpoints: number;
  readonly total: MemorySpan;
  /** The most that was seen, at checkpoints and, but for the ledger, at the samples between them. */
  readonly peak: {
    readonly heapBytes: number;
    readonly externalBytes: number;
    readonly rssBytes: number;
    readonly ledgerBytes?: number;
  };
  readonly topConsumers?: TopConsumers;
  /** At the end: reserved minus observed. */
  readonly drift: readonly DriftRow[];
  /** What the profiler itself took: samples and checkpoints, time inside it, and its part of all the time. */
  readonly cost: { readonly samples: number; readonly spentMs: number; readonly share: number };
  /** How often a figure could not be had, and why the last time. */
  readonly faults: number;
  readonly lastFault?: string;
}
