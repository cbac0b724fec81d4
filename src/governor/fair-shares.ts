/**
 * Divides what can be had among those that could each use all of it and can give back: sorts, joins, caches of anything. Policy only: it
 * reads the ledger, and books nothing.
 *
 * Two ancestors. DataFusion's `FairSpillPool` (datafusion/execution/src/memory_pool/pool.rs) takes what cannot spill off the top and gives each of N
 * that can a hard 1/N, idle ones counted, so that one alone among idle ones spills in an empty pool. Spark's `ExecutionMemoryPool`
 * (core/src/main/scala/org/apache/spark/memory) counts only the active ones, promises each 1/2N by letting it wait, and caps it at 1/N.
 * Here only those count that hold or want something; a share is a promise and not a cap, because what was taken beyond it can be asked back.
 *
 * Invariants: the shares together are never more than the limit less what the others hold less the headroom. So when each gives back what
 * it has beyond its share, one that is below its share gets what it asks for up to that share, and the headroom is free again. Beyond its share nobody is granted
 * what somebody below his has asked for in vain: else what one gives back it would take again before the other comes back for it.
 * Shares are of the whole; a bound on a common parent is not divided. Of nested ones the outermost counts, with all it holds.
 */
import { type Clock, systemClock } from '../clock.ts';
import type { Account, Ledger } from './ledger.ts';

/** One that was refused counts as waiting for so long; it has long asked again if it still wants it. */
const WANT_MS = 1_000;

export interface FairSharesOptions {
  readonly ledger: Ledger;
  /** The part of the limit that is left free for those that cannot give back. 0 up to less than 1, default 0.1. */
  readonly headroomShare?: number;
  readonly clock?: Pick<Clock, 'now'>;
}

class Sharer {
  readonly account: Account;
  /** What it last asked for in vain, 0 for none, when, and what it held then. */
  wantBytes = 0;
  wantedAt = 0;
  heldThen = 0;

  constructor(account: Account) {
    this.account = account;
  }

  /** What of that it has not been granted since. */
  get missingBytes(): number {
    return this.wantBytes - Math.max(0, this.account.total - this.heldThen);
  }
}

/** Who divides: see `FairShares`. */
export interface ShareKeeper {
  /** Whether it may take bytes for which there is room in the ledger. */
  mayTake(account: Account, bytes: number): boolean;
  /** There is no room for what it asks; others are about to be made to give back. */
  noteWant?(account: Account, bytes: number): void;
}

/**
 * `mayTake` costs about 20 ns, and 3 ns for each that shares when there are many; nothing for those that do not.
 * Leaves no garbage while nobody comes or goes.
 */
export class FairShares {
  readonly #ledger: Ledger;
  readonly #headroomShare: number;
  readonly #clock: Pick<Clock, 'now'>;
  #sharers: Sharer[] = [];
  /** The accounts that `#sharers` was made from: see `#refresh`. */
  #seenCount = 0;
  #seenLast: Account | undefined;

  constructor(options: FairSharesOptions) {
    this.#ledger = options.ledger;
    this.#headroomShare = options.headroomShare ?? 0.1;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Whether an account may take bytes for which there is room in the ledger. Up to its share always; beyond it only what is free beyond the
   * headroom and beyond what others below theirs have asked for in vain. Always true when neither it nor one above it shares. Asking changes
   * nothing.
   */
  mayTake(account: Account, bytes: number): boolean {
    const top = topOf(account);
    if (top === undefined || bytes <= 0) return true;
    const level = this.#level(top);
    if (top.total + bytes <= Math.min(level, top.maxBytes)) return true;
    const free = this.#ledger.whole.maxBytes - this.#ledger.whole.total;
    return bytes <= free - this.#headroomBytes() - this.#wantedBytes(level, top);
  }

  /**
   * There is no room for what it asks: called before others are made to give back, so that it counts among those that share. Until it is granted,
   * or for a second, what it lacks of that up to its share is kept for it from those that are beyond theirs.
   */
  noteWant(account: Account, bytes: number): void {
    const top = topOf(account);
    if (top === undefined) return;
    this.#refresh();
    const sharer = this.#sharerOf(top);
    if (sharer === undefined) return;
    sharer.wantBytes = bytes;
    sharer.wantedAt = this.#clock.now();
    sharer.heldThen = top.total;
  }

  /** The share of an account as things stand, bytes; `Infinity` when it does not share. One that holds and wants nothing is told what it would be. */
  shareBytes(account: Account): number {
    const top = topOf(account);
    return top === undefined ? Number.POSITIVE_INFINITY : Math.min(this.#level(top), top.maxBytes);
  }

  /** What an account holds beyond its share: to be asked back first. 0 for those that do not share. */
  overShareBytes(account: Account): number {
    const top = topOf(account);
    if (top === undefined || top.total === 0) return 0;
    const over = top.total - Math.min(this.#level(top), top.maxBytes);
    return over > 0 ? Math.min(over, account.total) : 0;
  }

  /**
   * How far the headroom is used up, as far as those that share hold more than their shares: what a train should get back from them. One that
   * was below its share may have taken it when there was nothing else.
   */
  headroomDebtBytes(): number {
    this.#refresh();
    const missing = this.#headroomBytes() - (this.#ledger.whole.maxBytes - this.#ledger.whole.total);
    if (missing <= 0) return 0;
    const level = this.#level(undefined);
    let over = 0;
    for (let i = 0; i < this.#sharers.length; i++) {
      const { total, maxBytes } = this.#sharers[i]!.account;
      over += Math.max(0, total - Math.min(level, maxBytes));
    }
    return Math.min(missing, over);
  }

  /**
   * Whether `holder` may be made to give back for what `requester` wants by `noteWant`, or one byte. Who does not share may ask all; who
   * shares asks only for what is within its share, and of those that share only the ones beyond theirs.
   */
  mayAskFor(requester: Account | undefined, holder: Account): boolean {
    const top = requester === undefined ? undefined : topOf(requester);
    if (top === undefined) return true;
    const other = topOf(holder);
    // A bound inside one that shares is its own affair.
    if (other === top) return true;
    const level = this.#level(top);
    const sharer = this.#sharerOf(top);
    const bytes = sharer !== undefined && this.#wants(sharer) ? sharer.missingBytes : 1;
    if (top.total + bytes > Math.min(level, top.maxBytes)) return false;
    return other === undefined || other.total > Math.min(level, other.maxBytes);
  }

  #headroomBytes(): number {
    return Math.floor(this.#ledger.whole.maxBytes * this.#headroomShare);
  }

  /**
   * The most each may hold so that all fit, `asking` counted in: what one cannot use because of its own `maxBytes` is divided among the
   * others (max-min fairness, by filling up).
   */
  #level(asking: Account | undefined): number {
    this.#refresh();
    const { whole } = this.#ledger;
    const sharers = this.#sharers;
    let count = 0;
    let shared = 0;
    let leastMax = Number.POSITIVE_INFINITY;
    for (let i = 0; i < sharers.length; i++) {
      const sharer = sharers[i]!;
      const { total, maxBytes } = sharer.account;
      shared += total;
      if (!this.#counts(sharer, asking)) continue;
      count++;
      if (maxBytes < leastMax) leastMax = maxBytes;
    }
    const pool = Math.max(0, whole.maxBytes - (whole.total - shared) - this.#headroomBytes());
    if (count === 0) return pool;
    const level = Math.floor(pool / count);
    return leastMax >= level ? level : this.#fillUp(pool, count, level, asking);
  }

  /** The level can only rise: each round leaves at least one more full, or is the last. */
  #fillUp(pool: number, count: number, level: number, asking: Account | undefined): number {
    const sharers = this.#sharers;
    for (;;) {
      let full = 0;
      let fullBytes = 0;
      for (let i = 0; i < sharers.length; i++) {
        const sharer = sharers[i]!;
        const { maxBytes } = sharer.account;
        if (maxBytes > level || !this.#counts(sharer, asking)) continue;
        full++;
        fullBytes += maxBytes;
      }
      if (full === count) return level;
      const next = Math.floor((pool - fullBytes) / (count - full));
      if (next <= level) return level;
      level = next;
    }
  }

  #counts(sharer: Sharer, asking: Account | undefined): boolean {
    return sharer.account.total > 0 || sharer.account === asking || this.#wants(sharer);
  }

  #wants(sharer: Sharer): boolean {
    if (sharer.wantBytes === 0) return false;
    if (sharer.missingBytes <= 0) {
      sharer.wantBytes = 0;
      return false;
    }
    const forMs = this.#clock.now() - sharer.wantedAt;
    if (forMs >= 0 && forMs < WANT_MS) return true;
    sharer.wantBytes = 0;
    return false;
  }

  /** What others lack up to their share and have asked for in vain. */
  #wantedBytes(level: number, asking: Account): number {
    let wanted = 0;
    for (let i = 0; i < this.#sharers.length; i++) {
      const sharer = this.#sharers[i]!;
      const { account } = sharer;
      if (account === asking || !this.#wants(sharer)) continue;
      const lacks = Math.min(level, account.maxBytes) - account.total;
      if (lacks > 0) wanted += Math.min(lacks, sharer.missingBytes);
    }
    return wanted;
  }

  #sharerOf(top: Account): Sharer | undefined {
    for (let i = 0; i < this.#sharers.length; i++) if (this.#sharers[i]!.account === top) return this.#sharers[i];
    return undefined;
  }

  /**
   * The ledger's list of accounts grows at its end only. So as long as its length is the same and the same account stands last, nobody has come
   * who is still there, and then nobody has gone either.
   */
  #refresh(): void {
    const { accounts } = this.#ledger;
    const last = accounts[accounts.length - 1];
    if (accounts.length === this.#seenCount && last === this.#seenLast) return;
    this.#seenCount = accounts.length;
    this.#seenLast = last;
    const before = this.#sharers;
    this.#sharers = accounts
      .filter((account) => topOf(account) === account)
      .map((account) => before.find((sharer) => sharer.account === account) ?? new Sharer(account));
  }
}

/** The outermost that shares, from the account up. */
function topOf(account: Account): Account | undefined {
  let top: Account | undefined;
  for (let at: Account | undefined = account; at !== undefined; at = at.parent) if (at.fairShare) top = at;
  return top;
}
