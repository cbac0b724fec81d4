import type { Governor } from '../governor/index.ts';
import { copyOptions, invalidOption } from '../invalid-option.ts';
import { ConcurrencyGate, GATE_OPTIONS, type GateOptions } from './concurrency-gate.ts';

/** What is needed of a `Pool` of `pg`, 8.9 or later: that one has the event `release`. */
export interface PgPoolLike {
  // biome-ignore lint/suspicious/noExplicitAny: the overloads of pg are kept as they are
  query(...args: any[]): any;
  // biome-ignore lint/suspicious/noExplicitAny: the same
  connect(...args: any[]): any;
  // biome-ignore lint/suspicious/noExplicitAny: the same
  on(event: 'release', listener: (error: any, client: any) => void): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: the same
  off(event: 'release', listener: (error: any, client: any) => void): unknown;
  readonly options?: { readonly max?: number; readonly connectionTimeoutMillis?: number | undefined };
}

export interface GovernedPoolOptions extends Omit<GateOptions, 'max' | 'name'> {
  /** Default `pg`. */
  readonly name?: string;
  /** Default: the `max` of the pool. */
  readonly max?: number;
  /** Default: the pool's `connectionTimeoutMillis` when it has one, else 30,000. */
  readonly timeoutMs?: number;
}

/** `query` and `connect` under the level. Disposing it lets everybody through; the pool is its owner's, and ended by it. */
export interface GovernedPool<Pool extends PgPoolLike> extends Disposable {
  readonly query: Pool['query'];
  readonly connect: Pool['connect'];
  /** How many connections may be in use as of now, how many are, and how many calls wait for one. */
  readonly current: number;
  readonly active: number;
  readonly waiting: number;
}

type Callback = (error: unknown, ...results: unknown[]) => void;

/**
 * Hands out `query` and `connect` for a pool of `pg`: at most `max` connections are in use at a time, fewer as the level rises, and other calls wait here.
 * A connection counts until the pool says that it was released. Nothing is patched: whoever calls the pool itself is not held back. Signatures are those of the
 * pool, promises and callbacks; errors too, and `PLIMSOLL_CONCURRENCY_TIMEOUT` and `PLIMSOLL_CONCURRENCY_QUEUE_FULL`.
 *
 * With one connection left, code that holds a client and asks for a second one waits for itself, as it does in a pool of `max: 1`: take a `min` of as
 * many as one request takes. While the governor does not act, every call goes straight to the pool. Throws `RangeError` for unsound options.
 * @example
 * import { governedPool } from 'plimsoll/adopt';
 * const db = governedPool(governor, new Pool({ max: 20 }), { min: 2 });
 * const { rows } = await db.query('select * from songs where album = $1', [album]);
 */
export function governedPool<Pool extends PgPoolLike>(
  governor: Governor,
  pool: Pool,
  options: GovernedPoolOptions = {},
): GovernedPool<Pool> {
  for (const method of ['query', 'connect', 'on', 'off'] as const) {
    if (typeof pool?.[method] !== 'function') throw invalidOption('pool', 'a Pool of `pg`, 8.9 or later', pool);
  }
  const given = copyOptions('governedPool', options, GATE_OPTIONS);
  const timeoutMs = given.timeoutMs ?? (pool.options?.connectionTimeoutMillis || undefined);
  const gate = new ConcurrencyGate(governor, {
    ...given,
    name: given.name ?? 'pg',
    max: given.max ?? pool.options?.max ?? Number.NaN,
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
  const taken = new Set<unknown>();
  let isOver = false;
  const onRelease = (_error: unknown, client: unknown) => {
    if (taken.delete(client)) gate.leave();
    if (isOver && taken.size === 0) pool.off('release', onRelease);
  };
  pool.on('release', onRelease);
  const connect = async () => {
    if (isOver) return await pool.connect();
    await gate.enter();
    try {
      const client: unknown = await pool.connect();
      taken.add(client);
      return client;
    } catch (cause) {
      gate.leave();
      throw cause;
    }
  };
  const query = async (...args: unknown[]) => {
    await gate.enter();
    try {
      return await pool.query(...args);
    } finally {
      gate.leave();
    }
  };
  return {
    query: (...args: unknown[]) => callingBack(args, query, (result) => [result]),
    connect: (...args: unknown[]) => callingBack(args, connect, (client) => [client, releaseOf(client)]),
    get current() {
      return gate.current;
    },
    get active() {
      return gate.active;
    },
    get waiting() {
      return gate.waiting;
    },
    [Symbol.dispose]() {
      isOver = true;
      gate[Symbol.dispose]();
      if (taken.size === 0) pool.off('release', onRelease);
    },
  } as GovernedPool<Pool>;
}

function releaseOf(client: unknown): unknown {
  const { release } = client as { release?: unknown };
  return release;
}

/** A callback is called outside of the promise: what it throws is its caller's uncaught exception, as with the pool. */
function callingBack(
  args: readonly unknown[],
  act: (...args: unknown[]) => Promise<unknown>,
  results: (result: unknown) => readonly unknown[],
): Promise<unknown> | undefined {
  const callback = args.at(-1);
  if (typeof callback !== 'function') return act(...args);
  act(...args.slice(0, -1)).then(
    (result) => process.nextTick(callback as Callback, undefined, ...results(result)),
    (cause) => process.nextTick(callback as Callback, cause),
  );
  return undefined;
}
