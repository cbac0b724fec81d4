import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from 'plimsoll';

/**
 * Work that gives others a turn now and then, as a train does between two parts, goes on before time goes by: enough for a train under way and the
 * one that was asked for meanwhile.
 */
const TURNS = 16;

async function severalTurns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await settle();
}

interface VirtualTimer extends Disposable {
  readonly at: number;
  readonly order: number;
  readonly action: () => void;
  readonly own: boolean;
}

/** Lets everything run that waits for no timer: all promises that can go on have gone on. */
export const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/**
 * Time as an event loop has it: code that runs takes time in which no timer fires (`pass`); otherwise timers fire one by one, the earliest
 * first, and what they set going comes to rest before the next (`run`).
 */
export class VirtualClock implements Clock {
  #now = 0;
  #orders = 0;
  #firedUntil = 0;
  readonly #timers = new Set<VirtualTimer>();

  now(): number {
    return this.#now;
  }

  wall(): number {
    return 1_700_000_000_000 + this.#now;
  }

  after(delayMs: number, action: () => void): Disposable {
    return this.#set(delayMs, action, false);
  }

  /** The same for the simulation itself: not counted as pending. */
  later(delayMs: number, action: () => void): Disposable {
    return this.#set(delayMs, action, true);
  }

  /** Timers that somebody else than the simulation set and that have not fired. */
  get pending(): number {
    let count = 0;
    for (const timer of this.#timers) if (!timer.own) count++;
    return count;
  }

  /** All that was due before this time has fired. */
  get firedUntil(): number {
    return this.#firedUntil;
  }

  /** Time goes by inside synchronous code. */
  pass(ms: number): void {
    this.#now += ms;
  }

  /** Time goes by while nothing runs but what falls due. */
  async run(ms: number): Promise<void> {
    const end = this.#now + ms;
    await severalTurns();
    let isQuiet = true;
    for (;;) {
      const until = Math.max(end, this.#now);
      const next = this.#next(until);
      if (next === undefined && !isQuiet) {
        await severalTurns();
        isQuiet = true;
        continue;
      }
      if (next === undefined) {
        this.#now = this.#firedUntil = until;
        return;
      }
      isQuiet = false;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.action();
      await settle();
    }
  }

  #set(delayMs: number, action: () => void, own: boolean): Disposable {
    const timer: VirtualTimer = {
      at: this.#now + Math.max(0, delayMs),
      order: this.#orders++,
      // As Node's own timers: what is set inside a scope runs inside it.
      action: AsyncLocalStorage.bind(action),
      own,
      [Symbol.dispose]: () => void this.#timers.delete(timer),
    };
    this.#timers.add(timer);
    return timer;
  }

  #next(end: number): VirtualTimer | undefined {
    let next: VirtualTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.at > end) continue;
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer;
    }
    return next;
  }
}
