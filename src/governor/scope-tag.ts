/**
 * The tag that a scope puts on what is reserved inside it, and the books of one scope.
 *
 * Invariants: a scope's `held` is the sum of the holdings tagged with it or with scopes inside it, what is left of its pot included; `own` is
 * that sum without the scopes inside it. A holding stands in the list of the innermost scope alone. Nothing in here asks, waits or calls out.
 * When a scope ends, its holdings pass to the nearest one around it that has not ended, or lose the tag: nothing points to it any more.
 */
import type { Account, Ledger } from './ledger.ts';

/** The part of one reservation that a scope knows of. Once the tag is lost its figures stand still. */
export class Holding {
  readonly account: Account;
  scope: ScopeTag | undefined;
  bytes = 0;
  /** Of them, those that no pot has paid. */
  undeclared = 0;
  previous: Holding | undefined;
  next: Holding | undefined;
  #listed = false;

  constructor(scope: ScopeTag, account: Account) {
    this.scope = scope;
    this.account = account;
  }

  /** The innermost scope that has not ended. */
  get liveScope(): ScopeTag | undefined {
    return liveScope(this.scope);
  }

  /** Books bytes on the scope and those around it. What their pots pay leaves them, in the ledger too; the caller then charges all of it. */
  take(bytes: number, ledger: Ledger): void {
    const scope = (this.scope = this.liveScope);
    if (scope === undefined) return;
    if (!this.#listed) this.#enlist(scope);
    this.bytes += bytes;
    scope.own += bytes;
    let need = bytes;
    for (let at: ScopeTag | undefined = scope; at !== undefined; at = at.outer) {
      if (at.pot !== this) need -= at.drawFromPot(need, ledger);
      at.held += need;
      if (at.held > at.peak) at.peak = at.held;
    }
    if (this === scope.pot) return;
    this.undeclared += need;
    scope.undeclared += need;
  }

  /** Books bytes back, what was not declared first. */
  give(bytes: number): void {
    const { scope } = this;
    if (scope === undefined) return;
    const undeclared = Math.min(bytes, this.undeclared);
    this.bytes -= bytes;
    this.undeclared -= undeclared;
    scope.own -= bytes;
    scope.undeclared -= undeclared;
    for (let at: ScopeTag | undefined = scope; at !== undefined; at = at.outer) at.held -= bytes;
  }

  /** The tag is lost: it counts against no scope any more. */
  untag(): void {
    this.give(this.bytes);
    if (this.#listed) this.#delist();
    this.scope = undefined;
  }

  /** Its scope has ended: it counts for `outer` from now on, for which it counts already, or for nobody. */
  passTo(outer: ScopeTag | undefined): void {
    if (outer === undefined) {
      this.untag();
      return;
    }
    this.#delist();
    this.#enlist(outer);
    this.scope = outer;
    outer.own += this.bytes;
    outer.undeclared += this.undeclared;
  }

  #enlist(scope: ScopeTag): void {
    this.#listed = true;
    this.account.tagged++;
    this.previous = undefined;
    this.next = scope.first;
    if (scope.first !== undefined) scope.first.previous = this;
    scope.first = this;
  }

  #delist(): void {
    this.#listed = false;
    this.account.tagged--;
    if (this.previous !== undefined) this.previous.next = this.next;
    else if (this.scope !== undefined) this.scope.first = this.next;
    if (this.next !== undefined) this.next.previous = this.previous;
    this.previous = undefined;
    this.next = undefined;
  }
}

/** One scope as the governor sees it. */
export class ScopeTag {
  readonly name: string;
  readonly maxBytes: number;
  readonly startedAt: number;
  held = 0;
  own = 0;
  /** Of `own`, what no pot has paid: who holds some of it does not wait. */
  undeclared = 0;
  peak = 0;
  refusals = 0;
  ended = false;
  /** What was waited for before the work began and has not been used yet. */
  pot: Holding | undefined;
  /** The list of what is tagged with it. */
  first: Holding | undefined;
  #outer: ScopeTag | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #controller: AbortController | undefined;

  constructor(name: string, maxBytes: number, outer: ScopeTag | undefined, startedAt: number) {
    this.name = name;
    this.maxBytes = maxBytes;
    this.#outer = outer;
    this.startedAt = startedAt;
  }

  /** Why it, or the nearest around it, was aborted. */
  get failure(): { readonly reason: unknown } | undefined {
    for (let at: ScopeTag | undefined = this; at !== undefined; ) {
      // Before its own failure is looked at: that may come from one that is let go of.
      const { outer }: ScopeTag = at;
      if (at.#failure !== undefined) return at.#failure;
      at = outer;
    }
    return undefined;
  }

  /**
   * The nearest scope around it that has not ended. Those in between are let go of, or each of a chain of scopes, begun each inside the one
   * before, would keep all that have ever been; why one of them was aborted stays, because what is inside it was aborted with it.
   */
  get outer(): ScopeTag | undefined {
    let outer = this.#outer;
    if (outer === undefined || !outer.ended) return outer;
    for (; outer?.ended; outer = outer.#outer) this.#failure ??= outer.#failure;
    this.#outer = outer;
    return outer;
  }

  /** How many scopes it runs in, itself included. O(that). */
  get depth(): number {
    let depth = 0;
    for (let at: ScopeTag | undefined = this; at !== undefined; at = at.outer) depth++;
    return depth;
  }

  get room(): number {
    return Math.max(0, this.maxBytes - this.held);
  }

  /** Made when it is first looked at: most work never does. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    const { failure } = this;
    if (failure !== undefined && !this.#controller.signal.aborted) this.#controller.abort(failure.reason);
    return this.#controller.signal;
  }

  /** Notes why; the first reason stays. Runs no code of others: `tellSignal` does. */
  fail(reason: unknown): void {
    this.#failure ??= { reason };
  }

  tellSignal(): void {
    if (this.#controller !== undefined) void this.signal;
  }

  isWithin(scope: ScopeTag): boolean {
    for (let at: ScopeTag | undefined = this; at !== undefined; at = at.outer) if (at === scope) return true;
    return false;
  }

  /** What its pot pays of `bytes`. */
  drawFromPot(bytes: number, ledger: Ledger): number {
    const { pot } = this;
    if (pot === undefined || pot.bytes === 0 || bytes === 0) return 0;
    const drawn = Math.min(bytes, pot.bytes);
    pot.bytes -= drawn;
    this.own -= drawn;
    ledger.release(pot.account, drawn);
    return drawn;
  }

  /** What it holds within `branch`, without the scopes inside it. O(holdings). */
  ownWithin(branch: Account): number {
    let bytes = 0;
    for (let at = this.first; at !== undefined; at = at.next) if (at.account.isWithin(branch)) bytes += at.bytes;
    return bytes;
  }
}

/** `scope`, or the nearest one around it that has not ended. */
export function liveScope(scope: ScopeTag | undefined): ScopeTag | undefined {
  while (scope?.ended) scope = scope.outer;
  return scope;
}

/** How much of `bytes` the pots along the way out would pay: so much needs no room in the whole. */
export function prepaidBytes(scope: ScopeTag | undefined, bytes: number): number {
  let need = bytes;
  for (let at = liveScope(scope); at !== undefined; at = at.outer) need -= Math.min(need, at.pot?.bytes ?? 0);
  return bytes - need;
}

/** The innermost scope that has no room for `bytes` more. Nothing always fits. */
export function fullScope(scope: ScopeTag | undefined, bytes: number): ScopeTag | undefined {
  let need = bytes;
  for (let at = liveScope(scope); at !== undefined; at = at.outer) {
    need -= Math.min(need, at.pot?.bytes ?? 0);
    if (need > 0 && need > at.maxBytes - at.held) return at;
  }
  return undefined;
}
