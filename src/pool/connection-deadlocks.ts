/**
 * Finds work that holds a connection and waits for another one of the same pool while all of them are held so.
 *
 * - Who holds and who waits is known by the async context: `use` opens one, so that a wait inside it is a wait of the work that holds. A lease that
 *   was taken outside of `use` belongs to nobody, unless a wait names it (`holding`): then it never counts as blocked, and nothing is failed for its sake.
 * - `enterWith` would see more and be wrong: two tasks that one function starts, one after the other, would look like one inside the other.
 * - A lease is blocked while the work that has it, or work begun inside of that, waits. All blocked is not yet stuck: the holder may be doing something else
 *   beside the wait. So nothing may have moved for a while before somebody is failed.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '../clock.ts';

/** Work that may hold a connection, once, and wait for more. */
export class LeaseHolder {
  #parent: LeaseHolder | undefined;
  leases = 0;
  /** Waits of this work and of what was begun inside of it. */
  waiting = 0;

  constructor(inside: LeaseHolder | undefined) {
    const above = inside?.parent;
    this.#parent = inside?.leases === 0 ? above : inside;
  }

  /** The work that this was begun in. What holds nothing any more is left out for good, so that work which begins work for ever makes no endless chain. */
  get parent(): LeaseHolder | undefined {
    while (this.#parent !== undefined && this.#parent.leases === 0) this.#parent = this.#parent.#parent;
    return this.#parent;
  }

  /** Whether it, or work that it is inside of, has a connection. */
  get holds(): boolean {
    return this.leases > 0 || this.parent !== undefined;
  }
}

export class DeadlockWatch {
  readonly #clock: Clock;
  readonly #afterMs: number;
  readonly #isStuck: () => boolean;
  readonly #onDeadlock: () => void;
  readonly #storage: AsyncLocalStorage<LeaseHolder> | undefined;
  #blocked = 0;
  /** Counts leases that began or ended. */
  #moves = 0;
  #timer: Disposable | undefined;

  /** `isStuck`: all connections are leased and none is on its way. With `afterMs` `Infinity` nothing is watched. */
  constructor(clock: Clock, afterMs: number, isStuck: () => boolean, onDeadlock: () => void) {
    this.#clock = clock;
    this.#afterMs = afterMs;
    this.#isStuck = isStuck;
    this.#onDeadlock = onDeadlock;
    this.#storage = afterMs === Number.POSITIVE_INFINITY ? undefined : new AsyncLocalStorage();
  }

  get on(): boolean {
    return this.#storage !== undefined;
  }

  /** Leases whose holders wait. */
  get blocked(): number {
    return this.#blocked;
  }

  /** The work that is running now, when it is known. */
  get current(): LeaseHolder | undefined {
    return this.#storage?.getStore();
  }

  run<T>(holder: LeaseHolder | undefined, act: () => T): T {
    return holder === undefined || this.#storage === undefined ? act() : this.#storage.run(holder, act);
  }

  leaseBegan(holder: LeaseHolder | undefined): void {
    this.#moves++;
    if (holder === undefined) return;
    holder.leases++;
    if (holder.waiting > 0) this.#blocked++;
  }

  leaseEnded(holder: LeaseHolder | undefined): void {
    this.#moves++;
    if (holder === undefined) return;
    holder.leases--;
    if (holder.waiting > 0) this.#blocked--;
  }

  waitBegan(holder: LeaseHolder | undefined): void {
    for (let each = holder; each !== undefined; each = each.parent) {
      if (each.waiting++ === 0) this.#blocked += each.leases;
    }
  }

  waitEnded(holder: LeaseHolder | undefined): void {
    for (let each = holder; each !== undefined; each = each.parent) {
      if (--each.waiting === 0) this.#blocked -= each.leases;
    }
  }

  /** To be called after something changed while leases are blocked. */
  look(): void {
    if (this.#timer !== undefined || !this.#isStuck()) return;
    const moves = this.#moves;
    this.#timer = this.#clock.after(this.#afterMs, () => {
      this.#timer = undefined;
      if (moves === this.#moves && this.#isStuck()) this.#onDeadlock();
      this.look();
    });
  }

  stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }
}
