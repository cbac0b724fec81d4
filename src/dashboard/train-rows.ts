import type { TrainReport } from '../governor/index.ts';
import type { MonitorEvent } from '../observe/index.ts';
import type { TrainRow } from './train-row.ts';

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
