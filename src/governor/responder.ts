/**
 * What follows from a sample: whether a train runs, whether a scope has to go.
 *
 * Measuring and acting are two: a sample may be wrong or missing and nothing acts; what acts may fail and the samples go on. A fault in here
 * switches action off for good, and says so. Nothing is done while use is falling by itself, except at `emergency`.
 *
 * What the ledger alone shows calls for giving back, never for a scope to be aborted or for refusals beyond its own: within its line, reserved is
 * what it was meant to be. What another meter shows at `emergency`, and shows still after a train, refuses every reservation until it is over:
 * a limit on tracked bytes that lets RSS grow past it is none.
 */
import type { Clock } from '../clock.ts';
import type { PressureLevel, ReclaimStrategy } from './contract.ts';
import { CoolDown } from './cool-down.ts';
import type { Faults } from './faults.ts';
import type { GovernorMode } from './governor-mode.ts';
import type { TrainReason, TrainReport } from './journal.ts';
import type { MeterName } from './meters.ts';
import { levelRank, type PressureThresholds } from './pressure.ts';
import type { TrainCall } from './train-run.ts';

const MODERATE = levelRank('moderate');
const HIGH = levelRank('high');
const CRITICAL = levelRank('critical');
const EMERGENCY = levelRank('emergency');
/** Below `critical` a train runs ahead of need when the line is nearer than that by the trend. */
const HORIZON_MS = 10_000;
/** When for more than that part of the last ten seconds nothing in the group could run for want of memory, bytes come second. */
const STALLED_PERCENT = 10;
/** A full collection copies what is young and marks what is old: it has to fit as well. */
const ROOM_TO_WORK_BYTES = 12 * 1_048_576;
const WORTH_RETRYING_BYTES = 524_288;
/** A train that brought the deciding meter down by less than that part of its target was in vain: the next waits longer. */
const WORTH = 0.05;
/** Trains that follow one another so fast aim deeper each time, by so much of the limit, so often at most: use grows back faster than they are worth. */
const AGAIN_WITHIN_MS = 5_000;
const DEEPER_SHARE = 0.05;
const MOST_DEEPER = 3;
/** Nobody waited for room in the machine for so long: what was in vain before says nothing of the next. */
const WANTED_ANEW_MS = 5_000;

/**
 * What the last sample says, as far as acting needs it: of the meter that is nearest to its limit, but of the ledger only while the others see no
 * danger, because books that are full hide none then.
 */
export interface Reading {
  readonly level: PressureLevel;
  readonly meter: MeterName;
  readonly bytes: number;
  readonly limitBytes: number;
  /** Use is going down by itself. */
  readonly falling: boolean;
  /** By the trend; absent when use does not grow. */
  readonly timeToLineMs?: number;
  /** Of the last ten seconds, percent in which nothing in this group could run for want of memory; absent where that cannot be told. */
  readonly stalledPercent?: number;
}

export interface ResponderOptions {
  readonly clock: Clock;
  readonly faults: Faults;
  readonly mode: () => GovernorMode;
  readonly thresholds: () => PressureThresholds;
  readonly strategy: () => ReclaimStrategy;
  readonly coolDownMs: number;
  /** `physical`: whatever the ledger says. */
  readonly reading: (physical?: boolean) => Reading;
  /** What the machine has room for below that share of its limits, as of the last sample. */
  readonly roomBytes: (share: number) => number;
  /** What it would have room for if nothing were in use. */
  readonly mostBytes: (share: number) => number;
  /** What has been granted and the machine has not seen yet. */
  readonly outstandingBytes: () => number;
  /** Of that, what those who waited were granted lately. */
  readonly unseenBytes: () => number;
  /** All that was ever given back to the ledger. */
  readonly releasedBytes: () => number;
  readonly train: {
    readonly running: boolean;
    run(call: TrainCall): Promise<TrainReport>;
    runNow(call: TrainCall): TrainReport;
  };
  /** How far those that divide the line have used up the headroom and hold more than their shares, bytes. */
  readonly headroomDebtBytes: () => number;
  /** Aborts the scope that holds most; called when a train was not enough. */
  readonly abortLargestScope: (why: string) => void;
  /** Called from `high` on: what trains need is got hold of while there is room for it. */
  readonly prepare: () => void;
  /** What was before a train says nothing of what comes. */
  readonly restartTrends: () => void;
  /** Told when nothing is to be granted any more, and when it may again. */
  readonly onBlocked: (blocked: boolean) => void;
  /** Called when a train is over: there may be room for who waits. */
  readonly wake: () => void;
}

export class Responder {
  readonly #options: ResponderOptions;
  /** Apart: full books that nobody can empty must not keep the machine's memory waiting. */
  readonly #coolDowns: { readonly ledger: CoolDown; readonly others: CoolDown; readonly wanted: CoolDown };
  /** One of its own trains is under way; one of an admission does not count. */
  #waiting = false;
  #blocked = false;
  /** What had been given back when the last train ended. */
  #releasedAtTrain = 0;
  /** The most that one who waits was kept from for want of room in the machine, since the last look. */
  #wantedBytes = 0;
  /** What the machine lacked for who waits when the last train set out to make it. */
  #lackedBytes = Number.POSITIVE_INFINITY;
  #wantedAt = Number.NEGATIVE_INFINITY;
  /** When the last train for pressure ended, and how many came so soon after the one before. */
  #pressedAt = Number.NEGATIVE_INFINITY;
  #inARow = 0;
  #off = false;

  constructor(options: ResponderOptions) {
    this.#options = options;
    const { coolDownMs: ms } = options;
    this.#coolDowns = { ledger: new CoolDown(ms), others: new CoolDown(ms), wanted: new CoolDown(ms) };
  }

  /** False once a fault in here has switched action off. */
  get acting(): boolean {
    return !this.#off;
  }

  /** True while a meter other than the ledger is at `emergency` and a train has not changed that: nothing is granted. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Acts on the last sample. Never throws. */
  note(): void {
    this.#guarded(() => this.#respond());
  }

  /**
   * The same inside a reservation, where nothing can wait and no timer fires: only what is urgent. `comingBytes` have been granted since the
   * last sample or are asked for now. False when the machine has no room for them.
   */
  noteInline(comingBytes: number): boolean {
    return this.#guarded(() => this.#respondInline(comingBytes)) ?? true;
  }

  /**
   * Whether the machine has room for so much, as of the last sample: asked before one that waits is granted what the books have. When not, the next
   * sample has it made. Something is kept for what they need beside it: bursts that were granted all up to the line, and then took a socket and a few objects
   * each, were killed in small containers. While others that were let in have not shown what they need, that is half of what lies between `critical` and
   * `emergency`, and else no more of that than a collection needs.
   */
  fits(bytes: number): boolean {
    if (this.#off || this.#options.mode() !== 'on') return true;
    const { roomBytes, outstandingBytes, unseenBytes } = this.#options;
    const room = unseenBytes() > 0 ? roomBytes(this.#crowdedShare) : this.#spared(roomBytes);
    const fits = !this.#blocked && bytes <= room - outstandingBytes();
    if (!fits) this.#wantedBytes = Math.max(this.#wantedBytes, bytes);
    return fits;
  }

  /** What the machine has room for as of the last sample, without what has been granted since. Below 0 when it is past `emergency`. */
  get roomBytes(): number {
    const { roomBytes, outstandingBytes, thresholds } = this.#options;
    return roomBytes(thresholds().emergency) - outstandingBytes();
  }

  /** The most that one who waits could ever be let in with, Node itself included. `Infinity` when nobody would keep to it. */
  get mostBytes(): number {
    return this.#off ? Number.POSITIVE_INFINITY : this.#spared(this.#options.mostBytes);
  }

  get #crowdedShare(): number {
    const { critical, emergency } = this.#options.thresholds();
    return (critical + emergency) / 2;
  }

  /** Below `emergency` by what a collection needs, which in a small limit is no more than half of what lies between that and `critical`. */
  #spared(bytesBelow: (share: number) => number): number {
    return Math.max(
      bytesBelow(this.#crowdedShare),
      bytesBelow(this.#options.thresholds().emergency) - ROOM_TO_WORK_BYTES,
    );
  }

  /** While it is blocked: whether so much has been given back since that it is worth finding out if that still holds. */
  get mayUnblock(): boolean {
    return this.#blocked && this.#isWorthRetrying;
  }

  /** The mode is another one: what was found out in the last one does not hold back. */
  noteMode(): void {
    this.#wantedBytes = 0;
    if (this.#blocked) this.#block(false);
  }

  #guarded<T>(act: () => T): T | undefined {
    if (this.#off || this.#options.mode() === 'off') return undefined;
    try {
      return act();
    } catch (cause) {
      this.#fail(cause);
      return undefined;
    }
  }

  #respond(): void {
    const wantedBytes = this.#wantedBytes;
    this.#wantedBytes = 0;
    // Not before the machine has room for who waits.
    const reading = this.#begin(wantedBytes > 0);
    const rank = levelRank(reading.level);
    if (rank >= HIGH && reading.meter !== 'ledger' && this.#options.mode() === 'on') this.#options.prepare();
    const why = this.#reason(reading, rank);
    if (this.#waiting || this.#options.train.running) return;
    if (why !== undefined || (wantedBytes > 0 && this.#isWorthMaking(wantedBytes, reading))) {
      if (!this.#isRestrained(reading)) void this.#run(this.#call(why ?? 'admission', reading, wantedBytes));
    } else this.#restoreHeadroom(reading);
  }

  /** For one that waits: whether the machine is nearer to having the room than at the last try. When not, the next try waits, longer and longer. */
  #isWorthMaking(wantedBytes: number, reading: Reading): boolean {
    const { wanted } = this.#coolDowns;
    const now = this.#options.clock.now();
    const isNew = now - this.#wantedAt >= WANTED_ANEW_MS;
    this.#wantedAt = now;
    if (isNew) {
      this.#lackedBytes = Number.POSITIVE_INFINITY;
      wanted.acted(Number.NEGATIVE_INFINITY, 1);
    }
    if (wanted.restraint(now, reading.level, false) !== undefined || this.#isRestrained(reading)) return false;
    const lackedBytes = wantedBytes - this.roomBytes;
    wanted.acted(now, lackedBytes <= this.#lackedBytes * (1 - WORTH) ? 1 : 0);
    this.#lackedBytes = lackedBytes;
    return true;
  }

  /** One below its share may have taken of it when there was nothing else: those above theirs give that back. */
  #restoreHeadroom({ level }: Reading): void {
    const debtBytes = this.#options.headroomDebtBytes();
    const { clock, mode } = this.#options;
    if (debtBytes <= 0 || this.#coolDowns.ledger.restraint(clock.now(), level, false) !== undefined) return;
    const call = {
      why: 'pressure',
      level,
      strategy: 'basic',
      targetBytes: Math.ceil(debtBytes),
      meter: 'ledger',
    } as const;
    void this.#run({ ...call, observe: mode() === 'observe' });
  }

  #respondInline(comingBytes: number): boolean {
    const reading = this.#begin(true);
    if (this.#isUrgent(reading, comingBytes) && !this.#isRestrained({ ...reading, level: 'emergency' })) {
      const call = this.#call('reservation', reading, comingBytes);
      // The one that waits cannot go on inside a synchronous loop: it does not keep this one back.
      this.#settle(call, this.#options.train.runNow(call));
    }
    return this.#options.mode() !== 'on' || this.#hasRoom(comingBytes);
  }

  get #isWorthRetrying(): boolean {
    return this.#options.releasedBytes() - this.#releasedAtTrain > WORTH_RETRYING_BYTES;
  }

  #begin(physical: boolean): Reading {
    const reading = this.#options.reading(physical);
    if (this.#blocked && (levelRank(reading.level) < EMERGENCY || reading.meter === 'ledger')) {
      this.#block(false);
      this.#options.wake();
    }
    if (this.#isWorthRetrying) {
      // What was in vain then need not be so now.
      this.#releasedAtTrain = this.#options.releasedBytes();
      this.#coolDowns.others.acted(Number.NEGATIVE_INFINITY, 1);
    }
    return reading;
  }

  #hasRoom(bytes: number): boolean {
    return bytes <= this.roomBytes;
  }

  /** With what is coming: past `emergency`, or so near the end of what the process may charge that a collection would have no room to work in. */
  #isUrgent({ meter, bytes, limitBytes }: Reading, comingBytes: number): boolean {
    const { critical, emergency } = this.#options.thresholds();
    // What is coming need not be objects: V8's heap is judged by what is in it.
    const expected = meter === 'heap' ? bytes : bytes + comingBytes + this.#options.outstandingBytes();
    if (expected >= limitBytes * emergency) return true;
    const isResident = meter === 'cgroup' || meter === 'rss';
    return isResident && expected >= limitBytes * critical && limitBytes - expected < ROOM_TO_WORK_BYTES;
  }

  #isRestrained({ level, meter, falling }: Reading): boolean {
    return this.#coolDownOf(meter).restraint(this.#options.clock.now(), level, falling) !== undefined;
  }

  async #run(call: TrainCall): Promise<void> {
    this.#waiting = true;
    try {
      this.#settle(call, await this.#options.train.run(call));
    } catch (cause) {
      this.#fail(cause);
    } finally {
      this.#waiting = false;
    }
  }

  #reason(reading: Reading, rank: number): TrainReason | undefined {
    if (rank >= CRITICAL) return 'pressure';
    if (rank >= MODERATE && (reading.stalledPercent ?? 0) > STALLED_PERCENT) return 'stall';
    // A ledger that fills up is what a cache is for; it has an end of its own.
    const soon = reading.meter !== 'ledger' && (reading.timeToLineMs ?? Number.POSITIVE_INFINITY) <= HORIZON_MS;
    return soon && rank >= HIGH && this.#options.strategy() === 'smart' ? 'prediction' : undefined;
  }

  #call(why: TrainReason, { level, meter, bytes, limitBytes }: Reading, comingBytes: number): TrainCall {
    const observe = this.#options.mode() === 'observe';
    const strategy = this.#options.strategy();
    const { high, critical, hysteresis } = this.#options.thresholds();
    const isAgain = this.#options.clock.now() - this.#pressedAt < AGAIN_WITHIN_MS;
    const smart = (high + critical) / 2 - (isAgain ? Math.min(this.#inARow, MOST_DEEPER) * DEEPER_SHARE : 0);
    const below = { basic: critical - hysteresis, smart, aggressive: high }[strategy];
    // Ahead of need, and where the kernel stalls below the thresholds, a tenth of what is used.
    const excess = bytes + comingBytes - limitBytes * below;
    const targetBytes = Math.max(1, Math.ceil(excess > 0 ? excess : bytes / 10));
    return { why, level, strategy, targetBytes, observe, meter };
  }

  #settle({ targetBytes, observe, meter: asked }: TrainCall, report: TrainReport): void {
    const { clock, abortLargestScope, wake } = this.#options;
    const { level, meter } = this.#options.reading();
    const rank = levelRank(level);
    // Inside a part of another it did nothing.
    if (report.number === 0) return;
    if (observe !== true && report.seenBytes > 0) this.#options.restartTrends();
    this.#releasedAtTrain = this.#options.releasedBytes();
    if (asked !== 'ledger') this.#noteInARow(clock.now());
    const gained = gainedBytes(report);
    this.#coolDownOf(asked).acted(clock.now(), gained >= targetBytes * WORTH ? gained : 0);
    const isTight = meter !== 'ledger' && rank >= CRITICAL;
    // In `observe` that only says which it would have been.
    if (isTight) abortLargestScope(`${meter} is at ${level} and giving back was not enough`);
    if (observe === true) return;
    if (isTight) this.#block(rank >= EMERGENCY && (meter === 'heap' || !this.#hasRoom(0)));
    if (!this.#blocked) wake();
  }

  #noteInARow(now: number): void {
    const sinceMs = now - this.#pressedAt;
    this.#inARow = sinceMs >= 0 && sinceMs < AGAIN_WITHIN_MS ? this.#inARow + 1 : 0;
    this.#pressedAt = now;
  }

  #coolDownOf(meter: MeterName | undefined): CoolDown {
    return meter === 'ledger' ? this.#coolDowns.ledger : this.#coolDowns.others;
  }

  #fail(cause: unknown): void {
    this.#off = true;
    this.#options.faults.note('responder', cause, true);
    this.#block(false);
    this.#options.wake();
  }

  #block(blocked: boolean): void {
    this.#blocked = blocked;
    this.#options.onBlocked(blocked);
  }
}

/** What its best part brought: use that grows meanwhile, as it does fast where a train is needed most, says nothing against the train. */
function gainedBytes({ seenBytes, parts }: TrainReport): number {
  return parts.reduce((most, part) => Math.max(most, part.seenBytes), seenBytes);
}
