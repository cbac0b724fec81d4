/**
 * One run of giving back: reclaim, then collection, then the allocator's trim, measured anew after each.
 *
 * Invariants: one asynchronous train at a time; a synchronous one may run while an asynchronous one waits, because no timer and no promise
 * comes to its end inside a synchronous loop, but never inside a part of another; each part and the whole are bounded in time; nothing is thrown
 * and no promise rejects.
 */
import type { Clock } from '../clock.ts';
import { trainEvents } from '../events.ts';
import type { Allocator } from './allocator.ts';
import type { Collector } from './collector.ts';
import { MEMORY_KINDS, type PressureLevel, type ReclaimStrategy } from './contract.ts';
import type { Faults } from './faults.ts';
import type { Journal, TrainPart, TrainPartName, TrainReason, TrainReport } from './journal.ts';
import type { Account, Ledger } from './ledger.ts';
import type { MeterName } from './meters.ts';
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
  /** The meter that is to go down. Default: for `admission` the ledger, else the one that decides. */
  readonly meter?: MeterName;
  /** Nothing is done: the report says what would be. Default false. */
  readonly observe?: boolean;
}

export const TRAIN_DEFAULTS = { maxMs: 10_000 } as const;

/** The most that the `reclaimNow` of all may take together in an asynchronous train, ms: the service stands still meanwhile. */
const NOW_BUDGET_MS = 50;
/** Pauses of so many times the budget are borne at `emergency`: the alternative is to be killed. */
const PATIENCE = 4;
const MOST_PARTS = 64;

export class Train {
  readonly #options: TrainOptions;
  #running: Promise<TrainReport> | undefined;
  /** A part is under way right now: what it calls starts no other train. */
  #inside = false;

  constructor(options: TrainOptions) {
    this.#options = options;
  }

  /** True while an asynchronous train is under way. */
  get running(): boolean {
    return this.#running !== undefined;
  }

  /**
   * Has holders give back, collects, trims; each part only as far as the strategy and the meter make sense of it, and until the target is seen.
   * While one runs, a second call gets the report of that one, whatever it asks for. Never rejects.
   */
  run(call: TrainCall): Promise<TrainReport> {
    // A turn later: what runs in the first part may ask for a train as well, and has to find this one.
    this.#running ??= Promise.resolve()
      .then(() => this.#go(new TrainRun(this.#options, call)))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  /**
   * The same at once, for inside reservations: without what needs waiting, each `reclaimNow` within the budget of a reservation. Called
   * inside a part of a train it does nothing, and the report has the number 0 and no parts.
   */
  runNow(call: TrainCall): TrainReport {
    const run = new TrainRun(this.#options, call);
    if (this.#inside) return run.report(0);
    try {
      this.#within(() => run.begin());
      if (call.observe === true) run.observe();
      else {
        for (const part of run.parts()) {
          const why = part === 'reclaim' ? 'it would have to be waited for' : run.whyNot(part);
          if (why !== undefined) run.skip(part, why);
          else this.#within(() => run.take(part));
        }
      }
    } catch (cause) {
      this.#options.faults.note('train', cause);
    }
    return this.#end(run);
  }

  async #go(run: TrainRun): Promise<TrainReport> {
    try {
      // Called inside a part of another: after it.
      if (this.#inside) await nextTurn();
      this.#within(() => run.begin());
      if (run.call.observe === true) run.observe();
      else {
        for (const part of run.parts()) {
          const why = run.whyNot(part);
          if (why !== undefined) {
            run.skip(part, why);
            continue;
          }
          if (part === 'reclaim') await run.waitFor();
          else this.#within(() => run.take(part, NOW_BUDGET_MS));
          // The service has its turn between two parts: their pauses do not add up.
          await nextTurn();
        }
      }
    } catch (cause) {
      this.#options.faults.note('train', cause);
    }
    return this.#end(run);
  }

  #within(action: () => void): void {
    this.#inside = true;
    try {
      action();
    } finally {
      this.#inside = false;
    }
  }

  #end(run: TrainRun): TrainReport {
    const { journal } = this.#options;
    const report = run.report(journal.count + 1);
    journal.record(report);
    if (trainEvents.heard) {
      const { takenAt, ...message } = report;
      trainEvents.publish(message);
    }
    return report;
  }
}

/** One train on its way. */
class TrainRun {
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

  constructor(options: TrainOptions, call: TrainCall) {
    this.#options = options;
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
    };
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
    const { requester, level, strategy } = this.call;
    const meter = this.#meter;
    const call = {
      requester,
      branch: this.#branch,
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
      patience: this.#isUrgent ? PATIENCE : 1,
      asked: this.call.why === 'asked',
    });
    if (elapsedMs < 0) {
      this.#unavailable.add(part);
      this.skip(part, collector.why ?? 'it was not made');
      return;
    }
    if (type === 'full') {
      this.#freshBytes = 0;
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

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
