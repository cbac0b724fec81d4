import { PRESSURE_LEVELS, type PressureLevel } from './contract.ts';
import { METER_NAMES, type MeterName } from './meters.ts';

/** Four minutes while all is calm, five seconds next to the line; 17 KiB. */
const KEPT = 240;
/** Inside a loop of reservations samples come faster than the ring is long: those that stand closer than that become one row. */
const SPACING_MS = 20;
/** Of the ring: time, rank of the level, number of the deciding meter, its ratio, then each meter's bytes. */
const ROW = 4 + METER_NAMES.length;

/** The memory figures at one moment. A meter that is absent or switched off reads 0. */
export interface Sample {
  /** Of the governor's clock, ms. */
  readonly atMs: number;
  readonly level: PressureLevel;
  /** The meter that is nearest to its limit. */
  readonly decidingMeter: MeterName;
  /** Its share of its limit. */
  readonly ratio: number;
  readonly ledgerBytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly rssBytes: number;
  readonly cgroupBytes: number;
}

/** The last 240 samples in a ring of numbers that is made at the start, for alerts and the flight recorder. Taking one leaves no garbage. */
export class History {
  readonly #ring = new Float64Array(KEPT * ROW);
  #count = 0;

  /** Rows so far, and how many of them are in the ring. */
  get count(): number {
    return this.#count;
  }

  get length(): number {
    return Math.min(this.#count, KEPT);
  }

  /**
   * Begins the next row; `setBytes` fills it. With `dense` it may take the place of the last row: when that is of the same level and less than
   * 20 ms after the one before it.
   */
  begin(atMs: number, levelRank: number, deciding: MeterName, ratio: number, dense = false): void {
    if (!(dense && this.#isDense(atMs, levelRank))) this.#count++;
    const at = ((this.#count - 1) % KEPT) * ROW;
    this.#ring.fill(0, at, at + ROW);
    this.#ring[at] = atMs;
    this.#ring[at + 1] = levelRank;
    this.#ring[at + 2] = METER_NAMES.indexOf(deciding);
    this.#ring[at + 3] = ratio;
  }

  /** Sets a reading of the row begun last. */
  setBytes(meter: MeterName, bytes: number): void {
    const at = ((this.#count - 1) % KEPT) * ROW;
    this.#ring[at + 4 + METER_NAMES.indexOf(meter)] = bytes;
  }

  /** Figures of row `index`, 0 the oldest; they make no objects. */
  atMs(index: number): number {
    return this.#ring[this.#at(index)]!;
  }

  level(index: number): PressureLevel {
    return PRESSURE_LEVELS[this.#ring[this.#at(index) + 1]!]!;
  }

  decidingMeter(index: number): MeterName {
    return METER_NAMES[this.#ring[this.#at(index) + 2]!]!;
  }

  ratio(index: number): number {
    return this.#ring[this.#at(index) + 3]!;
  }

  bytes(index: number, meter: MeterName): number {
    return this.#ring[this.#at(index) + 4 + METER_NAMES.indexOf(meter)]!;
  }

  /** Oldest first. */
  samples(): Sample[] {
    const samples: Sample[] = [];
    for (let i = 0; i < this.length; i++) {
      samples.push({
        atMs: this.atMs(i),
        level: this.level(i),
        decidingMeter: this.decidingMeter(i),
        ratio: this.ratio(i),
        ledgerBytes: this.bytes(i, 'ledger'),
        heapBytes: this.bytes(i, 'heap'),
        externalBytes: this.bytes(i, 'external'),
        rssBytes: this.bytes(i, 'rss'),
        cgroupBytes: this.bytes(i, 'cgroup'),
      });
    }
    return samples;
  }

  #isDense(atMs: number, levelRank: number): boolean {
    const { length } = this;
    if (length < 2) return false;
    const sinceMs = atMs - this.#ring[this.#at(length - 2)]!;
    return sinceMs >= 0 && sinceMs < SPACING_MS && this.#ring[this.#at(length - 1) + 1] === levelRank;
  }

  #at(index: number): number {
    return ((Math.max(0, this.#count - KEPT) + index) % KEPT) * ROW;
  }
}
