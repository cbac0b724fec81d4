/**
 * One load at a time, whoever asks; what it brings is one `LoadedValue`. A load that all who waited have left is aborted and detached: what it still brings is disposed of. A value is
 * disposed of when it has been replaced, unloaded or ended, and nobody uses it.
 */
import { tell } from '../catch-rejection.ts';
import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import { DisposedError } from '../errors.ts';
import { checkName, checkSignal, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { checkLeakTracker, type LeakTrace, type LeakTracker } from '../leak-tracker.ts';
import { callDisposer } from './call-disposer.ts';
import { CleanupTimeoutError, LoadBackingOffError } from './cleanup-errors.ts';
import { LoadedValue } from './loaded-value.ts';

export interface LazyOptions<T> {
  /** As errors and leak reports name it: 1 to 120 characters. Default `a resource`. */
  readonly name?: string;
  /** Loads it. The signal is aborted when nobody waits for it any more, and when the resource is disposed of. */
  readonly load: (signal: AbortSignal) => T | Promise<T>;
  /** Cleans up a value that was replaced, unloaded or is no longer wanted. Called once for each. */
  readonly dispose?: (value: T) => unknown;
  /** Unloaded when it was neither asked for nor in use for so long, ms. Default: stays. */
  readonly idleMs?: number;
  /** After a failed load, how long further ones are refused, ms; doubled with each that fails, up to `maxBackOffMs`. Default 0: not at all, and 30,000. */
  readonly backOffMs?: number;
  readonly maxBackOffMs?: number;
  /** How long `dispose` is waited for, ms. Default 30,000. */
  readonly disposeTimeoutMs?: number;
  /** Hears of each `dispose` that failed where nobody waits for it, beside the event. What it throws is passed over. */
  readonly onCleanupFailed?: (error: Error) => void;
  /** Reports uses that were collected without having been disposed. */
  readonly leakTracker?: LeakTracker;
  readonly clock?: Clock;
}

export const LAZY_DEFAULTS = {
  name: 'a resource',
  backOffMs: 0,
  maxBackOffMs: 30_000,
  disposeTimeoutMs: 30_000,
} as const;

export interface LazyStats {
  readonly loaded: boolean;
  readonly loading: boolean;
  /** Who uses the present value. */
  readonly users: number;
  readonly loads: number;
  readonly loadFailures: number;
  readonly disposals: number;
  readonly disposeFailures: number;
}

export interface WaitOptions {
  /** Ends the wait of this one with its reason. The load goes on while others wait. */
  readonly signal?: AbortSignal;
}

/** A value in use: it is not disposed of before this is. Disposing it twice is safe. */
export class LazyUse<T> implements Disposable {
  #loaded: LoadedValue<T> | undefined;
  readonly #onEnd: (loaded: LoadedValue<T>) => void;
  readonly #trace: LeakTrace | undefined;

  /** Of a value that has been entered already. */
  constructor(loaded: LoadedValue<T>, onEnd: (loaded: LoadedValue<T>) => void, what: string, tracker?: LeakTracker) {
    this.#loaded = loaded;
    this.#onEnd = onEnd;
    this.#trace = tracker?.track(what, this);
  }

  /** `PLIMSOLL_DISPOSED` afterwards. */
  get value(): T {
    if (this.#loaded === undefined) throw new DisposedError('The use of a lazy resource');
    this.#trace?.touch();
    return this.#loaded.value;
  }

  [Symbol.dispose](): void {
    const loaded = this.#loaded;
    if (loaded === undefined) return;
    this.#loaded = undefined;
    this.#trace?.close();
    this.#onEnd(loaded);
  }
}

/** A load that everybody has left is ended, unless so many that were are still at work: then it goes on, and is the next one's. */
const MOST_ABANDONED = 8;

/** One who waits for a load: told once, by whatever takes it out of the load's set. */
interface Waiter<T> {
  readonly resolve: (loaded: LoadedValue<T>) => void;
  readonly reject: (cause: unknown) => void;
}

interface Load<T> {
  readonly abort: AbortController;
  /** Resolves when the loader has ended, however it does. Nobody who waits hangs on it: what they left there would stay as long as the load. */
  readonly done: Promise<void>;
  readonly waiters: Set<Waiter<T>>;
  detached: boolean;
}

/**
 * Loads something when it is first asked for, once whatever the concurrency, and keeps it. A load that fails is everybody's who waited for it, with what it failed with, and the next
 * one to ask tries again: at once, or after `backOffMs` (`PLIMSOLL_LOAD_BACKING_OFF`). `get` of what is there takes about 0.3 µs with its `await`, `acquire` and letting go 1 µs. Whoever made it disposes it.
 * @example
 * import { LazyResource } from 'plimsoll/lifetime';
 * await using model = new LazyResource({ load: () => readModel(path), dispose: (model) => model.close(), idleMs: 60_000 });
 * const answer = await model.use((model) => model.ask('...'));
 */
export class LazyResource<T> implements AsyncDisposable {
  readonly name: string;
  readonly #options: SoundLazyOptions<T>;
  readonly #onUseEnd: (loaded: LoadedValue<T>) => void;
  #current: LoadedValue<T> | undefined;
  #load: Load<T> | undefined;
  #timer: Disposable | undefined;
  #disposed: Promise<void> | undefined;
  #failedInARow = 0;
  #retryAt = 0;
  #lastFailure: unknown;
  readonly #disposals = new Set<Promise<void>>();
  /** Loads that were ended and are still at work. */
  readonly #abandoned = new Set<Promise<void>>();
  readonly #counts = { loads: 0, loadFailures: 0, disposals: 0, disposeFailures: 0 };

  /** Throws `RangeError` for unsound options. Nothing is loaded yet. */
  constructor(options: LazyOptions<T>) {
    this.#options = checkLazyOptions(options);
    this.name = this.#options.name;
    this.#onUseEnd = (loaded) => {
      loaded.usedAtMs = this.#options.clock.now();
      loaded.leave();
      this.#armIdle();
    };
  }

  /** The value, if it is there; not counted as asked for. */
  peek(): T | undefined {
    return this.#current?.value;
  }

  get stats(): LazyStats {
    const users = this.#current?.users ?? 0;
    return { loaded: this.#current !== undefined, loading: this.#load !== undefined, users, ...this.#counts };
  }

  /**
   * The value, loaded when it is not there. Nothing keeps it from being disposed of when it is refreshed or unloaded: where there is a `dispose`, take `use` or `acquire`.
   * Rejects with what the load failed with, with the signal's reason, and with `PLIMSOLL_DISPOSED`.
   */
  async get(options: WaitOptions = {}): Promise<T> {
    checkSignal(options.signal)?.throwIfAborted();
    if (this.#current !== undefined) return this.#touch(this.#current).value;
    return this.#onlyValue(await this.#wait(options.signal));
  }

  /** The same, in use until the result is disposed. */
  async acquire(options: WaitOptions = {}): Promise<LazyUse<T>> {
    checkSignal(options.signal)?.throwIfAborted();
    const current = this.#current;
    current?.enter();
    return this.#use(current ?? (await this.#wait(options.signal)));
  }

  /** Calls `act` with the value, in use until what it returns has settled. */
  async use<R>(act: (value: T) => R | Promise<R>, options: WaitOptions = {}): Promise<R> {
    if (typeof act !== 'function') throw invalidOption('act', 'a function', act);
    using held = await this.acquire(options);
    return await act(held.value);
  }

  /**
   * Loads anew. The old value is served until the new one is there, and disposed of when those who use it have let go. When the load fails, the old one stays. During a load this is that load.
   */
  async refresh(options: WaitOptions = {}): Promise<T> {
    checkSignal(options.signal)?.throwIfAborted();
    return this.#onlyValue(await this.#wait(options.signal));
  }

  /** Lets the value go, if there is one: disposed of when nobody uses it. The next to ask loads it anew. */
  unload(): void {
    const loaded = this.#current;
    if (loaded === undefined) return;
    this.#current = undefined;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#retire(loaded);
  }

  /**
   * Ends it: a load under way is aborted, waited for, and what it brings disposed of; so is the value once its users have let go. Resolves when that has been done; rejects with what
   * a `dispose` failed with, and with `PLIMSOLL_CLEANUP_TIMEOUT` when all that takes longer than `disposeTimeoutMs`: what comes later is disposed of all the same.
   */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#end();
    return this.#disposed;
  }

  #touch(loaded: LoadedValue<T>): LoadedValue<T> {
    loaded.usedAtMs = this.#options.clock.now();
    return loaded;
  }

  #onlyValue(loaded: LoadedValue<T>): T {
    this.#onUseEnd(loaded);
    return loaded.value;
  }

  #use(loaded: LoadedValue<T>): LazyUse<T> {
    return new LazyUse(this.#touch(loaded), this.#onUseEnd, `use of ${this.name}`, this.#options.leakTracker);
  }

  #loading(): Load<T> {
    if (this.#disposed !== undefined) throw new DisposedError(`The lazy resource ${this.name}`);
    this.#load ??= this.#begin();
    return this.#load;
  }

  #begin(): Load<T> {
    const { load, clock } = this.#options;
    const waitMs = this.#retryAt - clock.now();
    if (this.#failedInARow > 0 && waitMs > 0) throw new LoadBackingOffError(this.name, waitMs, this.#lastFailure);
    const abort = new AbortController();
    this.#counts.loads++;
    // A turn later: a loader that asks for the resource itself finds the load that it is.
    const done = Promise.resolve()
      .then(() => load(abort.signal))
      .then(
        (value) => this.#arrived(begun, value),
        (cause) => this.#loadFailed(begun, cause),
      );
    const begun: Load<T> = { abort, done, waiters: new Set(), detached: false };
    return begun;
  }

  #arrived(load: Load<T>, value: T): void {
    const loaded = new LoadedValue(value, this.#options.clock.now());
    if (load.detached) {
      this.#retire(loaded);
      return;
    }
    this.#load = undefined;
    this.#failedInARow = 0;
    this.#lastFailure = undefined;
    const before = this.#current;
    this.#current = loaded;
    for (const waiter of load.waiters) {
      // Entered now: it cannot be disposed of before this one goes on.
      loaded.enter();
      waiter.resolve(loaded);
    }
    load.waiters.clear();
    if (before !== undefined) this.#retire(before);
    this.#armIdle();
  }

  #loadFailed(load: Load<T>, cause: unknown): void {
    if (load.detached) return;
    const { backOffMs, maxBackOffMs, clock } = this.#options;
    this.#load = undefined;
    this.#counts.loadFailures++;
    this.#failedInARow++;
    this.#lastFailure = cause;
    this.#retryAt = clock.now() + Math.min(backOffMs * 2 ** (this.#failedInARow - 1), maxBackOffMs);
    this.#rejectAll(load, cause);
  }

  #rejectAll(load: Load<T>, cause: unknown): void {
    for (const waiter of load.waiters) waiter.reject(cause);
    load.waiters.clear();
  }

  /** The value, entered; or the end of the wait. The last to leave ends the load. */
  async #wait(signal: AbortSignal | undefined): Promise<LoadedValue<T>> {
    const load = this.#loading();
    let onAbort = () => {};
    const waited = new Promise<LoadedValue<T>>((resolve, reject) => {
      const waiter: Waiter<T> = { resolve, reject };
      onAbort = () => {
        if (!load.waiters.delete(waiter)) return;
        reject(signal?.reason);
        if (load.waiters.size > 0 || this.#load !== load || this.#abandoned.size >= MOST_ABANDONED) return;
        this.#detach(load, signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      load.waiters.add(waiter);
    });
    try {
      return await waited;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #detach(load: Load<T>, reason: unknown): void {
    load.detached = true;
    this.#load = undefined;
    const ended: Promise<void> = load.done.then(() => void this.#abandoned.delete(ended));
    this.#abandoned.add(ended);
    this.#rejectAll(load, reason);
    load.abort.abort(reason);
  }

  #retire(loaded: LoadedValue<T>): void {
    const { dispose, disposeTimeoutMs: timeoutMs, clock } = this.#options;
    if (dispose === undefined) return;
    const ended = new Promise<void>((resolve, reject) => {
      loaded.retire((value) => {
        this.#counts.disposals++;
        callDisposer(this.name, () => dispose(value), { timeoutMs, clock }).then(resolve, reject);
      });
    });
    this.#disposals.add(ended);
    ended.then(
      () => void this.#disposals.delete(ended),
      (error: Error) => {
        this.#counts.disposeFailures++;
        this.#disposals.delete(ended);
        this.#tell(error);
      },
    );
  }

  #tell(error: Error): void {
    tell(() => this.#options.onCleanupFailed?.(error));
  }

  #armIdle(): void {
    const { idleMs, clock } = this.#options;
    const loaded = this.#current;
    if (idleMs === undefined || loaded === undefined || loaded.users > 0 || this.#timer !== undefined) return;
    this.#timer = clock.after(Math.max(0, loaded.usedAtMs + idleMs - clock.now()), () => {
      this.#timer = undefined;
      const { usedAtMs = 0, users = 0 } = this.#current ?? {};
      if (users === 0 && clock.now() - usedAtMs >= idleMs) this.unload();
      else this.#armIdle();
    });
  }

  async #end(): Promise<void> {
    const { disposeTimeoutMs, clock } = this.#options;
    const load = this.#load;
    if (load !== undefined) this.#detach(load, new DisposedError(`The lazy resource ${this.name}`));
    this.unload();
    let timer: Disposable | undefined;
    const late = new Promise<never>((_, reject) => {
      const onLate = () => reject(new CleanupTimeoutError(this.name, disposeTimeoutMs));
      timer = clock.after(disposeTimeoutMs, onLate, true);
    });
    // What loads bring is put among the disposals before this goes on.
    const all = Promise.all(this.#abandoned).then(() => Promise.all(this.#disposals));
    try {
      await Promise.race([all, late]);
    } finally {
      timer?.[Symbol.dispose]();
    }
  }
}

type SoundLazyOptions<T> = Required<Omit<LazyOptions<T>, 'dispose' | 'idleMs' | 'onCleanupFailed' | 'leakTracker'>> &
  Pick<LazyOptions<T>, 'dispose' | 'idleMs' | 'onCleanupFailed' | 'leakTracker'>;

const KNOWN = ['name', 'load', 'dispose', 'idleMs', 'backOffMs', 'maxBackOffMs', 'disposeTimeoutMs'].concat(
  'onCleanupFailed',
  'leakTracker',
  'clock',
);

function checkLazyOptions<T>(given: LazyOptions<T>): SoundLazyOptions<T> {
  const options = copyOptions('LazyResource', given, KNOWN);
  const { load, dispose, idleMs, onCleanupFailed } = options;
  if (typeof load !== 'function') throw invalidOption('load', 'a function', load);
  for (const [name, value] of Object.entries({ dispose, onCleanupFailed })) {
    if (value !== undefined && typeof value !== 'function') throw invalidOption(name, 'a function', value);
  }
  if (idleMs !== undefined) checkWhole('idleMs', idleMs, 0, LONGEST_MS);
  checkLeakTracker(options.leakTracker);
  const {
    name = LAZY_DEFAULTS.name,
    backOffMs = LAZY_DEFAULTS.backOffMs,
    maxBackOffMs = LAZY_DEFAULTS.maxBackOffMs,
    disposeTimeoutMs = LAZY_DEFAULTS.disposeTimeoutMs,
  } = options;
  return {
    ...options,
    name: checkName(name),
    backOffMs: checkWhole('backOffMs', backOffMs, 0, LONGEST_MS),
    maxBackOffMs: checkWhole('maxBackOffMs', maxBackOffMs, 0, LONGEST_MS),
    disposeTimeoutMs: checkWhole('disposeTimeoutMs', disposeTimeoutMs, 1, LONGEST_MS),
    clock: options.clock ?? systemClock,
  };
}
