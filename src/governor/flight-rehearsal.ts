import type { Clock } from '../clock.ts';
import { Faults } from './faults.ts';
import type { FlightParts } from './flight-dump.ts';
import { History } from './history.ts';
import { Journal, type TrainPart, type TrainReport } from './journal.ts';
import { Ledger } from './ledger.ts';

/** As many as there are of the real ones: what runs often enough is compiled once more, and better have it done by now. */
const SAMPLES = 240;
const TRAINS = 32;

/** Made-up figures, some of everything: writing them once has V8 compile all that writes real ones. */
export function rehearsalParts(clock: Clock): FlightParts {
  const ledger = new Ledger(2, 3);
  const parent = ledger.open({ name: 'parent', kind: 'heap', maxBytes: 2 });
  const reclaimer = { reclaimableBytes: () => 0 };
  const child = ledger.open({ name: 'child \u00e4\n', kind: 'heap', maxBytes: 2, reclaimer }, parent);
  ledger.charge(parent, 1);
  ledger.charge(child, 1);
  const history = new History();
  for (let i = 0; i < SAMPLES; i++) {
    history.begin(i + 0.5, 0, 'ledger', 0.5);
    history.setBytes('ledger', 3e9);
  }
  const journal = new Journal();
  const gain = { claimedBytes: 1, releasedBytes: 1, seenBytes: -1, elapsedMs: 0.5 };
  const part: TrainPart = { part: 'reclaim', consumer: 'child', skipped: 'no', fault: 'none', ...gain };
  const train: TrainReport = {
    number: 1,
    takenAt: clock.wall(),
    why: 'asked',
    strategy: 'basic',
    level: 'optimal',
    decidingMeter: 'ledger',
    targetBytes: 1,
    observed: false,
    parts: [part, part, part],
    ...gain,
  };
  for (let i = 0; i < TRAINS; i++) journal.record(train);
  return {
    ledger,
    history,
    journal,
    // None noted: whoever listens for faults would hear of it.
    faults: new Faults(),
    mode: () => 'on',
    limitBytes: () => 2,
    level: () => 'optimal',
    decidingMeter: () => 'ledger',
    scopes: () => [{ name: 'scope', heldBytes: 0, peakBytes: 0 }],
  };
}
