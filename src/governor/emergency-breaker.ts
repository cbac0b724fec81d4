import { CircuitBreaker, type CircuitState } from '../circuit-breaker.ts';
import { type Clock, LONGEST_MS } from '../clock.ts';
import { checkWhole, copyOptions } from '../invalid-option.ts';
import type { PressureLevel } from './contract.ts';
import type { Faults } from './faults.ts';
import { levelRank } from './pressure.ts';

const MAX_OPEN_MS = 60_000;
/** The time between two samples counts for at most this part of what is called lasting: one long pause, or a jump of the clock, is no proof. */
const MOST_OF_A_GAP = 0.5;
const CRITICAL_RANK = levelRank('critical');

/** The breaker that opens when `emergency` lasts. */
export interface BreakerOptions {
  /** How long the level must have been `emergency` without a break, ms. Default 5,000. */
  readonly afterMs?: number;
  /** How long it stays open before one probe is let through, ms; doubles with each failed probe, up to 60,000. 1 up. Default 2,000. */
  readonly openMs?: number;
}

/** Passes a copy of sound options through, throws `RangeError` for others. */
export function checkBreakerOptions(given: BreakerOptions): BreakerOptions {
  const options = copyOptions('breaker', given, ['afterMs', 'openMs'], 'an object');
  checkTimes(options);
  return options;
}

function checkTimes({ afterMs = 5_000, openMs = 2_000 }: BreakerOptions): Required<BreakerOptions> {
  checkWhole('breaker.afterMs', afterMs, 0, LONGEST_MS);
  checkWhole('breaker.openMs', openMs, 1, LONGEST_MS);
  return { afterMs, openMs };
}

export interface EmergencyBreakerOptions extends BreakerOptions {
  readonly clock: Clock;
  /** Called after each change. */
  readonly onChange?: (to: CircuitState, from: CircuitState) => void;
  /**
   * Takes a sample, which calls `note`. Asked for when a call comes, the breaker is not closed, and nobody has sampled for as long as it
   * stays open: a service that samples inside reservations only, and turns every call away, would otherwise never see that all is well.
   */
  readonly sample?: () => void;
  /** Is told what `sample` throws. */
  readonly faults?: Faults;
}

/**
 * A circuit breaker for the whole process, driven by the level: lasting `emergency` opens it, after a while one call is let through as a
 * probe, and the samples after that decide: below `critical` it closes, at `emergency` it opens for twice as long, between the two another probe
 * is let through after the same time. `allow` costs about 1 ns when closed, 40 ns when not, and leaves no garbage; nothing in here needs memory.
 */
export class EmergencyBreaker {
  readonly #breaker: CircuitBreaker;
  readonly #clock: Clock;
  readonly #sample: (() => void) | undefined;
  readonly #faults: Faults | undefined;
  readonly #afterMs: number;
  readonly #openMs: number;
  /** How long the emergency has lasted, when the last sample was, ms: kept in an array, where storing a number makes no object. */
  readonly #times = new Float64Array(2);
  #emergency = false;
  #probed = false;
  #closed = true;
  openings = 0;

  constructor(options: EmergencyBreakerOptions) {
    const { clock, sample, faults, onChange } = options;
    const { afterMs, openMs } = checkTimes(options);
    this.#afterMs = afterMs;
    this.#openMs = openMs;
    this.#clock = clock;
    this.#sample = sample;
    this.#faults = faults;
    this.#breaker = new CircuitBreaker({
      failureThreshold: 1,
      openMs: this.#openMs,
      maxOpenMs: Math.max(this.#openMs, MAX_OPEN_MS),
      clock,
      onChange: (to, from) => {
        this.#closed = to === 'closed';
        this.#probed = false;
        if (to === 'open') this.openings++;
        onChange?.(to, from);
      },
    });
  }

  get state(): CircuitState {
    return this.#breaker.state;
  }

  /** True when all calls go through: a plain field, for whoever asks at every request. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether a call may go on. Half-open, a `true` is the probe. */
  allow(): boolean {
    if (this.#closed) return true;
    if (this.#sample !== undefined) this.#sampleWhenDue(this.#sample);
    if (!this.#breaker.allow()) return false;
    this.#probed = !this.#closed;
    return true;
  }

  /** A sample was taken at `nowMs` of the clock. A few ns, no garbage. */
  note(level: PressureLevel, nowMs: number): void {
    const gapMs = nowMs - this.#times[1]!;
    this.#times[1] = nowMs;
    const wasEmergency = this.#emergency;
    this.#emergency = level === 'emergency';
    if (!this.#emergency) {
      if (this.#probed && levelRank(level) < CRITICAL_RANK) this.#breaker.succeed();
    } else if (this.#probed) {
      this.#breaker.fail();
    } else if (this.#closed) {
      this.#times[0] = wasEmergency ? this.#times[0]! + this.#counted(gapMs) : 0;
      if (this.#times[0]! >= this.#afterMs) this.#breaker.trip();
    }
  }

  #counted(gapMs: number): number {
    return Math.min(Math.max(gapMs, 0), this.#afterMs * MOST_OF_A_GAP);
  }

  #sampleWhenDue(sample: () => void): void {
    const now = this.#clock.now();
    if (now - this.#times[1]! < this.#openMs) return;
    // Set first: the sample may fail, and calls `note`.
    this.#times[1] = now;
    try {
      sample();
    } catch (cause) {
      this.#faults?.note('breaker', cause);
    }
  }
}
