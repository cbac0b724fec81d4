import { PlimsollError } from '../errors.ts';

/** `PLIMSOLL_NO_FEED`: there is nothing to watch, or it may not be watched. The exit code is 1. */
export class NoFeedError extends PlimsollError {
  override readonly name = 'NoFeedError';

  constructor(message: string, cause?: unknown) {
    super(message, { code: 'PLIMSOLL_NO_FEED', recovery: 'fail', ...(cause === undefined ? {} : { cause }) });
  }
}
