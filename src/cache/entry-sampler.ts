import type { EntryStore } from './entry-store.ts';
import { MOST_ENTRY_BYTES } from './entry-weights.ts';
import {
  type CalibrationSettings,
  WeightCalibration,
  type WeightCorrection,
  weighBeside,
} from './weight-calibration.ts';

/** Free slots that are met by chance before one gives up. */
const TRIES = 8;
/** Code of others may run while room is asked for. */
const RESCALE_TRIES = 8;

/** Looks at entries by chance, while others are set, and books what is found where that is asked for. */
export class EntrySampler<K, V> {
  readonly #store: EntryStore<K, V>;
  readonly #calibration: WeightCalibration;
  readonly #random: () => number;

  constructor(store: EntryStore<K, V>, settings: CalibrationSettings, random: () => number = Math.random) {
    this.#store = store;
    this.#calibration = new WeightCalibration(settings);
    this.#random = random;
  }

  /** What a weight is multiplied with before it is booked. */
  get appliedRatio(): number {
    return this.#calibration.appliedRatio;
  }

  get correction(): WeightCorrection {
    return this.#calibration.correction;
  }

  /** An entry was set: one in so many times another one is looked at. */
  noteSet(): void {
    if (!this.#calibration.isDue()) return;
    const slot = this.#anySlot();
    if (slot < 0) return;
    const { table } = this.#store;
    const other = this.#anySlot();
    const beside = other < 0 || other === slot ? undefined : table.valueAt(other);
    const before = this.#calibration.appliedRatio;
    try {
      const said = this.#store.weights!.at(slot) / before;
      if (!this.#calibration.add(said, weighBeside(table.valueAt(slot), table.keyAt(slot), beside))) return;
    } catch {
      // What cannot be looked at says nothing.
      return;
    }
    rescaleWeights(this.#store, this.#calibration.appliedRatio / before);
  }

  #anySlot(): number {
    const { table } = this.#store;
    for (let tries = 0; tries < TRIES; tries++) {
      const slot = Math.floor(this.#random() * table.usedSlots);
      if (table.isUsed(slot)) return slot;
    }
    return -1;
  }
}

/**
 * Multiplies what all entries weigh. What comes to more is taken from the books first; where they have no room, and where the bound is passed, the coldest are
 * evicted. About 5 ns a slot.
 */
function rescaleWeights<K, V>(store: EntryStore<K, V>, factor: number): void {
  const weights = store.weights!;
  const scaled = (bytes: number): number => Math.min(MOST_ENTRY_BYTES, Math.ceil(bytes * factor));
  for (let tries = 0; store.entryCount > 0; tries++) {
    let heap = 0;
    let external = 0;
    for (let slot = 0; slot < store.table.usedSlots; slot++) {
      heap += scaled(weights.heapAt(slot));
      external += scaled(weights.externalAt(slot));
    }
    const isOver = heap + external > store.maxBytes;
    const more = [Math.max(0, heap - weights.heapBytes), Math.max(0, external - weights.externalBytes)] as const;
    const seen = [store.entryCount, weights.heapBytes, weights.externalBytes];
    if (isOver || !(store.books?.tryTake(more[0], more[1]) ?? true)) {
      evictPart(store);
      continue;
    }
    const isSame = [store.entryCount, weights.heapBytes, weights.externalBytes].every((each, i) => each === seen[i]);
    if (!isSame) {
      store.books?.give(more[0], more[1]);
      if (tries < RESCALE_TRIES) continue;
      return;
    }
    store.books?.give(Math.max(0, weights.heapBytes - heap), Math.max(0, weights.externalBytes - external));
    for (let slot = 0; slot < store.table.usedSlots; slot++) {
      weights.set(slot, scaled(weights.heapAt(slot)), scaled(weights.externalAt(slot)));
    }
    store.noteReweighed();
    return;
  }
}

/** So much that few rounds are needed, so little that not much more goes than has to. */
function evictPart<K, V>(store: EntryStore<K, V>): void {
  const until = store.entryCount - Math.ceil(store.entryCount / 32);
  while (store.entryCount > until && store.evictOne('evicted'));
}
