/**
 * The reclaim journal: each train and each part of it. What a part claimed, what the ledger saw and what the deciding meter saw are three
 * figures, because they are seldom the same.
 */
import type { PressureLevel, ReclaimStrategy } from './contract.ts';
import type { MeterName } from './meters.ts';

/**
 * Why a train ran: `pressure` a level was reached; `prediction` it soon will be; `stall` the kernel says that the group waits for memory;
 * `reservation` there was no room inside a reservation at `emergency`; `admission` somebody waits; `asked` by `governor.reclaim()`.
 */
export type TrainReason = 'pressure' | 'prediction' | 'stall' | 'reservation' | 'admission' | 'asked';

export type TrainPartName = 'reclaim-now' | 'reclaim' | 'minor-collection' | 'full-collection' | 'trim';

/** One step of a train. Bytes are what went down: negative when it went up meanwhile. */
export interface TrainPart {
  readonly part: TrainPartName;
  /** Who was asked; absent for collections and the trim. */
  readonly consumer?: string;
  /** What it said it gave back. */
  readonly claimedBytes: number;
  /** What the ledger saw. */
  readonly releasedBytes: number;
  /** What the deciding meter saw. */
  readonly seenBytes: number;
  readonly elapsedMs: number;
  /** Why it was passed over; then nothing was done. */
  readonly skipped?: string;
  readonly fault?: string;
}

export interface TrainReport {
  /** 1 for the first. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly takenAt: number;
  readonly why: TrainReason;
  readonly strategy: ReclaimStrategy;
  readonly level: PressureLevel;
  readonly decidingMeter: MeterName;
  readonly targetBytes: number;
  readonly claimedBytes: number;
  readonly releasedBytes: number;
  readonly seenBytes: number;
  readonly elapsedMs: number;
  /** True in mode `observe`: nothing was done, this is what would have been. */
  readonly observed: boolean;
  /** Those that were run; with the detailed journal also those that were passed over. At most 64. */
  readonly parts: readonly TrainPart[];
}

/** Trains kept. */
const KEPT = 64;

/** The last 64 trains, in a ring that is made at the start. */
export class Journal {
  readonly #ring = new Array<TrainReport | undefined>(KEPT).fill(undefined);
  #count = 0;
  #spentMs = 0;
  #releasedBytes = 0;
  #seenBytes = 0;

  /** Trains so far, and what they took and gave in all; those only observed are counted and gave nothing. */
  get count(): number {
    return this.#count;
  }

  get spentMs(): number {
    return this.#spentMs;
  }

  get releasedBytes(): number {
    return this.#releasedBytes;
  }

  get seenBytes(): number {
    return this.#seenBytes;
  }

  record(report: TrainReport): void {
    this.#ring[this.#count % KEPT] = report;
    this.#count++;
    this.#spentMs += report.elapsedMs;
    this.#releasedBytes += report.releasedBytes;
    this.#seenBytes += report.seenBytes;
  }

  /** Trains in the ring. */
  get length(): number {
    return Math.min(this.#count, KEPT);
  }

  /** The train `index` of the ring, 0 the oldest: for the flight recorder, which makes no array. */
  at(index: number): TrainReport | undefined {
    return this.#ring[(Math.max(0, this.#count - KEPT) + index) % KEPT];
  }

  /** Oldest first. */
  reports(): TrainReport[] {
    const reports: TrainReport[] = [];
    for (let i = 0; i < this.length; i++) reports.push(this.at(i)!);
    return reports;
  }
}
