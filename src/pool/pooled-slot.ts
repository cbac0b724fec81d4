import type { LeakTrace } from '../leak-tracker.ts';

/** Who lends. */
export interface LeaseHome<T> {
  readonly name: string;
  /** Takes back what is lent; the caller has made sure that it is. */
  takeBack(slot: PooledSlot<T>): void;
}

/**
 * The place of one thing in a pool, for as long as the pool has it. `generation` goes up when it is lent and again when it comes back: odd while it is
 * out, and a lease of earlier is known by its number.
 */
export class PooledSlot<T> {
  readonly home: LeaseHome<T>;
  value: T;
  generation = 0;
  /** Tick of `IdleTicks` at which it came to rest. */
  idleSince = 0;
  /** Of the lease that is out, where one is followed. It does not lead to the lease. */
  trace: LeakTrace | undefined = undefined;

  constructor(home: LeaseHome<T>, value: T) {
    this.home = home;
    this.value = value;
  }
}
