import type { LeakTrace } from '../leak-tracker.ts';
import type { BoundedCreate } from './connection-call.ts';
import type { LeaseHolder } from './connection-deadlocks.ts';

/** Where one connection is. It is in one of them at a time. */
export const CREATING = 0;
export const IDLE = 1;
export const LEASED = 2;
/** Looked at by `isValid`. */
export const CHECKING = 3;
export const RECYCLING = 4;
export const CLOSING = 5;
/** It has no place in the pool any more. */
export const GONE = 6;

/** What a lease knows of its pool. */
export interface SlotHome<C> {
  readonly name: string;
  takeBack(slot: ConnectionSlot<C>, discard: boolean): void;
}

/** One place in a pool, and the connection that has it. */
export class ConnectionSlot<C> {
  readonly home: SlotHome<C>;
  state = CREATING;
  connection: C | undefined = undefined;
  /** While it is made: to be aborted when the pool closes. */
  call: BoundedCreate | undefined = undefined;
  /** By the clock, whole ms, because those take no heap numbers: when it must end, when it was last lent or given back, when last found sound. */
  expiresAt = 0;
  usedAt = 0;
  soundAt = 0;
  /** It said that it is gone. */
  lost = false;
  /** What was done with it failed: it is looked at before it is lent again. */
  suspect = false;
  /** Counts leases: a lease of another turn has no say. */
  turn = 0;
  /** Of the present lease: where it was borrowed, if that was noted, and whether it was reported. */
  stack: string | undefined = undefined;
  trace: LeakTrace | undefined = undefined;
  overdue = false;
  holder: LeaseHolder | undefined = undefined;
  newer: ConnectionSlot<C> | undefined = undefined;
  older: ConnectionSlot<C> | undefined = undefined;

  constructor(home: SlotHome<C>) {
    this.home = home;
  }
}

/** Idle ones by when they were last used: the latest is lent first, so that the others can time out. */
export class IdleList<C> {
  #newest: ConnectionSlot<C> | undefined;
  #oldest: ConnectionSlot<C> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get newest(): ConnectionSlot<C> | undefined {
    return this.#newest;
  }

  get oldest(): ConnectionSlot<C> | undefined {
    return this.#oldest;
  }

  /** The one that was used last goes first; one that was only looked at goes back to where it was, which is not far from the old end. */
  put(slot: ConnectionSlot<C>): void {
    let newer: ConnectionSlot<C> | undefined;
    if (this.#newest !== undefined && slot.usedAt < this.#newest.usedAt) {
      newer = this.#oldest!;
      while (newer.usedAt <= slot.usedAt) newer = newer.newer!;
    }
    const older = newer === undefined ? this.#newest : newer.older;
    slot.newer = newer;
    slot.older = older;
    if (newer === undefined) this.#newest = slot;
    else newer.older = slot;
    if (older === undefined) this.#oldest = slot;
    else older.newer = slot;
    this.#size++;
  }

  remove(slot: ConnectionSlot<C>): void {
    if (slot.newer === undefined) this.#newest = slot.older;
    else slot.newer.older = slot.older;
    if (slot.older === undefined) this.#oldest = slot.newer;
    else slot.older.newer = slot.newer;
    slot.newer = slot.older = undefined;
    this.#size--;
  }
}
