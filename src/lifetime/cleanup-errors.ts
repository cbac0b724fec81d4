import { describeCause } from '../describe-cause.ts';
import { PlimsollError } from '../errors.ts';

/** `PLIMSOLL_CLEANUP_FAILED`: a disposer threw or rejected, as often as it may be tried. `cause` is what it gave last. */
export class CleanupFailedError extends PlimsollError {
  override readonly name: string = 'CleanupFailedError';
  readonly resource: string;
  readonly attempts: number;

  constructor(resource: string, attempts: number, cause: unknown) {
    const times = attempts === 1 ? '' : ` ${attempts} times`;
    super(`Cleaning up ${resource} failed${times}: ${describeCause(cause)}`, {
      code: 'PLIMSOLL_CLEANUP_FAILED',
      recovery: 'fail',
      cause: cause ?? new TypeError('nothing was thrown'),
    });
    this.resource = resource;
    this.attempts = attempts;
  }
}

/**
 * `PLIMSOLL_CLEANUP_TIMEOUT`: a disposer has not ended in its time. It is not called again: its first call may still be at work.
 */
export class CleanupTimeoutError extends PlimsollError {
  override readonly name: string = 'CleanupTimeoutError';
  readonly resource: string;
  readonly timeoutMs: number;

  constructor(resource: string, timeoutMs: number) {
    super(`Cleaning up ${resource} has not ended within ${timeoutMs} ms`, {
      code: 'PLIMSOLL_CLEANUP_TIMEOUT',
      recovery: 'fail',
    });
    this.resource = resource;
    this.timeoutMs = timeoutMs;
  }
}

/** What there was no room in. */
export type RegistryBound = 'count' | 'bytes' | 'cleanup' | 'governor';

const BOUNDS: Readonly<Record<RegistryBound, string>> = {
  count: 'it holds `maxCount`, and all of them are in use',
  bytes: '`maxBytes` leaves too little beside what is in use',
  cleanup: 'as much again waits to be cleaned up',
  governor: 'the governor has no room',
};

/** `PLIMSOLL_REGISTRY_FULL`: a resource was not registered and is still its caller's. `boundBy` says why. */
export class RegistryFullError extends PlimsollError {
  override readonly name: string = 'RegistryFullError';
  readonly registry: string;
  readonly boundBy: RegistryBound;

  constructor(registry: string, resource: string, boundBy: RegistryBound) {
    super(`Registry ${registry} has no room for ${resource}: ${BOUNDS[boundBy]}`, {
      code: 'PLIMSOLL_REGISTRY_FULL',
      recovery: 'retry',
    });
    this.registry = registry;
    this.boundBy = boundBy;
  }
}

/** `PLIMSOLL_REGISTRY_DRAINING`: registered after `drain` had begun. The resource is still its caller's to dispose. */
export class RegistryDrainingError extends PlimsollError {
  override readonly name: string = 'RegistryDrainingError';
  readonly registry: string;

  constructor(registry: string, resource: string) {
    super(`Registry ${registry} is being drained and does not take ${resource}: it is still yours to dispose`, {
      code: 'PLIMSOLL_REGISTRY_DRAINING',
      recovery: 'fail',
    });
    this.registry = registry;
  }
}

/** `PLIMSOLL_LOAD_BACKING_OFF`: a load failed a moment ago and is not tried again yet. `cause` is what it failed with. */
export class LoadBackingOffError extends PlimsollError {
  override readonly name: string = 'LoadBackingOffError';
  /** Until it will be tried, ms. */
  readonly retryInMs: number;

  constructor(resource: string, retryInMs: number, cause: unknown) {
    super(`Loading ${resource} failed and is tried again in ${Math.ceil(retryInMs)} ms: ${describeCause(cause)}`, {
      code: 'PLIMSOLL_LOAD_BACKING_OFF',
      recovery: 'circuit-break',
      cause,
    });
    this.retryInMs = retryInMs;
  }
}
