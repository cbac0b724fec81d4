import type { TraceName } from './traces.ts';

export interface PublishedRate {
  readonly trace: TraceName;
  readonly entries: number;
  /** Hits of all requests. */
  readonly percent: number;
}

const rate = (trace: TraceName, entries: number, percent: number): PublishedRate => ({ trace, entries, percent });

/** What an LRU has to have: it is one algorithm. */
export const LRU_HIT_RATES: readonly PublishedRate[] = [
  rate('oltp', 250, 16.47),
  rate('oltp', 500, 23.45),
  rate('oltp', 1_000, 32.83),
  rate('oltp', 2_000, 42.47),
  rate('gli', 1_000, 11.21),
  rate('multi1', 1_000, 48.23),
  rate('multi2', 1_000, 47.8),
  rate('web07', 1_000, 50.41),
  rate('loop', 512, 0),
];

/** The best that were published for W-TinyLFU. */
export const TINY_LFU_HIT_RATES: readonly PublishedRate[] = [
  rate('oltp', 250, 24.73),
  rate('oltp', 500, 33.7),
  rate('oltp', 1_000, 39.95),
  rate('oltp', 2_000, 46.07),
  rate('loop', 512, 49.94),
];

/** What whoever knows the future has (Belady). */
export const OPTIMAL_HIT_RATES: readonly PublishedRate[] = [
  rate('oltp', 250, 38.43),
  rate('oltp', 500, 46.42),
  rate('oltp', 1_000, 53.61),
  rate('oltp', 2_000, 60.4),
  rate('gli', 1_000, 53.13),
  rate('multi1', 1_000, 71.4),
  rate('multi2', 1_000, 62.16),
  rate('web07', 1_000, 63.58),
];

/** Of the loop at 512 entries. */
export const LOOP_OPTIMUM = 50.54;
