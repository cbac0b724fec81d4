import type { Account } from './ledger.ts';
import type { Holding, ScopeTag } from './scope-tag.ts';

/** One that waits for room. */
export class Waiter {
  readonly account: Account;
  readonly bytes: number;
  /** For the scope it waits in. */
  readonly holding: Holding | undefined;
  readonly since: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
  /** How many others that wanted the same room and waited less were granted before it. */
  passed = 0;
  /** Bytes that were taken of that room without waiting. */
  slippedBytes = 0;
  /** When those that do not wait were first kept out of that room for its sake. */
  fencedAt: number | undefined;
  /** Undoes timer and abort listener. */
  detach: () => void = () => {};

  constructor(
    request: { readonly account: Account; readonly bytes: number; readonly holding: Holding | undefined },
    since: number,
    resolve: () => void,
    reject: (reason: unknown) => void,
  ) {
    this.account = request.account;
    this.bytes = request.bytes;
    this.holding = request.holding;
    this.since = since;
    this.resolve = resolve;
    this.reject = reject;
  }

  get scope(): ScopeTag | undefined {
    return this.holding?.liveScope;
  }

  /** Who it is, for errors. */
  get name(): string {
    return askerName(this.account, this.holding);
  }
}

/** The consumer's name, or the scope's where a scope waits for what it declared. */
export function askerName(account: Account, holding: Holding | undefined): string {
  const { scope } = holding ?? {};
  return scope !== undefined && scope.pot === holding ? `the scope ${scope.name}` : account.name;
}
