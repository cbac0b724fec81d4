/**
 * Loads under way, one for each key. Invariants:
 * - A load stands in the table until it settles, is superseded, or nobody waits for it any more; who comes later begins another. Only one that still stands there when its
 *   loader answers is stored.
 * - It counts against the bound until its loader has really ended, whoever still waits: what is bounded is the work, not the waiting.
 * - What a loader answers is always listened to: nothing of it becomes an unhandled rejection.
 */
import type { Clock } from '../clock.ts';
import { DisposedError } from '../errors.ts';
import { checkSignal } from '../invalid-option.ts';
import { LoadsFullError, LoadTimeoutError } from './load-errors.ts';

/** What a loader is told. */
export interface LoadHelp<V> {
  /** Aborted when all who wait have gone, when the time is over, and when the cache is disposed. */
  readonly signal: AbortSignal;
  /** The value that is past its time and still served, when this is a refresh. */
  readonly staleValue: V | undefined;
}

/** Gets the value for a key. `undefined` is handed to who waits and not stored. What it throws reaches all who wait, and is not stored. */
export type Loader<K, V> = (key: K, help: LoadHelp<V>) => V | PromiseLike<V>;

export interface LoadTableOptions<K, V> {
  /** Of the cache, for errors. */
  readonly name: string;
  /** The most loads under way. */
  readonly maxLoads: number;
  /** The most to wait for one; `Infinity` for no bound. */
  readonly loadTimeoutMs: number;
  readonly clock: Clock;
  /** What the cache has for the key: for who waits for a load that was overtaken by a `set`. */
  readonly current: (key: K) => V | undefined;
}

export interface LoadRequest<K, V> {
  readonly key: K;
  readonly loader: Loader<K, V>;
  /** Called with what was loaded when nothing has overtaken it. What it throws reaches who waits. */
  readonly store: (value: V) => void;
  readonly staleValue?: V | undefined;
}

export interface LoadStats {
  /** Loaders called, refreshes included. */
  readonly loads: number;
  /** Loaders that threw or took too long. */
  readonly loadFailures: number;
  /** What loaders took together, ms: those that have ended. */
  readonly loadMs: number;
  readonly loadsUnderWay: number;
  /** Calls that shared a load of somebody else. */
  readonly loadsShared: number;
  /** Loads of a value that was past its time and served meanwhile, and those of them that failed. */
  readonly refreshes: number;
  readonly refreshFailures: number;
  /** Overtaken by a `set`, `delete` or `clear`: not stored. */
  readonly loadsOvertaken: number;
  /** Given up because nobody waited any more. */
  readonly loadsAbandoned: number;
  /** Not begun: too many were under way. */
  readonly loadsRefused: number;
}

/** Of a cache that has never loaded. */
export const NO_LOADS: LoadStats = {
  loads: 0,
  loadFailures: 0,
  loadMs: 0,
  loadsUnderWay: 0,
  loadsShared: 0,
  refreshes: 0,
  refreshFailures: 0,
  loadsOvertaken: 0,
  loadsAbandoned: 0,
  loadsRefused: 0,
};

class Flight<K, V> {
  readonly key: K;
  readonly abort = new AbortController();
  readonly promise: Promise<V>;
  readonly isRefresh: boolean;
  resolve!: (value: V) => void;
  reject!: (cause: unknown) => void;
  settled = false;
  /** A `set`, `delete` or `clear` came in between, or nobody waits: it is not stored. */
  overtaken = false;
  /** Callers that can still go. */
  waiters = 0;
  /** Somebody waits who cannot go: without a signal, or the cache itself. */
  kept: boolean;
  timer: Disposable | undefined;

  constructor(key: K, isRefresh: boolean) {
    this.key = key;
    this.isRefresh = isRefresh;
    this.kept = isRefresh;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Who waits gets it from a promise of their own or from this one; nobody has to.
    this.promise.catch(() => {});
  }
}

/** Single flight: one load for each key at a time, whoever asks. About 600 bytes for each load under way. */
export class LoadTable<K, V> implements Disposable {
  readonly #options: LoadTableOptions<K, V>;
  readonly #flights = new Map<K, Flight<K, V>>();
  /** Those too that no longer stand in the table. */
  readonly #running = new Set<Flight<K, V>>();
  readonly #counts = { ...NO_LOADS };
  #maxLoads: number;
  #disposed = false;

  constructor(options: LoadTableOptions<K, V>) {
    this.#options = options;
    this.#maxLoads = options.maxLoads;
  }

  /** Keys that are being loaded: 0 means that nothing can be overtaken. */
  get size(): number {
    return this.#flights.size;
  }

  get stats(): LoadStats {
    return { ...this.#counts, loadsUnderWay: this.#running.size };
  }

  set maxLoads(maxLoads: number) {
    this.#maxLoads = maxLoads;
  }

  /**
   * Loads, or shares the load of the key that is under way. Rejects with the loader's failure, with the reason of `signal` at once when that is aborted (others go on waiting), with
   * `PLIMSOLL_LOADS_FULL`, `PLIMSOLL_LOAD_TIMEOUT` and `PLIMSOLL_DISPOSED`.
   */
  load(request: LoadRequest<K, V>, signal: AbortSignal | undefined): Promise<V> {
    try {
      checkSignal(signal);
    } catch (fault) {
      return Promise.reject(fault);
    }
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    let flight = this.#flights.get(request.key);
    if (flight !== undefined) this.#counts.loadsShared++;
    else {
      const refusal = this.#refusal();
      if (refusal !== undefined) return Promise.reject(refusal);
      flight = this.#begin(request, false);
    }
    return this.#join(flight, signal);
  }

  /** Loads anew in the background what is served meanwhile; nothing when it is being loaded already, or too many are. */
  refresh(request: LoadRequest<K, V>): void {
    if (this.#flights.has(request.key) || this.#refusal() !== undefined) return;
    this.#counts.refreshes++;
    this.#begin(request, true);
  }

  /** The entry was set or deleted: what is being loaded for it is out of date. */
  overtake(key: K): void {
    const flight = this.#flights.get(key);
    if (flight !== undefined) this.#overtake(flight);
  }

  overtakeAll(): void {
    for (const flight of [...this.#flights.values()]) this.#overtake(flight);
  }

  /** Aborts all loads; who waits gets `PLIMSOLL_DISPOSED`. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    const reason = this.#disposedError();
    for (const flight of [...this.#running]) {
      this.#leaveTable(flight);
      this.#settle(flight, () => flight.reject(reason));
      flight.abort.abort(reason);
    }
  }

  #disposedError(): DisposedError {
    return new DisposedError(`cache ${this.#options.name}`);
  }

  #refusal(): Error | undefined {
    if (this.#disposed) return this.#disposedError();
    if (this.#running.size < this.#maxLoads) return undefined;
    this.#counts.loadsRefused++;
    return new LoadsFullError(this.#options.name, this.#maxLoads);
  }

  #begin(request: LoadRequest<K, V>, isRefresh: boolean): Flight<K, V> {
    const { key, loader, store, staleValue } = request;
    const { clock, loadTimeoutMs } = this.#options;
    const flight = new Flight<K, V>(key, isRefresh);
    this.#flights.set(key, flight);
    this.#running.add(flight);
    this.#counts.loads++;
    const startedAt = clock.now();
    if (loadTimeoutMs < Number.POSITIVE_INFINITY) {
      flight.timer = clock.after(loadTimeoutMs, () => this.#tooLate(flight), true);
    }
    const end = () => {
      this.#running.delete(flight);
      this.#counts.loadMs += clock.now() - startedAt;
    };
    // Whatever goes wrong in the loader, or in looking up a `then`, is a rejection.
    new Promise<V>((resolve) => resolve(loader(key, { signal: flight.abort.signal, staleValue }))).then(
      (value) => {
        end();
        this.#succeed(flight, value, store);
      },
      (cause: unknown) => {
        end();
        this.#fail(flight, cause);
      },
    );
    return flight;
  }

  #succeed(flight: Flight<K, V>, value: V, store: (value: V) => void): void {
    if (flight.settled) return;
    if (flight.overtaken) {
      // What was set meanwhile is newer than what was loaded.
      const current = this.#options.current(flight.key);
      this.#settle(flight, () => flight.resolve(current === undefined ? value : current));
      return;
    }
    this.#leaveTable(flight);
    try {
      if (value !== undefined) store(value);
      this.#settle(flight, () => flight.resolve(value));
    } catch (cause) {
      this.#settle(flight, () => flight.reject(cause));
    }
  }

  #fail(flight: Flight<K, V>, cause: unknown): void {
    if (flight.settled) return;
    this.#counts.loadFailures++;
    if (flight.isRefresh) this.#counts.refreshFailures++;
    this.#leaveTable(flight);
    this.#settle(flight, () => flight.reject(cause));
  }

  #tooLate(flight: Flight<K, V>): void {
    const cause = new LoadTimeoutError(this.#options.name, this.#options.loadTimeoutMs);
    this.#fail(flight, cause);
    flight.abort.abort(cause);
  }

  #settle(flight: Flight<K, V>, how: () => void): void {
    if (flight.settled) return;
    flight.settled = true;
    flight.timer?.[Symbol.dispose]();
    how();
  }

  #overtake(flight: Flight<K, V>): void {
    flight.overtaken = true;
    this.#counts.loadsOvertaken++;
    this.#leaveTable(flight);
  }

  #leaveTable(flight: Flight<K, V>): void {
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key);
  }

  #join(flight: Flight<K, V>, signal: AbortSignal | undefined): Promise<V> {
    if (signal === undefined) {
      flight.kept = true;
      return flight.promise;
    }
    flight.waiters++;
    return new Promise<V>((resolve, reject) => {
      const onAbort = () => {
        reject(signal.reason);
        this.#leave(flight, signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const done = () => signal.removeEventListener('abort', onAbort);
      flight.promise.then(
        (value) => {
          done();
          resolve(value);
        },
        (cause: unknown) => {
          done();
          reject(cause);
        },
      );
    });
  }

  /** One who waited is gone; when it was the last, so is the load. */
  #leave(flight: Flight<K, V>, reason: unknown): void {
    flight.waiters--;
    if (flight.waiters > 0 || flight.kept || flight.settled) return;
    this.#counts.loadsAbandoned++;
    this.#leaveTable(flight);
    this.#settle(flight, () => flight.reject(reason));
    flight.abort.abort(reason);
  }
}
