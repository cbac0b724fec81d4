/**
 * Waiting for room. First come, first served, with a bound on how often one that waits may be passed by smaller ones.
 *
 * Invariants: the bytes of a waiter are booked at the moment it is granted, inside whatever gave room, so nobody can take them in
 * between. Nobody is passed more than `maxBypass` times by others that wait and want the same room, and that bound halves with each second it
 * has waited: after a few nobody passes. One that waits for its own bound only (its consumer's, its scope's, its share's) does not hold up
 * others that are not under that bound. Whoever waits has a timer, so nobody waits for ever.
 *
 * Those that do not wait (`tryReserve`, `reserve`, `grow`) may slip by with at most `maxBypass` times the bytes that are waited for, halved
 * likewise; then they are kept out of that room, but for one second at a time and with a pause as long, so that one that waits for what
 * nobody will give cannot stop the rest. Only the sixteen that have waited longest are looked at for that: the next ones move up.
 */
import type { Clock } from '../clock.ts';
import { DisposedError } from '../errors.ts';
import { checkWhole, invalidOption } from '../invalid-option.ts';
import type { Budget } from './budget.ts';
import {
  AdmissionQueueFullError,
  AdmissionTimeoutError,
  DeadlockError,
  HoldAndWaitError,
  type Obstacle,
} from './budget-errors.ts';
import type { AdmitOptions, PressureLevel } from './contract.ts';
import { findDeadlock } from './deadlock.ts';
import type { Faults } from './faults.ts';
import type { Account, Ledger } from './ledger.ts';
import type { ReclaimCall, Reclaimers } from './reclaimers.ts';
import { fullScope, type Holding, prepaidBytes, ScopeTag } from './scope-tag.ts';
import { askerName, Waiter } from './waiter.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
const LONGEST_TIMEOUT_MS = 2_147_483_647;
/** While somebody waits, the others are asked again in this rhythm: what they can give back changes. */
const RETRY_MS = 100;
/** A waiter may be passed half as often after each. */
const AGEING_MS = 1_000;
/** How long those that do not wait are kept out at a time, and then let in. */
const FENCE_MS = 1_000;
const GUARDED = 16;
/** Nothing has to move for so long before anybody is turned away for a deadlock: a scope may have work that does not wait. */
const DEADLOCK_MS = 1_000;

export interface AdmissionOptions {
  readonly budget: Budget;
  readonly ledger: Ledger;
  readonly reclaimers: Reclaimers;
  readonly clock: Clock;
  readonly level: () => PressureLevel;
  readonly maxWaiters: number;
  readonly maxBypass: number;
  /** A train for those who wait; resolves when it is over. One at a time. Default: the reclaimers that need waiting. */
  readonly train?: (call: AdmissionTrainCall) => Promise<unknown>;
  /**
   * False while one who waits for so much is not to be let in, whatever room the books show. Asked right before each grant; who then may go is let in
   * by `wake`, or within 100 ms. What is declared up front and granted already is not asked about. Default: always true.
   */
  readonly mayGrant?: (bytes: number) => boolean;
  readonly faults?: Faults;
}

/** What a train for one that waits is to bring. */
export interface AdmissionTrainCall extends ReclaimCall {
  readonly requester: Account;
}

/** What is being asked for. */
interface Request {
  readonly account: Account;
  readonly bytes: number;
  readonly holding: Holding | undefined;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #queue: Waiter[] = [];
  #retry: Disposable | undefined;
  #waking = false;
  #training = false;
  #stuck: { readonly waiter: Waiter; readonly heldBytes: number; readonly since: number } | undefined;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** Resolves when the bytes are booked on the account, and on the scope of `holding`. */
  async admit(account: Account, bytes: number, options: AdmitOptions, holding?: Holding): Promise<void> {
    const timeoutMs = checkTimeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    const signal = checkSignal(options.signal);
    signal?.throwIfAborted();
    const { budget, maxWaiters } = this.#options;
    const request = { account, bytes, holding };
    this.#refuseTheImpossible(request);
    if (this.#mayGo(this.#queue.length, request) && this.#mayGrant(request)) {
      const needBytes = needOf(request);
      if (budget.tryTake(account, bytes, holding, true)) {
        this.#notePassing(this.#queue.length, request, needBytes);
        return;
      }
    }
    // What ran meanwhile may have ended the account, the scope or the wish; nobody would turn it away later.
    budget.check(account);
    signal?.throwIfAborted();
    throwIfFailed(holding);
    this.#refuseToHoldAndWait(request);
    if (this.#queue.length >= maxWaiters) {
      throw new AdmissionQueueFullError(askerName(account, holding), this.#queue.length);
    }
    await this.#wait(request, timeoutMs, signal);
  }

  /** Grants whoever fits now. Called whenever bytes come back; cheap while nobody waits. */
  wake(): void {
    if (this.#queue.length === 0 || this.#waking) return;
    this.#waking = true;
    try {
      for (let i = 0; i < this.#queue.length; ) {
        const waiter = this.#queue[i]!;
        if (this.#obstacle(waiter) !== undefined || !this.#mayGo(i, waiter) || !this.#mayGrant(waiter)) {
          i++;
          continue;
        }
        this.#notePassing(i, waiter, needOf(waiter));
        this.#options.budget.book(waiter.account, waiter.bytes, waiter.holding);
        this.#remove(waiter);
        waiter.resolve();
      }
    } finally {
      this.#waking = false;
    }
  }

  /** Turns away those who wait on an account that was closed. */
  forget(closed: Account): void {
    const gone = this.#queue.filter((waiter) => waiter.account.isWithin(closed));
    this.#turnAway(gone, (waiter) => new DisposedError(`the consumer ${waiter.account.name}`));
  }

  /** Turns away those who wait in a scope that was aborted, with the reason. */
  turnAwayFailed(): void {
    const gone = this.#queue.filter((waiter) => waiter.scope?.failure !== undefined);
    this.#turnAway(gone, (waiter) => waiter.scope?.failure?.reason);
  }

  /** Turns everybody away: the governor is being disposed. */
  shut(): void {
    this.#turnAway([...this.#queue], () => new DisposedError('the governor'));
  }

  /** Who waits so long for the room that `account` wants `needBytes` of that those who do not wait are kept out now. O(1). */
  keepsOut(account: Account, needBytes: number, scope: ScopeTag | undefined): Obstacle | undefined {
    const now = this.#options.clock.now();
    for (let i = 0; i < this.#queue.length && i < GUARDED; i++) {
      const waiter = this.#queue[i]!;
      const obstacle = this.#obstacle(waiter);
      if (obstacle === undefined || !this.#competes(waiter, obstacle, account, needBytes, scope)) continue;
      if (waiter.slippedBytes < this.#allowance(waiter, now) * waiter.bytes) continue;
      waiter.fencedAt ??= now;
      if (Math.floor((now - waiter.fencedAt) / FENCE_MS) % 2 !== 0) continue;
      return this.#options.budget.obstacle('queue', obstacle);
    }
    return undefined;
  }

  /**
   * Who has been passed so often that one who would wait for room does not go before it. Asked again before the booking: who was let in by code of
   * others meanwhile has passed it as well. O(waiters).
   */
  holdsBack(account: Account, needBytes: number, scope: ScopeTag | undefined): Obstacle | undefined {
    const { ledger, budget } = this.#options;
    const waiter = this.#passedEnough(this.#queue.length, account, needBytes, scope);
    return waiter && budget.obstacle('queue', this.#obstacle(waiter) ?? ledger.whole);
  }

  /** Somebody who does not wait has taken room. */
  noteSlip(account: Account, needBytes: number): void {
    for (let i = 0; i < this.#queue.length && i < GUARDED; i++) {
      const waiter = this.#queue[i]!;
      if (this.#competes(waiter, this.#obstacle(waiter), account, needBytes, undefined))
        waiter.slippedBytes += needBytes;
    }
  }

  #wait(request: Request, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock } = this.#options;
    return new Promise<void>((resolve, reject) => {
      const since = clock.now();
      const waiter = new Waiter(request, since, resolve, reject);
      const onTimeout = () => {
        this.#fail(waiter, new AdmissionTimeoutError(waiter.name, waiter.bytes, clock.now() - since));
      };
      const onAbort = () => this.#fail(waiter, signal?.reason);
      const timer = this.#outside(() => clock.after(timeoutMs, onTimeout, true));
      signal?.addEventListener('abort', onAbort, { once: true });
      waiter.detach = () => {
        timer[Symbol.dispose]();
        signal?.removeEventListener('abort', onAbort);
      };
      this.#queue.push(waiter);
      this.#options.budget.queued = true;
      this.#askOthers();
    });
  }

  /** All leave the queue before anybody else has a turn: none of them is granted what the first to go leaves behind. */
  #turnAway(waiters: readonly Waiter[], reason: (waiter: Waiter) => unknown): void {
    for (const waiter of waiters) {
      this.#remove(waiter);
      waiter.reject(reason(waiter));
    }
    if (waiters.length > 0) this.wake();
  }

  #fail(waiter: Waiter, reason: unknown): void {
    this.#remove(waiter);
    waiter.reject(reason);
    // Whoever stood behind it may have been kept back by it alone.
    this.wake();
  }

  #remove(waiter: Waiter): void {
    const at = this.#queue.indexOf(waiter);
    if (at >= 0) this.#queue.splice(at, 1);
    waiter.detach();
    if (this.#queue.length > 0) return;
    this.#options.budget.queued = false;
    this.#stuck = undefined;
    this.#retry?.[Symbol.dispose]();
    this.#retry = undefined;
  }

  /** What never fits does not wait: more than the bound of the account or the scope, or of one above it, or than the limit without the runtime. */
  #refuseTheImpossible({ account, bytes, holding }: Request): void {
    const { budget, ledger } = this.#options;
    if (budget.mode !== 'on' || bytes === 0) return;
    for (let at: Account | undefined = account; at !== undefined; at = at.parent) {
      const isWhole = at === ledger.whole;
      if (bytes <= at.maxBytes - (isWhole ? budget.fixedBytes() : 0)) continue;
      const reason = isWhole ? 'limit' : 'max';
      throw budget.exceeded(account, bytes, budget.obstacle(reason, at));
    }
    const { ofKind } = account;
    if (bytes > ofKind.maxBytes) throw budget.exceeded(account, bytes, budget.obstacle('max', ofKind));
    for (let at = holding?.liveScope; at !== undefined; at = at.outer) {
      if (at.ended || bytes <= at.maxBytes) continue;
      throw budget.exceeded(account, bytes, budget.obstacle('scope', at));
    }
  }

  #refuseToHoldAndWait({ account, bytes, holding }: Request): void {
    for (let at = holding?.liveScope; at !== undefined; at = at.outer) {
      if (at.ended || at.undeclared === 0) continue;
      throw new HoldAndWaitError(askerName(account, holding), at.name, bytes, at.undeclared);
    }
  }

  #mayGrant(request: Request): boolean {
    const { mayGrant, budget } = this.#options;
    if (request.bytes === 0 || budget.mode !== 'on') return true;
    return !budget.blocked && (mayGrant === undefined || needOf(request) === 0 || mayGrant(needOf(request)));
  }

  /** May it be granted before the first `count` in the queue? */
  #mayGo(count: number, request: Request): boolean {
    if (count === 0 || request.bytes === 0) return true;
    return this.#passedEnough(count, request.account, needOf(request), request.holding?.liveScope) === undefined;
  }

  /** Of the first `count` in the queue, one that wants the same room and may not be passed any more. */
  #passedEnough(count: number, account: Account, needBytes: number, scope: ScopeTag | undefined): Waiter | undefined {
    const now = this.#options.clock.now();
    for (let i = 0; i < count; i++) {
      const waiter = this.#queue[i]!;
      if (waiter.passed < this.#allowance(waiter, now)) continue;
      if (this.#competes(waiter, this.#obstacle(waiter), account, needBytes, scope)) return waiter;
    }
    return undefined;
  }

  /** It is about to be granted before the first `count` in the queue, or was a moment ago. */
  #notePassing(count: number, { account, holding }: Request, needBytes: number): void {
    const scope = holding?.liveScope;
    for (let i = 0; i < count; i++) {
      const waiter = this.#queue[i]!;
      if (this.#competes(waiter, this.#obstacle(waiter), account, needBytes, scope)) waiter.passed++;
    }
  }

  /** How often it may be passed, now that it has waited so long. */
  #allowance(waiter: Waiter, now: number): number {
    return Math.floor(this.#options.maxBypass / 2 ** Math.floor((now - waiter.since) / AGEING_MS));
  }

  /** What keeps one that waits from being granted, the furthest up: room, its scope, or the share of the account named. */
  #obstacle({ account, bytes, holding }: Request): Account | ScopeTag | undefined {
    const { ledger, budget } = this.#options;
    const scope = holding?.liveScope;
    const full = ledger.obstacleBeside(account, bytes, prepaidBytes(scope, bytes), true) ?? fullScope(scope, bytes);
    if (full !== undefined || budget.hasShare(account, bytes)) return full;
    return account.fair;
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

  /** Has others give back for those who wait, now and again and again while somebody waits: once per bound that is in the way. */
  #askOthers(): void {
    const { clock } = this.#options;
    this.#retry?.[Symbol.dispose]();
    // Before anybody is asked once more: what was asked for the last time has come by now, or is under way.
    this.#breakDeadlock();
    if (this.#queue.length === 0) return;
    this.#outside(() => {
      this.#retry = clock.after(RETRY_MS, () => this.#askOthers());
      this.#askForEachBound();
    });
    this.wake();
  }

  #askForEachBound(): void {
    const { reclaimers, level } = this.#options;
    const asked: Account[] = [];
    for (const waiter of [...this.#queue]) {
      const obstacle = this.#obstacle(waiter);
      if (obstacle === undefined || obstacle instanceof ScopeTag) continue;
      const missing = () => waiter.bytes - (obstacle.maxBytes - obstacle.total);
      if (obstacle.reclaiming > 0 || asked.includes(obstacle) || missing() <= 0) continue;
      asked.push(obstacle);
      this.#options.budget.noteWant(waiter.account, waiter.bytes);
      const call = () => ({ requester: waiter.account, branch: obstacle, targetBytes: missing(), level: level() });
      reclaimers.reclaimNow(call());
      // Releases have woken the queue by themselves; what is missing now needs waiting. One run at a time: the others have their turn later.
      if (missing() > 0) this.#train(call());
    }
  }

  #train(call: AdmissionTrainCall): void {
    const { reclaimers, train, faults } = this.#options;
    if (this.#training || (train === undefined && reclaimers.running)) return;
    this.#training = true;
    const over = () => {
      this.#training = false;
      this.wake();
    };
    const run = async () => await (train === undefined ? reclaimers.reclaim(call) : train(call));
    run().then(over, (cause) => {
      faults?.note('train for admission', cause);
      over();
    });
  }

  /** Looks at the line, and at each other bound that is in the way; turns one away when that bound has stood still for a while. */
  #breakDeadlock(): void {
    const { ledger, budget, clock } = this.#options;
    if (budget.scoping === undefined || this.#queue.length === 0 || this.#training) return;
    const byBound = new Map<Account, Waiter[]>();
    for (const waiter of this.#queue) {
      const obstacle = this.#obstacle(waiter);
      if (obstacle === undefined || obstacle instanceof ScopeTag) continue;
      byBound.set(obstacle, [...(byBound.get(obstacle) ?? []), waiter]);
    }
    for (const [bound, waiters] of byBound) {
      const waiter = findDeadlock(waiters, bound, bound === ledger.whole ? budget.fixedBytes() : 0);
      if (waiter === undefined) continue;
      const now = clock.now();
      if (this.#stuck?.waiter !== waiter || this.#stuck.heldBytes !== bound.total) {
        this.#stuck = { waiter, heldBytes: bound.total, since: now };
      } else if (now - this.#stuck.since >= DEADLOCK_MS) {
        this.#stuck = undefined;
        const { name, scope, bytes, since } = waiter;
        this.#fail(waiter, new DeadlockError(name, scope?.name ?? '', bytes, now - since));
      }
      return;
    }
    this.#stuck = undefined;
  }

  /** What code of others does meanwhile belongs to no scope. */
  #outside<R>(work: () => R): R {
    const { scoping } = this.#options.budget;
    return scoping === undefined ? work() : scoping.outside(work);
  }
}

/** What it takes of the whole: the rest is held in pots already. */
function needOf({ bytes, holding }: Request): number {
  return bytes - prepaidBytes(holding?.scope, bytes);
}

function throwIfFailed(holding: Holding | undefined): void {
  const failure = holding?.liveScope?.failure;
  if (failure !== undefined) throw failure.reason;
}

/** Passes a time to wait through. */
export function checkTimeout(timeoutMs: number): number {
  return checkWhole('timeoutMs', timeoutMs, 0, LONGEST_TIMEOUT_MS);
}

/** Passes an `AbortSignal`, or none, through. */
export function checkSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw invalidOption('signal', 'an AbortSignal', signal);
  }
  return signal;
}
