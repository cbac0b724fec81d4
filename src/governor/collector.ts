import type { Clock } from '../clock.ts';

/** The shortest time between two collections, and the part of the time that they may take at most: one in twenty. */
const COOL_DOWN_MS = 250;
const COST_FACTOR = 20;
const LONGEST_WAIT_MS = 5_000;
/** One that frees less than this part of what was in use was in vain: the wait doubles. */
const WORTH = 0.01;

/** Has V8 collect when it is worth it, at a bounded rate. */
export class Collector {
  readonly #clock: Clock;
  readonly #collect: (() => void) | undefined;
  #notBefore = Number.NEGATIVE_INFINITY;
  #waitMs = COOL_DOWN_MS;
  count = 0;
  spentMs = 0;

  /** Without `collect` it never runs. */
  constructor(clock: Clock, collect: (() => void) | undefined) {
    this.#clock = clock;
    this.#collect = collect;
  }

  /** Collects unless it did lately. `usedBytes` is what should go down. True when it ran. */
  collect(usedBytes: () => number): boolean {
    const startedAt = this.#clock.now();
    if (this.#collect === undefined || startedAt < this.#notBefore) return false;
    this.#notBefore = startedAt + this.#waitMs;
    const before = usedBytes();
    this.#collect();
    const now = this.#clock.now();
    this.count++;
    const tookMs = Math.max(0, now - startedAt);
    const freed = before - usedBytes();
    this.#waitMs = freed < before * WORTH ? Math.min(this.#waitMs * 2, LONGEST_WAIT_MS) : COOL_DOWN_MS;
    this.#notBefore = now + Math.max(this.#waitMs, tookMs * COST_FACTOR);
    this.spentMs += tookMs;
    return true;
  }
}
