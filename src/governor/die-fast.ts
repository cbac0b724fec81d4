import { writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { LONGEST_MS } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import { checkNumber, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import type { PressureLevel } from './contract.ts';
import type { Faults } from './faults.ts';

const PART = 'die fast';
/** `EX_TEMPFAIL` of `sysexits.h`: it failed now, starting it again may help. */
const TEMPORARY_FAILURE = 75;
const STANDARD_ERROR = 2;
/** The most that one sample may add to the time counted: this, and a quarter of the whole, so that at least five samples agree. */
const LONGEST_STEP_MS = 5_000;
const FEWEST_STEPS = 4;
/** Where no train could run, the process gets so many times as long. */
const WITHOUT_HELP = 3;

export interface DieFastSettings {
  /** How long the level must have been `emergency` without a break, by a meter other than the ledger, ms. Above 0. */
  readonly afterMs: number;
  /** 0 to 255. Default 75, a temporary failure by `sysexits.h`, so that a supervisor starts the process again. */
  readonly exitCode?: number | undefined;
  readonly faults: Faults;
  /** Writes the dump and the termination log. What it throws is a fault and stops nothing. */
  readonly onDie: (emergencyMs: number) => void;
  /** Default: `process.exit`, made sure of. */
  readonly exit?: (code: number) => void;
  /** Says the last line. Default: to standard error, at once. */
  readonly say?: (line: string) => void;
}

/**
 * Ends a process that is lost: the level has been `emergency` for `afterMs` without a break although trains ran. A process that leaks would otherwise
 * burn its time in collections until the kernel kills it without a word.
 *
 * - Books that are full are no emergency of this kind: a governor that refuses does its work.
 * - Time is counted in steps of bounded length, so that a clock that jumps (a suspended machine, a stopped container) and a single long pause kill
 *   nobody.
 * - When no train has run since the emergency began, nor ended within `afterMs` before, it waits three times as long. One that ended so shortly before and helped too
 *   little keeps the next one waiting, and a leak does not wait for that.
 */
export class DieFast {
  readonly #settings: DieFastSettings;
  readonly #exitCode: number;
  readonly #longestStepMs: number;
  #countedMs = 0;
  #lastMs = 0;
  #trainsBefore = 0;
  /** Of those that ended shortly before it began: 0 or 1. */
  #trainsAhead = 0;
  /** As last seen, and when there was one more. */
  #trainCount = Number.POSITIVE_INFINITY;
  #trainedAtMs = Number.NEGATIVE_INFINITY;
  #inside = false;
  #dead = false;

  /** Throws `RangeError` for unsound options. */
  constructor(settings: DieFastSettings) {
    this.#settings = settings;
    if (typeof settings !== 'object' || settings === null) {
      throw invalidOption('dieFast', 'an object with `afterMs`', settings);
    }
    this.#exitCode = checkValues(settings);
    this.#longestStepMs = Math.min(LONGEST_STEP_MS, settings.afterMs / FEWEST_STEPS);
  }

  /** How long the emergency has lasted, as it is counted, ms; 0 when there is none. */
  get emergencyMs(): number {
    return this.#countedMs;
  }

  /**
   * To be told of each sample: the level, whether the ledger is the meter that decided, how many trains there have been so far, the time, and whether V8 is
   * about to end the process by itself (its heap is full but for what a collection needs): then it is not waited for, once a train has not
   * helped. Leaves no garbage. Does not return when the process is lost.
   */
  note(level: PressureLevel, byLedger: boolean, trainCount: number, nowMs: number, heapIsFull = false): void {
    if (this.#dead) return;
    this.#noteTrains(trainCount, nowMs);
    if (level !== 'emergency' || byLedger) {
      this.#inside = false;
      this.#countedMs = 0;
      return;
    }
    if (!this.#inside) {
      this.#inside = true;
      this.#trainsBefore = trainCount;
      this.#trainsAhead = this.#hasJustTrained(nowMs) ? 1 : 0;
    } else {
      const stepMs = nowMs - this.#lastMs;
      if (stepMs > 0) this.#countedMs += Math.min(stepMs, this.#longestStepMs);
    }
    this.#lastMs = nowMs;
    const { afterMs } = this.#settings;
    const inside = trainCount - this.#trainsBefore;
    const trains = inside + this.#trainsAhead;
    const dueMs = trains > 0 ? afterMs : afterMs * WITHOUT_HELP;
    if (this.#countedMs >= dueMs || (heapIsFull && inside > 0 && this.#countedMs > 0)) this.#die(trains);
  }

  #noteTrains(trainCount: number, nowMs: number): void {
    if (trainCount > this.#trainCount) this.#trainedAtMs = nowMs;
    this.#trainCount = trainCount;
  }

  /** A clock that went back tells nothing. */
  #hasJustTrained(nowMs: number): boolean {
    const sinceMs = nowMs - this.#trainedAtMs;
    return sinceMs >= 0 && sinceMs < this.#settings.afterMs;
  }

  #die(trains: number): void {
    this.#dead = true;
    const { onDie, faults, exit = exitForSure, say = sayToStandardError } = this.#settings;
    try {
      onDie(this.#countedMs);
    } catch (cause) {
      faults.note(PART, cause);
    }
    const lasted = `emergency for ${(this.#countedMs / 1000).toFixed(1)} s`;
    const helped = `${trains} ${trains === 1 ? 'train' : 'trains'} did not help`;
    try {
      say(`plimsoll: ${lasted} and ${helped}: exiting with code ${this.#exitCode}\n`);
    } catch (cause) {
      faults.note(PART, cause);
    }
    exit(this.#exitCode);
  }
}

/** What `process.exit` calls at its end, found by name so that it can be wrapped, as packages for cleaning up do. Not in Node's documentation. */
interface HasReallyExit {
  reallyExit?: (code: number) => void;
}

/**
 * `process.exit` with two holes closed: a listener of `exit` that throws would keep the process alive, one that calls `process.exit(0)`
 * or sets `process.exitCode` would tell the supervisor that all is well. Listeners run, up to the first that throws. One that never returns cannot be helped.
 */
function exitForSure(code: number): void {
  const end = process as unknown as HasReallyExit;
  const { reallyExit } = end;
  try {
    // Only from here to the end of the process: whoever gets there, gets there with this code.
    if (reallyExit !== undefined) end.reallyExit = () => reallyExit.call(process, code);
  } catch {
    // It is not to be wrapped: then the last listener has the last word.
  }
  try {
    process.exit(code);
  } finally {
    try {
      reallyExit?.call(process, code);
    } finally {
      // A worker has no process of its own to kill.
      if (isMainThread) process.kill(process.pid, 'SIGKILL');
    }
  }
}

/** Passes a copy of what a user may say through, throws `RangeError` for what is unsound. */
export function checkDieFastOptions<T extends Pick<DieFastSettings, 'afterMs' | 'exitCode'>>(given: T): T {
  const options = copyOptions('dieFast', given, ['afterMs', 'exitCode'], 'an object with `afterMs`');
  checkValues(options);
  return options;
}

/** The code to exit with. */
function checkValues({ afterMs, exitCode }: Pick<DieFastSettings, 'afterMs' | 'exitCode'>): number {
  checkNumber('dieFast.afterMs', afterMs, 0, LONGEST_MS);
  return checkWhole('dieFast.exitCode', exitCode ?? TEMPORARY_FAILURE, 0, 255);
}

function sayToStandardError(line: string): void {
  try {
    writeSync(STANDARD_ERROR, line);
  } catch (cause) {
    // Nobody listens, or the pipe is full: the exit code says it too.
    throw new Error(`standard error cannot be written: ${describeCause(cause)}`);
  }
}
