/**
 * The books: who holds how much. Policy stands elsewhere; nothing in here asks, waits or calls out.
 *
 * Invariants: an account's `own` is the sum of its open reservations; its `total` is `own` and the totals of its children; the
 * total of `whole` is everything, the runtime included, and the sum over the kinds. Every operation walks from an account up to `whole`:
 * its cost is the depth of the tree, usually two steps, and it leaves no garbage. The bound of a kind stands beside the tree, because one branch
 * may hold several kinds: its `total` is that of all consumers of the kind, what the governor holds itself left out.
 */
import { checkName, checkOneOf, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import type { Holder } from './budget-errors.ts';
import {
  type Consumer,
  type ConsumerOptions,
  type HolderReport,
  MEMORY_KINDS,
  type MemoryKind,
  type Reclaimer,
} from './contract.ts';

/** When one may be asked again. */
export class BackOff {
  /** Runs in a row that released nothing: the wait doubles with each. */
  futile = 0;
  /** Not asked again before this time of the clock. */
  retryAt = Number.NEGATIVE_INFINITY;
}

/** What has come of asking one reclaimer. */
export class ReclaimRecord {
  calls = 0;
  claimedBytes = 0;
  releasedBytes = 0;
  faults = 0;
  overruns = 0;
  /** By verb: one that has nothing at once may have a lot when it is waited for. */
  readonly backOffs = { reclaimNow: new BackOff(), reclaim: new BackOff() };
  /** An asynchronous run passed its deadline and has not settled yet. */
  hung = false;
}

/** One consumer's page in the books. */
export class Account {
  readonly name: string;
  readonly kind: MemoryKind;
  readonly kindIndex: number;
  readonly parent: Account | undefined;
  readonly importance: number;
  readonly reclaimer: Reclaimer | undefined;
  readonly report: (() => HolderReport) | undefined;
  readonly reclaims: ReclaimRecord | undefined;
  maxBytes: number;
  own = 0;
  ownPeak = 0;
  total = 0;
  peak = 0;
  refusals = 0;
  closed = false;
  /** How many reclaims of it are under way: its own reservations are refused meanwhile. */
  reclaiming = 0;
  /** How many non-reclaimable sections are open: it is not asked meanwhile. */
  sections = 0;
  readonly fairShare: boolean;
  /** Of itself and those above it, the outermost that divides with others what there is. */
  readonly fair: Account | undefined;
  /** What there is of its kind, with a bound of its own beside those of the tree. Of the whole, itself. */
  readonly ofKind: Account;
  /** How many of its reservations a scope counts as its own. */
  tagged = 0;
  /** Set by whoever opened the account, before it is handed out. */
  consumer: Consumer | undefined;

  constructor(options: ConsumerOptions, parent: Account | undefined, ofKind?: Account) {
    this.name = options.name;
    this.kind = options.kind;
    this.kindIndex = MEMORY_KINDS.indexOf(options.kind);
    this.parent = parent;
    this.importance = options.importance ?? 0;
    this.reclaimer = options.reclaimer;
    this.report = options.report;
    this.reclaims = options.reclaimer === undefined ? undefined : new ReclaimRecord();
    this.maxBytes = options.maxBytes;
    this.fairShare = options.fairShare ?? false;
    this.fair = parent?.fair ?? (this.fairShare ? this : undefined);
    this.ofKind = ofKind ?? this;
  }

  /** Bytes it and its children may still take under its own bound. */
  get room(): number {
    return Math.max(0, this.maxBytes - this.total);
  }

  /** Within a branch of the tree, or of the kind that `branch` stands for. */
  isWithin(branch: Account): boolean {
    for (let at: Account | undefined = this; at !== undefined; at = at.parent) if (at === branch) return true;
    return this.ofKind === branch;
  }

  /** Its kind, when there is no room of that for `bytes` more. */
  fullKind(bytes: number): Account | undefined {
    const { ofKind } = this;
    return bytes > ofKind.maxBytes - ofKind.total ? ofKind : undefined;
  }
}

/** The names that the options of a consumer have. */
export const CONSUMER_OPTIONS = [
  'name',
  'kind',
  'maxBytes',
  'parent',
  'importance',
  'reclaimer',
  'fairShare',
  'report',
] as const;

/** Passes a copy of sound options through, throws `RangeError` for others. A name has at most 120 characters. */
export function checkConsumerOptions(given: ConsumerOptions): ConsumerOptions {
  const options = copyOptions('consumer', given, CONSUMER_OPTIONS);
  const { name, kind, maxBytes, importance, reclaimer, fairShare, report } = options;
  checkName(name);
  checkOneOf('kind', kind, MEMORY_KINDS);
  if (maxBytes !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(maxBytes) && maxBytes >= 0)) {
    throw invalidOption('maxBytes', 'a whole number from 0 up, or Infinity for "up to the line"', maxBytes);
  }
  if (importance !== undefined) checkWhole('importance', importance, Number.MIN_SAFE_INTEGER);
  if (reclaimer !== undefined && typeof reclaimer?.reclaimableBytes !== 'function') {
    throw invalidOption('reclaimer', 'an object with the method `reclaimableBytes`', reclaimer);
  }
  if (fairShare !== undefined && typeof fairShare !== 'boolean')
    throw invalidOption('fairShare', 'a boolean', fairShare);
  if (report !== undefined && typeof report !== 'function') throw invalidOption('report', 'a function', report);
  return options;
}

export class Ledger {
  /** The root: its bound is the limit, its total is everything held. */
  readonly whole: Account;
  /** Every open account but `whole`, oldest first. */
  readonly accounts: Account[] = [];
  /** What consumers hold of each kind, in the order of `MEMORY_KINDS`; these stand beside the tree. */
  readonly #kinds = MEMORY_KINDS.map(
    (kind) => new Account({ name: kind, kind, maxBytes: Number.POSITIVE_INFINITY }, undefined),
  );
  /** What the governor holds itself: of kind `heap`, under no bound of it. */
  readonly #own = new Account({ name: 'the governor', kind: 'heap', maxBytes: Number.POSITIVE_INFINITY }, undefined);
  /** All that was ever given back. */
  releasedBytes = 0;
  readonly #maxAccounts: number;
  readonly #onTooMany: (() => boolean) | undefined;

  /** `onTooMany` is asked about each account beyond `maxAccounts`: with true it is opened all the same, otherwise that throws. */
  constructor(limitBytes: number, maxAccounts: number, onTooMany?: () => boolean) {
    this.#onTooMany = onTooMany;
    this.whole = new Account({ name: 'the whole', kind: 'heap', maxBytes: limitBytes }, undefined);
    this.#maxAccounts = maxAccounts;
  }

  /** Opens an account below `parent`. Names need not be unique. Throws `RangeError` when there are too many, unless that is only noted. */
  open(options: ConsumerOptions, parent: Account = this.whole): Account {
    return this.#add(new Account(options, parent, this.#kinds[MEMORY_KINDS.indexOf(options.kind)]));
  }

  /** As `open`, for what the governor holds itself: it is counted as `heap`, and the bound of that kind does not hold for it. */
  openOwn(name: string): Account {
    const options = { name, kind: 'heap', maxBytes: Number.POSITIVE_INFINITY } as const;
    return this.#add(new Account(options, this.whole, this.#own));
  }

  /** The most that consumers may hold of one kind, whatever the line says; refusals call it `name`. Before any is opened. */
  boundKind(kind: MemoryKind, name: string, maxBytes: number): void {
    this.#kinds[MEMORY_KINDS.indexOf(kind)] = new Account({ name, kind, maxBytes }, undefined);
  }

  /** What is held of a kind, by its place in `MEMORY_KINDS`; of `heap`, what the governor holds itself as well. */
  kindBytes(index: number): number {
    return this.#kinds[index]!.total + (index === this.#own.kindIndex ? this.#own.total : 0);
  }

  #add(account: Account): Account {
    if (this.accounts.length >= this.#maxAccounts) {
      const expected = 'enough for one more consumer (dispose some, or raise it)';
      if (this.#onTooMany?.() !== true) throw invalidOption('maxConsumers', expected, this.#maxAccounts);
    }
    this.accounts.push(account);
    return account;
  }

  /**
   * Closes an account and those below it. What they hold is written off: their reservations hold nothing from now on. Returns how many of
   * those a scope still counts.
   */
  close(account: Account): number {
    if (account.closed) return 0;
    let tagged = 0;
    for (let i = this.accounts.length - 1; i >= 0; i--) {
      const other = this.accounts[i]!;
      if (!other.isWithin(account)) continue;
      this.release(other, other.own);
      other.closed = true;
      tagged += other.tagged;
      this.accounts.splice(i, 1);
    }
    return tagged;
  }

  /** The account nearest to `account` that stands in the way of `bytes` more, undefined when there is room. Nothing is always granted. */
  obstacle(account: Account, bytes: number): Account | undefined {
    if (bytes === 0) return undefined;
    let at: Account | undefined = account;
    do {
      if (bytes > at.maxBytes - at.total || at.reclaiming > 0) break;
      at = at.parent;
    } while (at !== undefined);
    // Only the whole stands further out than the kind.
    return at === undefined || at === this.whole ? (account.fullKind(bytes) ?? at) : at;
  }

  /**
   * The same where `prepaidBytes` of them are held already by an account right below the whole and only move: the whole needs room for
   * the rest alone. With `outermost` the one that is furthest up.
   */
  obstacleBeside(account: Account, bytes: number, prepaidBytes: number, outermost: boolean): Account | undefined {
    if (bytes === 0) return undefined;
    let found: Account | undefined;
    let at: Account | undefined = account;
    do {
      const need = at === this.whole ? bytes - prepaidBytes : bytes;
      if ((need > 0 && need > at.maxBytes - at.total) || at.reclaiming > 0) {
        found = at;
        if (!outermost) break;
      }
      at = at.parent;
    } while (at !== undefined);
    // What pots have paid is of no kind yet. Of both, the whole stands further out.
    const kind = account.fullKind(bytes);
    if (kind === undefined || found === undefined) return kind ?? found;
    return (found === this.whole) === outermost ? found : kind;
  }

  /** Books bytes without asking whether there is room. */
  charge(account: Account, bytes: number): void {
    const own = (account.own += bytes);
    if (own > account.ownPeak) account.ownPeak = own;
    account.ofKind.total += bytes;
    let at: Account | undefined = account;
    do {
      const total = (at.total += bytes);
      if (total > at.peak) at.peak = total;
      at = at.parent;
    } while (at !== undefined);
  }

  /** Books bytes back. The caller has seen to it that the account holds them. */
  release(account: Account, bytes: number): void {
    account.own -= bytes;
    this.releasedBytes += bytes;
    account.ofKind.total -= bytes;
    let at: Account | undefined = account;
    do {
      at.total -= bytes;
      at = at.parent;
    } while (at !== undefined);
  }

  /** The accounts that hold most by themselves, largest first. */
  holders(count: number): Holder[] {
    return this.accounts
      .filter((account) => account.own > 0)
      .sort((a, b) => b.own - a.own)
      .slice(0, count)
      .map(({ name, kind, own, ownPeak }) => ({ name, kind, heldBytes: own, peakBytes: ownPeak }));
  }
}
