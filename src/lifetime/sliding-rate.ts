const BUCKETS = 12;

/** How many of what ended lately failed, over a window that slides in twelve steps. */
export class SlidingRate {
  readonly #stepMs: number;
  readonly #ended = new Float64Array(BUCKETS);
  readonly #failed = new Float64Array(BUCKETS);
  #step = Number.NEGATIVE_INFINITY;

  constructor(windowMs: number) {
    this.#stepMs = windowMs / BUCKETS;
  }

  note(failed: boolean, now: number): void {
    this.#slide(now);
    const at = this.#at(this.#step);
    this.#ended[at]!++;
    if (failed) this.#failed[at]!++;
  }

  /** Share that failed, 0 to 1, and of how many. */
  read(now: number): { readonly rate: number; readonly count: number } {
    this.#slide(now);
    let count = 0;
    let failures = 0;
    for (let i = 0; i < BUCKETS; i++) {
      count += this.#ended[i]!;
      failures += this.#failed[i]!;
    }
    return { rate: count === 0 ? 0 : failures / count, count };
  }

  #slide(now: number): void {
    const step = Math.floor(now / this.#stepMs);
    if (step <= this.#step) return;
    const first = Math.max(this.#step + 1, step - BUCKETS + 1);
    for (let each = first; each <= step; each++) this.#ended[this.#at(each)] = this.#failed[this.#at(each)] = 0;
    this.#step = step;
  }

  #at(step: number): number {
    return ((step % BUCKETS) + BUCKETS) % BUCKETS;
  }
}
