import type { TrainPart, TrainReport } from '../governor/index.ts';
import type { MonitorEvent } from '../observe/index.ts';

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

export function rowOfReport(report: TrainReport): TrainRow {
  const { takenAt: at, decidingMeter: meter, why, strategy, level, elapsedMs, observed, parts } = report;
  const { claimedBytes, releasedBytes, seenBytes } = report;
  return { at, why, strategy, level, meter, claimedBytes, releasedBytes, seenBytes, elapsedMs, observed, parts };
}

/** Of who has a monitor and no governor; undefined for an event that is no train. */
export function rowOfEvent(event: MonitorEvent): TrainRow | undefined {
  if (event.kind !== 'reclaim' || event.source !== 'train') return undefined;
  const { at, how: strategy, why = '', claimedBytes, releasedBytes, seenBytes, durationMs: elapsedMs } = event;
  const seen = seenBytes === undefined ? {} : { seenBytes };
  const observed = event.observed === true;
  return { at, why, strategy, claimedBytes, releasedBytes, ...seen, elapsedMs, observed, parts: [] };
}
