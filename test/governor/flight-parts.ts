import { ManualClock, type MeterName, type PressureLevel } from 'plimsoll';
import { Faults } from '../../src/governor/faults.ts';
import type { FlightParts } from '../../src/governor/flight-dump.ts';
import { FlightRecorder, type FlightRecorderSettings } from '../../src/governor/flight-recorder.ts';
import { History } from '../../src/governor/history.ts';
import { Journal, type TrainReport } from '../../src/governor/journal.ts';
import { Ledger } from '../../src/governor/ledger.ts';

export const MIB = 1_048_576;

/** The parts of a governor of 100 MiB that has been through something: nothing in them needs one. */
export function flightParts(limitBytes = 100 * MIB) {
  const ledger = new Ledger(limitBytes, 10_000);
  const parts = {
    ledger,
    history: new History(),
    journal: new Journal(),
    faults: new Faults(),
    mode: () => 'on' as const,
    levelNow: 'emergency' as PressureLevel,
    limitBytes: () => limitBytes,
    level: () => parts.levelNow,
    decidingMeter: (): MeterName => 'cgroup',
  };
  return parts satisfies FlightParts;
}

/** Two consumers in a tree, a closed one, samples, a train, a fault. */
export function eventfulParts() {
  const parts = flightParts();
  const { ledger, history, journal, faults } = parts;
  const cache = ledger.open({ name: 'cache', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
  const reclaimer = { reclaimableBytes: () => 0 };
  const pages = ledger.open({ name: 'pages "of" \u00e4\n', kind: 'external', maxBytes: 50 * MIB, reclaimer }, cache);
  const gone = ledger.open({ name: 'gone', kind: 'heap', maxBytes: MIB });
  ledger.charge(cache, 10 * MIB);
  ledger.charge(pages, 40 * MIB);
  ledger.release(pages, 5 * MIB);
  ledger.charge(gone, 1);
  ledger.close(gone);
  for (let i = 0; i < 300; i++) {
    history.begin(i * 50, 4, 'cgroup', 0.961234567);
    history.setBytes('cgroup', 96 * MIB + i);
    history.setBytes('ledger', 3e9 + i);
  }
  journal.record(trainReport(1));
  journal.record(trainReport(2));
  faults.note('trim', new Error('no such function'), true);
  return parts;
}

/** A recorder of such parts that writes into `folder`. */
export function recordInto(folder: string, more: Partial<FlightRecorderSettings> = {}) {
  const clock = new ManualClock(1_700_000_000_000);
  const faults = new Faults();
  const parts = eventfulParts();
  const recorder = new FlightRecorder({ folder, clock, faults, parts, ...more });
  return { clock, faults, parts, recorder };
}

export function trainReport(number: number, parts = 1): TrainReport {
  const gain = { claimedBytes: 5_000, releasedBytes: 4_000, seenBytes: -1_000, elapsedMs: 1.25 };
  return {
    number,
    takenAt: 1_700_000_000_000 + number,
    why: 'pressure',
    strategy: 'smart',
    level: 'emergency',
    decidingMeter: 'cgroup',
    targetBytes: 10_000,
    observed: false,
    parts: Array.from({ length: parts }, () => ({ part: 'reclaim-now' as const, consumer: 'pages', ...gain })),
    ...gain,
  };
}
