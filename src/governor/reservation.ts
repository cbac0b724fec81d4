import { DisposedError } from '../errors.ts';
import { invalidOption } from '../invalid-option.ts';
import type { LeakTrace, LeakTracker } from '../leak-tracker.ts';
import type { Budget } from './budget.ts';
import type { Consumer, Reservation } from './contract.ts';
import type { Account } from './ledger.ts';
import type { Holding } from './scope-tag.ts';

/** Code of others may shrink a reservation while it is being resized; after so many tries it has had its way. */
const RESIZE_TRIES = 4;

/** Throws `RangeError` unless `bytes` is a whole number from 0 up. */
export function checkByteCount(bytes: number): void {
  if (!(Number.isSafeInteger(bytes) && bytes >= 0)) throw invalidOption('bytes', 'a whole number from 0 up', bytes);
}

/** A reservation in the ledger. When its consumer is disposed it holds nothing any more. */
export class LedgerReservation implements Reservation {
  readonly #budget: Budget;
  #account: Account;
  #bytes: number;
  #open = true;
  /** What the scope knows of it; absent outside scopes, and without effect once the tag is lost. */
  #holding: Holding | undefined;
  readonly #trace: LeakTrace | undefined;

  /** The bytes have been booked on `account`, and on the scope of `holding`, already. */
  constructor(budget: Budget, account: Account, bytes: number, holding: Holding | undefined) {
    this.#budget = budget;
    this.#account = account;
    this.#bytes = bytes;
    this.#holding = holding;
    const { leakTracker } = budget;
    this.#trace = leakTracker === undefined ? undefined : follow(leakTracker, account, this);
  }

  get bytes(): number {
    return this.#account.closed ? 0 : this.#bytes;
  }

  get consumer(): Consumer {
    return this.#account.consumer!;
  }

  grow(bytes: number): void {
    if (this.tryGrow(bytes)) return;
    throw this.#refusal(bytes);
  }

  tryGrow(bytes: number): boolean {
    checkByteCount(bytes);
    if (!this.#open) throw this.#ended();
    const account = this.#account;
    if (!this.#budget.tryTake(account, bytes, this.#holding)) return false;
    if (!this.#open || this.#account !== account) {
      // Whoever gave back has meanwhile disposed or moved this very reservation: the new bytes are nobody's. It lost its tag with that.
      this.#budget.give(account, bytes);
      return false;
    }
    this.#bytes += bytes;
    return true;
  }

  shrink(bytes: number): void {
    const held = this.bytes;
    if (!(Number.isSafeInteger(bytes) && bytes >= 0 && bytes <= held)) {
      throw invalidOption('bytes', `a whole number from 0 to ${held}, which is what is held`, bytes);
    }
    if (bytes === 0) return;
    this.#bytes = held - bytes;
    this.#holding?.give(bytes);
    this.#budget.give(this.#account, bytes);
  }

  resize(bytes: number): void {
    checkByteCount(bytes);
    const held = this.bytes;
    if (bytes <= held) this.shrink(held - bytes);
    else if (this.#open) this.#growTo(bytes);
    else throw this.#ended();
  }

  transfer(to: Consumer): void {
    if (!this.#open) throw this.#ended();
    const target = this.#budget.accountOf(to, 'to');
    this.#budget.move(this.#account, target, this.#bytes, this.#holding);
    this.#holding = undefined;
    this.#account = target;
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.#trace?.close();
    const bytes = this.bytes;
    this.#bytes = 0;
    this.#holding?.untag();
    if (bytes > 0) this.#budget.give(this.#account, bytes);
  }

  /**
   * What has been added belongs to the reservation once all of it is there. Whoever shrinks, resizes or moves it in between does so with what it
   * was before, and that stays when the rest is refused.
   */
  #growTo(bytes: number): void {
    const budget = this.#budget;
    const account = this.#account;
    const holding = this.#holding;
    let added = 0;
    let missing = bytes - this.bytes;
    for (let tries = 0; tries < RESIZE_TRIES && budget.tryTake(account, missing, holding); tries++) {
      added += missing;
      if (!this.#open || this.#account !== account) break;
      missing = bytes - this.bytes - added;
      if (missing > 0) continue;
      this.#bytes += added;
      this.shrink(-missing);
      return;
    }
    const refusal = this.#refusal(Math.max(0, bytes - this.bytes - added));
    if (added > 0 && !account.closed) {
      holding?.give(added);
      budget.give(account, added);
    }
    throw refusal;
  }

  #refusal(bytes: number): unknown {
    return this.#open ? this.#budget.refusal(this.#account, bytes, this.#holding) : this.#ended();
  }

  #ended(): DisposedError {
    return new DisposedError(`a reservation of ${this.#account.name}`);
  }
}

/** Apart, so that who is not followed pays for no closure. What a disposed consumer held has been written off, and is no leak. */
function follow(leakTracker: LeakTracker, account: Account, reservation: LedgerReservation): LeakTrace | undefined {
  return leakTracker.track(`reservation of ${account.name}`, reservation, isClosed(account));
}

function isClosed(account: Account): () => boolean {
  return () => account.closed;
}
