import { invalidOption } from '../invalid-option.ts';

/** A queue or worker whose `concurrency` may be set while it runs: BullMQ's `Worker`, `p-queue`, `p-limit`, `fastq`, `async.queue`. */
export interface SettableConcurrency {
  concurrency: number;
  /** BullMQ takes `true` for: do not wait for the jobs that run. */
  pause?(doNotWaitActive?: boolean): unknown;
  resume?(): unknown;
  /** What `p-queue` has for `resume`. */
  start?(): unknown;
  readonly isPaused?: boolean | (() => boolean);
}

/** What can be adopted: a settable property, a method that sets, or a function that does. The last two are called with 0 where that is asked for. */
export type ConcurrencyTarget =
  | SettableConcurrency
  | { setConcurrency(concurrency: number): unknown }
  | ((concurrency: number) => unknown);

/** One way to set concurrency. */
export interface ConcurrencyDriver {
  /** How many it runs at a time as of now; undefined when it cannot be asked. */
  readonly now: number | undefined;
  readonly canPause: boolean;
  /** `full`: as it was before it was first lowered. Otherwise 0 up, 0 only when it can pause. */
  apply(concurrency: number, full: boolean): unknown;
}

const EXPECTED =
  'an object whose `concurrency` can be set, one with `setConcurrency(n)`, or a function (the threads of a piscina pool are fixed: use `governedRun`)';

/** Finds the way by shape. Throws `RangeError` when there is none. */
export function concurrencyDriver(target: ConcurrencyTarget, max: number | undefined): ConcurrencyDriver {
  const isObject = (typeof target === 'object' && target !== null) || typeof target === 'function';
  if (isObject && 'concurrency' in target && isSettable(target)) return new PropertyDriver(target);
  if (isObject && 'setConcurrency' in target && typeof target.setConcurrency === 'function') {
    return calling((concurrency) => target.setConcurrency(concurrency), max);
  }
  if (typeof target === 'function' && !('concurrency' in target)) return calling(target, max);
  throw invalidOption('target', EXPECTED, target);
}

function calling(set: (concurrency: number) => unknown, max: number | undefined): ConcurrencyDriver {
  return { now: max, canPause: true, apply: set };
}

/** What pauses others' queues says who paused: one that its owner paused is not resumed. */
class PropertyDriver implements ConcurrencyDriver {
  readonly canPause: boolean;
  readonly #target: SettableConcurrency;
  #full: number | undefined;
  #ownPause = false;

  constructor(target: SettableConcurrency) {
    this.#target = target;
    this.canPause = typeof target.pause === 'function' && resumeOf(target) !== undefined;
  }

  get now(): number {
    return this.#target.concurrency;
  }

  apply(concurrency: number, full: boolean): unknown {
    const target = this.#target;
    // Its owner may have set it since it was looked at first.
    this.#full ??= target.concurrency;
    if (concurrency === 0) return this.#pause();
    target.concurrency = full ? this.#full : concurrency;
    if (full) this.#full = undefined;
    if (!this.#ownPause) return undefined;
    this.#ownPause = false;
    return resumeOf(target)?.call(target);
  }

  #pause(): unknown {
    const target = this.#target;
    if (this.#ownPause || isPaused(target)) return undefined;
    this.#ownPause = true;
    return target.pause?.(true);
  }
}

function isPaused(target: SettableConcurrency): boolean {
  return typeof target.isPaused === 'function' ? target.isPaused() : target.isPaused === true;
}

function resumeOf(target: SettableConcurrency): (() => unknown) | undefined {
  if (typeof target.resume === 'function') return target.resume;
  return typeof target.start === 'function' ? target.start : undefined;
}

function isSettable(target: object): target is SettableConcurrency {
  if (typeof (target as SettableConcurrency).concurrency !== 'number') return false;
  for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at)) {
    const property = Object.getOwnPropertyDescriptor(at, 'concurrency');
    if (property !== undefined) return property.writable === true || property.set !== undefined;
  }
  return false;
}
