/**
 * Waiting for room. First come, first served, with a bound on how often one that waits may be passed by smaller ones.
 *
 * Invariants: the bytes of a waiter are booked at the moment it is granted, inside whatever gave room, so nobody can take them in
 * between; nobody is passed more than `maxBypass` times by others that want the room it waits for; whoever waits has a timer, so nobody waits
 * for ever. One that waits for its own bound only does not hold up others that are not under that bound.
 */
import type { Clock } from '../clock.ts';
import { DisposedError } from '../errors.ts';
import { checkWhole, invalidOption } from '../invalid-option.ts';
import type { Budget } from './budget.ts';
import { AdmissionQueueFullError, AdmissionTimeoutError, BudgetExceededError } from './budget-errors.ts';
import type { AdmitOptions, PressureLevel } from './contract.ts';
import type { Account, Ledger } from './ledger.ts';
import type { Reclaimers } from './reclaimers.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
const LONGEST_TIMEOUT_MS = 2_147_483_647;
/** While somebody waits, the others are asked again in this rhythm: what they can give back changes. */
const RETRY_MS = 100;

export interface AdmissionOptions {
  readonly budget: Budget;
  readonly ledger: Ledger;
  readonly reclaimers: Reclaimers;
  readonly clock: Clock;
  readonly level: () => PressureLevel;
  readonly maxWaiters: number;
  readonly maxBypass: number;
}

class Waiter {
  readonly account: Account;
  readonly bytes: number;
  readonly since: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
  passed = 0;
  /** Undoes timer and abort listener. */
  detach: () => void = () => {};

  constructor(account: Account, bytes: number, since: number, resolve: () => void, reject: (reason: unknown) => void) {
    this.account = account;
    this.bytes = bytes;
    this.since = since;
    this.resolve = resolve;
    this.reject = reject;
  }
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #queue: Waiter[] = [];
  #retry: Disposable | undefined;
  #waking = false;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** Resolves when the bytes are booked on the account. */
  async admit(account: Account, bytes: number, options: AdmitOptions): Promise<void> {
    const timeoutMs = checkWhole('timeoutMs', options.timeoutMs ?? DEFAULT_TIMEOUT_MS, 0, LONGEST_TIMEOUT_MS);
    const { signal } = options;
    if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
      throw invalidOption('signal', 'an AbortSignal', signal);
    }
    signal?.throwIfAborted();
    const { budget, maxWaiters } = this.#options;
    this.#refuseTheImpossible(account, bytes);
    const mayGo = this.#mayPassAll(account);
    if (mayGo && budget.tryTake(account, bytes)) {
      for (const waiter of this.#queue) this.#notePassing(waiter, account);
      return;
    }
    // What ran meanwhile may have ended the account; nobody would turn it away later.
    budget.check(account);
    if (this.#queue.length >= maxWaiters) throw new AdmissionQueueFullError(account.name, this.#queue.length);
    await this.#wait(account, bytes, timeoutMs, signal);
  }

  /** Grants whoever fits now. Called whenever bytes come back; cheap while nobody waits. */
  wake(): void {
    if (this.#queue.length === 0 || this.#waking) return;
    this.#waking = true;
    try {
      for (let i = 0; i < this.#queue.length; ) {
        const waiter = this.#queue[i]!;
        if (
          this.#options.ledger.outermostObstacle(waiter.account, waiter.bytes) !== undefined ||
          !this.#mayPass(i, waiter.account)
        ) {
          i++;
          continue;
        }
        for (let j = 0; j < i; j++) this.#notePassing(this.#queue[j]!, waiter.account);
        this.#options.ledger.charge(waiter.account, waiter.bytes);
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

  /** Turns everybody away: the governor is being disposed. */
  shut(): void {
    this.#turnAway([...this.#queue], () => new DisposedError('the governor'));
  }

  #wait(account: Account, bytes: number, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock } = this.#options;
    return new Promise<void>((resolve, reject) => {
      const since = clock.now();
      const waiter = new Waiter(account, bytes, since, resolve, reject);
      const onTimeout = () => {
        const waitedMs = clock.now() - since;
        this.#fail(waiter, new AdmissionTimeoutError(account.name, bytes, waitedMs));
      };
      const onAbort = () => this.#fail(waiter, signal?.reason);
      const timer = clock.after(timeoutMs, onTimeout, true);
      signal?.addEventListener('abort', onAbort, { once: true });
      waiter.detach = () => {
        timer[Symbol.dispose]();
        signal?.removeEventListener('abort', onAbort);
      };
      this.#queue.push(waiter);
      this.#askOthers();
    });
  }

  /** All leave the queue before anybody else has a turn: none of them is granted what the first to go leaves behind. */
  #turnAway(waiters: readonly Waiter[], reason: (waiter: Waiter) => DisposedError): void {
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
    this.#retry?.[Symbol.dispose]();
    this.#retry = undefined;
  }

  /** What never fits does not wait: more than the bound of the account or of one above it, or than the limit without the runtime. */
  #refuseTheImpossible(account: Account, bytes: number): void {
    const { budget, ledger } = this.#options;
    if (budget.mode !== 'on') return;
    for (let at: Account | undefined = account; at !== undefined; at = at.parent) {
      const fixed = at === ledger.whole ? budget.fixedBytes() : 0;
      if (bytes > 0 && bytes > at.maxBytes - fixed) throw new BudgetExceededError(budget.describe(account, bytes, at));
    }
  }

  #mayPassAll(account: Account): boolean {
    return this.#mayPass(this.#queue.length, account);
  }

  /** May a request of `account` be granted before the first `count` in the queue? */
  #mayPass(count: number, account: Account): boolean {
    for (let i = 0; i < count; i++) {
      const waiter = this.#queue[i]!;
      if (waiter.passed >= this.#options.maxBypass && this.#competes(waiter, account)) return false;
    }
    return true;
  }

  #notePassing(waiter: Waiter, account: Account): void {
    if (this.#competes(waiter, account)) waiter.passed++;
  }

  /** Does `account` take of the room that the waiter is waiting for? */
  #competes(waiter: Waiter, account: Account): boolean {
    const obstacle = this.#options.ledger.outermostObstacle(waiter.account, waiter.bytes);
    return obstacle === undefined || account.isWithin(obstacle);
  }

  /** Has others give back for those who wait, now and again and again while somebody waits: once per bound that is in the way. */
  #askOthers(): void {
    const { clock, reclaimers, ledger, level } = this.#options;
    this.#retry?.[Symbol.dispose]();
    this.#retry = clock.after(RETRY_MS, () => this.#askOthers());
    const asked: Account[] = [];
    for (const waiter of [...this.#queue]) {
      const obstacle = ledger.outermostObstacle(waiter.account, waiter.bytes);
      if (obstacle === undefined || obstacle.reclaiming > 0 || asked.includes(obstacle)) continue;
      asked.push(obstacle);
      const missing = () => waiter.bytes - (obstacle.maxBytes - obstacle.total);
      const call = () => ({ requester: waiter.account, branch: obstacle, targetBytes: missing(), level: level() });
      reclaimers.reclaimNow(call());
      // Releases have woken the queue by themselves; what is missing now needs waiting. One run at a time: the others have their turn later.
      if (missing() > 0 && !reclaimers.running) {
        void reclaimers.reclaim(call()).then(() => this.wake());
      }
    }
    this.wake();
  }
}
