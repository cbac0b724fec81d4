/**
 * Writes down the last moments of a process whose memory runs out.
 *
 * Why it works without memory: the buffer is made at the start and its pages are touched then; the JSON is written into it without objects; and a
 * rehearsal at the start, with made-up figures and a file that is removed again, has V8 compile all of it and tells at once when the folder cannot
 * be written. One file descriptor is held in reserve, on the folder, for a process that has used up all of its own.
 *
 * A heap that V8 fills to its limit inside a synchronous loop ends the process without a line of JavaScript being run: nothing can be hooked there.
 * Therefore a dump is written when the limit comes near and another when it comes nearer.
 */
import { closeSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { type Clock, LONGEST_MS } from '../clock.ts';
import { checkNumber, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import type { Faults } from './faults.ts';
import { FlightDumpWriter, type FlightParts } from './flight-dump.ts';
import { dumpPath, highestDumpNumber, makeFolder, nameDump, removeFile, removeOldDumps } from './flight-folder.ts';
import { rehearsalParts } from './flight-rehearsal.ts';
import { JsonWriter } from './json-writer.ts';
import { NodeReport } from './node-report.ts';

const PART = 'flight recorder';
/** Below the ratio that calls for a dump by so much, the next approach begins. */
const HEAP_HYSTERESIS = 0.05;

export const FLIGHT_DEFAULTS = {
  maxBytes: 262_144,
  keep: 4,
  minIntervalMs: 10_000,
  heapRatio: 0.95,
} as const;

/** A heap emptier than that has gone back, whatever was written about it. */
const CALM_HEAP = 0.55;
const LONGEST_EARLY_WAIT_MS = 3_600_000;

export interface FlightRecorderSettings {
  /** Where `plimsoll-flight-<pid>-<n>.json` is written; made when it is not there. */
  readonly folder: string;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly parts: FlightParts;
  /** Of the buffer that is made at the start, and so of a dump: 16 KiB to 16 MiB. Default 256 KiB, which holds about 700 consumers beside the rest. */
  readonly maxBytes?: number;
  /**
   * Dumps kept, 1 to 1,000. Default 4. At the start all but the newest of the folder are removed, whoever wrote them; afterwards a recorder removes its
   * own, and when the disk is full all of them but the newest. Several processes or governors want more, or a folder each.
   */
  readonly keep?: number;
  /** The shortest time between two dumps. Default 10,000. `fatal` and `die-fast` do not wait for it. */
  readonly minIntervalMs?: number;
  /**
   * The share of the heap limit from which on `noteHeap` writes; again half way from there to the limit.
   * Above 0, up to 1. Default 0.95.
   */
  readonly heapRatio?: number;
  /** See `NodeReport`. Default false. */
  readonly nodeReport?: boolean;
}

const USER_OPTIONS = ['folder', 'keep', 'maxBytes', 'nodeReport'] as const;
type UserOptions = Pick<FlightRecorderSettings, (typeof USER_OPTIONS)[number]>;

/** Passes a copy of what a user may say through, throws `RangeError` for what is unsound. Touches no file. */
export function checkFlightOptions<T extends UserOptions>(given: T): T {
  const options = copyOptions('flightRecorder', given, USER_OPTIONS, 'an object with `folder`');
  checkValues({ ...FLIGHT_DEFAULTS, ...options });
  return options;
}

function checkValues({ folder, maxBytes, keep, nodeReport }: UserOptions): void {
  if (typeof folder !== 'string' || folder === '') {
    throw invalidOption('flightRecorder.folder', 'the path of a folder', folder);
  }
  checkWhole('flightRecorder.maxBytes', maxBytes, 16_384, 16_777_216);
  checkWhole('flightRecorder.keep', keep, 1, 1_000);
  if (nodeReport !== undefined && typeof nodeReport !== 'boolean') {
    throw invalidOption('flightRecorder.nodeReport', 'a boolean', nodeReport);
  }
}

/**
 * The flight recorder. Holds `maxBytes` and one file descriptor; making it takes about 5 ms. Dispose it to let go of both and of the hooks. Its constructor throws `RangeError`
 * for unsound options only; a folder that cannot be written is a fault.
 */
export class FlightRecorder implements Disposable {
  readonly #folder: string;
  readonly #temporary: string;
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #parts: FlightParts;
  readonly #keep: number;
  readonly #minIntervalMs: number;
  readonly #heapRatios: readonly [number, number];
  readonly #buffer: Uint8Array;
  readonly #dump: FlightDumpWriter;
  readonly #report: NodeReport | undefined;
  readonly #hooks = new Set<Disposable>();
  #spare: number | undefined;
  #number = 0;
  /** Of the dumps written that are still there, oldest first; at most `keep`. */
  readonly #numbers: number[] = [];
  #count = 0;
  #lastPath: string | undefined;
  #triedAt = Number.NEGATIVE_INFINITY;
  #heapStep = 0;
  /** When a step last had its dump out of turn. */
  readonly #heapAt = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  #earlyAt = Number.NEGATIVE_INFINITY;
  #earlyWaitMs: number;
  #busy = false;
  #disposed = false;

  constructor(settings: FlightRecorderSettings) {
    const given = { ...FLIGHT_DEFAULTS, ...settings };
    checkValues(given);
    this.#keep = given.keep;
    this.#minIntervalMs = checkWhole('flightRecorder.minIntervalMs', given.minIntervalMs, 0, LONGEST_MS);
    const ratio = checkNumber('flightRecorder.heapRatio', given.heapRatio, 0, 1);
    this.#heapRatios = [ratio, (ratio + 1) / 2];
    this.#earlyWaitMs = this.#minIntervalMs;
    this.#folder = given.folder;
    // No other recorder of this process has it, in whatever thread.
    const own = `${threadId}-${Math.random().toString(36).slice(2, 10)}`;
    this.#temporary = join(given.folder, `plimsoll-flight-${process.pid}-${own}.tmp`);
    this.#clock = given.clock;
    this.#faults = given.faults;
    this.#parts = given.parts;
    // Zeroed by writing, not by the system: pages that were never touched would have to be found when there are none left.
    this.#buffer = Buffer.allocUnsafeSlow(given.maxBytes).fill(0);
    this.#dump = new FlightDumpWriter(new JsonWriter(this.#buffer), given.maxBytes, given.clock);
    this.#rehearse();
    this.#report = given.nodeReport === true ? new NodeReport(given.folder, given.faults) : undefined;
  }

  /** Dumps written so far, and where the last one stands. */
  get count(): number {
    return this.#count;
  }

  get lastPath(): string | undefined {
    return this.#lastPath;
  }

  /**
   * Writes a dump, flushed to the disk and complete whenever its name is there. False when it is too soon after the last (unless `why` is `fatal` or
   * `die-fast`) or when it failed: that is a fault then. Synchronous, 1 to 3 ms and the flush; never throws. Makes 25 KB of short-lived numbers, 90 KB
   * where V8 has compiled nothing.
   */
  write(why: string, cause?: unknown): boolean {
    if (this.#disposed || this.#busy) return false;
    this.#busy = true;
    try {
      const now = this.#clock.now();
      const waits = why !== 'fatal' && why !== 'die-fast';
      if (waits && now - this.#triedAt < this.#minIntervalMs) return false;
      this.#triedAt = now;
      this.#save(this.#dump.write(this.#parts, why, cause));
      this.#count++;
      return true;
    } catch (fault) {
      this.#faults.note(PART, fault);
      return false;
    } finally {
      this.#busy = false;
    }
  }

  /**
   * To be told at each sample which share of its limit the heap has reached, and whether it is bound to come near, as far as can be told: `early`. Writes once per
   * approach, once more when it comes nearer still; and early, after a dump that proved too early each time twice as long after the last one.
   */
  noteHeap(ratio: number, early = false): void {
    const [near, nearer] = this.#heapRatios;
    const now = this.#clock.now();
    if (ratio < CALM_HEAP) this.#heapStep = 0;
    else if (ratio < near - HEAP_HYSTERESIS) this.#heapStep = Math.min(this.#heapStep, 1);
    const step = ratio >= nearer ? 3 : ratio >= near ? 2 : early && this.#mayBeEarly(now) ? 1 : 0;
    if (step <= this.#heapStep) return;
    const before = this.#heapStep;
    this.#heapStep = step;
    // Nearer still: the dump of the step before is out of date, however young.
    if (before > 0 && now - this.#heapAt[step - 2]! >= this.#minIntervalMs) {
      this.#heapAt[step - 2] = now;
      this.#triedAt = Number.NEGATIVE_INFINITY;
    }
    this.write('heap');
  }

  #mayBeEarly(now: number): boolean {
    if (this.#heapStep > 0 || now - this.#earlyAt < this.#earlyWaitMs) return false;
    if (this.#earlyAt > Number.NEGATIVE_INFINITY) {
      this.#earlyWaitMs = Math.min(this.#earlyWaitMs * 2, LONGEST_EARLY_WAIT_MS);
    }
    this.#earlyAt = now;
    return true;
  }

  /**
   * Has an uncaught exception written down, `then` being called afterwards (for the termination log), until the result is disposed. Where the
   * program goes on after it, by a listener of `uncaughtException`, it is no faster than other dumps.
   */
  installFatalHooks(then?: () => void): Disposable {
    const onUncaught = (error: unknown): void => {
      this.write(process.listenerCount('uncaughtException') > 0 ? 'uncaught' : 'fatal', error);
      try {
        then?.();
      } catch (cause) {
        this.#faults.note(PART, cause);
      }
    };
    process.on('uncaughtExceptionMonitor', onUncaught);
    const hook = {
      [Symbol.dispose]: () => {
        process.off('uncaughtExceptionMonitor', onUncaught);
        this.#hooks.delete(hook);
      },
    };
    this.#hooks.add(hook);
    return hook;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const hook of this.#hooks) hook[Symbol.dispose]();
    this.#report?.[Symbol.dispose]();
    this.#giveSpare();
  }

  /** Goes through all of it once, with made-up figures and a file that is removed again. */
  #rehearse(): void {
    try {
      makeFolder(this.#folder);
      this.#number = highestDumpNumber(this.#folder, process.pid);
      this.#saveTemporary(this.#dump.write(rehearsalParts(this.#clock), 'rehearsal', new Error('none')), false);
      unlinkSync(this.#temporary);
      removeOldDumps(this.#folder, this.#keep);
    } catch (cause) {
      this.#faults.note(PART, cause);
    }
  }

  #save(length: number): void {
    try {
      this.#saveAsNext(length);
    } catch (cause) {
      if (!isFullDisk(cause) || !this.#removeOlder(1)) throw cause;
      this.#saveAsNext(length);
    }
    this.#numbers.push(this.#number);
    this.#lastPath = dumpPath(this.#folder, process.pid, this.#number);
    this.#removeOlder(this.#keep);
  }

  #saveAsNext(length: number): void {
    this.#saveTemporary(length, true);
    try {
      this.#number = nameDump(this.#temporary, this.#folder, process.pid, this.#number + 1);
    } catch (cause) {
      removeFile(this.#temporary);
      throw cause;
    }
  }

  /** Removes all but the newest `count` of its own; false when there were no more. */
  #removeOlder(count: number): boolean {
    const before = this.#numbers.length;
    while (this.#numbers.length > count) removeFile(dumpPath(this.#folder, process.pid, this.#numbers.shift()!));
    return this.#numbers.length < before;
  }

  #saveTemporary(length: number, flush: boolean): void {
    const file = this.#open();
    try {
      for (let at = 0; at < length; ) at += writeSync(file, this.#buffer, at, length - at, at);
      if (flush) fsyncSync(file);
    } catch (cause) {
      removeFile(this.#temporary);
      throw cause;
    } finally {
      closeSync(file);
      this.#holdSpare();
    }
  }

  /** Never through a link that somebody has put there; once more when the folder is gone, a rest is in the way, or descriptors have run out. */
  #open(): number {
    try {
      return openSync(this.#temporary, 'wx');
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      if (code === 'EEXIST') removeFile(this.#temporary);
      else if (code === 'EMFILE' || code === 'ENFILE') this.#giveSpare();
      else if (code === 'ENOENT') makeFolder(this.#folder);
      else throw cause;
      return openSync(this.#temporary, 'wx');
    }
  }

  #holdSpare(): void {
    if (this.#spare !== undefined || this.#disposed) return;
    try {
      this.#spare = openSync(this.#folder, 'r');
    } catch {
      // Some systems open no folders: then there is none in reserve.
    }
  }

  #giveSpare(): void {
    if (this.#spare === undefined) return;
    closeSync(this.#spare);
    this.#spare = undefined;
  }
}

function isFullDisk(cause: unknown): boolean {
  const { code } = cause as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
