import { levelEvents } from '../events.ts';
import { checkKnownOptions, checkOneOf, checkWhole, invalidOption } from '../invalid-option.ts';
import { type Capabilities, readCapabilities } from './capabilities.ts';
import { LedgerConsumer } from './consumer.ts';
import {
  type Consumer,
  type ConsumerOptions,
  type PressureLevel,
  RECLAIM_STRATEGIES,
  type ReclaimStrategy,
  type Scope,
  type ScopeOptions,
} from './contract.ts';
import type { GovernorMode } from './governor-mode.ts';
import {
  checkTuning,
  type GovernorOptions,
  type GovernorTuning,
  type ResolvedOptions,
  resolveOptions,
} from './governor-options.ts';
import { assemble, type GovernorParts, readingOf } from './governor-parts.ts';
import { heapFlagsFit } from './heap-flags.ts';
import { writeHeapSnapshotIfRoom } from './heap-snapshot.ts';
import type { Sample } from './history.ts';
import type { TrainReport } from './journal.ts';
import { type Account, checkConsumerOptions } from './ledger.ts';
import type { EffectiveLimit } from './limits.ts';
import { readRssBytes } from './meters.ts';
import { type PressureThresholds, resolveThresholds } from './pressure.ts';
import { type Snapshot, takeSnapshot } from './snapshot.ts';
import type { TriggerAction, TriggerCondition } from './triggers.ts';

const MAX_LISTENERS = 256;
/** What Node's code and data come to while a program runs, beyond what it has at the start: 13 MiB charged become 20 to 24. */
const RUNTIME_GROWTH_BYTES = 8 * 1_048_576;
const MOST_SETTLED_BYTES = 16 * 1_048_576;
const CALM = { level: 'optimal', ratio: 0 } as const;
const RESIDENT = ['cgroup', 'rss'] as const;

/** Hears of a change of level. */
export type LevelListener = (to: PressureLevel, from: PressureLevel) => void;

/** What `governor.reclaim()` is after. */
export interface ReclaimCallOptions {
  /** Bytes that the deciding meter is to go down by, 1 up. Default: all that can be had. */
  readonly targetBytes?: number;
  /** Default: the governor's. */
  readonly strategy?: ReclaimStrategy;
  /** Nobody but this consumer and those below it is asked; collection and trim are of the whole. Default: all are. */
  readonly within?: Consumer;
}

/**
 * The keeper of one memory budget. Make one per process and hand it to whatever holds memory; dispose it at the end. It samples by the clock from
 * the start, without keeping the process alive.
 * @example
 * import { createGovernor } from 'plimsoll';
 * using governor = createGovernor({ limitBytes: 256 * 1024 * 1024 });
 * const images = governor.consumer({ name: 'images', kind: 'external', maxBytes: 64 * 1024 * 1024 });
 * using room = images.tryReserve(8 * 1024 * 1024);
 * if (room !== undefined) render(Buffer.alloc(room.bytes));
 */
export class Governor implements Disposable {
  readonly #options: ResolvedOptions;
  readonly #parts: GovernorParts;
  readonly #runtime: Account;
  readonly #runtimeIsMeasured: boolean;
  readonly #listeners = new Set<LevelListener>();
  #thresholds: PressureThresholds;
  #strategy: ReclaimStrategy;
  #capabilities: Capabilities | undefined;
  #heapIsSettled = false;
  #disposed = false;

  constructor(options: GovernorOptions = {}) {
    const resolved = (this.#options = resolveOptions(options));
    this.#thresholds = resolveThresholds(resolved.thresholds);
    this.#strategy = resolved.strategy;
    this.#runtimeIsMeasured = resolved.runtimeBytes === undefined;
    // Known before the parts are: some are made with it.
    let parts: GovernorParts | undefined;
    const mode = () => parts?.budget.mode ?? resolved.mode;
    parts = this.#parts = assemble(resolved, {
      mode,
      thresholds: () => this.#thresholds,
      strategy: () => this.#strategy,
      runtime: () => this.#runtime,
      onLevel: (to, from) => this.#tellLevel(to, from),
      sample: () => this.#sampleOutside(),
      sampleByTheClock: () => this.#sampleByTheClock(),
      sampleInline: (comingBytes) => this.#sampleInline(comingBytes),
    });
    if (resolved.modeFault !== undefined) parts.faults.note('PLIMSOLL', resolved.modeFault);
    this.#runtime = parts.ledger.openOwn('runtime');
    new LedgerConsumer(parts.budget, this.#runtime);
    parts.ledger.charge(this.#runtime, resolved.runtimeBytes ?? this.#measureRuntime());
    parts.sampler.take();
    parts.drift.note(resolved.clock.now());
    parts.garbage.noteStart();
    parts.slackBytes();
    if (this.mode !== 'off') parts.sampler.start(() => this.#sampleByTheClock());
  }

  /** The effective limit, bytes. */
  get limitBytes(): number {
    return this.#parts.line.limit.bytes;
  }

  /** Where the limit comes from, and all that were found. */
  get limit(): EffectiveLimit {
    return this.#parts.line.limit;
  }

  /** As it was made, or tuned to since. */
  get mode(): GovernorMode {
    return this.#parts.budget.mode;
  }

  /** As the last sample had it. */
  get level(): PressureLevel {
    return this.#parts.sampler.level;
  }

  /**
   * The same by what the machine sees alone (heap, external, RSS, the kernel's charge): books that are full are a cache that does its work, and no reason to turn
   * anybody away.
   */
  get machineLevel(): PressureLevel {
    return this.#parts.sampler.physicalLevel;
  }

  /** Everything held, the runtime included. */
  get heldBytes(): number {
    return this.#parts.ledger.whole.total;
  }

  /** What can still be reserved without anybody giving back. */
  get availableBytes(): number {
    return this.#parts.ledger.whole.room;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /**
   * Opens a consumer. Throws `RangeError` for unsound options and when there are `maxConsumers` already. Dispose it at its end. The first of kind `heap`
   * has V8 collect where its heap is below 16 MiB, some ms, so that drift is told from what is held.
   */
  consumer(options: ConsumerOptions): Consumer {
    const sound = checkConsumerOptions(options);
    if (sound.kind === 'heap') this.#settleHeap();
    const { budget, reclaimers, ledger } = this.#parts;
    const parent = sound.parent === undefined ? undefined : budget.accountOf(sound.parent, 'parent');
    reclaimers.prepare(sound.reclaimer);
    return new LedgerConsumer(budget, ledger.open(sound, parent));
  }

  /**
   * Runs `fn` as a request or tenant: what is reserved inside, across `await`, counts against `maxBytes`. Resolves or rejects as `fn` does; before it
   * begins, as `admit` does for `upFrontBytes`. Costs about 1 µs.
   * @example
   * await governor.scope({ name: 'GET /report', maxBytes: 32 * MiB, upFrontBytes: 8 * MiB }, async ({ signal }) => build(signal));
   */
  scope<T>(options: ScopeOptions, fn: (scope: Scope) => T | Promise<T>): Promise<T> {
    return this.#parts.scopes.run(options, fn);
  }

  /**
   * Calls `action` when a level is entered and when it is left, or, between two shares of the limit, with a scale from 0 to 1. Until the result is
   * disposed. In `observe` and `off` no action is called. What it throws stands in the snapshot's faults.
   * @example
   * governor.when({ level: 'high' }, ({ active }) => (active ? cache.pause() : cache.resume()));
   * governor.when({ from: 0.6, to: 0.9 }, ({ scale }) => server.setKeepAlive(5_000 * (1 - scale)));
   */
  when(condition: TriggerCondition, action: TriggerAction): Disposable {
    return this.#parts.triggers.when(condition, action);
  }

  /**
   * Whether to turn a call away at a named point; to be asked for every one. About 5 ns. Points and their rules: option `shed`; without a rule from
   * `critical` on. While the breaker is open, all but its probes.
   */
  shouldShed(point: string): boolean {
    return this.#parts.shed.shouldShed(point);
  }

  /** Reads all meters now, and acts on what they say: about 20 µs. */
  sample(): Sample {
    this.#sampleOutside();
    return this.#parts.sampler.last();
  }

  /** The last samples, oldest first, at most 240. */
  history(): Sample[] {
    return this.#parts.sampler.history.samples();
  }

  /** The last trains, oldest first, at most 64. */
  journal(): TrainReport[] {
    return this.#parts.journal.reports();
  }

  /** What this machine can be measured by and made to give back, and what stands in the way. Looked at once, about 3 ms. */
  capabilities(): Capabilities {
    const { root, collect, trim } = this.#options;
    this.#capabilities ??= readCapabilities({ root, limit: this.limit, collect, trim });
    return this.#capabilities;
  }

  /**
   * Runs a train now, whatever the level: holders give back, then collection and trim as far as the strategy goes. Resolves to what came of it; never
   * rejects. One that is under way is waited for first. In `observe` the report says what would have been done, in `off` nothing is.
   */
  async reclaim(options: ReclaimCallOptions = {}): Promise<TrainReport> {
    checkKnownOptions('reclaim', options, ['targetBytes', 'strategy', 'within']);
    const { targetBytes = Number.MAX_SAFE_INTEGER, strategy = this.#strategy } = options;
    checkWhole('targetBytes', targetBytes, 1);
    checkOneOf('strategy', strategy, RECLAIM_STRATEGIES);
    const { level } = this;
    const { sampler, train, budget } = this.#parts;
    const within = options.within === undefined ? undefined : budget.accountOf(options.within, 'within');
    // What the process has in RAM is what there is to get back; books that are full know nothing of garbage.
    const meter = RESIDENT.find((name) => sampler.reading(name) !== undefined) ?? sampler.deciding.meter;
    const observe = this.mode !== 'on';
    const call = { why: 'asked', targetBytes, strategy, level, meter, within, observe } as const;
    if (train.running) await train.run(call);
    // Who is asked belongs to no scope.
    return this.#parts.scopes.outside(() => train.run(call));
  }

  /**
   * Writes a heap snapshot, when somebody asks for one and there is room for it; the governor never takes one by itself. Blocks the process for
   * seconds. `PLIMSOLL_NO_ROOM_FOR_SNAPSHOT` unless `memoryFactor` times the used heap is free under the line and twice of it on the disk. Returns the
   * size of the file.
   */
  writeHeapSnapshot(path: string, options: { readonly memoryFactor?: number } = {}): number {
    this.#parts.sampler.take();
    const { sampler } = this.#parts;
    const { bytes, limitBytes } = readingOf(this.#parts, this.#options.clock.now());
    const used = sampler.bytes('heap');
    return writeHeapSnapshotIfRoom({ path, freeBytes: limitBytes - bytes, usedHeapBytes: used, ...options });
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

  /**
   * Changes limit, thresholds, strategy, mode and rules for shedding from now on. A limit below what is held takes nothing away: it grants nothing until
   * there is room.
   */
  tune(tuning: GovernorTuning): void {
    const { thresholds, strategy, limitBytes, mode, shed } = checkTuning(tuning);
    this.#thresholds = resolveThresholds(thresholds, this.#thresholds);
    this.#strategy = strategy ?? this.#strategy;
    if (limitBytes !== undefined) this.#parts.line.configure(limitBytes);
    this.#parts.sampler.setThresholds(this.#thresholds);
    if (shed !== undefined) this.#parts.shed.setRules(shed);
    this.#parts.scopes.outside(() => {
      if (mode !== undefined && mode !== this.mode && !this.#disposed) this.#setMode(mode);
      this.#refreshLimits();
      // What was blocked or turned away under the old limit need not be now.
      this.#sampleAll();
    });
  }

  /** The picture of memory as the last sample had it. Costs about 1 µs a consumer. */
  snapshot(): Snapshot {
    const { mode } = this;
    const thresholds = { ...this.#thresholds };
    const own = { takenAt: this.#options.clock.wall(), mode, strategy: this.#strategy, thresholds };
    return this.#parts.scopes.outside(() => takeSnapshot(this.#parts, own, this.#warnings()));
  }

  /** Stops sampling, turns away who waits (`PLIMSOLL_DISPOSED`) and grants nothing any more. Reservations can still be released. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    const { budget, sampler, admission, triggers, shed, lastResort, line } = this.#parts;
    budget.shut();
    sampler[Symbol.dispose]();
    admission.shut();
    triggers.clear();
    shed.close();
    this.#listeners.clear();
    lastResort[Symbol.dispose]();
    line[Symbol.dispose]();
  }

  /**
   * Before the first objects are reserved: what Node's start left as garbage would count as observed for ever after. Once, and only where V8's heap is so
   * small that it takes milliseconds.
   */
  #settleHeap(): void {
    if (this.#heapIsSettled) return;
    this.#heapIsSettled = true;
    const { sampler, collector, drift, garbage, line } = this.#parts;
    const usedBytes = () => sampler.bytes('heap');
    if (this.mode !== 'on' || this.#options.collect !== undefined || line.v8 === undefined) return;
    if (usedBytes() > MOST_SETTLED_BYTES || collector.run({ type: 'full', usedBytes, asked: true }) < 0) return;
    sampler.take(true);
    drift.note(this.#options.clock.now());
    garbage.noteSettled();
  }

  #setMode(mode: GovernorMode): void {
    const { budget, shed, triggers, responder, admission, sampler } = this.#parts;
    budget.mode = mode;
    shed.setMode(mode);
    responder.noteMode();
    // A level that nobody looks at any more is none.
    if (mode === 'off') sampler.calm();
    else sampler.start(() => this.#sampleByTheClock());
    if (mode === 'on') return;
    triggers.note(CALM, CALM);
    admission.letIn();
  }

  /** Those of the last capability report; before the first, the one that costs next to nothing to find out. */
  #warnings(): readonly string[] {
    if (this.#capabilities !== undefined) return this.#capabilities.warnings;
    const { why } = heapFlagsFit(this.limitBytes);
    return why === undefined ? [] : [why];
  }

  #measureRuntime(): number {
    const { v8 } = this.#parts.line;
    try {
      if (v8 === undefined) return readRssBytes();
      const bytes = v8.rss.read();
      v8.refresh();
      return bytes + RUNTIME_GROWTH_BYTES;
    } catch (cause) {
      this.#parts.faults.note('runtime', cause);
      return 0;
    }
  }

  #refreshLimits(): void {
    const { line, sampler, ledger, admission } = this.#parts;
    const before = line.limit;
    if (line.refresh()) sampler.replace('cgroup', line.cgroupMeter);
    // The report was about another limit.
    if (before.bytes !== line.limit.bytes) this.#capabilities = undefined;
    ledger.whole.maxBytes = line.limit.bytes;
    admission.wake();
  }

  /** A sample and all that follows from it. */
  #sampleAll(): void {
    if (!this.#take(false)) return;
    this.#parts.responder.note();
    this.#follow();
  }

  #sampleByTheClock(): void {
    if (!this.#take(false, true)) return;
    this.#parts.responder.note();
    this.#follow();
  }

  /** What hears of a sample belongs to no scope, whoever asked for it. */
  #sampleOutside(): void {
    this.#parts.scopes.outside(() => this.#sampleAll());
  }

  /** The same inside a reservation, where nothing can wait. False when the machine has no room for what is coming. */
  #sampleInline(comingBytes: number): boolean {
    if (!this.#take(true)) return true;
    const fits = this.#parts.responder.noteInline(comingBytes);
    this.#follow();
    return fits;
  }

  /** `ownTurn`: whoever was granted something before has had a turn of its own. */
  #take(dense: boolean, ownTurn = false): boolean {
    if (this.#disposed || this.mode === 'off') return false;
    const { line, sampler, drift, garbage, budget } = this.#parts;
    if (line.isDue(sampler.level !== 'optimal')) this.#refreshLimits();
    sampler.take(dense);
    // Half of it is in what was read, or soon will be. Right here: whoever is let in before or after this has had no turn.
    if (ownTurn) budget.unseenBytes = budget.unseenBytes < 65_536 ? 0 : budget.unseenBytes / 2;
    if (this.#disposed) return false;
    this.#lowerRuntime();
    const now = this.#options.clock.now();
    drift.note(now);
    garbage.noteSample(now);
    return true;
  }

  /** Tells all who go by the level; the last resort comes last. */
  #follow(): void {
    // Who heard of the sample may have ended it all.
    if (this.#disposed) return;
    const { sampler, breaker, shed, triggers, lastResort, admission, budget, responder } = this.#parts;
    const now = this.#options.clock.now();
    const { level, ratio } = sampler.last();
    if (this.mode === 'on')
      triggers.note({ level, ratio }, { level: sampler.physicalLevel, ratio: sampler.physical.ratio });
    if (this.#disposed) return;
    const { bytes, limitBytes } = sampler.physical;
    budget.noteRoom(limitBytes * this.#thresholds.critical - bytes, responder.roomBytes);
    // Books that are full are no reason to turn calls away, unless somebody waits for room in them.
    const isScarce = admission.waiting > 0;
    breaker.note(isScarce ? level : sampler.physicalLevel, now);
    shed.note(isScarce ? level : sampler.physicalLevel, isScarce ? ratio : sampler.physical.ratio);
    lastResort.note(readingOf(this.#parts, now), now);
  }

  /** All there is in RAM is less than what was taken for the runtime alone: that much is free to reserve. */
  #lowerRuntime(): void {
    const { sampler, budget, line } = this.#parts;
    const rss = sampler.bytes('rss');
    if (!this.#runtimeIsMeasured || rss === 0) return;
    const most = line.v8 === undefined ? rss : rss + RUNTIME_GROWTH_BYTES;
    if (most < this.#runtime.own) budget.give(this.#runtime, this.#runtime.own - most);
  }

  #tellLevel(to: PressureLevel, from: PressureLevel): void {
    const { faults } = this.#parts;
    if (levelEvents.heard) {
      const { meter, bytes, limitBytes } = readingOf(this.#parts, this.#options.clock.now());
      levelEvents.publish({ from, to, meter, bytes, limitBytes });
    }
    for (const listener of [...this.#listeners]) {
      try {
        faults.watch('level listener', listener(to, from));
      } catch (cause) {
        faults.note('level listener', cause);
      }
    }
  }
}

/** Makes a governor. Throws `RangeError` for unsound or unknown options. About 1 ms: the limits are read and the runtime is measured. */
export function createGovernor(options: GovernorOptions = {}): Governor {
  return new Governor(options);
}
