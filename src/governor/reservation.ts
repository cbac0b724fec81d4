import { DisposedError } from '../errors.ts';
import { invalidOption } from '../invalid-option.ts';
import type { Budget } from './budget.ts';
import type { Consumer, Reservation } from './contract.ts';
import type { Account } from './ledger.ts';

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

  /** The bytes have been booked on `account` already. */
  constructor(budget: Budget, account: Account, bytes: number) {
    this.#budget = budget;
    this.#account = account;
    this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#account.closed ? 0 : this.#bytes;
  }

  get consumer(): Consumer {
    return this.#account.consumer!;
  }

  grow(bytes: number): void {
    if (this.tryGrow(bytes)) return;
    if (!this.#open) throw this.#ended();
    throw this.#budget.refusal(this.#account, bytes);
  }

  tryGrow(bytes: number): boolean {
    checkByteCount(bytes);
    if (!this.#open) throw this.#ended();
    const account = this.#account;
    if (!this.#budget.tryTake(account, bytes)) return false;
    if (!this.#open || this.#account !== account) {
      // Whoever gave back has meanwhile disposed or moved this very reservation: the new bytes are nobody's.
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
    this.#budget.give(this.#account, bytes);
  }

  resize(bytes: number): void {
    checkByteCount(bytes);
    const held = this.bytes;
    if (bytes > held) this.grow(bytes - held);
    else this.shrink(held - bytes);
  }

  transfer(to: Consumer): void {
    if (!this.#open) throw this.#ended();
    const target = this.#budget.accountOf(to, 'to');
    this.#budget.move(this.#account, target, this.#bytes);
    this.#account = target;
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    const bytes = this.bytes;
    this.#bytes = 0;
    if (bytes > 0) this.#budget.give(this.#account, bytes);
  }

  #ended(): DisposedError {
    return new DisposedError(`a reservation of ${this.#account.name}`);
  }
}
