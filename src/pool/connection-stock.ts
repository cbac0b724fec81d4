/**
 * The connections of a pool, from being made to being closed. Who gets them is not decided here.
 *
 * - A slot is in one state at a time, and `#move` alone changes it. Managers are code of others: before each call the slot stands in the state in which it waits for the answer, and
 *   after it everything is read anew, because the call may have come back in.
 * - A place is taken until its connection is closed, so that a server never sees more than `maxSize`. Two exceptions, both of managers that hang: a `destroy` that takes longer
 *   than `destroyTimeoutMs` is not waited for, and neither is a `create` after `createTimeoutMs`; what that one brings later is closed.
 */
import { isThenable } from '../catch-rejection.ts';
import type { Clock } from '../clock.ts';
import type { HolderBook } from '../governor/index.ts';
import { budgetRefusal } from './budget-refusal.ts';
import { ConnectionBackOff, chanceOf } from './connection-back-off.ts';
import { BoundedCall, BoundedCreate, type CallEnd, settleCall } from './connection-call.ts';
import type { ConnectionCounts, ConnectionEnd } from './connection-counts.ts';
import { ConnectionLostError, ManagerTimeoutError } from './connection-errors.ts';
import type { ConnectionManager } from './connection-manager.ts';
import type { SoundTuning } from './connection-pool-options.ts';
import {
  CHECKING,
  CLOSING,
  ConnectionSlot,
  CREATING,
  GONE,
  IDLE,
  IdleList,
  LEASED,
  RECYCLING,
  type SlotHome,
} from './connection-slot.ts';

export interface ConnectionStockOptions<C> {
  readonly manager: ConnectionManager<C>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly tuning: SoundTuning;
  readonly book: HolderBook;
  readonly connectionBytes: number;
  readonly counts: ConnectionCounts;
  readonly home: SlotHome<C>;
  /** A connection is at hand, `isSound` when it has just been made or looked at: to be lent, laid by or closed. */
  readonly onReady: (slot: ConnectionSlot<C>, now: number, isSound: boolean) => void;
  /** A place is free, or a pause is over. */
  readonly onChange: () => void;
}

export class ConnectionStock<C> {
  readonly slots = new Set<ConnectionSlot<C>>();
  readonly idle = new IdleList<C>();
  readonly backOff: ConnectionBackOff;
  tuning: SoundTuning;
  readonly #options: ConnectionStockOptions<C>;
  /** Whether the manager can tell a sound connection. */
  readonly validates: boolean;
  readonly #recycles: boolean;
  /** Slots by state. */
  readonly #in = [0, 0, 0, 0, 0, 0, 0];
  #lookedAt = 0;

  constructor(options: ConnectionStockOptions<C>) {
    this.#options = options;
    this.tuning = options.tuning;
    this.validates = options.manager.isValid !== undefined;
    this.#recycles = options.manager.recycle !== undefined;
    this.backOff = new ConnectionBackOff(options.clock, options.random, options.onChange);
  }

  get creating(): number {
    return this.#in[CREATING]!;
  }

  get leased(): number {
    return this.#in[LEASED]!;
  }

  get checking(): number {
    return this.#in[CHECKING]!;
  }

  /** Of those, the ones that nobody waits for: one that hangs is no reason to wait for it while there are others. */
  get lookedAt(): number {
    return this.#lookedAt;
  }

  get recycling(): number {
    return this.#in[RECYCLING]!;
  }

  get closing(): number {
    return this.#in[CLOSING]!;
  }

  /** Places that are taken, those of connections being closed left out. */
  get size(): number {
    return this.slots.size - this.#in[CLOSING]!;
  }

  get canCreate(): boolean {
    const { maxSize, maxCreating } = this.tuning;
    return this.slots.size < maxSize && this.creating < maxCreating && this.backOff.allows(this.creating);
  }

  /** Whether it must be looked at before it is lent. */
  needsCheck(slot: ConnectionSlot<C>, now: number): boolean {
    return this.validates && (slot.suspect || now - slot.soundAt >= this.tuning.validateAfterMs);
  }

  create(): void {
    const { manager, book, connectionBytes, counts, home } = this.#options;
    const slot = new ConnectionSlot<C>(home);
    const { round } = this.backOff;
    this.slots.add(slot);
    this.#in[CREATING]!++;
    if (!book.tryTake(connectionBytes)) {
      this.#drop(slot);
      counts.budgetRefusals++;
      this.backOff.failed(round, budgetRefusal(book, connectionBytes), this.tuning);
      return;
    }
    const call = new BoundedCreate((cause) => this.#lost(slot, cause));
    slot.call = call;
    this.#call(
      'create',
      this.tuning.createTimeoutMs,
      call,
      () => manager.create(call),
      (made) => {
        if (made === undefined || made === null)
          this.#createFailed(slot, round, new TypeError(`create gave ${made}, which is no connection`));
        else this.#created(slot, round, made as C);
      },
      (cause) => this.#createFailed(slot, round, cause),
      (made) => {
        if (made !== undefined && made !== null) this.#endLate(made as C);
      },
    );
  }

  /** From the idle ones to a borrower, or from where it was made ready. */
  lend(slot: ConnectionSlot<C>, now: number): void {
    if (slot.state === IDLE) this.idle.remove(slot);
    this.#move(slot, LEASED);
    slot.turn++;
    slot.usedAt = Math.floor(now);
  }

  /** What a lease was is over. */
  endTurn(slot: ConnectionSlot<C>): void {
    slot.turn++;
    slot.stack = undefined;
    slot.holder = undefined;
    slot.overdue = false;
    if (slot.trace === undefined) return;
    slot.trace.close();
    slot.trace = undefined;
  }

  layBy(slot: ConnectionSlot<C>): void {
    this.#move(slot, IDLE);
    this.idle.put(slot);
  }

  /** Made good for the next one, then ready; or closed. */
  recycle(slot: ConnectionSlot<C>, now: number): void {
    slot.usedAt = Math.floor(now);
    if (!this.#recycles) return void this.#recycled(slot, true, now);
    this.#move(slot, RECYCLING);
    const call = new BoundedCall();
    let result: unknown;
    let isLater: boolean;
    try {
      result = this.#options.manager.recycle!(slot.connection as C, call);
      isLater = isThenable(result);
    } catch {
      return void this.#recycled(slot, false, now);
    }
    if (!isLater) return void this.#recycled(slot, result !== false, now);
    this.#settle('recycle', this.tuning.recycleTimeoutMs, call, result as PromiseLike<unknown>, {
      value: (value) => this.#recycled(slot, value !== false, this.#options.clock.now()),
      failed: () => this.#recycled(slot, false, now),
    });
  }

  /** Looked at, then ready; or closed. With `done`, which hears that it is over, it is for nobody who waits. */
  check(slot: ConnectionSlot<C>, done?: () => void): void {
    if (slot.state === IDLE) this.idle.remove(slot);
    this.#move(slot, CHECKING);
    this.#options.counts.validated++;
    const call = new BoundedCall();
    if (done !== undefined) this.#lookedAt++;
    const end = (isSound: boolean) => {
      if (done !== undefined) this.#lookedAt--;
      this.#checked(slot, isSound);
      done?.();
    };
    this.#call(
      'isValid',
      this.tuning.validateTimeoutMs,
      call,
      () => this.#options.manager.isValid!(slot.connection as C, call),
      (value) => end(value === true),
      () => end(false),
    );
  }

  /** Closes it, whatever state it is in except being made. `done` hears when its place is free. */
  end(slot: ConnectionSlot<C>, why: ConnectionEnd, done?: () => void): void {
    if (slot.state === IDLE) this.idle.remove(slot);
    this.#move(slot, CLOSING);
    const { counts } = this.#options;
    counts.ended[why]++;
    this.#destroy(slot.connection as C, () => {
      this.#drop(slot);
      this.#options.book.give(this.#options.connectionBytes);
      done?.();
      this.#options.onChange();
    });
  }

  /** Tells those who are making connections that nobody wants them any more. */
  abortCreates(reason: unknown): void {
    for (const slot of this.slots) if (slot.state === CREATING) slot.call?.abort(reason);
  }

  #created(slot: ConnectionSlot<C>, round: number, connection: C): void {
    const { clock, random, counts, home } = this.#options;
    const lostBecause = slot.call?.lostBecause;
    slot.connection = connection;
    slot.call = undefined;
    if (slot.lost) {
      counts.createFailures++;
      this.backOff.failed(round, new ConnectionLostError(home.name, lostBecause), this.tuning);
      return void this.end(slot, 'lost');
    }
    counts.created++;
    this.backOff.succeeded();
    const now = clock.now();
    const { maxLifetimeMs, lifetimeJitter } = this.tuning;
    slot.usedAt = slot.soundAt = Math.floor(now);
    const off = lifetimeJitter === 0 ? 0 : lifetimeJitter * chanceOf(random);
    slot.expiresAt =
      Math.floor(now) +
      (maxLifetimeMs === Number.POSITIVE_INFINITY ? maxLifetimeMs : Math.floor(maxLifetimeMs * (1 - off)));
    this.#options.onReady(slot, now, true);
    this.#options.onChange();
  }

  #createFailed(slot: ConnectionSlot<C>, round: number, cause: unknown): void {
    const { counts, book, connectionBytes } = this.#options;
    counts.createFailures++;
    if (cause instanceof ManagerTimeoutError) counts.createTimeouts++;
    this.#drop(slot);
    this.backOff.failed(round, cause, this.tuning);
    book.give(connectionBytes);
    this.#options.onChange();
  }

  #recycled(slot: ConnectionSlot<C>, isGood: boolean, now: number): void {
    if (!isGood) {
      this.#options.counts.recycleFailures++;
      return void this.end(slot, 'recycle-failed');
    }
    if (!slot.suspect) slot.soundAt = slot.usedAt;
    this.#options.onReady(slot, now, false);
  }

  #checked(slot: ConnectionSlot<C>, isSound: boolean): void {
    if (!isSound) return void this.end(slot, 'invalid');
    slot.suspect = false;
    const now = this.#options.clock.now();
    slot.soundAt = Math.floor(now);
    this.#options.onReady(slot, now, true);
  }

  /** An idle one goes at once; what is on its way is stopped where it arrives. */
  #lost(slot: ConnectionSlot<C>, cause: unknown): void {
    if (slot.lost) return;
    slot.lost = true;
    if (slot.call !== undefined) slot.call.lostBecause = cause;
    if (slot.state === IDLE) this.end(slot, 'lost');
  }

  /** It came after its time: nobody has a place for it. */
  #endLate(connection: C): void {
    this.#options.counts.ended.late++;
    this.#destroy(connection, () => {});
  }

  #destroy(connection: C, done: () => void): void {
    const { manager, counts } = this.#options;
    const call = new BoundedCall();
    const failed = (cause: unknown) => {
      if (cause instanceof ManagerTimeoutError) counts.destroyTimeouts++;
      else counts.destroyFailures++;
      done();
    };
    this.#call('destroy', this.tuning.destroyTimeoutMs, call, () => manager.destroy(connection, call), done, failed);
  }

  /** Calls a manager; how it ends is told once, at once where it answers at once. What comes after the time was over goes to `late`. */
  #call(
    name: string,
    timeoutMs: number,
    call: BoundedCall,
    act: () => unknown,
    value: (result: unknown) => void,
    failed: (cause: unknown) => void,
    late?: (result: unknown) => void,
  ): void {
    let result: unknown;
    let isLater: boolean;
    try {
      result = act();
      isLater = isThenable(result);
    } catch (cause) {
      return void failed(cause);
    }
    if (!isLater) {
      value(result);
      return;
    }
    this.#settle(name, timeoutMs, call, result as PromiseLike<unknown>, {
      value,
      failed,
      ...(late === undefined ? {} : { late }),
    });
  }

  #settle(
    name: string,
    timeoutMs: number,
    call: BoundedCall,
    result: PromiseLike<unknown>,
    end: CallEnd<unknown>,
  ): void {
    const { clock, home } = this.#options;
    settleCall(clock, timeoutMs, call, result, () => new ManagerTimeoutError(home.name, name, timeoutMs), end);
  }

  #move(slot: ConnectionSlot<C>, to: number): void {
    this.#in[slot.state]!--;
    this.#in[to]!++;
    slot.state = to;
  }

  #drop(slot: ConnectionSlot<C>): void {
    this.#move(slot, GONE);
    this.#in[GONE] = 0;
    this.slots.delete(slot);
    slot.connection = undefined;
    slot.call = undefined;
  }
}
