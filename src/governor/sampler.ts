/**
 * Reads the meters and decides the level. The only one that samples: everybody else asks the governor.
 *
 * Inside, a sample leaves no garbage but what Node's own calls make; what it read stands in arrays made at the start, the last readings in
 * a ring. A meter that throws is passed over for that sample and switched off after three in a row; it is tried again after half a minute,
 * then after twice as long each time, up to ten minutes: a file that vanished can come back. When none is left, the level is `optimal`: what
 * cannot be measured is not acted on.
 */
import type { Clock } from '../clock.ts';
import type { PressureLevel } from './contract.ts';
import type { Faults } from './faults.ts';
import { History, type Sample } from './history.ts';
import { FIRST_RETRY_MS, MeterSlot } from './meter-slot.ts';
import type { Meter, MeterName } from './meters.ts';
import { levelRank, nextLevel, type PressureThresholds } from './pressure.ts';
import { SamplePace } from './sample-pace.ts';
import type { Trend, TrendRow } from './trend.ts';

/** More than that is no number of bytes, and no JSON. */
const MOST_BYTES = Number.MAX_SAFE_INTEGER;
const MOST_FAILURES = 3;
const LONGEST_RETRY_MS = 600_000;
const NONE = { meter: { name: 'ledger' }, usedBytes: 0, limitBytes: 0, pressure: 0 } as const;

export interface MeterRow {
  readonly name: MeterName;
  readonly bytes: number;
  readonly limitBytes: number;
  readonly ratio: number;
  /** Of the bytes: kept by the C library's allocator for the next who asks, and no pressure below `emergency`. Only where there is no trim. */
  readonly reusableBytes: number;
  readonly peakBytes: number;
  /** Growth, signed; 0 while there is no trend. */
  readonly bytesPerSecond: number;
  /** It failed, and is tried again later. */
  readonly off: boolean;
}

/** The trend of the meter that decides. */
export interface DecidingTrendRow extends TrendRow {
  readonly meter: MeterName;
}

export interface SamplerOptions {
  readonly clock: Clock;
  readonly faults: Faults;
  readonly meters: readonly Meter[];
  readonly thresholds: PressureThresholds;
  /** Called when the level changes, after the readings stand. */
  readonly onLevel: (to: PressureLevel, from: PressureLevel) => void;
  /** `false`: the level stays `optimal`, whatever the meters say. Default true. */
  readonly acts?: () => boolean;
  /**
   * What is in RAM and free to be used again without the process growing, where it cannot be given back: below `emergency` it is no pressure. Asked once a
   * sample, when all meters have been read. Default: nothing.
   */
  readonly reusableBytes?: () => number;
}

export class Sampler implements Disposable {
  readonly #options: SamplerOptions;
  #slots: MeterSlot[];
  /** Those that were read in this sample. */
  readonly #fresh = new Set<MeterSlot>();
  readonly history = new History();
  #thresholds: PressureThresholds;
  #level: PressureLevel = 'optimal';
  #deciding: MeterSlot | undefined;
  /** The same without the books. */
  #physical: MeterSlot | undefined;
  #physicalLevel: PressureLevel = 'optimal';
  readonly #startedAt: number;
  readonly #pace = new SamplePace();
  #at: number;
  #count = 0;
  #spentMs = 0;
  #rssCounts = false;
  #inside = false;
  #stopped = false;
  #timer: Disposable | undefined;
  #timerMs = 0;
  #onTimer: (() => void) | undefined;

  constructor(options: SamplerOptions) {
    this.#options = options;
    this.#slots = options.meters.map((meter) => new MeterSlot(meter));
    this.#thresholds = options.thresholds;
    const now = options.clock.now();
    this.#startedAt = this.#at = Number.isFinite(now) ? now : 0;
  }

  get level(): PressureLevel {
    return this.#level;
  }

  /** Samples taken, those inside reservations too, and the time they took in all, ms. */
  get count(): number {
    return this.#count;
  }

  get spentMs(): number {
    return this.#spentMs;
  }

  /** The part of a core that sampling took since the start. */
  get share(): number {
    const elapsed = this.#options.clock.now() - this.#startedAt;
    return elapsed > 0 ? Math.min(1, this.#spentMs / elapsed) : 0;
  }

  /** From the next sample on. */
  setThresholds(thresholds: PressureThresholds): void {
    this.#thresholds = thresholds;
  }

  /** Puts another meter in the place of the one of that name, or takes it away; peaks start anew. */
  replace(name: MeterName, meter: Meter | undefined): void {
    const others = this.#slots.filter((slot) => slot.meter.name !== name);
    this.#slots = meter === undefined ? others : [...others, new MeterSlot(meter)];
    if (this.#deciding?.meter.name === name) this.#deciding = undefined;
    if (this.#physical?.meter.name === name) this.#physical = undefined;
  }

  /**
   * Reads all meters and decides. A sample asked for inside a sample (by a meter or by who hears of the level) does nothing. `dense` is for
   * those inside reservations, which may come by the thousand: rows of the history that stand close together become one.
   */
  take(dense = false): void {
    if (this.#inside) return;
    this.#inside = true;
    const { clock } = this.#options;
    try {
      const startedAt = clock.now();
      if (Number.isFinite(startedAt)) this.#at = startedAt;
      const worst = this.#readAll();
      this.#deciding = worst;
      const from = this.#level;
      if (this.#options.acts?.() !== false) this.#decide(worst);
      this.#count++;
      this.#record(dense);
      const tookMs = clock.now() - startedAt;
      if (tookMs > 0) this.#spentMs += tookMs;
      this.#pace.noteCost(tookMs);
      if (this.#level !== from) this.#tellLevel(from);
    } finally {
      this.#inside = false;
    }
  }

  /** Nobody looks any more: what was seen last is no level. */
  calm(): void {
    const from = this.#level;
    this.#level = this.#physicalLevel = 'optimal';
    if (from !== 'optimal') this.#tellLevel(from);
  }

  /** What the last sample saw. */
  last(): Sample {
    return {
      atMs: this.#at,
      level: this.#level,
      decidingMeter: this.#deciding?.meter.name ?? 'ledger',
      ratio: this.#deciding?.pressure ?? 0,
      ledgerBytes: this.bytes('ledger'),
      heapBytes: this.bytes('heap'),
      externalBytes: this.bytes('external'),
      rssBytes: this.bytes('rss'),
      cgroupBytes: this.bytes('cgroup'),
    };
  }

  /** The meter that decided the last time, and how far it stands from its limit; of 0 bytes when none could be read. */
  get deciding(): { readonly meter: MeterName; readonly bytes: number; readonly limitBytes: number } {
    const { meter, usedBytes, limitBytes } = this.#deciding ?? NONE;
    return { meter: meter.name, bytes: usedBytes, limitBytes };
  }

  /** As `bytes`, without what is free to be used again. */
  usedBytes(name: MeterName): number {
    for (const slot of this.#slots) if (slot.meter.name === name && !slot.off) return slot.usedBytes;
    return 0;
  }

  bytes(name: MeterName): number {
    for (const slot of this.#slots) if (slot.meter.name === name && !slot.off) return slot.bytes;
    return 0;
  }

  /** The nearest to its limit of the meters beside the ledger, and the level by it alone: what the machine sees, whatever was promised. */
  get physical(): {
    readonly meter: MeterName;
    readonly bytes: number;
    readonly limitBytes: number;
    readonly ratio: number;
  } {
    const { meter, usedBytes, limitBytes, pressure } = this.#physical ?? NONE;
    return { meter: meter.name, bytes: usedBytes, limitBytes, ratio: pressure };
  }

  get physicalLevel(): PressureLevel {
    return this.#physicalLevel;
  }

  /**
   * So many bytes more would leave each meter of what the process has in RAM, or outside V8's heap, within that share of its limit. Below 0 when one
   * is past it, `Infinity` when there is no such meter.
   */
  roomBytes(share: number): number {
    return this.#leastBytes((slot) => slot.limitBytes * share - slot.bytes);
  }

  /** The same with nothing in use. */
  mostBytes(share: number): number {
    return this.#leastBytes((slot) => slot.limitBytes * share);
  }

  /** Share of its own limit; 0 for a meter that is absent or off. */
  ratio(name: MeterName): number {
    for (const slot of this.#slots) if (slot.meter.name === name && !slot.off) return slot.ratio;
    return 0;
  }

  /** As `bytes`, but undefined when there is no such meter or it is off. */
  reading(name: MeterName): number | undefined {
    for (const slot of this.#slots) if (slot.meter.name === name) return slot.off ? undefined : slot.bytes;
    return undefined;
  }

  /** Where the meter that decides is going; of a governor whose meters all fail, nowhere. */
  get trend(): Trend | undefined {
    return this.#deciding?.trend;
  }

  trendOf(name: MeterName): Trend | undefined {
    for (const slot of this.#slots) if (slot.meter.name === name && !slot.off) return slot.trend;
    return undefined;
  }

  trendRow(): DecidingTrendRow | undefined {
    const slot = this.#deciding;
    return slot && { meter: slot.meter.name, ...slot.trend.row(this.#options.clock.now()) };
  }

  /** What was before says nothing of what comes: after a train. */
  restartTrends(): void {
    for (const slot of this.#slots) slot.trend.restart();
  }

  rows(): MeterRow[] {
    return this.#slots.map(({ meter, bytes, limitBytes, ratio, reusableBytes, peakBytes, off, trend }) => {
      const bytesPerSecond = off ? 0 : trend.bytesPerSecond;
      return { name: meter.name, bytes, limitBytes, ratio, reusableBytes, peakBytes, bytesPerSecond, off };
    });
  }

  /**
   * Milliseconds from the last sample to the next one by the clock: up to 1,000 at `optimal`, 500, 250, 100 and 50 from `moderate` to
   * `emergency`; less, down to 20, when a meter nears its next threshold fast; after that at most twice as long from one to the next. More
   * when samples are so dear that they would take over 0.1% of a core at `optimal`, 0.5% up to `high` or 5% above; at most five times as long.
   */
  nextDelayMs(): number {
    let toThresholdMs = Number.POSITIVE_INFINITY;
    for (const slot of this.#slots) {
      if (slot.off || (slot.meter.name === 'rss' && !this.#rssCounts)) continue;
      const { trend } = slot;
      const risePerMs = Math.max(trend.lastRisePerMs, trend.bytesPerSecond / 1_000);
      if (risePerMs <= 0) continue;
      const missing = (this.#nextThreshold(slot.ratio) - slot.ratio) * slot.limitBytes;
      toThresholdMs = Math.min(toThresholdMs, Math.max(0, missing) / risePerMs);
    }
    return this.#pace.delayMs(this.#level, toThresholdMs);
  }

  /**
   * Calls `sample`, which takes one and does whatever else belongs to it, by the clock, `nextDelayMs` apart. What it throws is a fault. Does
   * not keep the process alive. Samples taken in between do not put it off; a level that rises in one of them brings it forward.
   */
  start(sample: () => void): void {
    if (this.#onTimer !== undefined || this.#stopped) return;
    this.#onTimer = () => {
      this.#timer = undefined;
      try {
        sample();
      } catch (cause) {
        this.#options.faults.note('sample', cause);
      }
      this.#setTimer(this.nextDelayMs());
    };
    this.#setTimer(this.nextDelayMs());
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  #leastBytes(of: (slot: MeterSlot) => number): number {
    let least = Number.POSITIVE_INFINITY;
    for (const slot of this.#slots) {
      const { name } = slot.meter;
      if (slot.off || name === 'ledger' || name === 'heap' || (name === 'rss' && !this.#rssCounts)) continue;
      least = Math.min(least, of(slot));
    }
    return least;
  }

  #setTimer(delayMs: number): void {
    if (this.#stopped || this.#onTimer === undefined) return;
    this.#timerMs = delayMs;
    this.#pace.noteDelay(delayMs);
    try {
      this.#timer = this.#options.clock.after(delayMs, this.#onTimer);
    } catch (cause) {
      this.#options.faults.note('sample timer', cause, true);
    }
  }

  #tellLevel(from: PressureLevel): void {
    if (this.#timer !== undefined && levelRank(this.#level) > levelRank(from)) {
      const delayMs = this.nextDelayMs();
      if (delayMs < this.#timerMs) {
        this.#timer[Symbol.dispose]();
        this.#setTimer(delayMs);
      }
    }
    this.#options.onLevel(this.#level, from);
  }

  #nextThreshold(ratio: number): number {
    const { moderate, high, critical, emergency } = this.#thresholds;
    if (ratio < moderate) return moderate;
    if (ratio < high) return high;
    if (ratio < critical) return critical;
    return ratio < emergency ? emergency : 1;
  }

  /**
   * The meter that is nearest to its limit. Where the kernel's own charge can be read against a limit as small, RSS has no say: it has pages
   * of files in it, the program's own first of all, about 44 MiB, that are charged to whoever read them first.
   */
  #readAll(): MeterSlot | undefined {
    let worst: MeterSlot | undefined;
    let rss: MeterSlot | undefined;
    let ledger: MeterSlot | undefined;
    let chargeLimitBytes = Number.POSITIVE_INFINITY;
    this.#fresh.clear();
    for (const slot of this.#slots) if (!slot.rests(this.#at) && this.#read(slot)) this.#fresh.add(slot);
    this.#noteReusable();
    for (const slot of this.#fresh) {
      const { name } = slot.meter;
      if (name === 'cgroup') chargeLimitBytes = slot.meter.leastLimitBytes ?? slot.limitBytes;
      if (name === 'rss') rss = slot;
      else if (name === 'ledger') ledger = slot;
      else if (worst === undefined || slot.pressure > worst.pressure) worst = slot;
    }
    this.#rssCounts = rss !== undefined && chargeLimitBytes > rss.limitBytes;
    if (rss !== undefined && this.#rssCounts && (worst === undefined || rss.pressure > worst.pressure)) worst = rss;
    this.#physical = worst;
    return ledger !== undefined && (worst === undefined || ledger.ratio > worst.pressure) ? ledger : worst;
  }

  /** At `emergency` what is charged counts, whatever it is for: the kernel does not ask. */
  #noteReusable(): void {
    const reusableBytes = this.#options.reusableBytes?.() ?? 0;
    for (const slot of this.#fresh) {
      const isResident = slot.meter.name === 'rss' || slot.meter.name === 'cgroup';
      const counts = isResident && reusableBytes > 0 && slot.ratio < this.#thresholds.emergency;
      slot.reusableBytes = counts ? Math.min(reusableBytes, slot.bytes) : 0;
    }
  }

  #decide(worst: MeterSlot | undefined): void {
    if (worst !== undefined) this.#level = nextLevel(this.#level, worst.pressure, this.#thresholds);
    else if (this.#slots.every(isOff)) this.#level = 'optimal';
    this.#physicalLevel = nextLevel(this.#physicalLevel, this.#physical?.pressure ?? 0, this.#thresholds);
  }

  /** False when the meter failed. */
  #read(slot: MeterSlot): boolean {
    try {
      const bytes = slot.meter.read();
      const limitBytes = slot.meter.limitBytes;
      if (!isBytes(bytes) || !isBytes(limitBytes) || limitBytes === 0) {
        this.#options.faults.watch(`meter ${slot.meter.name}`, bytes);
        throw new RangeError(`it read ${bytes} of ${limitBytes} bytes`);
      }
      slot.bytes = bytes;
      slot.limitBytes = limitBytes;
      slot.ratio = bytes / limitBytes;
      if (bytes > slot.peakBytes) slot.peakBytes = bytes;
      slot.trend.note(this.#at, bytes, limitBytes);
      slot.failures = 0;
      if (slot.off) this.#recover(slot);
      return true;
    } catch (cause) {
      this.#fail(slot, cause);
      return false;
    }
  }

  #fail(slot: MeterSlot, cause: unknown): void {
    if (++slot.failures >= MOST_FAILURES) {
      if (slot.off) slot.retryMs = Math.min(slot.retryMs * 2, LONGEST_RETRY_MS);
      slot.off = true;
      slot.offAt = this.#at;
      slot.trend.restart();
    }
    this.#options.faults.note(`meter ${slot.meter.name}`, cause, slot.off);
  }

  #recover(slot: MeterSlot): void {
    slot.off = false;
    this.#options.faults.recovered(`meter ${slot.meter.name}`);
    slot.retryMs = FIRST_RETRY_MS;
  }

  #record(dense: boolean): void {
    const deciding = this.#deciding;
    this.history.begin(
      this.#at,
      levelRank(this.#level),
      deciding?.meter.name ?? 'ledger',
      deciding?.pressure ?? 0,
      dense,
    );
    for (const slot of this.#slots) if (!slot.off) this.history.setBytes(slot.meter.name, slot.bytes);
  }
}

function isBytes(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= MOST_BYTES;
}

function isOff(slot: MeterSlot): boolean {
  return slot.off;
}
