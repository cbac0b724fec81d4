/**
 * Waiting for room. First come, first served, with a bound on how often one that waits may be passed by smaller ones: see `Turns`.
 *
 * Invariants: the bytes of a waiter are booked at the moment it is granted, inside whatever gave room, so nobody can take them in
 * between. Whoever waits has a timer, so nobody waits for ever. What happens for each that comes and each release is bounded or a few
 * nanoseconds for each that waits; all that costs more is done for all together, once in 100 ms.
 */
import { type Clock, LONGEST_MS } from '../clock.ts';
import { DisposedError } from '../errors.ts';
import { checkSignal, checkWhole, copyOptions } from '../invalid-option.ts';
import { abortReason } from './abort-reason.ts';
import type { Budget } from './budget.ts';
import { AdmissionQueueFullError, AdmissionTimeoutError, DeadlockError, HoldAndWaitError } from './budget-errors.ts';
import type { AdmitOptions, PressureLevel } from './contract.ts';
import { DeadlockWatch } from './deadlock.ts';
import type { Faults } from './faults.ts';
import type { Account, Ledger } from './ledger.ts';
import type { ReclaimCall, Reclaimers } from './reclaimers.ts';
import { type Holding, ScopeTag } from './scope-tag.ts';
import { Turns } from './turns.ts';
import { type AdmissionRequest, askerName, needOf, Waiter } from './waiter.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
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
  /** A train for those who wait; resolves when it is over. One at a time. Default: the reclaimers that need waiting. */
  readonly train?: (call: AdmissionTrainCall) => Promise<unknown>;
  /**
   * False while one who waits for so much is not to be let in, whatever room the books show. Asked right before each grant; who then may go is let in
   * by `wake`, or within 100 ms. What is declared up front and granted already is not asked about. Default: always true.
   */
  readonly mayGrant?: (bytes: number) => boolean;
  /** Takes a sample and does what it calls for, while somebody waits for what the machine has no room for. Default: nothing. */
  readonly sample?: () => void;
  /** The most that the machine could ever let anybody have, the runtime included: who wants more does not wait for it. Default: any. */
  readonly mostBytes?: () => number;
  readonly faults?: Faults;
}

/** What a train for one that waits is to bring. */
export interface AdmissionTrainCall extends ReclaimCall {
  readonly requester: Account;
}

export class Admission {
  readonly turns: Turns;
  readonly #options: AdmissionOptions;
  readonly #queue: Waiter[] = [];
  #retry: Disposable | undefined;
  readonly #deadlocks = new DeadlockWatch();
  #waking = false;
  #training = false;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    const { budget, ledger, clock, maxBypass } = options;
    this.turns = new Turns({ queue: this.#queue, budget, ledger, clock, maxBypass });
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** Resolves when the bytes are booked on the account, and on the scope of `holding`. */
  async admit(account: Account, bytes: number, options: AdmitOptions, holding?: Holding): Promise<void> {
    const given = copyOptions('admit', options, ['signal', 'timeoutMs']);
    const timeoutMs = checkTimeout(given.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    const signal = checkSignal(given.signal);
    if (signal?.aborted) throw abortReason(signal);
    const { budget, maxWaiters } = this.#options;
    const request = { account, bytes, holding };
    this.#refuseTheImpossible(request);
    const needBytes = needOf(request);
    if (this.#mayGrant(bytes, needBytes) && this.turns.mayGo(this.#queue.length, request)) {
      if (budget.tryTake(account, bytes, holding, true)) {
        this.turns.notePassing(this.#queue.length, request, needBytes);
        budget.unseenBytes += needBytes;
        return;
      }
    }
    // What ran meanwhile may have ended the account, the scope or the wish; nobody would turn it away later.
    budget.check(account);
    if (signal?.aborted) throw abortReason(signal);
    throwIfFailed(holding);
    this.#refuseWhatNoMachineHas(request);
    this.#refuseToHoldAndWait(request);
    if (this.#queue.length >= maxWaiters) {
      throw new AdmissionQueueFullError(askerName(account, holding), this.#queue.length);
    }
    await this.#wait(request, timeoutMs, signal);
  }

  /** Grants whoever fits now. Called whenever bytes come back; cheap while nobody waits. Some 20 ns for each that waits. */
  wake(): void {
    if (this.#queue.length === 0 || this.#waking || this.#options.budget.blocked) return;
    this.#waking = true;
    // The least that the machine was found to have no room for: it has none for more either.
    let tooMuch = Number.POSITIVE_INFINITY;
    try {
      for (let i = 0; i < this.#queue.length; ) {
        const waiter = this.#queue[i]!;
        const needBytes = needOf(waiter);
        if (needBytes >= tooMuch) waiter.lacksMachine = true;
        else if (this.#grant(i, waiter, needBytes)) continue;
        else if (waiter.lacksMachine && needBytes > 0) tooMuch = needBytes;
        i++;
      }
    } finally {
      this.#waking = false;
    }
  }

  /** Lets in everybody who waits, whether there is room or not: nobody is to wait any more. */
  letIn(): void {
    for (const waiter of [...this.#queue]) {
      if (!waiter.waits) continue;
      this.#options.budget.book(waiter.account, waiter.bytes, waiter.holding);
      this.#remove(waiter);
      waiter.resolve();
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

  #wait(request: AdmissionRequest, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock } = this.#options;
    return new Promise<void>((resolve, reject) => {
      const since = clock.now();
      const waiter = new Waiter({ ...request, since, timeoutMs }, resolve, reject);
      const onTimeout = () => {
        this.#fail(waiter, new AdmissionTimeoutError(waiter.name, waiter.bytes, clock.now() - since));
      };
      const onAbort = () => this.#fail(waiter, signal && abortReason(signal));
      const timer = this.#outside(() => clock.after(timeoutMs, onTimeout, true));
      signal?.addEventListener('abort', onAbort, { once: true });
      waiter.detach = () => {
        timer[Symbol.dispose]();
        signal?.removeEventListener('abort', onAbort);
      };
      this.#queue.push(waiter);
      this.#options.budget.queued = true;
      this.#outside(() => {
        this.#retry ??= clock.after(RETRY_MS, () => this.#askOthers());
        this.#ask(waiter);
      });
      // Code of others has run since it was looked at first. For those before it nothing has changed that has not woken them.
      const last = this.#queue.length - 1;
      if (this.#queue[last] === waiter && !this.#options.budget.blocked) this.#grant(last, waiter, needOf(waiter));
    });
  }

  /** Grants the one at `at` in the queue when it fits and it is its turn; whether it does. The queue is shorter by it then. */
  #grant(at: number, waiter: Waiter, needBytes: number): boolean {
    const { budget } = this.#options;
    waiter.lacksMachine = false;
    if (this.turns.obstacle(waiter) !== undefined) return false;
    if (!this.#mayGrant(waiter.bytes, needBytes)) {
      waiter.lacksMachine = true;
      return false;
    }
    if (!this.turns.mayGo(at, waiter)) return false;
    this.turns.notePassing(at, waiter, needBytes);
    budget.book(waiter.account, waiter.bytes, waiter.holding);
    budget.unseenBytes += needBytes;
    this.#remove(waiter, at);
    waiter.resolve();
    return true;
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

  #remove(waiter: Waiter, at = this.#queue.indexOf(waiter)): void {
    if (at >= 0) this.#queue.splice(at, 1);
    waiter.waits = false;
    waiter.detach();
    if (this.#queue.length > 0) return;
    this.#options.budget.queued = false;
    this.#deadlocks.forget();
    this.#retry?.[Symbol.dispose]();
    this.#retry = undefined;
  }

  /** What never fits does not wait: more than the bound of the account or the scope, or of one above it, or than the limit without the runtime. */
  #refuseTheImpossible({ account, bytes, holding }: AdmissionRequest): void {
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
      if (bytes <= at.maxBytes) continue;
      throw budget.exceeded(account, bytes, budget.obstacle('scope', at));
    }
  }

  /** What the machine would not have room for if all but the runtime gave back does not wait either. */
  #refuseWhatNoMachineHas(request: AdmissionRequest): void {
    const { budget, mostBytes } = this.#options;
    if (budget.mode !== 'on' || mostBytes === undefined) return;
    const availableBytes = Math.max(0, Math.floor(mostBytes() - budget.fixedBytes()));
    if (needOf(request) <= availableBytes) return;
    throw budget.exceeded(request.account, request.bytes, {
      reason: 'machine',
      boundBy: 'the machine',
      availableBytes,
    });
  }

  #refuseToHoldAndWait({ account, bytes, holding }: AdmissionRequest): void {
    for (let at = holding?.liveScope; at !== undefined; at = at.outer) {
      if (at.undeclared === 0) continue;
      throw new HoldAndWaitError(askerName(account, holding), at.name, bytes, at.undeclared);
    }
  }

  #mayGrant(bytes: number, needBytes: number): boolean {
    const { mayGrant, budget } = this.#options;
    if (bytes === 0 || budget.mode !== 'on') return true;
    return !budget.blocked && (mayGrant === undefined || needBytes === 0 || mayGrant(needBytes));
  }

  /** Once in a while, while somebody waits: has others give back, once per bound that is in the way, and looks for deadlocks. */
  #askOthers(): void {
    const { clock } = this.#options;
    // Before anybody is asked once more: what was asked for the last time has come by now, or is under way.
    this.#breakDeadlock();
    if (this.#queue.length === 0) return;
    this.#outside(() => {
      this.#retry = clock.after(RETRY_MS, () => this.#askOthers());
      // What the machine has no room for may have become garbage since it was looked at.
      if (this.#queue.some(({ lacksMachine }) => lacksMachine)) this.#options.sample?.();
      const asked: Account[] = [];
      for (const waiter of [...this.#queue]) this.#ask(waiter, asked);
    });
    this.wake();
  }

  /** Has others give back what is missing under the bound that is in its way, unless that is among those `asked` for already. */
  #ask(waiter: Waiter, asked: Account[] = []): void {
    const { reclaimers, level, budget } = this.#options;
    // Others may have given back enough for it meanwhile.
    const obstacle = waiter.waits ? this.turns.obstacle(waiter) : undefined;
    if (obstacle === undefined || obstacle instanceof ScopeTag) return;
    const missing = () => waiter.bytes - (obstacle.maxBytes - obstacle.total);
    if (obstacle.reclaiming > 0 || asked.includes(obstacle) || missing() <= 0) return;
    asked.push(obstacle);
    budget.noteWant(waiter.account, waiter.bytes);
    const call = () => ({ requester: waiter.account, branch: obstacle, targetBytes: missing(), level: level() });
    reclaimers.reclaimNow(call());
    // Releases have woken the queue by themselves; what is missing now needs waiting. One run at a time: the others have their turn later.
    if (missing() > 0) this.#train(call());
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

  #breakDeadlock(): void {
    const { ledger, budget, clock } = this.#options;
    if (budget.scoping === undefined || this.#queue.length === 0 || this.#training) return;
    const now = clock.now();
    const bounds = { whole: ledger.whole, fixedBytes: budget.fixedBytes() };
    const waiter = this.#deadlocks.look(this.#queue, now, (one) => this.turns.obstacle(one), bounds);
    if (waiter === undefined) return;
    const { name, scope, bytes, since } = waiter;
    this.#fail(waiter, new DeadlockError(name, scope?.name ?? '', bytes, now - since));
  }

  /** What code of others does meanwhile belongs to no scope. */
  #outside<R>(work: () => R): R {
    const { scoping } = this.#options.budget;
    return scoping === undefined ? work() : scoping.outside(work);
  }
}

function throwIfFailed(holding: Holding | undefined): void {
  const failure = holding?.liveScope?.failure;
  if (failure !== undefined) throw failure.reason;
}

/** Passes a time to wait through. */
export function checkTimeout(timeoutMs: number): number {
  return checkWhole('timeoutMs', timeoutMs, 0, LONGEST_MS);
}
