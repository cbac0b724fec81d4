import type { Clock } from '../clock.ts';
import type { OnDropped } from './cache-driver.ts';
import type { EntryWeigher } from './entry-weigher.ts';

/** So many are weighed each, of those after them one in eight, while all the weighing takes no longer than this: time is for dropping. */
const WEIGHED_EACH = 16;
const WEIGHED_ONE_IN = 8;
const WEIGH_MS = 0.5;

/** Entries dropped in one go: how many, and what they weighed, as far as that was seen. */
export class DropRun {
  readonly #weigher: EntryWeigher;
  readonly #clock: Clock;
  #gone = 0;
  #weighed = 0;
  #bytes = 0;
  #spentMs = 0;

  constructor(weigher: EntryWeigher, clock: Clock) {
    this.#weigher = weigher;
    this.#clock = clock;
  }

  get gone(): number {
    return this.#gone;
  }

  /** Of all that went, from those that were weighed; undefined when none was. */
  get bytes(): number | undefined {
    return this.#weighed === 0 ? undefined : (this.#bytes / this.#weighed) * this.#gone;
  }

  readonly onDropped: OnDropped = (value, key) => {
    const isDue = this.#gone < WEIGHED_EACH || this.#gone % WEIGHED_ONE_IN === 0;
    this.#gone++;
    if (value === undefined || !isDue || this.#spentMs >= WEIGH_MS) return;
    const startedAt = this.#clock.now();
    const weight = this.#weigher.weighDropped(value, key);
    this.#spentMs += this.#clock.now() - startedAt;
    if (weight === undefined) return;
    this.#weighed++;
    this.#bytes += weight.heapBytes + weight.externalBytes;
  };
}
