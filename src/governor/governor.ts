import { levelEvents } from '../events.ts';
import { checkWhole, invalidOption } from '../invalid-option.ts';
import { Admission } from './admission.ts';
import { Budget, type GovernorMode } from './budget.ts';
import { Collector } from './collector.ts';
import { LedgerConsumer } from './consumer.ts';
import type { Consumer, ConsumerOptions, PressureLevel } from './contract.ts';
import { Faults } from './faults.ts';
import { type GovernorOptions, type GovernorTuning, type ResolvedOptions, resolveOptions } from './governor-options.ts';
import { heapFlagsFit } from './heap-flags.ts';
import type { Sample } from './history.ts';
import { type Account, checkConsumerOptions, Ledger } from './ledger.ts';
import { type EffectiveLimit, readLimits } from './limits.ts';
import { CgroupMeter, ledgerMeter, type Meter, readRssBytes, rssMeter, V8Meters } from './meters.ts';
import { levelRank, type PressureThresholds, resolveThresholds } from './pressure.ts';
import { Reclaimers } from './reclaimers.ts';
import { Sampler } from './sampler.ts';
import { consumerRows, kindRow, type Snapshot } from './snapshot.ts';

/** Limits are looked at again in this rhythm: a container can be resized. */
const LIMITS_EVERY_MS = 5_000;
/** After others were asked to give back because a meter, not the ledger, is at the line. */
const RELIEF_COOL_DOWN_MS = 250;
const MAX_LISTENERS = 256;
const EMERGENCY_RANK = levelRank('emergency');

/** Hears of a change of level. */
export type LevelListener = (to: PressureLevel, from: PressureLevel) => void;

/**
 * The keeper of one memory budget. Make one per process and hand it to whatever holds memory; dispose it at the end.
 * @example
 * import { createGovernor } from 'plimsoll';
 * using governor = createGovernor({ limitBytes: 256 * 1024 * 1024 });
 * const images = governor.consumer({ name: 'images', kind: 'external', maxBytes: 64 * 1024 * 1024 });
 * using room = images.tryReserve(8 * 1024 * 1024);
 * if (room !== undefined) render(Buffer.alloc(room.bytes));
 */
export class Governor implements Disposable {
  readonly mode: GovernorMode;
  readonly #options: ResolvedOptions;
  readonly #faults = new Faults();
  readonly #ledger: Ledger;
  readonly #budget: Budget;
  readonly #reclaimers: Reclaimers;
  readonly #admission: Admission;
  readonly #collector: Collector;
  readonly #sampler: Sampler;
  readonly #runtime: Account;
  readonly #runtimeIsMeasured: boolean;
  readonly #ownMeters: boolean;
  readonly #listeners = new Set<LevelListener>();
  #configuredBytes: number | undefined;
  #thresholds: PressureThresholds;
  #limit: EffectiveLimit;
  #limitReadAt: number;
  #cgroupMeter: CgroupMeter | undefined;
  #relievedAt = Number.NEGATIVE_INFINITY;
  #disposed = false;

  constructor(options: GovernorOptions = {}) {
    const resolved = (this.#options = resolveOptions(options));
    const { clock } = resolved;
    this.mode = resolved.mode;
    this.#configuredBytes = options.limitBytes;
    if (resolved.modeFault !== undefined) this.#faults.note('PLIMSOLL', resolved.modeFault);
    this.#thresholds = resolveThresholds(options.thresholds);
    this.#limit = this.#readLimits();
    this.#limitReadAt = clock.now();
    this.#ledger = new Ledger(this.#limit.bytes, resolved.maxConsumers);
    const { reclaimNowBudgetMs, reclaimDeadlineMs } = resolved;
    const shared = { ledger: this.#ledger, clock, faults: this.#faults };
    this.#reclaimers = new Reclaimers({ ...shared, reclaimNowBudgetMs, reclaimDeadlineMs });
    const collect = options.collect ?? globalThis.gc;
    this.#collector = new Collector(clock, collect && (() => this.#faults.watch('collect', collect())));
    this.#ownMeters = options.meters === undefined;
    this.#sampler = new Sampler({
      clock,
      faults: this.#faults,
      meters: options.meters ?? this.#makeMeters(),
      thresholds: this.#thresholds,
      onLevel: (to, from) => this.#tellLevel(to, from),
    });
    const level = () => this.#sampler.level;
    this.#budget = new Budget({
      ledger: this.#ledger,
      reclaimers: this.#reclaimers,
      mode: this.mode,
      sampleEveryBytes: resolved.sampleEveryBytes,
      level,
      onSampleDue: () => {
        try {
          this.#sampleInline();
        } catch (cause) {
          this.#faults.note('sample', cause);
        }
      },
      fixedBytes: () => this.#runtime.own,
    });
    const { maxWaiters, maxBypass } = resolved;
    this.#admission = new Admission({
      budget: this.#budget,
      ledger: this.#ledger,
      reclaimers: this.#reclaimers,
      clock,
      level,
      maxWaiters,
      maxBypass,
    });
    this.#budget.admission = this.#admission;
    this.#runtimeIsMeasured = options.runtimeBytes === undefined;
    this.#runtime = this.#ledger.open({ name: 'runtime', kind: 'heap', maxBytes: Number.POSITIVE_INFINITY });
    new LedgerConsumer(this.#budget, this.#runtime);
    this.#ledger.charge(this.#runtime, options.runtimeBytes ?? this.#measureRuntime());
    this.#sampler.take();
  }

  /** The effective limit, bytes. */
  get limitBytes(): number {
    return this.#limit.bytes;
  }

  /** Where the limit comes from, and all that were found. */
  get limit(): EffectiveLimit {
    return this.#limit;
  }

  /** As the last sample had it. */
  get level(): PressureLevel {
    return this.#sampler.level;
  }

  /** Everything held, the runtime included. */
  get heldBytes(): number {
    return this.#ledger.whole.total;
  }

  /** What can still be reserved without anybody giving back. */
  get availableBytes(): number {
    return this.#ledger.whole.room;
  }

  /** Opens a consumer. Throws `RangeError` for unsound options and when there are `maxConsumers` already. Dispose it at its end. */
  consumer(options: ConsumerOptions): Consumer {
    checkConsumerOptions(options);
    const parent = options.parent === undefined ? undefined : this.#budget.accountOf(options.parent, 'parent');
    this.#reclaimers.prepare(options.reclaimer);
    return new LedgerConsumer(this.#budget, this.#ledger.open(options, parent));
  }

  /** Reads all meters now: about 20 µs. */
  sample(): Sample {
    this.#sampleAll();
    return this.#sampler.last();
  }

  /** The last samples, oldest first, at most 240. */
  history(): Sample[] {
    return this.#sampler.history.samples();
  }

  /** Samples by the clock from now on, 250 ms apart, 50 ms from `high` on; until disposed. Does not keep the process alive. */
  start(): this {
    if (!this.#disposed && this.mode !== 'off') this.#sampler.start(() => this.#sampleAll());
    return this;
  }

  /** Calls `listener` at each change of level until the result is disposed. What it throws, or rejects with, stands in the snapshot's faults. */
  onLevel(listener: LevelListener): Disposable {
    if (typeof listener !== 'function') throw invalidOption('listener', 'a function', listener);
    if (this.#listeners.size >= MAX_LISTENERS)
      throw invalidOption('listener', `one of at most ${MAX_LISTENERS}`, listener);
    // A function of its own, so that the same listener given twice is two.
    const entry: LevelListener = (to, from) => listener(to, from);
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }

  /** Changes limit and thresholds from now on. A limit below what is held takes nothing away: it grants nothing until there is room. */
  tune(tuning: GovernorTuning): void {
    const thresholds = resolveThresholds(tuning.thresholds, this.#thresholds);
    if (tuning.limitBytes !== undefined) this.#configuredBytes = checkWhole('limitBytes', tuning.limitBytes, 1);
    this.#thresholds = thresholds;
    this.#sampler.setThresholds(thresholds);
    this.#refreshLimits();
    this.#sampler.take();
  }

  /** The picture of memory as the last sample had it. Costs about 1 µs a consumer. */
  snapshot(): Snapshot {
    const { whole } = this.#ledger;
    const last = this.#sampler.last();
    const heap = heapFlagsFit(this.#limit.bytes);
    return {
      takenAt: this.#options.clock.wall(),
      mode: this.mode,
      limitBytes: this.#limit.bytes,
      limitFrom: this.#limit.from,
      level: last.level,
      decidingMeter: last.decidingMeter,
      meters: this.#sampler.rows(),
      reservedBytes: whole.total,
      peakReservedBytes: whole.peak,
      availableBytes: whole.room,
      byKind: kindRow(this.#ledger),
      consumers: consumerRows(this.#ledger, this.#reclaimers),
      waiting: this.#admission.waiting,
      refusals: this.#budget.refusals,
      samples: { count: this.#sampler.count, spentMs: this.#sampler.spentMs },
      collections: { count: this.#collector.count, spentMs: this.#collector.spentMs },
      faults: this.#faults.rows(),
      warnings: heap.why === undefined ? [] : [heap.why],
    };
  }

  /** Stops sampling, turns away who waits (`PLIMSOLL_DISPOSED`) and grants nothing any more. Reservations can still be released. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#budget.shut();
    this.#sampler[Symbol.dispose]();
    this.#admission.shut();
    this.#listeners.clear();
    this.#cgroupMeter?.[Symbol.dispose]();
  }

  #readLimits(): EffectiveLimit {
    const { share, root } = this.#options;
    return readLimits({ limitBytes: this.#configuredBytes, share, root });
  }

  #makeMeters(): Meter[] {
    const limitBytes = () => this.#limit.bytes;
    const v8 = new V8Meters(limitBytes);
    const meters = [
      ledgerMeter(() => this.#ledger.whole.total, limitBytes),
      v8.heap,
      v8.external,
      rssMeter(limitBytes),
    ];
    this.#cgroupMeter = this.#openCgroupMeter();
    return this.#cgroupMeter === undefined ? meters : [...meters, this.#cgroupMeter];
  }

  #openCgroupMeter(): CgroupMeter | undefined {
    const { cgroup } = this.#limit;
    if (cgroup === undefined) return undefined;
    try {
      return new CgroupMeter(cgroup);
    } catch (cause) {
      this.#faults.note('meter cgroup', cause, true);
      return undefined;
    }
  }

  #measureRuntime(): number {
    try {
      return readRssBytes();
    } catch (cause) {
      this.#faults.note('runtime', cause);
      return 0;
    }
  }

  #refreshLimits(): void {
    const before = this.#limit.cgroup;
    this.#limitReadAt = this.#options.clock.now();
    this.#limit = this.#readLimits();
    this.#ledger.whole.maxBytes = this.#limit.bytes;
    const after = this.#limit.cgroup;
    if (this.#ownMeters && (before?.bytes !== after?.bytes || before?.folder !== after?.folder)) {
      this.#cgroupMeter?.[Symbol.dispose]();
      this.#cgroupMeter = this.#openCgroupMeter();
      this.#sampler.replace('cgroup', this.#cgroupMeter);
    }
    this.#admission.wake();
  }

  #sampleAll(): void {
    if (this.#disposed) return;
    if (this.#options.clock.now() - this.#limitReadAt >= LIMITS_EVERY_MS) this.#refreshLimits();
    this.#sampler.take();
    const rss = this.#sampler.bytes('rss');
    if (!this.#runtimeIsMeasured || rss === 0 || rss >= this.#runtime.own) return;
    // All there is in RAM is less than what was taken for the runtime alone: that much is free to reserve.
    this.#budget.give(this.#runtime, this.#runtime.own - rss);
  }

  /** The sample inside a reservation, and the first aid when a meter, not the ledger, is past the line. */
  #sampleInline(): void {
    if (this.mode === 'off') return;
    this.#sampleAll();
    if (this.mode !== 'on' || !this.#pastTheLine()) return;
    const used = () => this.#sampler.bytes('heap') + this.#sampler.bytes('external');
    const collected = this.#collector.collect(() => {
      this.#sampler.take();
      return used();
    });
    const physical = this.#pastTheLine();
    const now = this.#options.clock.now();
    if (physical === undefined || now - this.#relievedAt < RELIEF_COOL_DOWN_MS) return;
    this.#relievedAt = now;
    const tooMuch = physical.bytes - physical.limitBytes * this.#thresholds.critical;
    const branch = this.#ledger.whole;
    const released = this.#reclaimers.reclaimNow({
      requester: undefined,
      branch,
      targetBytes: tooMuch,
      level: 'emergency',
    });
    if (released > 0 || collected) this.#sampler.take();
  }

  #pastTheLine(): { readonly bytes: number; readonly limitBytes: number } | undefined {
    return levelRank(this.#sampler.level) >= EMERGENCY_RANK ? this.#sampler.physical() : undefined;
  }

  #tellLevel(to: PressureLevel, from: PressureLevel): void {
    if (levelEvents.heard) {
      const { decidingMeter } = this.#sampler.last();
      const row = this.#sampler.rows().find((meter) => meter.name === decidingMeter);
      const { bytes, limitBytes } = row ?? { bytes: 0, limitBytes: this.#limit.bytes };
      levelEvents.publish({ from, to, meter: decidingMeter, bytes, limitBytes });
    }
    for (const listener of [...this.#listeners]) {
      try {
        this.#faults.watch('level listener', listener(to, from));
      } catch (cause) {
        this.#faults.note('level listener', cause);
      }
    }
  }
}

/** Makes a governor. Throws `RangeError` for unsound options. About 1 ms: the limits are read and the runtime is measured. */
export function createGovernor(options: GovernorOptions = {}): Governor {
  return new Governor(options);
}
