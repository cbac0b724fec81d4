/**
 * The synchronous path of a reservation: own room, then what others can give back at once. When both fail it is refused.
 *
 * The books are charged before anybody allocates; a sample is taken before the bytes are granted that fill the next
 * `sampleEveryBytes`, because no timer fires inside a synchronous loop.
 */
import { DisposedError, type PlimsollError } from '../errors.ts';
import { refusedEvents } from '../events.ts';
import { invalidOption } from '../invalid-option.ts';
import type { Admission } from './admission.ts';
import { BudgetExceededError, type BudgetRefusal } from './budget-errors.ts';
import type { AdmitOptions, Consumer, PressureLevel } from './contract.ts';
import type { Account, Ledger } from './ledger.ts';
import type { Reclaimers } from './reclaimers.ts';

/** `on`: limits hold. `observe`: everything is granted, what would have been refused is counted and published. `off`: it is only counted. */
export const GOVERNOR_MODES = ['on', 'observe', 'off'] as const;
export type GovernorMode = (typeof GOVERNOR_MODES)[number];

const LARGEST_HOLDERS = 5;

export interface BudgetOptions {
  readonly ledger: Ledger;
  readonly reclaimers: Reclaimers;
  readonly mode: GovernorMode;
  readonly sampleEveryBytes: number;
  /** Takes a sample and does what the level calls for. */
  readonly onSampleDue: () => void;
  readonly level: () => PressureLevel;
  readonly fixedBytes: () => number;
}

export class Budget {
  readonly ledger: Ledger;
  readonly mode: GovernorMode;
  refusals = 0;
  /** Set once by the governor: who waits is woken by what is given back. */
  admission: Admission | undefined;
  readonly #options: BudgetOptions;
  readonly #accounts = new WeakMap<Consumer, Account>();
  readonly #sampleEveryBytes: number;
  #unsampledBytes = 0;
  #closed = false;

  constructor(options: BudgetOptions) {
    this.#options = options;
    this.ledger = options.ledger;
    this.mode = options.mode;
    this.#sampleEveryBytes = options.sampleEveryBytes;
  }

  register(consumer: Consumer, account: Account): void {
    this.#accounts.set(consumer, account);
  }

  /** The account behind a consumer. Throws `RangeError` for one of another governor or of somebody's own making. */
  accountOf(consumer: Consumer, option: string): Account {
    const account = typeof consumer === 'object' && consumer !== null ? this.#accounts.get(consumer) : undefined;
    if (account === undefined) throw invalidOption(option, 'a consumer of this governor', consumer);
    if (account.closed) throw new DisposedError(`the consumer ${account.name}`);
    return account;
  }

  /**
   * Books `bytes` on `account` when there is room or others give it back at once. False also when the account, or the governor, came to its
   * end meanwhile: code of others runs in here (listeners, reclaimers, whoever hears of events), and between it and the booking nothing may.
   */
  tryTake(account: Account, bytes: number): boolean {
    this.check(account);
    const unsampled = this.#unsampledBytes + bytes;
    if (unsampled >= this.#sampleEveryBytes) {
      this.#unsampledBytes = 0;
      this.#options.onSampleDue();
      if (account.closed || this.#closed) return false;
    } else {
      this.#unsampledBytes = unsampled;
    }
    const obstacle = this.ledger.obstacle(account, bytes);
    if (obstacle !== undefined && !this.#makeRoom(account, bytes, obstacle)) return false;
    if (account.closed || this.#closed) return false;
    this.ledger.charge(account, bytes);
    return true;
  }

  /** Resolves when `bytes` are booked on `account`. */
  async admit(account: Account, bytes: number, options: AdmitOptions): Promise<void> {
    this.check(account);
    await this.admission!.admit(account, bytes, options);
  }

  /** Books `bytes` back, which the account holds, and wakes who waits. */
  give(account: Account, bytes: number): void {
    this.ledger.release(account, bytes);
    this.admission?.wake();
  }

  /**
   * Moves bytes between accounts. What stands above both, the whole at least, needs no room: there nothing changes. An account that was
   * closed has nothing to move.
   */
  move(from: Account, to: Account, bytes: number): void {
    this.check(from);
    this.check(to);
    if (from === to) return;
    this.ledger.release(from, bytes);
    // Over the line already (after `tune`), the whole is in the way of anything; a move does not make it worse.
    const obstacle = this.mode === 'on' ? this.ledger.obstacle(to, bytes) : undefined;
    if (obstacle !== undefined && obstacle !== this.ledger.whole) {
      const error = new BudgetExceededError(this.describe(to, bytes, obstacle));
      this.ledger.charge(from, bytes);
      this.#noteRefusal(to, bytes, obstacle, false);
      throw error;
    }
    this.ledger.charge(to, bytes);
    this.admission?.wake();
  }

  close(account: Account): void {
    if (account.closed) return;
    this.ledger.close(account);
    this.admission?.forget(account);
    this.admission?.wake();
  }

  /** What nobody can have: held by the runtime. */
  fixedBytes(): number {
    return this.#options.fixedBytes();
  }

  /** From now on nothing is granted. */
  shut(): void {
    this.#closed = true;
  }

  /** The error for a refusal, as things stand now: `PLIMSOLL_DISPOSED` when that is why. About 10 µs: the holders are sorted. */
  refusal(account: Account, bytes: number): PlimsollError {
    if (account.closed || this.#closed) return this.#ended(account);
    return new BudgetExceededError(this.describe(account, bytes));
  }

  /** The refusal of `bytes` more on `account` by `obstacle`; unless said, whatever stands in the way now. */
  describe(account: Account, bytes: number, obstacle?: Account): BudgetRefusal {
    obstacle ??= this.ledger.obstacle(account, bytes) ?? this.ledger.whole;
    return {
      consumer: account.name,
      requestedBytes: bytes,
      heldBytes: account.total,
      maxBytes: account.maxBytes,
      reason: this.#reason(obstacle),
      boundBy: obstacle.name,
      availableBytes: obstacle.room,
      limitBytes: this.ledger.whole.maxBytes,
      holders: this.ledger.holders(LARGEST_HOLDERS),
    };
  }

  /** Throws `DisposedError` when the account or the governor has come to its end. */
  check(account: Account): void {
    if (account.closed || this.#closed) throw this.#ended(account);
  }

  #ended(account: Account): DisposedError {
    return new DisposedError(account.closed ? `the consumer ${account.name}` : 'the governor');
  }

  #makeRoom(account: Account, bytes: number, first: Account): boolean {
    if (this.mode === 'off') return true;
    if (this.mode === 'observe') {
      this.#noteRefusal(account, bytes, first, true);
      return true;
    }
    // One attempt per bound, the nearest first: what cannot be had there makes nobody further out give back for nothing.
    let asked: Account | undefined;
    let obstacle: Account | undefined = first;
    while (obstacle !== undefined && obstacle !== asked && obstacle.reclaiming === 0) {
      asked = obstacle;
      const missing = bytes - (obstacle.maxBytes - obstacle.total);
      const request = { requester: account, branch: obstacle, targetBytes: missing, level: this.#options.level() };
      this.#options.reclaimers.reclaimNow({ ...request, wholly: true });
      if (account.closed || this.#closed) return false;
      obstacle = this.ledger.obstacle(account, bytes);
    }
    if (obstacle === undefined) return true;
    this.#noteRefusal(account, bytes, obstacle, false);
    return false;
  }

  #noteRefusal(account: Account, bytes: number, obstacle: Account, observed: boolean): void {
    account.refusals++;
    this.refusals++;
    if (!refusedEvents.heard) return;
    refusedEvents.publish({
      consumer: account.name,
      requestedBytes: bytes,
      reason: this.#reason(obstacle),
      boundBy: obstacle.name,
      availableBytes: obstacle.room,
      observed,
    });
  }

  #reason(obstacle: Account): BudgetRefusal['reason'] {
    if (obstacle.reclaiming > 0) return 'reclaiming';
    return obstacle === this.ledger.whole ? 'limit' : 'max';
  }
}
