/**
 * Who may go before whom, among those that wait and those that do not.
 *
 * Invariants: of those in the queue, the sixteen that have waited longest are looked at; the next ones move up. None of these that waits for room in the books is passed more than `maxBypass`
 * times by others that wait and want the same room, and that bound halves with each second it has waited: after a few nobody passes. One that waits
 * for its own bound only (its consumer's, its scope's, its share's) does not hold up others that are not under that bound.
 *
 * Those that do not wait may slip by with at most `maxBypass` times the bytes that are waited for, halved likewise; then they are kept out of that room,
 * but for one second at a time and with a pause as long, so that one that waits for what nobody will give cannot stop the rest. For the same reason
 * one that only the machine has no room for holds back others that wait in that rhythm alone: what it waits for may never come.
 */
import type { Clock } from '../clock.ts';
import type { Budget } from './budget.ts';
import type { Obstacle } from './budget-errors.ts';
import type { Account, Ledger } from './ledger.ts';
import { fullScope, prepaidBytes, ScopeTag } from './scope-tag.ts';
import { type AdmissionRequest, needOf, type Waiter } from './waiter.ts';

/** A waiter may be passed half as often after each. */
const AGEING_MS = 1_000;
/** How long others are kept out at a time, and then let in. */
const FENCE_MS = 1_000;
const GUARDED = 16;

export interface TurnsOptions {
  /** Those that wait, in order. */
  readonly queue: readonly Waiter[];
  readonly budget: Budget;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly maxBypass: number;
}

/** All of it is O(1): never more than sixteen are looked at. */
export class Turns {
  readonly #options: TurnsOptions;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** What keeps one that waits from being granted, the furthest up: room, its scope, or the share of the account named. */
  obstacle({ account, bytes, holding }: AdmissionRequest): Account | ScopeTag | undefined {
    const { ledger, budget } = this.#options;
    const scope = holding?.liveScope;
    const full = ledger.obstacleBeside(account, bytes, prepaidBytes(scope, bytes), true) ?? fullScope(scope, bytes);
    if (full !== undefined || budget.hasShare(account, bytes)) return full;
    return account.fair;
  }

  /** May it be granted before the first `count` in the queue? */
  mayGo(count: number, request: AdmissionRequest): boolean {
    if (count === 0 || request.bytes === 0) return true;
    return this.#passedEnough(count, request.account, needOf(request), request.holding?.liveScope) === undefined;
  }

  /** It is about to be granted before the first `count` in the queue, or was a moment ago. */
  notePassing(count: number, { account, holding }: AdmissionRequest, needBytes: number): void {
    const { queue } = this.#options;
    const scope = holding?.liveScope;
    for (let i = 0; i < count && i < GUARDED && i < queue.length; i++) {
      const waiter = queue[i]!;
      if (this.#competes(waiter, this.obstacle(waiter), account, needBytes, scope)) waiter.passed++;
    }
  }

  /**
   * Who has been passed so often that one who would wait for room does not go before it. Asked again before the booking: who was let in by code of
   * others meanwhile has passed it as well.
   */
  holdsBack(account: Account, needBytes: number, scope: ScopeTag | undefined): Obstacle | undefined {
    const { ledger, budget, queue } = this.#options;
    const waiter = this.#passedEnough(queue.length, account, needBytes, scope);
    return waiter && budget.obstacle('queue', this.obstacle(waiter) ?? ledger.whole);
  }

  /** Who waits so long for the room that `account` wants `needBytes` of that those who do not wait are kept out now. */
  keepsOut(account: Account, needBytes: number, scope: ScopeTag | undefined): Obstacle | undefined {
    const { queue, clock, budget } = this.#options;
    const now = clock.now();
    for (let i = 0; i < queue.length && i < GUARDED; i++) {
      const waiter = queue[i]!;
      const obstacle = this.obstacle(waiter);
      if (obstacle === undefined || !this.#competes(waiter, obstacle, account, needBytes, scope)) continue;
      if (waiter.slippedBytes < this.#allowance(waiter, now) * waiter.bytes) continue;
      if (isFencing(waiter, now)) return budget.obstacle('queue', obstacle);
    }
    return undefined;
  }

  /** Somebody who does not wait has taken room. */
  noteSlip(account: Account, needBytes: number): void {
    const { queue } = this.#options;
    for (let i = 0; i < queue.length && i < GUARDED; i++) {
      const waiter = queue[i]!;
      if (this.#competes(waiter, this.obstacle(waiter), account, needBytes, undefined))
        waiter.slippedBytes += needBytes;
    }
  }

  /** Of the first `count` in the queue, one that wants the same room and may not be passed any more. */
  #passedEnough(count: number, account: Account, needBytes: number, scope: ScopeTag | undefined): Waiter | undefined {
    const { queue, clock } = this.#options;
    const now = clock.now();
    for (let i = 0; i < count && i < GUARDED; i++) {
      const waiter = queue[i]!;
      if (waiter.passed < this.#allowance(waiter, now)) continue;
      const obstacle = this.obstacle(waiter);
      if (!this.#competes(waiter, obstacle, account, needBytes, scope)) continue;
      if (obstacle !== undefined || !waiter.lacksMachine || isFencing(waiter, now)) return waiter;
    }
    return undefined;
  }

  /** How often it may be passed, now that it has waited so long. */
  #allowance(waiter: Waiter, now: number): number {
    return Math.floor(this.#options.maxBypass / 2 ** Math.floor((now - waiter.since) / AGEING_MS));
  }

  /**
   * Would a request of `account` take of the room that the waiter is kept from by `obstacle`? What pots have paid takes nothing of the
   * whole. One that nothing keeps back, but its turn, could go at any time: whoever goes before it passes it.
   */
  #competes(
    waiter: Waiter,
    obstacle: Account | ScopeTag | undefined,
    account: Account,
    needBytes: number,
    scope: ScopeTag | undefined,
  ): boolean {
    if (obstacle instanceof ScopeTag) return scope?.isWithin(obstacle) === true;
    if (obstacle !== undefined && obstacle !== this.#options.ledger.whole) return account.isWithin(obstacle);
    return needBytes > 0 || account.isWithin(waiter.account);
  }
}

/** Whether others are kept out for its sake now: for a second from the first time, not in the next, and so on. */
function isFencing(waiter: Waiter, now: number): boolean {
  waiter.fencedAt ??= now;
  return Math.floor((now - waiter.fencedAt) / FENCE_MS) % 2 === 0;
}
