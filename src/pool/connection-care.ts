import { type Clock, LONGEST_MS } from '../clock.ts';
import { type ConnectionSlot, IDLE, LEASED } from './connection-slot.ts';
import type { ConnectionStock } from './connection-stock.ts';

/** How often it is looked whether connections that are missing to `minSize` may be made, where nothing else says so. */
const MISSING_MS = 1_000;

export interface ConnectionCareOptions<C> {
  readonly clock: Clock;
  readonly stock: ConnectionStock<C>;
  /** How many are kept open. */
  readonly floor: () => number;
  readonly onOverdue: (slot: ConnectionSlot<C>, ageMs: number) => void;
  /** Looks whether connections are missing. */
  readonly onLooked: () => void;
}

/**
 * Closes what was idle for too long or is too old, looks at idle ones now and then, reports leases that last too long. One timer for all of it: nothing that begins after a look falls due
 * before the shortest of these times has passed, so that borrowing and giving back never touch it.
 */
export class ConnectionCare<C> {
  readonly #options: ConnectionCareOptions<C>;
  #timer: Disposable | undefined;
  #isStopped = false;
  #isLooking = false;

  constructor(options: ConnectionCareOptions<C>) {
    this.#options = options;
  }

  /** There is something to look after. */
  wake(): void {
    if (this.#timer === undefined && !this.#isStopped && !this.#isLooking) this.#arm(this.#stepMs());
  }

  /** The times have changed: looks at once. */
  again(): void {
    if (this.#isLooking) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (!this.#isStopped) this.#look();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  #look(): void {
    const { stock, clock, onLooked } = this.#options;
    const now = clock.now();
    this.#isLooking = true;
    const due = Math.min(now + this.#stepMs(), this.#lookAtIdle(now), this.#lookAtLeases(now));
    onLooked();
    this.#isLooking = false;
    if (this.#isStopped || this.#timer !== undefined) return;
    // Not `floor`: at emergency that is none, and somebody must see when it is over.
    const isShort = stock.size < stock.tuning.minSize;
    if (isShort) this.#arm(Math.max(1, Math.min(due - now, MISSING_MS)));
    else if (stock.slots.size > 0) this.#arm(Math.max(1, due - now));
  }

  /** From the one that was used longest ago. Gives when the next one falls due. */
  #lookAtIdle(now: number): number {
    const { stock, floor } = this.#options;
    const { idleTimeoutMs, healthCheckIntervalMs } = stock.tuning;
    let due = Number.POSITIVE_INFINITY;
    let stalest: ConnectionSlot<C> | undefined;
    for (const slot of oldestFirst(stock)) {
      // An earlier one that was closed may have changed more than itself.
      if (slot.state !== IDLE) continue;
      if (slot.expiresAt <= now) stock.end(slot, 'lifetime');
      else if (stock.size > floor() && slot.usedAt + idleTimeoutMs <= now) stock.end(slot, 'idle');
      else {
        due = Math.min(due, slot.expiresAt);
        if (stock.size > floor()) due = Math.min(due, slot.usedAt + idleTimeoutMs);
        if (stalest === undefined || slot.soundAt < stalest.soundAt) stalest = slot;
      }
    }
    if (stalest === undefined || !stock.validates) return due;
    // One at a time, so that there are others to lend meanwhile.
    if (stalest.soundAt + healthCheckIntervalMs > now) return Math.min(due, stalest.soundAt + healthCheckIntervalMs);
    if (stock.checking > 0) return due;
    stock.check(stalest, () => this.again());
    // Answered at once: the next one in a moment.
    return stock.checking > 0 ? due : now;
  }

  #lookAtLeases(now: number): number {
    const { stock, onOverdue } = this.#options;
    const { leakDetectionMs } = stock.tuning;
    let due = Number.POSITIVE_INFINITY;
    if (leakDetectionMs === Number.POSITIVE_INFINITY) return due;
    for (const slot of stock.slots) {
      if (slot.state !== LEASED || slot.overdue) continue;
      if (slot.usedAt + leakDetectionMs <= now) onOverdue(slot, now - slot.usedAt);
      else due = Math.min(due, slot.usedAt + leakDetectionMs);
    }
    return due;
  }

  #stepMs(): number {
    const { idleTimeoutMs, healthCheckIntervalMs, leakDetectionMs, maxLifetimeMs, lifetimeJitter } =
      this.#options.stock.tuning;
    const lifeMs = Math.max(1, maxLifetimeMs * (1 - lifetimeJitter));
    return Math.min(LONGEST_MS, idleTimeoutMs, healthCheckIntervalMs, leakDetectionMs, lifeMs);
  }

  #arm(delayMs: number): void {
    this.#timer = this.#options.clock.after(Math.min(LONGEST_MS, delayMs), () => {
      this.#timer = undefined;
      this.#look();
    });
  }
}

function oldestFirst<C>(stock: ConnectionStock<C>): ConnectionSlot<C>[] {
  const slots: ConnectionSlot<C>[] = [];
  for (let slot = stock.idle.oldest; slot !== undefined; slot = slot.newer) slots.push(slot);
  return slots;
}
