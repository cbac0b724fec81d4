import { catchRejection, isThenable } from '../catch-rejection.ts';
import { invalidOption } from '../invalid-option.ts';

/**
 * Throws `RangeError` (`PLIMSOLL_INVALID_OPTION`) where a callback of an operator gave something to wait for: what it writes after it has returned would be part of another record, or
 * of none. A rejection of it is taken. `option` and `callback` are which it was.
 */
export function checkDone(option: string, callback: unknown, result: unknown): void {
  if (result === undefined || !isThenable(result)) return;
  catchRejection(result, () => {});
  throw invalidOption(option, 'a function that is done when it returns, and gives no promise', callback);
}
