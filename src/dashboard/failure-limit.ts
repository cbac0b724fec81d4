import type { Clock } from '../clock.ts';

const WINDOW_MS = 60_000;
const MOST_EACH = 20;
const MOST_IN_ALL = 1_000;
const MOST_ADDRESSES = 1_024;

interface Failures {
  count: number;
  readonly until: number;
}

/**
 * How often a token was guessed wrong: 20 times in a minute by one address, or 1,000 times by all together, and no more guesses are looked at for the rest of that minute. Keeps
 * at most 1,024 addresses; the one that came first is forgotten first.
 */
export class FailureLimit {
  readonly #clock: Clock;
  readonly #byAddress = new Map<string, Failures>();
  #all: Failures = { count: 0, until: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How long no guess of `address` is looked at, ms; 0: it is. */
  waitMs(address: string): number {
    const now = this.#clock.now();
    return Math.max(0, waitOf(this.#byAddress.get(address), MOST_EACH, now), waitOf(this.#all, MOST_IN_ALL, now));
  }

  note(address: string): void {
    const now = this.#clock.now();
    const known = this.#byAddress.get(address);
    if (known !== undefined && known.until > now) known.count++;
    else {
      this.#byAddress.delete(address);
      this.#byAddress.set(address, { count: 1, until: now + WINDOW_MS });
    }
    if (this.#byAddress.size > MOST_ADDRESSES) {
      for (const oldest of this.#byAddress.keys()) {
        this.#byAddress.delete(oldest);
        break;
      }
    }
    if (this.#all.until > now) this.#all.count++;
    else this.#all = { count: 1, until: now + WINDOW_MS };
  }
}

function waitOf(failures: Failures | undefined, most: number, now: number): number {
  return failures === undefined || failures.count < most ? 0 : failures.until - now;
}
