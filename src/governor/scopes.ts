/**
 * Scopes: a request or tenant as a tag on what is reserved while it runs, carried across `await` by one `AsyncLocalStorage` per governor.
 *
 * The storage is made at the first scope: without scopes nothing is paid. While none is open, a reservation looks at one field
 * (`Budget.scoping`). What code of others reserves in the middle of a request for room (reclaimers, listeners, trains) is none of the
 * scope that happened to ask: it runs outside all of them.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '../clock.ts';
import { DisposedError } from '../errors.ts';
import { scopeAbortedEvents } from '../events.ts';
import { checkName, checkSignal, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { abortReason } from './abort-reason.ts';
import { checkTimeout } from './admission.ts';
import type { Budget } from './budget.ts';
import { ScopeAbortedError, TooManyScopesError } from './budget-errors.ts';
import { LedgerConsumer } from './consumer.ts';
import type { PressureLevel, Scope, ScopeOptions } from './contract.ts';
import type { Faults } from './faults.ts';
import type { Account, Ledger } from './ledger.ts';
import { Holding, liveScope, ScopeTag } from './scope-tag.ts';

export const DEFAULT_MAX_SCOPES = 65_536;
/** An aborted scope has so long to end before another may be aborted. */
const ABORT_GRACE_MS = 5_000;
const ROWS = 16;
/** Scopes may run one in another so deep: each reservation looks at all it is made in. */
const MOST_NESTED = 64;
/** Bytes of stack that have to be left for a scope to begin: twice what its beginning and its end take. Looking costs 0.1 µs. */
const STACK_BYTES = 2_048;
/** The built-in consumer of what was declared up front and has not been used yet. */
const POT_CONSUMER = 'scopes';

/** What is used of `AsyncLocalStorage`. */
export interface ScopeStorage {
  run<R>(tag: ScopeTag | undefined, work: () => R): R;
  getStore(): ScopeTag | undefined;
}

export interface ScopesOptions {
  readonly budget: Budget;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly level: () => PressureLevel;
  /** Scopes open at a time. Default 65,536. */
  readonly maxScopes?: number;
  /** Default: a new `AsyncLocalStorage`. When it throws, work runs without scopes and the fault is noted. */
  readonly makeStorage?: () => ScopeStorage;
}

/** One open scope in the snapshot. */
export interface ScopeRow {
  readonly name: string;
  /** The scope it runs in. */
  readonly within?: string;
  /** With the scopes inside it and what is left of what was declared; `ownBytes` without those inside. */
  readonly heldBytes: number;
  readonly ownBytes: number;
  readonly peakBytes: number;
  /** Absent: up to the line. */
  readonly maxBytes?: number;
  /** Declared up front and not used yet. */
  readonly upFrontBytes: number;
  readonly refusals: number;
  readonly runningMs: number;
  readonly aborted: boolean;
}

export class Scopes {
  readonly #options: ScopesOptions;
  readonly #maxScopes: number;
  readonly #live = new Set<ScopeTag>();
  /** As arguments of a call they take up the stack that has to be there. */
  readonly #stack = new Array<number>(STACK_BYTES / 8).fill(0);
  #storage: ScopeStorage | undefined;
  #off = false;
  #pots: Account | undefined;
  #aborts = 0;
  #aborting: ScopeTag | undefined;
  #abortedAt = 0;

  constructor(options: ScopesOptions) {
    this.#options = options;
    this.#maxScopes = checkWhole('maxScopes', options.maxScopes ?? DEFAULT_MAX_SCOPES, 1);
  }

  /** Scopes open now, those that wait for what they declared included. */
  get count(): number {
    return this.#live.size;
  }

  /** How many were aborted for want of memory. */
  get aborts(): number {
    return this.#aborts;
  }

  /**
   * Runs `fn` in a scope; resolves or rejects as it does. Before that, waits for `upFrontBytes`: rejects as `admit` does, with
   * `PLIMSOLL_TOO_MANY_SCOPES` beyond `maxScopes` and more than 64 deep, and with the reason when `signal`, or a scope around, was aborted. What is left of
   * `upFrontBytes` goes back at the end. Costs 1 to 2 µs, with `upFrontBytes` 3, and about 1.4 KB until it ends.
   */
  async run<T>(options: ScopeOptions, fn: (scope: Scope) => T | Promise<T>): Promise<T> {
    const sound = checkScopeOptions(options);
    const { name, maxBytes, upFrontBytes, timeoutMs, signal } = sound;
    if (typeof fn !== 'function') throw invalidOption('fn', 'a function', fn);
    const { budget, clock } = this.#options;
    if (budget.closed) throw new DisposedError('the governor');
    if (signal?.aborted) throw abortReason(signal);
    // What ran out of stack half-way would leave the books wrong.
    Reflect.apply(leaveStack, undefined, this.#stack);
    const storage = this.#openStorage();
    if (storage === undefined) return await fn(new OpenScope(sound));
    const outer = this.current();
    if (outer?.failure !== undefined) throw outer.failure.reason;
    if (this.#live.size >= this.#maxScopes) this.#refuseMore(new TooManyScopesError(name, this.#maxScopes));
    if (outer !== undefined && outer.depth >= MOST_NESTED) {
      this.#refuseMore(new TooManyScopesError(name, MOST_NESTED, true));
      return await fn(new OpenScope(sound));
    }
    const tag = new ScopeTag(name, maxBytes, outer, clock.now());
    const onAbort = () => this.#fail(tag, signal && abortReason(signal));
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#live.add(tag);
    budget.scoping = this;
    try {
      if (upFrontBytes > 0) await this.#fillPot(tag, upFrontBytes, timeoutMs);
      return await this.#begin(storage, tag, fn);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#end(tag);
    }
  }

  /** The innermost scope that this code runs in and that has not ended. */
  current(): ScopeTag | undefined {
    if (this.#storage === undefined) return undefined;
    try {
      return liveScope(this.#storage.getStore());
    } catch (cause) {
      // Not the fault of the storage: whoever asks has used up all there is.
      if (isOutOfStack(cause)) throw cause;
      this.#switchOff(cause);
      return undefined;
    }
  }

  /** What a reservation made here counts on; undefined outside scopes. */
  holdingFor(account: Account): Holding | undefined {
    const scope = this.current();
    return scope === undefined ? undefined : new Holding(scope, account);
  }

  /** Runs work that belongs to no scope. */
  outside<R>(work: () => R): R {
    const storage = this.#storage;
    return storage === undefined || this.current() === undefined ? work() : storage.run(undefined, work);
  }

  /**
   * Aborts the scope that holds most by itself, without those inside it, and with it those inside it; of equals the one that began last.
   * What is reserved or waits in it fails with `PLIMSOLL_SCOPE_ABORTED` from then on; what it holds it gives back when its work ends. Nothing
   * happens, and undefined is returned, while one that was aborted has not ended within 5 s, and when no scope holds anything. In mode
   * `observe` nothing is aborted and the row says which would have been. O(open scopes).
   */
  abortLargest(reason: string): ScopeRow | undefined {
    const { budget, clock, level } = this.#options;
    if (budget.mode === 'off') return undefined;
    const now = clock.now();
    if (this.#aborting !== undefined && now - this.#abortedAt < ABORT_GRACE_MS) return undefined;
    let largest: ScopeTag | undefined;
    for (const tag of this.#live) {
      if (tag.own === 0 || tag.failure !== undefined) continue;
      if (largest === undefined || tag.own >= largest.own) largest = tag;
    }
    if (largest === undefined) return undefined;
    const row = rowOf(largest, now);
    const observed = budget.mode !== 'on';
    if (scopeAbortedEvents.heard) {
      const { name: scope, heldBytes } = row;
      scopeAbortedEvents.publish({ scope, heldBytes, level: level(), reason, observed });
    }
    if (observed) return row;
    this.#aborts++;
    this.#aborting = largest;
    this.#abortedAt = now;
    this.#fail(largest, new ScopeAbortedError(largest.name, level(), largest.held, reason));
    return { ...row, aborted: true };
  }

  /** The sixteen that hold most, largest first. */
  rows(): ScopeRow[] {
    const now = this.#options.clock.now();
    const largest: ScopeTag[] = [];
    for (const tag of this.#live) {
      if (largest.length === ROWS && tag.held <= largest[ROWS - 1]!.held) continue;
      let at = largest.length;
      while (at > 0 && largest[at - 1]!.held < tag.held) at--;
      largest.splice(at, 0, tag);
      if (largest.length > ROWS) largest.pop();
    }
    return largest.map((tag) => rowOf(tag, now));
  }

  /** Takes off the tags of what consumers held that have been closed. O(open scopes and what they hold). */
  forgetClosed(): void {
    for (const tag of this.#live) {
      for (let at = tag.first; at !== undefined; ) {
        const { next } = at;
        if (at.account.closed) at.untag();
        at = next;
      }
    }
  }

  #openStorage(): ScopeStorage | undefined {
    if (this.#storage !== undefined || this.#off) return this.#storage;
    try {
      this.#storage = this.#options.makeStorage?.() ?? new AsyncLocalStorage<ScopeTag | undefined>();
    } catch (cause) {
      this.#switchOff(cause);
    }
    return this.#storage;
  }

  /** Switched off, or only watching, nobody is turned away: it is noted. */
  #refuseMore(error: TooManyScopesError): void {
    if (this.#options.budget.mode === 'on') throw error;
    this.#options.faults.note('maxScopes', error);
  }

  async #fillPot(tag: ScopeTag, bytes: number, timeoutMs: number | undefined): Promise<void> {
    const { budget } = this.#options;
    const account = this.#potAccount();
    const pot = new Holding(tag, account);
    tag.pot = pot;
    await budget.admit(account, bytes, timeoutMs === undefined ? {} : { timeoutMs }, pot);
    // Aborted after it was granted, and before this had its turn: the pot has been emptied.
    if (tag.failure !== undefined) throw tag.failure.reason;
    if (budget.closed) throw new DisposedError('the governor');
  }

  #potAccount(): Account {
    const { ledger, budget } = this.#options;
    if (this.#pots === undefined) {
      this.#pots = ledger.openOwn(POT_CONSUMER);
      new LedgerConsumer(budget, this.#pots);
    }
    return this.#pots;
  }

  /** Begins the work inside the scope. Not async: each frame that waits costs 400 bytes for as long as the scope is open. */
  #begin<T>(storage: ScopeStorage, tag: ScopeTag, fn: (scope: Scope) => T | Promise<T>): T | Promise<T> {
    const scope = new TaggedScope(tag);
    const begun: { result?: { readonly of: T | Promise<T> }; thrown?: { readonly cause: unknown } } = {};
    const work = () => {
      try {
        begun.result = { of: fn(scope) };
      } catch (cause) {
        begun.thrown = { cause };
      }
    };
    try {
      storage.run(tag, work);
    } catch (cause) {
      // The storage's: what the work throws does not come through here.
      if (isOutOfStack(cause)) throw cause;
      this.#switchOff(cause);
    }
    if (begun.result === undefined && begun.thrown === undefined) work();
    if (begun.thrown !== undefined) throw begun.thrown.cause;
    return begun.result!.of;
  }

  /** Ends it and those inside it for the books first; then code of others hears of it. */
  #fail(tag: ScopeTag, reason: unknown): void {
    const { budget } = this.#options;
    const failed: ScopeTag[] = [];
    for (const other of this.#live) if (other.isWithin(tag)) failed.push(other);
    tag.fail(reason);
    budget.admission?.turnAwayFailed();
    for (const other of failed) this.#emptyPot(other);
    budget.admission?.wake();
    for (const other of failed) other.tellSignal();
  }

  #end(tag: ScopeTag): void {
    const { budget } = this.#options;
    this.#live.delete(tag);
    if (tag === this.#aborting) this.#aborting = undefined;
    this.#emptyPot(tag);
    tag.ended = true;
    const { outer } = tag;
    for (let at = tag.first; at !== undefined; ) {
      const { next } = at;
      at.passTo(outer);
      at = next;
    }
    if (this.#live.size === 0) budget.scoping = undefined;
    budget.admission?.wake();
  }

  #emptyPot(tag: ScopeTag): void {
    const { pot } = tag;
    // It is being asked for right now: what is granted then has to find it.
    if (pot === undefined || (pot.bytes === 0 && this.#live.has(tag))) return;
    tag.pot = undefined;
    const { bytes, account } = pot;
    pot.untag();
    if (bytes > 0) this.#options.ledger.release(account, bytes);
  }

  #switchOff(cause: unknown): void {
    this.#off = true;
    this.#storage = undefined;
    this.#options.faults.note('scopes', cause, true);
  }
}

/** Its arguments are all that matters. */
function leaveStack(): void {}

function isOutOfStack(cause: unknown): boolean {
  return cause instanceof RangeError && cause.message.includes('call stack');
}

/** A scope as the work inside sees it. */
class TaggedScope implements Scope {
  readonly #tag: ScopeTag;

  constructor(tag: ScopeTag) {
    this.#tag = tag;
  }

  get name(): string {
    return this.#tag.name;
  }

  get maxBytes(): number {
    return this.#tag.maxBytes;
  }

  get heldBytes(): number {
    return this.#tag.held;
  }

  get peakBytes(): number {
    return this.#tag.peak;
  }

  get signal(): AbortSignal {
    return this.#tag.signal;
  }
}

/** What work is given where scopes have failed: it bounds nothing and counts nothing. */
class OpenScope implements Scope {
  readonly name: string;
  readonly maxBytes: number;
  readonly heldBytes = 0;
  readonly peakBytes = 0;
  readonly signal: AbortSignal;

  constructor({ name, maxBytes, signal }: ScopeOptions) {
    this.name = name;
    this.maxBytes = maxBytes;
    this.signal = signal ?? new AbortController().signal;
  }
}

const SCOPE_OPTIONS = ['name', 'maxBytes', 'upFrontBytes', 'timeoutMs', 'signal'] as const;

function checkScopeOptions(given: ScopeOptions): ScopeOptions & { readonly upFrontBytes: number } {
  const options = copyOptions('scope', given, SCOPE_OPTIONS);
  const { name, maxBytes, timeoutMs, signal } = options;
  checkName(name);
  if (maxBytes !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(maxBytes) && maxBytes >= 0)) {
    throw invalidOption('maxBytes', 'a whole number from 0 up, or Infinity for "up to the line"', maxBytes);
  }
  const most = Math.min(maxBytes, Number.MAX_SAFE_INTEGER);
  const upFrontBytes = checkWhole('upFrontBytes', options.upFrontBytes ?? 0, 0, most);
  if (timeoutMs !== undefined) checkTimeout(timeoutMs);
  checkSignal(signal);
  return { ...options, upFrontBytes };
}

function rowOf(tag: ScopeTag, now: number): ScopeRow {
  const { outer } = tag;
  return {
    name: tag.name,
    ...(outer === undefined ? {} : { within: outer.name }),
    heldBytes: tag.held,
    ownBytes: tag.own,
    peakBytes: tag.peak,
    ...(Number.isFinite(tag.maxBytes) ? { maxBytes: tag.maxBytes } : {}),
    upFrontBytes: tag.pot?.bytes ?? 0,
    refusals: tag.refusals,
    runningMs: Math.max(0, now - tag.startedAt),
    aborted: tag.failure !== undefined,
  };
}
