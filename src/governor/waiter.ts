import type { Account } from './ledger.ts';
import { type Holding, prepaidBytes, type ScopeTag } from './scope-tag.ts';

/** What is being asked for, for the scope of `holding`. */
export interface AdmissionRequest {
  readonly account: Account;
  readonly bytes: number;
  readonly holding: Holding | undefined;
}

/** One that waits for room. */
export class Waiter implements AdmissionRequest {
  readonly account: Account;
  readonly bytes: number;
  /** For the scope it waits in. */
  readonly holding: Holding | undefined;
  readonly since: number;
  readonly timeoutMs: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
  /** How many others that wanted the same room and waited less were granted before it. */
  passed = 0;
  /** Bytes that were taken of that room without waiting. */
  slippedBytes = 0;
  /** When others were first kept out of that room for its sake. */
  fencedAt: number | undefined;
  /** The books had room for it when it was looked at last, and the machine had none. */
  lacksMachine = false;
  /** Until it leaves the queue. */
  waits = true;
  /** Undoes timer and abort listener. */
  detach: () => void = () => {};

  constructor(
    request: AdmissionRequest & { readonly since: number; readonly timeoutMs: number },
    resolve: () => void,
    reject: (reason: unknown) => void,
  ) {
    this.account = request.account;
    this.bytes = request.bytes;
    this.holding = request.holding;
    this.since = request.since;
    this.timeoutMs = request.timeoutMs;
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

/** What it takes of the whole: the rest is held in pots already. */
export function needOf({ bytes, holding }: AdmissionRequest): number {
  return holding === undefined ? bytes : bytes - prepaidBytes(holding.scope, bytes);
}

/** The consumer's name, or the scope's where a scope waits for what it declared. */
export function askerName(account: Account, holding: Holding | undefined): string {
  const { scope } = holding ?? {};
  return scope !== undefined && scope.pot === holding ? `the scope ${scope.name}` : account.name;
}
