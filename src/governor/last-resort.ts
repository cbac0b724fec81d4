/**
 * What is done when all else has failed: the last moments are written down, and a process that is lost ends. Early: once memory is gone there is
 * no second chance, so a dump is written as soon as an emergency lasts, and again as long as it does.
 */
import type { DieFast } from './die-fast.ts';
import { FLIGHT_DEFAULTS, type FlightRecorder } from './flight-recorder.ts';
import { levelRank } from './pressure.ts';
import type { Reading } from './responder.ts';
import type { TerminationLog } from './termination-log.ts';

/** An emergency that is over sooner is none to write home about. */
const LASTING_MS = 1_000;
/** The longest that one sample may add to that: a clock that jumps is no emergency. */
const LONGEST_STEP_MS = 500;
/** How often the last words are written anew while it lasts. */
const LOG_EVERY_MS = 5_000;
const EMERGENCY = levelRank('emergency');
/** A heap as full as that is written down: at any time, right after a full collection, and until when it stays written. */
const NEAR_HEAP = FLIGHT_DEFAULTS.heapRatio;
const NEAR_COLLECTED_HEAP = 0.85;
const CALM_HEAP = 0.8;
/** One that fills so fast that it may be full before there is a next sample, a long collection being on its way, is written down from here on. */
const FAST_HEAP = 0.6;
const FULL_WITHIN_MS = 1_000;
/** Samples inside reservations come by the thousand: less time tells nothing of the rise. */
const SHORTEST_RISE_MS = 10;
/** V8 gives up soon after, whatever is done. */
const FULL_HEAP = 0.98;

export interface LastResortOptions {
  readonly recorder: FlightRecorder | undefined;
  readonly log: TerminationLog | undefined;
  readonly dieFast: DieFast | undefined;
  /** Share of its own limit that V8's heap has reached; 0 where that is not known. By it a process is ended. */
  readonly heapRatio: () => number;
  /** The same with what is lost in its pages: by it the last words are written, for a process that V8 may end sooner than it seems. */
  readonly filledHeapRatio: () => number;
  readonly trainCount: () => number;
  /** False while nothing may be done, and nobody ended. */
  readonly mayEnd: () => boolean;
}

export class LastResort implements Disposable {
  readonly #options: LastResortOptions;
  readonly #hooks: Disposable | undefined;
  #lastMs = Number.NaN;
  #lastedMs = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;
  /** Where the rise is counted from. */
  #heapRatio = Number.NaN;
  #heapMs = Number.NaN;
  #isFast = false;
  #logged: 'emergency' | 'heap' | undefined;

  constructor(options: LastResortOptions) {
    this.#options = options;
    const { recorder, log } = options;
    const say = () => void log?.write('an uncaught exception');
    if (recorder !== undefined) this.#hooks = recorder.installFatalHooks(say);
    else if (log?.path !== undefined) this.#hooks = onFatalError(say);
  }

  /** Of each sample. Does not return when the process is lost and `dieFast` was asked for. */
  note({ level, meter }: Reading, nowMs: number): void {
    const { dieFast, heapRatio, trainCount, mayEnd } = this.#options;
    if (levelRank(level) >= EMERGENCY && meter !== 'ledger') this.#noteEmergency(nowMs);
    else this.#calm();
    this.#lastMs = nowMs;
    this.#noteHeap(nowMs, false);
    if (mayEnd())
      dieFast?.note(level, meter === 'ledger', trainCount(), nowMs, meter === 'heap' && heapRatio() >= FULL_HEAP);
  }

  /** Right after a full collection, the meters having been read: what is in the heap now stays there. */
  noteCollection(nowMs: number): void {
    this.#noteHeap(nowMs, true);
  }

  /** Writes everything there is a place for: for `dieFast`, right before the end. */
  lastWords(why: string): void {
    this.#options.recorder?.write('die-fast', why);
    this.#options.log?.write(why);
  }

  [Symbol.dispose](): void {
    this.#hooks?.[Symbol.dispose]();
    this.#options.recorder?.[Symbol.dispose]();
    this.#options.log?.[Symbol.dispose]();
  }

  /** What was written about an emergency that is over would explain a later death wrongly. */
  #calm(): void {
    this.#lastedMs = 0;
    if (this.#logged === 'emergency') this.#clearLog();
  }

  #noteHeap(nowMs: number, collected: boolean): void {
    const { recorder, filledHeapRatio } = this.#options;
    const ratio = filledHeapRatio();
    const stepMs = nowMs - this.#heapMs;
    if (!(stepMs >= 0 && stepMs < SHORTEST_RISE_MS)) {
      const rise = ((ratio - this.#heapRatio) / stepMs) * FULL_WITHIN_MS;
      this.#isFast = stepMs > 0 && ratio >= FAST_HEAP && 1 - ratio < rise;
      this.#heapRatio = ratio;
      this.#heapMs = nowMs;
    }
    const isFast = this.#isFast;
    const isEarly = isFast || (collected && ratio >= NEAR_COLLECTED_HEAP);
    recorder?.noteHeap(ratio, isEarly);
    if (isEarly || ratio >= NEAR_HEAP) {
      const share = `the heap is ${Math.round(ratio * 100)}% full`;
      const why = collected ? `${share} after a collection` : isFast ? `${share} and fills fast` : share;
      if (this.#logged !== 'emergency') this.#log('heap', why, nowMs);
    } else if (ratio < CALM_HEAP && this.#logged === 'heap') this.#clearLog();
  }

  #log(what: 'emergency' | 'heap', why: string, nowMs: number): void {
    if (this.#logged === what && nowMs - this.#loggedAt < LOG_EVERY_MS && nowMs >= this.#loggedAt) return;
    this.#logged = what;
    this.#loggedAt = nowMs;
    this.#options.log?.write(why);
  }

  #clearLog(): void {
    this.#logged = undefined;
    this.#options.log?.clear();
  }

  #noteEmergency(nowMs: number): void {
    const stepMs = nowMs - this.#lastMs;
    if (stepMs > 0) this.#lastedMs += Math.min(stepMs, LONGEST_STEP_MS);
    if (this.#lastedMs < LASTING_MS) return;
    this.#options.recorder?.write('emergency');
    this.#log('emergency', 'the level is emergency and stays there', nowMs);
  }
}

function onFatalError(action: () => void): Disposable {
  process.on('uncaughtExceptionMonitor', action);
  return { [Symbol.dispose]: () => void process.off('uncaughtExceptionMonitor', action) };
}
