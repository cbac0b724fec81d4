import { describeCause } from '../describe-cause.ts';
import { PlimsollError } from '../errors.ts';

/** How a pool stood when it said no. */
export interface PoolState {
  readonly pool: string;
  readonly size: number;
  readonly leased: number;
  readonly waiting: number;
  readonly maxSize: number;
}

const shown = ({ size, leased, waiting, maxSize }: PoolState): string =>
  `${leased} leased, ${size} of ${maxSize} open, ${waiting} waiting`;

/** `PLIMSOLL_POOL_TIMEOUT`: no connection came in time. While connections cannot be made, `cause` is why. */
export class PoolTimeoutError extends PlimsollError implements PoolState {
  override readonly name: string = 'PoolTimeoutError';
  readonly pool: string;
  readonly size: number;
  readonly leased: number;
  readonly waiting: number;
  readonly maxSize: number;
  readonly waitedMs: number;

  constructor(state: PoolState, waitedMs: number, cause: unknown) {
    const why = cause === undefined ? '' : `; the last one could not be made: ${describeCause(cause)}`;
    super(`${state.pool}: no connection within ${Math.round(waitedMs)}ms (${shown(state)})${why}`, {
      code: 'PLIMSOLL_POOL_TIMEOUT',
      recovery: 'retry',
      cause,
    });
    this.pool = state.pool;
    this.size = state.size;
    this.leased = state.leased;
    this.waiting = state.waiting;
    this.maxSize = state.maxSize;
    this.waitedMs = waitedMs;
  }
}

/** `PLIMSOLL_POOL_QUEUE_FULL`: so many wait already that one more is turned away at once. */
export class PoolQueueFullError extends PlimsollError {
  override readonly name: string = 'PoolQueueFullError';
  readonly pool: string;
  readonly waiting: number;

  constructor(state: PoolState) {
    super(`${state.pool}: turned away, because too many wait for a connection already (${shown(state)})`, {
      code: 'PLIMSOLL_POOL_QUEUE_FULL',
      recovery: 'circuit-break',
    });
    this.pool = state.pool;
    this.waiting = state.waiting;
  }
}

/**
 * `PLIMSOLL_POOL_DEADLOCK`: every connection is held by work that waits for another one of the same pool, and this one came last. `waits` are the places
 * where the holders wait, `holds` those where they borrowed, as far as stacks were taken.
 */
export class PoolDeadlockError extends PlimsollError {
  override readonly name: string = 'PoolDeadlockError';
  readonly pool: string;
  readonly waitedMs: number;
  readonly waits: readonly string[];
  readonly holds: readonly string[];

  constructor(state: PoolState, waitedMs: number, waits: readonly string[], holds: readonly string[]) {
    super(
      `${state.pool}: all ${state.leased} connections are held by work that waits for one more of them, and this one came last; holders wait\n${waits.join('\n')}`,
      { code: 'PLIMSOLL_POOL_DEADLOCK', recovery: 'retry' },
    );
    this.pool = state.pool;
    this.waitedMs = waitedMs;
    this.waits = waits;
    this.holds = holds;
  }
}

/** `PLIMSOLL_POOL_CLOSED`: the pool is being drained, or has been disposed. */
export class PoolClosedError extends PlimsollError {
  override readonly name: string = 'PoolClosedError';
  readonly pool: string;

  constructor(pool: string) {
    super(`${pool}: the pool is closed and lends no more connections`, {
      code: 'PLIMSOLL_POOL_CLOSED',
      recovery: 'fail',
    });
    this.pool = pool;
  }
}

/** `PLIMSOLL_MANAGER_TIMEOUT`: a call of the connection manager took too long. The reason of its signal, and the cause in errors of those who waited. */
export class ManagerTimeoutError extends PlimsollError {
  override readonly name: string = 'ManagerTimeoutError';
  readonly pool: string;
  readonly call: string;

  constructor(pool: string, call: string, timeoutMs: number) {
    super(`${pool}: \`${call}\` of the connection manager took more than ${timeoutMs}ms`, {
      code: 'PLIMSOLL_MANAGER_TIMEOUT',
      recovery: 'retry',
    });
    this.pool = pool;
    this.call = call;
  }
}

/** `PLIMSOLL_CONNECTION_LOST`: a connection said that it was gone before it was ready. The cause in errors of those who waited. */
export class ConnectionLostError extends PlimsollError {
  override readonly name: string = 'ConnectionLostError';

  constructor(pool: string, cause: unknown) {
    const why = cause === undefined ? '' : `: ${describeCause(cause)}`;
    super(`${pool}: a connection was lost while it was made${why}`, {
      code: 'PLIMSOLL_CONNECTION_LOST',
      recovery: 'retry',
      cause,
    });
  }
}
