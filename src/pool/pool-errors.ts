import { formatBytes } from '../bytes.ts';
import { PlimsollError } from '../errors.ts';

/** What a pool stood at when it had nothing to lend. */
export interface PoolExhaustion {
  readonly pool: string;
  /** `max`: the pool is at its own bound. `budget`: the governor had no room for one more. */
  readonly reason: 'max' | 'budget';
  /** Lent at that moment: objects, or bytes of buffers. */
  readonly leased: number;
  /** The pool's bound, in the same unit. */
  readonly max: number;
  /** What one more would have taken, bytes; 0 where that is not known. */
  readonly requestedBytes: number;
}

/** `PLIMSOLL_POOL_EXHAUSTED`: everything is lent and the bound is reached. Later there may be one; `try...` verbs say so without throwing. */
export class PoolExhaustedError extends PlimsollError implements PoolExhaustion {
  override readonly name: string = 'PoolExhaustedError';
  readonly pool: string;
  readonly reason: 'max' | 'budget';
  readonly leased: number;
  readonly max: number;
  readonly requestedBytes: number;

  constructor(state: PoolExhaustion) {
    const asked = state.requestedBytes > 0 ? ` for ${formatBytes(state.requestedBytes)}` : '';
    const why = state.reason === 'max' ? `its bound is ${state.max}` : 'the governor has no room for more';
    super(`${state.pool} has nothing to lend${asked}: ${state.leased} is out, and ${why}`, {
      code: 'PLIMSOLL_POOL_EXHAUSTED',
      recovery: 'retry',
    });
    this.pool = state.pool;
    this.reason = state.reason;
    this.leased = state.leased;
    this.max = state.max;
    this.requestedBytes = state.requestedBytes;
  }
}

/** `PLIMSOLL_DOUBLE_RELEASE`: what was given back had been given back before. Nothing has changed by it. A fault of the caller. */
export class DoubleReleaseError extends PlimsollError {
  override readonly name: string = 'DoubleReleaseError';
  readonly pool: string;

  constructor(pool: string) {
    super(`${pool} was given back something that is not lent now: it has been given back already`, {
      code: 'PLIMSOLL_DOUBLE_RELEASE',
      recovery: 'fail',
    });
    this.pool = pool;
  }
}

/** `PLIMSOLL_FOREIGN_OBJECT`: what was given back is none of this pool's. It stays the caller's. */
export class ForeignObjectError extends PlimsollError {
  override readonly name: string = 'ForeignObjectError';
  readonly pool: string;

  constructor(pool: string) {
    super(`${pool} was given back something that it never lent`, {
      code: 'PLIMSOLL_FOREIGN_OBJECT',
      recovery: 'fail',
    });
    this.pool = pool;
  }
}

/** `PLIMSOLL_CREATE_FAILED`: a pool had to make something and could not; `cause` says why. The pool is as before. */
export class CreateFailedError extends PlimsollError {
  override readonly name: string = 'CreateFailedError';
  readonly pool: string;

  constructor(pool: string, why: string, cause?: unknown) {
    super(`${pool} could not make one more: ${why}`, { code: 'PLIMSOLL_CREATE_FAILED', recovery: 'retry', cause });
    this.pool = pool;
  }
}
