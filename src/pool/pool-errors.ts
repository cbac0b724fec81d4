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

function exhaustion({ pool, reason, leased, max, requestedBytes }: PoolExhaustion, inBytes: boolean): string {
  const asked = requestedBytes > 0 ? ` for ${formatBytes(requestedBytes)}` : '';
  const [out, bound] = inBytes ? [formatBytes(leased), formatBytes(max)] : [leased, max];
  if (reason === 'budget')
    return `${pool} has nothing to lend${asked}: ${out} lent, and the governor has no room for more`;
  if (inBytes && requestedBytes > max)
    return `${pool} cannot lend ${formatBytes(requestedBytes)} at all: its bound is ${bound}`;
  return `${pool} has nothing to lend${asked}: ${out} of ${bound} lent`;
}

/**
 * `PLIMSOLL_POOL_EXHAUSTED`: everything is lent and the bound is reached. Later there may be one; `try...` verbs say so without throwing. A buffer larger than the
 * bound of its pool never comes (`recovery` is `fail`).
 */
export class PoolExhaustedError extends PlimsollError implements PoolExhaustion {
  override readonly name: string = 'PoolExhaustedError';
  readonly pool: string;
  readonly reason: 'max' | 'budget';
  readonly leased: number;
  readonly max: number;
  readonly requestedBytes: number;

  /** `inBytes`: what is lent and the bound are bytes; else objects. */
  constructor(state: PoolExhaustion, inBytes = false) {
    const isTooLarge = inBytes && state.reason === 'max' && state.requestedBytes > state.max;
    super(exhaustion(state, inBytes), { code: 'PLIMSOLL_POOL_EXHAUSTED', recovery: isTooLarge ? 'fail' : 'retry' });
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
