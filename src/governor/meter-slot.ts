import type { Meter } from './meters.ts';
import { Trend } from './trend.ts';

export const FIRST_RETRY_MS = 30_000;

/** A meter, and what it read the last time. */
export class MeterSlot {
  readonly meter: Meter;
  readonly trend = new Trend();
  bytes = 0;
  limitBytes = 0;
  ratio = 0;
  /** Of what it read: free to be used again, which is no pressure. */
  reusableBytes = 0;
  peakBytes = 0;
  failures = 0;
  off = false;
  offAt = 0;
  retryMs = FIRST_RETRY_MS;

  constructor(meter: Meter) {
    this.meter = meter;
  }

  /** What it read, without what is free to be used again. */
  get usedBytes(): number {
    return this.bytes - this.reusableBytes;
  }

  /** Share of its limit that is pressure. */
  get pressure(): number {
    return this.reusableBytes === 0 ? this.ratio : this.usedBytes / this.limitBytes;
  }

  /** Not at a time before it failed either: then the clock was set back. */
  rests(now: number): boolean {
    return this.off && now >= this.offAt && now - this.offAt < this.retryMs;
  }
}
