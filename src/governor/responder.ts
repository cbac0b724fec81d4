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
import type { GovernorMode } from './budget.ts';
import type { PressureLevel, ReclaimStrategy } from './contract.ts';
import { CoolDown } from './cool-down.ts';
import type { Faults } from './faults.ts';
import type { TrainReason, TrainReport } from './journal.ts';
import type { MeterName } from './meters.ts';
import { levelRank, type PressureThresholds } from './pressure.ts';
import type { TrainCall } from './train.ts';

const MODERATE = levelRank('moderate');
const HIGH = levelRank('high');
const CRITICAL = levelRank('critical');
const EMERGENCY = levelRank('emergency');
/** Below `critical` a train runs ahead of need when the line is nearer than that by the trend. */
const HORIZON_MS = 10_000;
/** When for more than that part of the last ten seconds nothing in the group could run for want of memory, bytes come second. */
const STALLED_PERCENT = 10;
/** A train that brought the deciding meter down by less than that part of its target was in vain: the next waits longer. */
const WORTH = 0.05;

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
  readonly reading: () => Reading;
  readonly train: {
    readonly running: boolean;
    run(call: TrainCall): Promise<TrainReport>;
    runNow(call: TrainCall): TrainReport;
  };
  /** Aborts the scope that holds most; called when a train was not enough. */
  readonly abortLargestScope: (why: string) => void;
  /** Told when nothing is to be granted any more, and when it may again. */
  readonly onBlocked: (blocked: boolean) => void;
  /** Called when a train is over: there may be room for who waits. */
  readonly wake: () => void;
}

export class Responder {
  readonly #options: ResponderOptions;
  readonly #coolDown: CoolDown;
  /** One of its own trains is under way; one of an admission does not count. */
  #waiting = false;
  #blocked = false;
  #off = false;

  constructor(options: ResponderOptions) {
    this.#options = options;
    this.#coolDown = new CoolDown(options.coolDownMs);
  }

  /** False once a fault in here has switched action off. */
  get acting(): boolean {
    return !this.#off;
  }

  /** True while a meter other than the ledger is at `emergency` and a train has not changed that: nothing is granted. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Acts on the last sample. `inline`: inside a reservation, where nothing can wait. Never throws. */
  note(inline: boolean): void {
    if (this.#off || this.#options.mode() === 'off') return;
    try {
      this.#respond(inline);
    } catch (cause) {
      this.#fail(cause);
    }
  }

  #respond(inline: boolean): void {
    const { clock, mode, train } = this.#options;
    const reading = this.#options.reading();
    const rank = levelRank(reading.level);
    if (this.#blocked && (rank < EMERGENCY || reading.meter === 'ledger')) {
      this.#block(false);
      this.#options.wake();
    }
    // In the middle of a loop only what cannot wait: collections and trims inside reservations belong to `emergency`.
    if (inline && (rank < EMERGENCY || reading.meter === 'ledger')) return;
    const why = inline ? 'reservation' : this.#reason(reading, rank);
    if (why === undefined || this.#coolDown.restraint(clock.now(), reading.level, reading.falling) !== undefined)
      return;
    // Inside a synchronous loop the one that waits cannot go on: it does not keep this one back.
    if (!inline && (this.#waiting || train.running)) return;
    const call = this.#call(why, reading, mode() === 'observe');
    if (inline) this.#settle(call, train.runNow(call));
    else void this.#run(call);
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

  #call(why: TrainReason, { level, meter, bytes, limitBytes }: Reading, observe: boolean): TrainCall {
    const strategy = this.#options.strategy();
    const { high, critical, hysteresis } = this.#options.thresholds();
    const below = { basic: critical - hysteresis, smart: (high + critical) / 2, aggressive: high }[strategy];
    // Ahead of need, and where the kernel stalls below the thresholds, a tenth of what is used.
    const excess = bytes - limitBytes * below;
    const targetBytes = Math.max(1, Math.ceil(excess > 0 ? excess : bytes / 10));
    return { why, level, strategy, targetBytes, observe, meter };
  }

  #settle({ targetBytes, observe }: TrainCall, report: TrainReport): void {
    const { clock, abortLargestScope, wake } = this.#options;
    const { level, meter } = this.#options.reading();
    const rank = levelRank(level);
    this.#coolDown.acted(clock.now(), report.seenBytes >= targetBytes * WORTH ? report.seenBytes : 0);
    if (observe === true) return;
    if (meter !== 'ledger' && rank >= CRITICAL) {
      abortLargestScope(`${meter} is at ${level} and giving back was not enough`);
      this.#block(rank >= EMERGENCY);
    }
    if (!this.#blocked) wake();
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
