/**
 * The circuit breaker of M. Nygard, "Release It!" (2007), chapter "Stability Patterns": after failures in a row it stops asking, after a
 * while it lets a few probes through, and by what comes of them it closes or waits twice as long.
 *
 * Inside: `allow`, `succeed`, `fail` and `trip` touch whole numbers and two doubles that are kept in an array made at the start, so that a breaker
 * works on a full heap; a closed one does not even look at the clock. Errors are made in `run` only, and one stands ready for when that
 * fails. A probe that never reports would keep a half-open breaker shut for ever: its slot is free again after the open time.
 */
import { catchRejection } from './catch-rejection.ts';
import type { Clock } from './clock.ts';
import { PlimsollError } from './errors.ts';
import { checkWhole, invalidOption } from './invalid-option.ts';

/** `closed`: all calls go through. `open`: none. `half-open`: a few probes. */
export type CircuitState = 'closed' | 'open' | 'half-open';

export interface CircuitBreakerOptions {
  /** Failures in a row that open it, 1 up. Default 5. */
  readonly failureThreshold?: number;
  /** How long it stays open the first time, ms, 1 up; doubles each time that a probe fails. */
  readonly openMs: number;
  /** The longest it stays open, ms; not less than `openMs`. Default 30 times `openMs`. */
  readonly maxOpenMs?: number;
  /** Calls let through at a time when half-open; as many must succeed for it to close. 1 up, default 1. */
  readonly halfOpenProbes?: number;
  readonly clock: Pick<Clock, 'now'>;
  /** Hears of each change after it stands. What it throws, or rejects with, is dropped: a breaker does not fail by its listener. */
  readonly onChange?: (to: CircuitState, from: CircuitState) => void;
}

/** `PLIMSOLL_CIRCUIT_OPEN`: the call was not made, because those before it failed. Stop asking for `retryAfterMs`. */
export class CircuitOpenError extends PlimsollError {
  override readonly name: string = 'CircuitOpenError';
  /** Until a probe is let through, ms; 0 when one is under way. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super(`The circuit is open: the next call is let through in ${Math.ceil(retryAfterMs)}ms`, {
      code: 'PLIMSOLL_CIRCUIT_OPEN',
      recovery: 'circuit-break',
    });
    this.retryAfterMs = retryAfterMs;
  }
}

const CLOSED = 0;
const OPEN = 1;
const HALF_OPEN = 2;
export const CIRCUIT_STATES: readonly CircuitState[] = ['closed', 'open', 'half-open'];
/** Places in the array of times: when it opened or half-opened, and how long it stays so. */
const SINCE = 0;
const FOR_MS = 1;
const LONGEST_MS = Number.MAX_SAFE_INTEGER;

/**
 * Stops asking what keeps failing. Report each allowed call by `succeed` or `fail`, or let `run` do both. About 1 ns when closed, one look at
 * the clock more when not; leaves no garbage except in `run`.
 * @example
 * import { CircuitBreaker, systemClock } from 'plimsoll';
 * const breaker = new CircuitBreaker({ failureThreshold: 3, openMs: 1_000, clock: systemClock });
 * const answer = await breaker.run(() => fetch('http://127.0.0.1:8080/'));
 */
export class CircuitBreaker {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #onChange: CircuitBreakerOptions['onChange'];
  readonly #failureThreshold: number;
  readonly #openMs: number;
  readonly #maxOpenMs: number;
  readonly #halfOpenProbes: number;
  readonly #times = new Float64Array(2);
  readonly #spareError = new CircuitOpenError(0);
  #state = CLOSED;
  #failures = 0;
  /** Of this half-open time: probes let through, and those that succeeded. */
  #probes = 0;
  #successes = 0;
  /** Counts changes, so that a late report of an earlier time is known as such. */
  #epoch = 0;

  constructor(options: CircuitBreakerOptions) {
    this.#failureThreshold = checkWhole('failureThreshold', options.failureThreshold ?? 5, 1);
    this.#openMs = checkWhole('openMs', options.openMs, 1);
    this.#maxOpenMs = checkWhole(
      'maxOpenMs',
      options.maxOpenMs ?? Math.min(this.#openMs * 30, LONGEST_MS),
      this.#openMs,
    );
    this.#halfOpenProbes = checkWhole('halfOpenProbes', options.halfOpenProbes ?? 1, 1);
    this.#clock = options.clock;
    this.#onChange = options.onChange;
    if (typeof this.#clock?.now !== 'function') throw invalidOption('clock', 'a clock', this.#clock);
    if (this.#onChange !== undefined && typeof this.#onChange !== 'function') {
      throw invalidOption('onChange', 'a function', this.#onChange);
    }
    this.#times[FOR_MS] = this.#openMs;
  }

  /** As it stands: `open` turns into `half-open` with the first call of `allow` after the time is over. */
  get state(): CircuitState {
    return CIRCUIT_STATES[this.#state]!;
  }

  /** Whether a call may be made now. When half-open a `true` takes one of the slots for probes: then the call must be made and reported. */
  allow(): boolean {
    if (this.#state === CLOSED) return true;
    if (!this.#isOver()) {
      if (this.#state === OPEN || this.#probes >= this.#halfOpenProbes) return false;
    } else if (this.#state === OPEN) {
      this.#change(HALF_OPEN);
    } else {
      // Those who had the slots have not been heard of.
      this.#times[SINCE] = this.#clock.now();
      this.#probes = 0;
    }
    this.#probes++;
    return true;
  }

  /** A call that was allowed went well. Half-open, it closes the breaker when as many have as there are slots. While open it says nothing. */
  succeed(): void {
    if (this.#state === CLOSED) {
      this.#failures = 0;
    } else if (this.#state === HALF_OPEN && this.#probes > 0 && ++this.#successes >= this.#halfOpenProbes) {
      this.#times[FOR_MS] = this.#openMs;
      this.#change(CLOSED);
    }
  }

  /** A call that was allowed failed. Closed, so many in a row open it; half-open, one opens it for twice as long. */
  fail(): void {
    if (this.#state === CLOSED) {
      if (++this.#failures >= this.#failureThreshold) this.#change(OPEN);
    } else if (this.#state === HALF_OPEN) {
      this.#times[FOR_MS] = Math.min(this.#times[FOR_MS]! * 2, this.#maxOpenMs);
      this.#change(OPEN);
    }
  }

  /** Opens it now, whatever was reported; from half-open for twice as long. An open one stays as it is. */
  trip(): void {
    if (this.#state === CLOSED) this.#change(OPEN);
    else this.fail();
  }

  /** Until a probe may be let through, ms; 0 when that may be now. */
  get retryAfterMs(): number {
    if (this.#state === CLOSED || this.#isOver()) return 0;
    if (this.#state === HALF_OPEN && this.#probes < this.#halfOpenProbes) return 0;
    return this.#times[SINCE]! + this.#times[FOR_MS]! - this.#clock.now();
  }

  /**
   * Makes the call when it is allowed and reports how it ended; what `fn` throws is a failure and is thrown on. A report that comes after the
   * breaker has changed meanwhile counts for nothing. Costs a promise.
   * @throws CircuitOpenError `PLIMSOLL_CIRCUIT_OPEN`
   */
  async run<T>(fn: () => T | PromiseLike<T>): Promise<T> {
    if (!this.allow()) throw this.#refusal();
    const epoch = this.#epoch;
    try {
      const result = await fn();
      if (epoch === this.#epoch) this.succeed();
      return result;
    } catch (cause) {
      if (epoch === this.#epoch) this.fail();
      throw cause;
    }
  }

  /** Has the time of this state passed? A clock that went back starts it anew; one that tells no time is not waited for. */
  #isOver(): boolean {
    const now = this.#clock.now();
    if (now < this.#times[SINCE]!) this.#times[SINCE] = now;
    return !(now - this.#times[SINCE]! < this.#times[FOR_MS]!);
  }

  #change(to: number): void {
    const from = this.#state;
    this.#state = to;
    this.#epoch++;
    this.#failures = 0;
    this.#probes = 0;
    this.#successes = 0;
    if (to !== CLOSED) this.#times[SINCE] = this.#clock.now();
    if (this.#onChange === undefined) return;
    try {
      catchRejection(this.#onChange(CIRCUIT_STATES[to]!, CIRCUIT_STATES[from]!), () => {});
    } catch {
      // As promised.
    }
  }

  #refusal(): CircuitOpenError {
    try {
      return new CircuitOpenError(this.retryAfterMs);
    } catch {
      return this.#spareError;
    }
  }
}
