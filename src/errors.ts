/** What a caller can sensibly do: try again later, take another way, stop asking for a while, or give up. */
export type Recovery = 'retry' | 'fallback' | 'circuit-break' | 'fail';

export interface PlimsollErrorOptions {
  /** Stable, `PLIMSOLL_...`: what users match, across versions and copies of the package. */
  readonly code: string;
  /** Default `'fail'`. */
  readonly recovery?: Recovery;
  readonly cause?: unknown;
}

/** The base of every error this project throws on purpose. Match `code`, not the class. */
export class PlimsollError extends Error {
  override readonly name: string = 'PlimsollError';
  readonly code: string;
  readonly recovery: Recovery;

  constructor(message: string, options: PlimsollErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.recovery = options.recovery ?? 'fail';
  }
}

/** `PLIMSOLL_DISPOSED`: something was used after it was given back. A fault of the caller. */
export class DisposedError extends PlimsollError {
  override readonly name: string = 'DisposedError';

  constructor(what: string) {
    super(`${what} has been disposed and cannot be used any more`, { code: 'PLIMSOLL_DISPOSED', recovery: 'fail' });
  }
}
