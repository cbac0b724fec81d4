import type { Clock } from '../clock.ts';

export interface BackOffPace {
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
}

/**
 * Pauses after connections could not be made: twice as long with each failure, with a random half left off, so that the processes of a fleet do not come back in
 * step ("equal jitter" of M. Brooker, "Exponential Backoff and Jitter", 2015). After a pause one is tried alone; when that one succeeds, all may.
 */
export class ConnectionBackOff {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #onOver: () => void;
  #failures = 0;
  #round = 0;
  #cause: unknown;
  #timer: Disposable | undefined;

  constructor(clock: Clock, random: () => number, onOver: () => void) {
    this.#clock = clock;
    this.#random = random;
    this.#onOver = onOver;
  }

  /** Failures in a row, those that were under way at the same time counted as one. */
  get failures(): number {
    return this.#failures;
  }

  /** Why the last one failed; undefined when the last one succeeded. */
  get cause(): unknown {
    return this.#cause;
  }

  /** Of those that begin now: what they report of a round that is over does not make the pause longer. */
  get round(): number {
    return this.#round;
  }

  /** Whether one more may begin while so many are under way. */
  allows(underWay: number): boolean {
    return this.#failures === 0 || (this.#timer === undefined && underWay === 0);
  }

  succeeded(): void {
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#round++;
    this.#cause = undefined;
    this.stop();
  }

  failed(round: number, cause: unknown, { backoffMs, maxBackoffMs }: BackOffPace): void {
    this.#cause = cause ?? new Error('no reason was given');
    if (round !== this.#round) return;
    this.#round++;
    const longest = Math.min(maxBackoffMs, backoffMs * 2 ** Math.min(this.#failures, 30));
    this.#failures++;
    this.stop();
    this.#timer = this.#clock.after(longest * (1 - this.#chance() / 2), () => {
      this.#timer = undefined;
      this.#onOver();
    });
  }

  stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  /** From the caller's generator, which may give anything. */
  #chance(): number {
    return chanceOf(this.#random);
  }
}

/** A number from 0 to 1 from a generator of somebody else's; a half where it throws or talks nonsense. */
export function chanceOf(random: () => number): number {
  try {
    const value = random();
    return value >= 0 && value <= 1 ? value : 0.5;
  } catch {
    return 0.5;
  }
}
