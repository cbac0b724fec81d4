import type { Clock } from '../clock.ts';
import type { Allocator } from './allocator.ts';
import type { Collector } from './collector.ts';
import { MEMORY_KINDS, type PressureLevel, type ReclaimStrategy } from './contract.ts';
import type { Faults } from './faults.ts';
import type { Journal, TrainPart, TrainPartName, TrainReason, TrainReport } from './journal.ts';
import type { Account, Ledger } from './ledger.ts';
import type { MeterName } from './meters.ts';
import { levelRank } from './pressure.ts';
import type { Prices, StepFigures } from './prices.ts';
import type { Asked, ReclaimCall, Reclaimers } from './reclaimers.ts';
import { aim, askBytes, expected, partsOf, STEP_OF, type StrategyView, seesTrim, spares, whyNot } from './strategy.ts';

export interface TrainOptions {
  readonly ledger: Ledger;
  readonly reclaimers: Reclaimers;
  readonly collector: Collector;
  readonly allocator: Allocator;
  readonly prices: Prices;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly faults: Faults;
  /** Takes a fresh sample, and gives what `meter` read. */
  readonly measure: (meter: MeterName) => number;
  readonly decidingMeter: () => MeterName;
  /** What a collection brings down, as of the last sample: V8's heap and external. Default: the deciding meter, measured. */
  readonly usedBytes?: () => number;
  /** As of the last sample: see `StepFigures`. Default: not known. */
  readonly slackBytes?: () => number;
  /** What a full collection would make that meter see, as of the last sample. Default: what was learned alone. */
  readonly garbageBytes?: (meter: MeterName) => number;
  readonly trend?: () => { readonly bytesPerSecond: number } | undefined;
  /** Called after each full collection: the moment to compare what is held with what is reserved. */
  readonly afterCollection?: () => void;
  /** Parts that were passed over stand in the reports too. Default false. */
  readonly detailed?: boolean;
  /** The most a train may take, ms; a part under way is let come to its own bound. Default 10,000. */
  readonly maxMs?: number;
}

export interface TrainCall {
  readonly why: TrainReason;
  /** What the meter is to go down by, bytes. */
  readonly targetBytes: number;
  readonly level: PressureLevel;
  readonly strategy: ReclaimStrategy;
  /** Not asked itself. */
  readonly requester?: Account | undefined;
  /** Only those within it are asked; unless it is the whole, the meter is the ledger, and what counts is its total. Default: the whole. */
  readonly branch?: Account;
  /** Only those within it are asked, and all else is as without it: what is collected, trimmed and measured is the whole. Default: `branch`. */
  readonly within?: Account | undefined;
  /** The meter that is to go down. Default: for `admission` the ledger, else the one that decides. */
  readonly meter?: MeterName;
  /** Nothing is done: the report says what would be. Default false. */
  readonly observe?: boolean;
}

export const TRAIN_DEFAULTS = { maxMs: 10_000 } as const;

/** Pauses of so many times the budget are borne at `emergency`: the alternative is to be killed. */
const PATIENCE = 4;
/** And at `critical`, where calls are turned away, when by the books a collection brings so much of what is missing. */
const CRITICAL_PATIENCE = 2;
const WORTH_PATIENCE = 0.25;
const CRITICAL = levelRank('critical');
/** Collections have had their share of the time for no longer: by then what was released has been collected, or is none. */
const UNCOLLECTED_MS = 10_000;
const MOST_PARTS = 64;

/** Released in trains since the last full collection, and when the last of it was. */
export interface Uncollected {
  bytes: number;
  atMs: number;
}

/** One train on its way. */
export class TrainRun {
  readonly call: TrainCall;
  readonly #options: TrainOptions;
  readonly #branch: Account;
  readonly #startedAt: number;
  readonly #parts: TrainPart[] = [];
  #meter: MeterName = 'ledger';
  #targetBytes: number;
  #measured = 0;
  #slackBytes: number | undefined;
  /** Parts that were tried and not to be had, or are switched off. */
  readonly #unavailable = new Set<TrainPartName>();
  #claimedBytes = 0;
  #releasedBytes = 0;
  #seenBytes = 0;
  /** Released since the last collection of this train. */
  #freshBytes = 0;
  readonly #uncollected: Uncollected;

  constructor(options: TrainOptions, call: TrainCall, uncollected: Uncollected) {
    this.#options = options;
    this.#uncollected = uncollected;
    this.call = call;
    this.#startedAt = options.clock.now();
    this.#branch = call.branch ?? options.ledger.whole;
    this.#targetBytes = call.targetBytes;
  }

  /** Inside a reservation near the line, or past it: the alternative is to be killed. Or somebody waits for room in the machine. */
  get #isUrgent(): boolean {
    const { why, level } = this.call;
    return why === 'reservation' || level === 'emergency' || (why === 'admission' && this.#meter !== 'ledger');
  }

  get #patience(): number {
    if (this.#isUrgent) return PATIENCE;
    const isShort = levelRank(this.call.level) >= CRITICAL && this.#meter !== 'ledger';
    const missing = this.#targetBytes - this.#seenBytes;
    return isShort && this.#garbageBytes() >= missing * WORTH_PATIENCE ? CRITICAL_PATIENCE : 1;
  }

  /** Finds out what is to go down, and how far. */
  begin(): void {
    const { ledger, decidingMeter, trend } = this.#options;
    const { why, meter, strategy, targetBytes } = this.call;
    if (this.#branch === ledger.whole) this.#meter = meter ?? (why === 'admission' ? 'ledger' : decidingMeter());
    const { collector, allocator } = this.#options;
    if (collector.isOff) this.#unavailable.add('full-collection').add('minor-collection');
    if (allocator.why !== undefined) this.#unavailable.add('trim');
    this.#targetBytes = aim(strategy, targetBytes, trend?.()?.bytesPerSecond);
    this.#measure();
  }

  parts(): readonly TrainPartName[] {
    return partsOf(this.#view());
  }

  /** Why a part makes no sense now. */
  whyNot(part: TrainPartName): string | undefined {
    const { clock, reclaimers, allocator, maxMs = TRAIN_DEFAULTS.maxMs } = this.#options;
    if (clock.now() - this.#startedAt >= maxMs) return 'the time for a train is over';
    const why = whyNot(part, this.#view());
    if (why !== undefined) return why;
    if (part === 'reclaim' && reclaimers.running) return 'others are being waited for already';
    return part === 'trim' ? allocator.why : undefined;
  }

  skip(part: TrainPartName, why: string): void {
    if (this.#options.detailed === true) this.#add({ ...NOTHING, part, skipped: why });
  }

  /** Takes a part that needs no waiting. `nowBudgetMs` instead of the budget of a reservation. */
  take(part: TrainPartName, nowBudgetMs?: number): void {
    if (part === 'trim') this.#trim();
    else if (part === 'minor-collection' || part === 'full-collection') this.#collect(part);
    else {
      const call = this.#reclaimCall(part);
      this.#options.reclaimers.reclaimNow(nowBudgetMs === undefined ? call : { ...call, maxMs: nowBudgetMs });
    }
  }

  async waitFor(): Promise<void> {
    const { clock, reclaimers, maxMs = TRAIN_DEFAULTS.maxMs } = this.#options;
    const leftMs = maxMs - (clock.now() - this.#startedAt);
    await reclaimers.reclaim({ ...this.#reclaimCall('reclaim'), maxMs: leftMs });
  }

  /** Writes down what would be done, in order. */
  observe(): void {
    const skipped = 'only observed';
    const call = this.#reclaimCall('reclaim-now');
    const everything = call.everything === true;
    let claimedBytes = 0;
    for (const { account, bytes } of this.#options.reclaimers.offers(call)) {
      if (claimedBytes >= call.targetBytes && !everything) break;
      claimedBytes += bytes;
      const part = account.reclaimer?.reclaimNow === undefined ? 'reclaim' : 'reclaim-now';
      this.#add({ ...NOTHING, part, consumer: account.name, claimedBytes: bytes, skipped });
    }
    this.#claimedBytes = claimedBytes;
    for (const part of ['minor-collection', 'full-collection', 'trim'] as const) {
      if (this.whyNot(part) !== undefined) continue;
      this.#add({ ...NOTHING, part, claimedBytes: Math.round(expected(this.#view(), part)), skipped });
    }
  }

  report(number: number): TrainReport {
    const { clock } = this.#options;
    return {
      number,
      takenAt: clock.wall(),
      why: this.call.why,
      strategy: this.call.strategy,
      level: this.call.level,
      decidingMeter: this.#meter,
      targetBytes: Math.round(this.#targetBytes),
      claimedBytes: this.#claimedBytes,
      releasedBytes: this.#releasedBytes,
      seenBytes: this.#seenBytes,
      elapsedMs: Math.max(0, clock.now() - this.#startedAt),
      observed: this.call.observe === true,
      parts: this.#parts,
    };
  }

  #view(): StrategyView {
    return {
      strategy: this.call.strategy,
      meter: this.#meter,
      targetBytes: this.#targetBytes,
      seenBytes: this.#seenBytes,
      prices: this.#options.prices,
      measuredBytes: this.#measured,
      releasedBytes: this.#releasedBytes,
      slackBytes: this.#slackBytes,
      garbageBytes: this.#garbageBytes(),
      unavailable: this.#unavailable,
      uncollectedBytes: this.#uncollectedBytes(),
    };
  }

  /** At `emergency` nothing is counted on. */
  #uncollectedBytes(): number {
    const { clock, collector } = this.#options;
    const { bytes, atMs } = this.#uncollected;
    const isLately = clock.now() - atMs < UNCOLLECTED_MS;
    if (this.call.level === 'emergency' || collector.isOff || !isLately) return 0;
    return Math.min(bytes, this.#garbageBytes());
  }

  #garbageBytes(): number {
    return this.#options.garbageBytes?.(this.#meter) ?? 0;
  }

  #measure(): void {
    const { measure, slackBytes } = this.#options;
    const bytes = this.#meter === 'ledger' ? this.#branch.total : measure(this.#meter);
    // A meter that fails in the middle reads nothing: that is no success.
    if (bytes > 0 || this.#meter === 'ledger') this.#measured = bytes;
    this.#slackBytes = slackBytes?.();
  }

  #reclaimCall(part: 'reclaim-now' | 'reclaim'): ReclaimCall {
    const { prices, reclaimers } = this.#options;
    const { requester, level, strategy, within: branch = this.#branch } = this.call;
    const meter = this.#meter;
    const call = {
      requester,
      branch,
      level,
      strategy,
      meter,
      everything: strategy === 'aggressive',
      spares: (kind: (typeof MEMORY_KINDS)[number]) => spares(strategy, meter, kind, prices),
    };
    const byKind = new Float64Array(MEMORY_KINDS.length);
    for (const { account, bytes } of reclaimers.offers({ ...call, targetBytes: 0 }))
      byKind[account.kindIndex]! += bytes;
    const targetBytes = askBytes(this.#view(), byKind);
    return { ...call, targetBytes, onAsked: (asked) => this.#noteAsked(part, asked) };
  }

  /** True when the target has been seen: the others keep what they have. */
  #noteAsked(
    part: 'reclaim-now' | 'reclaim',
    { consumer, claimedBytes, releasedBytes, elapsedMs, fault }: Asked,
  ): boolean {
    const seenBytes = this.#see(part, this.#figures(), elapsedMs);
    this.#releasedBytes += releasedBytes;
    this.#freshBytes += releasedBytes;
    this.#uncollected.bytes += releasedBytes;
    this.#uncollected.atMs = this.#options.clock.now();
    this.#claimedBytes += claimedBytes;
    const row = { part, consumer, claimedBytes, releasedBytes, seenBytes, elapsedMs };
    this.#add(fault === undefined ? row : { ...row, fault });
    return this.call.strategy !== 'aggressive' && this.#seenBytes >= this.#targetBytes;
  }

  #collect(part: 'minor-collection' | 'full-collection'): void {
    const { collector, usedBytes, afterCollection } = this.#options;
    const type = part === 'full-collection' ? 'full' : 'minor';
    const before = this.#figures();
    const heldBefore = this.#branch.total;
    const elapsedMs = collector.run({
      type,
      usedBytes: () => {
        this.#measure();
        return usedBytes?.() ?? this.#measured;
      },
      releasedBytes: Math.max(this.#freshBytes, this.#garbageBytes()),
      emptyPages: seesTrim(this.#meter),
      patience: this.#patience,
      asked: this.call.why === 'asked',
    });
    if (elapsedMs < 0) {
      this.#unavailable.add(part);
      this.skip(part, collector.why ?? 'it was not made');
      return;
    }
    if (type === 'full') {
      this.#freshBytes = this.#uncollected.bytes = 0;
      afterCollection?.();
    }
    this.#addStep(part, before, heldBefore, elapsedMs);
  }

  #trim(): void {
    const { allocator } = this.#options;
    const before = this.#figures();
    const heldBefore = this.#branch.total;
    const elapsedMs = allocator.trim();
    if (elapsedMs < 0) {
      this.#unavailable.add('trim');
      this.skip('trim', allocator.why ?? 'it was not made');
    } else allocator.learn(elapsedMs, this.#addStep('trim', before, heldBefore, elapsedMs));
  }

  #addStep(part: TrainPartName, before: StepFigures, heldBefore: number, elapsedMs: number): number {
    const seenBytes = this.#see(part, before, elapsedMs);
    // Finalizers that ran meanwhile may have released what was reserved for their objects.
    const releasedBytes = heldBefore - this.#branch.total;
    this.#releasedBytes += releasedBytes;
    this.#add({ part, claimedBytes: 0, releasedBytes, seenBytes, elapsedMs });
    return seenBytes;
  }

  /** Measures anew, and tells the prices what the meter saw of a part. */
  #see(part: TrainPartName, before: StepFigures, elapsedMs: number): number {
    this.#measure();
    const seenBytes = before.measuredBytes - this.#measured;
    this.#seenBytes += seenBytes;
    this.#options.prices.noteStep(this.#meter, STEP_OF[part], seenBytes, elapsedMs, before);
    return seenBytes;
  }

  #figures(): StepFigures {
    return { measuredBytes: this.#measured, slackBytes: this.#slackBytes };
  }

  #add(part: TrainPart): void {
    if (this.#parts.length < MOST_PARTS) this.#parts.push(part);
  }
}

const NOTHING = { claimedBytes: 0, releasedBytes: 0, seenBytes: 0, elapsedMs: 0 } as const;
