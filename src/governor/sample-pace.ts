import type { PressureLevel } from './contract.ts';

/** The longest between two samples at each level, and the most of a core that sampling may take there. */
const PACE: Readonly<Record<PressureLevel, { readonly longestMs: number; readonly share: number }>> = {
  optimal: { longestMs: 1_000, share: 0.001 },
  moderate: { longestMs: 500, share: 0.005 },
  high: { longestMs: 250, share: 0.005 },
  critical: { longestMs: 100, share: 0.05 },
  emergency: { longestMs: 50, share: 0.05 },
};
const SHORTEST_MS = 20;
/** Of the predicted time to the next threshold: it is looked at about so many times on the way. */
const LOOKS_AHEAD = 4;
/** Calm has to last: the wait at most doubles from sample to sample. */
const FIRST_MS = 100;
/**
 * Of the longest wait: so much longer it may become where samples are dear, and no more. Their cost is time of the wall: of a process that gets
 * little of its core they look dear when they are not, and it needs looking at like any other.
 */
const STRETCH = 5;
const FORGET = 1 / 8;

/** When to look again: rare when all is calm, often near a threshold, and never so often that looking itself becomes a load. */
export class SamplePace {
  /** The last costs: one of three does not count, because it may be a pause of the process. */
  #newest = 0;
  #middle = 0;
  #oldest = 0;
  #averageMs = 0;
  #delayMs = FIRST_MS / 2;

  /** What a sample takes, ms: rises with the second that is dear, falls off slowly. */
  get averageMs(): number {
    return this.#averageMs;
  }

  /** What one sample took. */
  noteCost(ms: number): void {
    this.#oldest = this.#middle;
    this.#middle = this.#newest;
    this.#newest = ms >= 0 ? ms : 0;
    const median = Math.max(
      Math.min(this.#newest, this.#middle),
      Math.min(Math.max(this.#newest, this.#middle), this.#oldest),
    );
    this.#averageMs = Math.max(median, this.#averageMs + (median - this.#averageMs) * FORGET);
  }

  /** Milliseconds from a sample to the next, when `toThresholdMs` is the predicted time until the next threshold; `Infinity` when none nears. */
  delayMs(level: PressureLevel, toThresholdMs: number): number {
    const { longestMs, share } = PACE[level];
    const wanted = Math.min(longestMs, toThresholdMs / LOOKS_AHEAD, this.#delayMs * 2);
    return Math.min(longestMs * STRETCH, Math.max(SHORTEST_MS, wanted || 0, this.#averageMs / share));
  }

  /** The wait that was set. */
  noteDelay(ms: number): void {
    this.#delayMs = ms;
  }
}
