import { describeCause } from '../describe-cause.ts';
import { PlimsollError } from '../errors.ts';

/**
 * `PLIMSOLL_BATCH_FAILED`: a batch failed, and with `onError: 'stop'` that ends the run. `index` says which, `cause` why, and the message both; `recovery` is the cause's.
 */
export class BatchFailedError extends PlimsollError {
  override readonly name: string = 'BatchFailedError';
  readonly index: number;

  constructor(processor: string, index: number, cause: unknown) {
    const recovery = cause instanceof PlimsollError ? cause.recovery : 'fail';
    super(`${processor}: batch ${index}: ${describeCause(cause)}`, { code: 'PLIMSOLL_BATCH_FAILED', recovery, cause });
    this.index = index;
  }
}

/** `PLIMSOLL_BATCH_TIMEOUT`: a batch took longer than `timeoutMs`. It was told by its signal, and its memory stays reserved until it has really ended. */
export class BatchTimeoutError extends PlimsollError {
  override readonly name: string = 'BatchTimeoutError';
  readonly index: number;
  readonly timeoutMs: number;

  constructor(processor: string, index: number, timeoutMs: number) {
    const message = `${processor}: batch ${index} took longer than ${timeoutMs}ms`;
    super(message, { code: 'PLIMSOLL_BATCH_TIMEOUT', recovery: 'retry' });
    this.index = index;
    this.timeoutMs = timeoutMs;
  }
}

/** `PLIMSOLL_BATCHES_STUCK`: so many batches are past their time and do not end that no more are begun. A fault of what is done with them: it does not look at its signal. */
export class BatchesStuckError extends PlimsollError {
  override readonly name: string = 'BatchesStuckError';
  readonly stuckCount: number;

  constructor(processor: string, stuckCount: number) {
    super(`${processor}: ${stuckCount} batches are past their time and have not ended`, {
      code: 'PLIMSOLL_BATCHES_STUCK',
      recovery: 'fail',
    });
    this.stuckCount = stuckCount;
  }
}
