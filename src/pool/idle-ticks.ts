import type { Clock } from '../clock.ts';

/** Parts of `idleMs` that are told apart, where it has so many whole ms. */
const MOST_TICKS = 8;

/**
 * How long things have been at rest, counted in ticks of one timer for all: coming to rest costs the copy of a number, not a look at the clock. What has
 * rested for `idleMs` is let go between then and an eighth later, with up to 8 ms for rounding up to whole ones. The timer stops by itself when nothing rests, and does not keep the process alive.
 */
export class IdleTicks implements Disposable {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #ticks: number;
  readonly #expire: (before: number) => boolean;
  #timer: Disposable | undefined;
  #running: boolean;
  #tick = 0;

  /** `expire` lets go what came to rest before the tick it is given, and says whether anything is left. `idleMs` is 1 up, or `Infinity` for never. */
  constructor(clock: Clock, idleMs: number, expire: (before: number) => boolean) {
    this.#clock = clock;
    this.#everyMs = Math.ceil(idleMs / MOST_TICKS);
    this.#ticks = Math.ceil(idleMs / this.#everyMs);
    this.#expire = expire;
    this.#running = idleMs === Number.POSITIVE_INFINITY;
  }

  /** For something that comes to rest now: the tick, with the timer set. */
  stamp(): number {
    if (!this.#running) this.#start();
    return this.#tick;
  }

  /** Ends for good. */
  [Symbol.dispose](): void {
    this.#running = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  #start(): void {
    this.#running = true;
    this.#timer = this.#clock.after(this.#everyMs, () => this.#onTick());
  }

  #onTick(): void {
    this.#timer = undefined;
    this.#tick++;
    this.#running = false;
    // A stamp may be almost a tick younger than its number.
    const left = this.#expire(this.#tick - this.#ticks);
    if (left && !this.#running) this.#start();
  }
}
