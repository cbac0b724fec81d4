import { PlimsollError } from '../errors.ts';

/** `PLIMSOLL_USAGE`: a command line or a file that cannot be made sense of. Its message is the one line that is shown; the exit code is 2. */
export class UsageError extends PlimsollError {
  override readonly name = 'UsageError';

  constructor(message: string, cause?: unknown) {
    super(message, { code: 'PLIMSOLL_USAGE', recovery: 'fail', ...(cause === undefined ? {} : { cause }) });
  }
}
