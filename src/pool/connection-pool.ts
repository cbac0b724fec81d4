import { checkSignal, copyOptions, invalidOption } from '../invalid-option.ts';
import { LeaseHolder } from './connection-deadlocks.ts';
import { ConnectionDesk } from './connection-desk.ts';
import { ConnectionLease } from './connection-lease.ts';
import type { ConnectionManager } from './connection-manager.ts';
import {
  type ConnectionPoolOptions,
  type ConnectionPoolTuning,
  checkConnectionPoolOptions,
  checkTime,
  type SoundPoolOptions,
  tuned,
} from './connection-pool-options.ts';
import { type ConnectionPoolStats, poolStats } from './connection-report.ts';

export interface AcquireOptions<C> {
  /** Ends the wait; `acquire` rejects with its reason. */
  readonly signal?: AbortSignal;
  /** The most to wait, ms, 1 up. Default: `acquireTimeoutMs` of the pool. */
  readonly timeoutMs?: number;
  /**
   * A lease of this pool that the caller holds meanwhile. Inside `use` the pool knows; between bare leases this says it, so that work which waits for itself is found
   * (`PLIMSOLL_POOL_DEADLOCK`).
   */
  readonly holding?: ConnectionLease<C>;
}

export interface PoolDrainReport {
  /** Who still waited at the deadline and was refused. */
  readonly rejected: number;
  /** Leases that were out at the deadline: their connections were closed all the same. */
  readonly forced: number;
  /** Connections that were not closed yet when the deadline came. */
  readonly unfinished: number;
  readonly elapsedMs: number;
}

const ACQUIRE_OPTIONS = [
  'signal',
  'timeoutMs',
  'holding',
] as const satisfies readonly (keyof AcquireOptions<unknown>)[];
const DEFAULT_DRAIN_MS = 30_000;

/**
 * Lends connections, first come first served, and keeps them in order: opened when needed, looked at, closed when idle or old, taken out when they are lost. What a
 * manager throws, rejects or never answers is contained; an outage is met with pauses, and those who wait get its cause when their time is over.
 *
 * Nothing waits without a bound: `maxSize`, `maxWaiting` and a time for every call. A lease must be given back; whoever made the pool drains or disposes it. Given a governor, each connection is
 * booked (`connectionBytes`, kind `heap`) before it is opened, and idle ones go back first. It looks after connections of one kind in one process; for a
 * client that has its own pool and keeps it (undici, Prisma), bound that one instead. `npm run bench -- pool connections` prints what it costs.
 * @example
 * import { ConnectionPool } from 'plimsoll/pool';
 * const pool = new ConnectionPool({ create: ({ signal }) => connect(url, { signal }), destroy: (socket) => socket.end() }, { maxSize: 25 });
 * const answer = await pool.use((socket) => ask(socket, 'how much is the fish?'));
 */
export class ConnectionPool<C> implements Disposable, AsyncDisposable {
  readonly name: string;
  readonly #options: SoundPoolOptions;
  readonly #desk: ConnectionDesk<C>;
  #drained: Promise<PoolDrainReport> | undefined;

  /** Throws `RangeError` for unsound options. Begins to open `minSize` connections. */
  constructor(manager: ConnectionManager<C>, options: ConnectionPoolOptions) {
    checkManager(manager);
    this.#options = checkConnectionPoolOptions(options);
    this.name = this.#options.name;
    this.#desk = new ConnectionDesk(manager, this.#options);
  }

  /**
   * Lends a connection, or waits for one: in order of arrival. Dispose the lease to give it back. Rejects with `PLIMSOLL_POOL_TIMEOUT`, `PLIMSOLL_POOL_QUEUE_FULL`,
   * `PLIMSOLL_POOL_DEADLOCK`, `PLIMSOLL_POOL_CLOSED`, the reason of `signal`, and `RangeError` for unsound options. That connections cannot be made is not an error
   * until the time is over.
   */
  acquire(options?: AcquireOptions<C>): Promise<ConnectionLease<C>> {
    if (options === undefined) {
      const lease = this.#desk.quick(undefined, this.acquire);
      return lease === undefined ? this.#desk.wait({ below: this.acquire }) : Promise.resolve(lease);
    }
    return this.#acquire(options, undefined, this.acquire);
  }

  /** Lends one that is idle and needs no look, and jumps no queue; else undefined. */
  tryAcquire(): ConnectionLease<C> | undefined {
    return this.#desk.quick(undefined, this.tryAcquire);
  }

  /**
   * Lends a connection to `act` and takes it back when that is done, whatever came of it; after a failure it is looked at by `isValid` before it is lent again. Rejects
   * as `acquire` does, and with what `act` throws. Work inside `act` that asks for another connection of this pool is known to hold this one.
   */
  async use<T>(
    act: (connection: C, lease: ConnectionLease<C>) => T | PromiseLike<T>,
    options?: AcquireOptions<C>,
  ): Promise<T> {
    if (typeof act !== 'function') throw invalidOption('act', 'a function', act);
    const holder = this.#desk.watch.on ? new LeaseHolder(this.#desk.watch.current) : undefined;
    const lease =
      options === undefined
        ? (this.#desk.quick(holder, this.use) ?? (await this.#desk.wait({ takes: holder, below: this.use })))
        : await this.#acquire(options, holder, this.use);
    try {
      return await this.#desk.watch.run(holder, () => act(lease.connection, lease));
    } catch (cause) {
      lease.suspect();
      throw cause;
    } finally {
      lease[Symbol.dispose]();
    }
  }

  /** Changes some options while running; the others stay. Throws `RangeError`, and changes nothing, when together they are unsound. */
  tune(tuning: ConnectionPoolTuning): void {
    const { stock, care } = this.#desk;
    stock.tuning = tuned(stock.tuning, tuning);
    while (stock.size > stock.tuning.maxSize && stock.idle.oldest !== undefined) {
      stock.end(stock.idle.oldest, 'surplus');
    }
    care.again();
    this.#desk.pump();
  }

  /**
   * Lends to nobody new, serves those who wait, closes what comes back, and resolves when all are closed, or at the deadline: then those who wait are refused and
   * the connections of leases that are still out are closed under them. A second call gets the answer of the first. `deadlineMs` is 30,000 unless told.
   */
  drain(options: { readonly deadlineMs?: number } = {}): Promise<PoolDrainReport> {
    const { deadlineMs = DEFAULT_DRAIN_MS } = copyOptions('ConnectionPool.drain', options, ['deadlineMs']);
    checkTime('deadlineMs', deadlineMs, 0, false);
    this.#drained ??= this.#drainWithin(deadlineMs);
    return this.#drained;
  }

  get stats(): ConnectionPoolStats {
    return poolStats(this.#desk.source);
  }

  /** What can be tuned, as it stands. */
  get tuning(): Readonly<Required<ConnectionPoolTuning>> {
    return this.#desk.stock.tuning;
  }

  /** Refuses those who wait, closes the idle ones at once and the others when they come back. Does not wait; `drain` does. */
  [Symbol.dispose](): void {
    this.#desk.close();
  }

  /** As `drain` does, with its default. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
  }

  /** No `async` function: its promise would come some turns later than that of `acquire()`, and who is served first would go on second. */
  #acquire(
    given: AcquireOptions<C>,
    takes: LeaseHolder | undefined,
    below: (...args: never[]) => unknown,
  ): Promise<ConnectionLease<C>> {
    let options: AcquireOptions<C>;
    try {
      options = checkAcquireOptions(given, this.#desk);
    } catch (cause) {
      return Promise.reject(cause);
    }
    const { signal } = options;
    if (signal?.aborted) {
      this.#desk.counts.aborted++;
      return Promise.reject(signal.reason);
    }
    const lease = this.#desk.quick(takes, below);
    return lease === undefined ? this.#desk.wait({ ...options, takes, below }) : Promise.resolve(lease);
  }

  #drainWithin(deadlineMs: number): Promise<PoolDrainReport> {
    const started = this.#options.clock.now();
    const forcedBefore = this.#desk.counts.forced;
    return new Promise((resolve) => {
      let rejected = 0;
      const finish = () => {
        this.#desk.onEmpty = undefined;
        timer[Symbol.dispose]();
        const forced = this.#desk.counts.forced - forcedBefore;
        resolve({
          rejected,
          forced,
          unfinished: this.#desk.stock.slots.size,
          elapsedMs: this.#options.clock.now() - started,
        });
      };
      const timer = this.#options.clock.after(
        deadlineMs,
        () => {
          rejected = this.#desk.waiting;
          this[Symbol.dispose]();
          this.#desk.force();
          finish();
        },
        true,
      );
      this.#desk.onEmpty = finish;
      this.#desk.beginClosing();
    });
  }
}

function checkAcquireOptions<C>(given: AcquireOptions<C>, desk: ConnectionDesk<C>): AcquireOptions<C> {
  const options = copyOptions('acquire', given, ACQUIRE_OPTIONS);
  const { signal, timeoutMs, holding } = options;
  if (timeoutMs !== undefined) checkTime('timeoutMs', timeoutMs, 1, false);
  checkSignal(signal);
  if (holding !== undefined && !(holding instanceof ConnectionLease && desk.isOwn(holding))) {
    throw invalidOption('holding', 'a lease of this pool', holding);
  }
  return options;
}

function checkManager(manager: unknown): void {
  if (typeof manager !== 'object' || manager === null) throw invalidOption('manager', 'a ConnectionManager', manager);
  const { create, destroy, isValid, recycle } = manager as Partial<ConnectionManager<unknown>>;
  if (typeof create !== 'function') throw invalidOption('manager.create', 'a function', create);
  if (typeof destroy !== 'function') throw invalidOption('manager.destroy', 'a function', destroy);
  if (isValid !== undefined && typeof isValid !== 'function')
    throw invalidOption('manager.isValid', 'a function', isValid);
  if (recycle !== undefined && typeof recycle !== 'function')
    throw invalidOption('manager.recycle', 'a function', recycle);
}
