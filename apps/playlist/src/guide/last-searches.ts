/** A run of bytes that was searched: from `from` on, what is sought first stands at `to`, or, when not `found`, nowhere before it ends after `to`. */
interface Run {
  from: number;
  to: number;
  found: boolean;
}

/**
 * What two searches for the same thing found, so that a place is not searched again for it. Two, because a search that goes back after damage finds
 * something near, and must not forget what stands, or does not stand, far ahead.
 */
export class LastSearches {
  /** Bytes looked at so far, for tests that bound the work. */
  searchedBytes = 0;
  readonly #length: number;
  readonly #seek: (buffer: Buffer, at: number, used: number) => number;
  #one: Run = { from: 0, to: -1, found: false };
  #other: Run = { from: 0, to: -1, found: false };

  /** `seek` gives the offset of the first thing, `length` bytes long, that begins at or after `at` and ends before `used`; -1 for none. */
  constructor(length: number, seek: (buffer: Buffer, at: number, used: number) => number) {
    this.#length = length;
    this.#seek = seek;
  }

  restart(): void {
    this.#one.to = this.#other.to = -1;
  }

  /** The buffer's content moved towards its start by `bytes`. */
  moved(bytes: number): void {
    moveRun(this.#one, bytes);
    moveRun(this.#other, bytes);
  }

  /** Offset of the first one from `at` on that ends before `used`; -1 for none. Bytes before `used` must not have changed since the last time. */
  next(buffer: Buffer, at: number, used: number): number {
    let run = this.#one;
    if (at < run.from || at > run.to) {
      const other = this.#other;
      if (at >= other.from && at <= other.to) {
        this.#other = run;
        this.#one = run = other;
      } else run = this.#free(at);
    }
    if (run.found) return run.to + this.#length <= used ? run.to : -1;
    const start = Math.max(at, run.to - this.#length + 1);
    if (run.to >= used) return -1;
    const hit = this.#seek(buffer, start, used);
    this.searchedBytes += (hit < 0 ? used : hit) - start;
    run.found = hit >= 0;
    run.to = hit < 0 ? used : hit;
    return hit;
  }

  /** An empty run at `at`, in the place of one that was passed, else of the shorter one. */
  #free(at: number): Run {
    let run = this.#one;
    const other = this.#other;
    const isPassed = run.to < at;
    const isOtherPassed = other.to < at;
    if (isPassed === isOtherPassed ? other.to - other.from < run.to - run.from : isOtherPassed) {
      this.#other = run;
      this.#one = run = other;
    }
    run.from = run.to = at;
    run.found = false;
    return run;
  }
}

function moveRun(run: Run, bytes: number): void {
  run.from = Math.max(0, run.from - bytes);
  run.to = Math.max(-1, run.to - bytes);
}
