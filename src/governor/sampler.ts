/**
 * Reads the meters and decides the level. The only one that samples: everybody else asks the governor.
 *
 * Inside, a sample leaves no garbage but what Node's own calls make; what it read stands in arrays made at the start, the last readings in
 * a ring. A meter that throws is passed over for that sample and switched off for good after three in a row.
 */
import type { Clock } from '../clock.ts';
import type { PressureLevel } from './contract.ts';
import type { Faults } from './faults.ts';
import { History, type Sample } from './history.ts';
import type { Meter, MeterName } from './meters.ts';
import { levelRank, nextLevel, type PressureThresholds } from './pressure.ts';

const MOST_FAILURES = 3;
const SLOW_MS = 250;
const FAST_MS = 50;
const HIGH_RANK = levelRank('high');

export interface MeterRow {
  readonly name: MeterName;
  readonly bytes: number;
  readonly limitBytes: number;
  readonly ratio: number;
  readonly peakBytes: number;
  readonly off: boolean;
}

export interface SamplerOptions {
  readonly clock: Clock;
  readonly faults: Faults;
  readonly meters: readonly Meter[];
  readonly thresholds: PressureThresholds;
  /** Called when the level changes, after the readings stand. */
  readonly onLevel: (to: PressureLevel, from: PressureLevel) => void;
}

class Slot {
  readonly meter: Meter;
  bytes = 0;
  limitBytes = 0;
  ratio = 0;
  peakBytes = 0;
  failures = 0;
  off = false;

  constructor(meter: Meter) {
    this.meter = meter;
  }
}

export class Sampler implements Disposable {
  readonly #options: SamplerOptions;
  #slots: Slot[];
  readonly history = new History();
  #thresholds: PressureThresholds;
  #level: PressureLevel = 'optimal';
  #deciding: Slot | undefined;
  #at = 0;
  #spentMs = 0;
  #inside = false;
  #stopped = false;
  #timer: Disposable | undefined;

  constructor(options: SamplerOptions) {
    this.#options = options;
    this.#slots = options.meters.map((meter) => new Slot(meter));
    this.#thresholds = options.thresholds;
  }

  get level(): PressureLevel {
    return this.#level;
  }

  /** Samples taken, and the time they took in all, ms. */
  get count(): number {
    return this.history.count;
  }

  get spentMs(): number {
    return this.#spentMs;
  }

  /** From the next sample on. */
  setThresholds(thresholds: PressureThresholds): void {
    this.#thresholds = thresholds;
  }

  /** Puts another meter in the place of the one of that name, or takes it away; peaks start anew. */
  replace(name: MeterName, meter: Meter | undefined): void {
    const others = this.#slots.filter((slot) => slot.meter.name !== name);
    this.#slots = meter === undefined ? others : [...others, new Slot(meter)];
    if (this.#deciding?.meter.name === name) this.#deciding = undefined;
  }

  /** Reads all meters and decides. A sample asked for inside a sample (by a meter or by who hears of the level) does nothing. */
  take(): void {
    if (this.#inside) return;
    this.#inside = true;
    const { clock } = this.#options;
    const startedAt = clock.now();
    try {
      const worst = this.#readAll();
      this.#at = startedAt;
      this.#deciding = worst;
      const from = this.#level;
      if (worst !== undefined) this.#level = nextLevel(from, worst.ratio, this.#thresholds);
      this.#record();
      this.#spentMs += Math.max(0, clock.now() - startedAt);
      if (this.#level !== from) this.#options.onLevel(this.#level, from);
    } finally {
      this.#inside = false;
    }
  }

  /** What the last sample saw. */
  last(): Sample {
    return {
      atMs: this.#at,
      level: this.#level,
      decidingMeter: this.#deciding?.meter.name ?? 'ledger',
      ratio: this.#deciding?.ratio ?? 0,
      ledgerBytes: this.bytes('ledger'),
      heapBytes: this.bytes('heap'),
      externalBytes: this.bytes('external'),
      rssBytes: this.bytes('rss'),
      cgroupBytes: this.bytes('cgroup'),
    };
  }

  /** The meter that decided the last time, when it measures more than the books: how far it stands from its limit. */
  physical(): { readonly bytes: number; readonly limitBytes: number } | undefined {
    const slot = this.#deciding;
    return slot === undefined || slot.meter.name === 'ledger' ? undefined : slot;
  }

  bytes(name: MeterName): number {
    for (const slot of this.#slots) if (slot.meter.name === name && !slot.off) return slot.bytes;
    return 0;
  }

  rows(): MeterRow[] {
    return this.#slots.map(({ meter, bytes, limitBytes, ratio, peakBytes, off }) => {
      return { name: meter.name, bytes, limitBytes, ratio, peakBytes, off };
    });
  }

  /**
   * Calls `sample`, which takes one and does whatever else belongs to it, by the clock: every 250 ms, every 50 ms from `high` on. What it
   * throws is a fault. Does not keep the process alive.
   */
  start(sample: () => void): void {
    if (this.#timer !== undefined || this.#stopped) return;
    const delayMs = levelRank(this.#level) >= HIGH_RANK ? FAST_MS : SLOW_MS;
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#timer = undefined;
      try {
        sample();
      } catch (cause) {
        this.#options.faults.note('sample', cause);
      }
      this.start(sample);
    });
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  /**
   * The meter that is nearest to its limit. Where the kernel's own charge can be read against a limit as small, RSS has no say: it has pages
   * of files in it, the program's own first of all, about 44 MiB, that are charged to whoever read them first.
   */
  #readAll(): Slot | undefined {
    let worst: Slot | undefined;
    let rss: Slot | undefined;
    let chargeLimitBytes = Number.POSITIVE_INFINITY;
    for (const slot of this.#slots) {
      if (slot.off || !this.#read(slot)) continue;
      if (slot.meter.name === 'cgroup') chargeLimitBytes = slot.limitBytes;
      if (slot.meter.name === 'rss') rss = slot;
      else if (worst === undefined || slot.ratio > worst.ratio) worst = slot;
    }
    if (rss === undefined || chargeLimitBytes <= rss.limitBytes) return worst;
    return worst === undefined || rss.ratio > worst.ratio ? rss : worst;
  }

  /** False when the meter failed. */
  #read(slot: Slot): boolean {
    try {
      const bytes = slot.meter.read();
      const limitBytes = slot.meter.limitBytes;
      if (!(typeof bytes === 'number' && bytes >= 0 && limitBytes > 0)) {
        this.#options.faults.watch(`meter ${slot.meter.name}`, bytes);
        throw new RangeError(`it read ${bytes} of ${limitBytes} bytes`);
      }
      slot.bytes = bytes;
      slot.limitBytes = limitBytes;
      slot.ratio = bytes / limitBytes;
      if (bytes > slot.peakBytes) slot.peakBytes = bytes;
      slot.failures = 0;
      return true;
    } catch (cause) {
      slot.off = ++slot.failures >= MOST_FAILURES;
      this.#options.faults.note(`meter ${slot.meter.name}`, cause, slot.off);
      return false;
    }
  }

  #record(): void {
    this.history.begin(
      this.#at,
      levelRank(this.#level),
      this.#deciding?.meter.name ?? 'ledger',
      this.#deciding?.ratio ?? 0,
    );
    for (const slot of this.#slots) if (!slot.off) this.history.setBytes(slot.meter.name, slot.bytes);
  }
}
