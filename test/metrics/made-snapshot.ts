import { ManualClock } from '../../src/clock.ts';
import { type ConsumerRow, createGovernor, type Snapshot } from '../../src/governor/index.ts';

const MIB = 1_048_576;

/** What a calm process shows, and what it is told to. */
export function madeSnapshot(more: Partial<Snapshot> = {}): Snapshot {
  const clock = new ManualClock();
  using governor = createGovernor({ limitBytes: 256 * MIB, runtimeBytes: 0, clock, meters: [] });
  return { ...governor.snapshot(), drift: [], ...more };
}

export function madeMeter(
  name: Snapshot['meters'][number]['name'],
  bytes: number,
  limitBytes: number,
  off = false,
): Snapshot['meters'][number] {
  return {
    name,
    bytes,
    limitBytes,
    ratio: bytes / limitBytes,
    reusableBytes: 0,
    peakBytes: bytes,
    bytesPerSecond: 0,
    off,
  };
}

export function madeConsumer(name: string, ownBytes: number, more: Partial<ConsumerRow> = {}): ConsumerRow {
  return {
    ...{ name, kind: 'heap', heldBytes: ownBytes, peakBytes: ownBytes, ownBytes, importance: 0 },
    ...{ reclaimableBytes: 0, refusals: 0, ...more },
  };
}

/** A source that shows what it is told, and throws what it is told to. */
export class PlayedSource {
  snapshots = 0;
  shows: Snapshot;
  fault: unknown;

  constructor(shows: Snapshot = madeSnapshot()) {
    this.shows = shows;
  }

  snapshot(): Snapshot {
    this.snapshots++;
    if (this.fault !== undefined) throw this.fault;
    return this.shows;
  }
}
