import type { Clock } from '../clock.ts';
import type { LeaseHolder } from './connection-deadlocks.ts';
import type { ConnectionLease } from './connection-lease.ts';

/** Somebody who waits for a connection. */
export class Waiter<C> {
  readonly since: number;
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  /** The work that waits, and the one that the lease will belong to. */
  readonly waits: LeaseHolder | undefined;
  readonly takes: LeaseHolder | undefined;
  /** Where it asked: for the lease, when that is noted; and for as long as it waits. */
  readonly stack: string | undefined;
  readonly waitStack: string | undefined;
  resolve: (lease: ConnectionLease<C>) => void = ignore;
  reject: (cause: unknown) => void = ignore;
  onAbort: (() => void) | undefined = undefined;
  older: Waiter<C> | undefined = undefined;
  younger: Waiter<C> | undefined = undefined;

  constructor(
    since: number,
    deadline: number,
    signal: AbortSignal | undefined,
    waits: LeaseHolder | undefined,
    takes: LeaseHolder | undefined,
    stack: string | undefined,
    waitStack: string | undefined,
  ) {
    this.since = since;
    this.deadline = deadline;
    this.signal = signal;
    this.waits = waits;
    this.takes = takes;
    this.stack = stack;
    this.waitStack = waitStack;
  }
}

/** Why somebody left the queue without a connection. */
export type LeaveReason = 'timeout' | 'aborted';

/**
 * Those who wait, in order of arrival. Joining, being served and leaving cost the same however many there are. One timer, for the earliest deadline known; it keeps
 * the process alive while somebody waits. While deadlines are in order of arrival, as they are when all wait as long, only the head is looked at when it fires.
 */
export class WaiterQueue<C> {
  readonly #clock: Clock;
  readonly #onLeave: (waiter: Waiter<C>, why: LeaveReason) => void;
  #oldest: Waiter<C> | undefined;
  #youngest: Waiter<C> | undefined;
  #size = 0;
  #inOrder = true;
  #timer: Disposable | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  /** `onLeave` hears of those whose time or patience is over, after they have left. */
  constructor(clock: Clock, onLeave: (waiter: Waiter<C>, why: LeaveReason) => void) {
    this.#clock = clock;
    this.#onLeave = onLeave;
  }

  get size(): number {
    return this.#size;
  }

  get oldest(): Waiter<C> | undefined {
    return this.#oldest;
  }

  get youngest(): Waiter<C> | undefined {
    return this.#youngest;
  }

  push(waiter: Waiter<C>): void {
    const last = this.#youngest;
    if (last === undefined) this.#oldest = waiter;
    else {
      last.younger = waiter;
      waiter.older = last;
      if (waiter.deadline < last.deadline) this.#inOrder = false;
    }
    this.#youngest = waiter;
    this.#size++;
    if (waiter.signal !== undefined) this.#listen(waiter, waiter.signal);
    if (waiter.deadline < this.#timerAt) this.#arm(waiter.deadline);
  }

  /** Takes the one that has waited longest. */
  shift(): Waiter<C> | undefined {
    const first = this.#oldest;
    if (first !== undefined) this.remove(first);
    return first;
  }

  remove(waiter: Waiter<C>): void {
    if (waiter.older === undefined) this.#oldest = waiter.younger;
    else waiter.older.younger = waiter.younger;
    if (waiter.younger === undefined) this.#youngest = waiter.older;
    else waiter.younger.older = waiter.older;
    waiter.older = waiter.younger = undefined;
    if (waiter.onAbort !== undefined) {
      waiter.signal!.removeEventListener('abort', waiter.onAbort);
      waiter.onAbort = undefined;
    }
    if (--this.#size === 0) this.#disarm();
  }

  #listen(waiter: Waiter<C>, signal: AbortSignal): void {
    waiter.onAbort = () => {
      this.remove(waiter);
      this.#onLeave(waiter, 'aborted');
    };
    signal.addEventListener('abort', waiter.onAbort, { once: true });
  }

  #arm(at: number): void {
    this.#timer?.[Symbol.dispose]();
    this.#timerAt = at;
    this.#timer = this.#clock.after(Math.max(0, at - this.#clock.now()), () => this.#expire(), true);
  }

  #disarm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#inOrder = true;
  }

  #expire(): void {
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    const late: Waiter<C>[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (let waiter = this.#oldest; waiter !== undefined; waiter = waiter.younger) {
      if (waiter.deadline <= now) late.push(waiter);
      else {
        next = Math.min(next, waiter.deadline);
        if (this.#inOrder) break;
      }
    }
    for (const waiter of late) this.remove(waiter);
    if (next < Number.POSITIVE_INFINITY) this.#arm(next);
    for (const waiter of late) this.#onLeave(waiter, 'timeout');
  }
}

function ignore(): void {}
