import { DisposedError } from '../errors.ts';
import type { Budget } from './budget.ts';
import type { Tracked } from './contract.ts';
import type { Account } from './ledger.ts';
import { checkByteCount } from './reservation.ts';

/** Bytes on an account that nobody was asked for: booked as they are found. */
export class TrackedBytes implements Tracked {
  readonly #budget: Budget;
  readonly #account: Account;
  #bytes = 0;
  #open = true;

  constructor(budget: Budget, account: Account) {
    this.#budget = budget;
    this.#account = account;
  }

  get bytes(): number {
    return this.#account.closed ? 0 : this.#bytes;
  }

  resize(bytes: number): void {
    checkByteCount(bytes);
    if (!this.#open) throw new DisposedError(`what is tracked for ${this.#account.name}`);
    const before = this.bytes;
    // Set first: booking growth may take a sample, and that have whoever tracks give back and resize again in the middle.
    this.#bytes = bytes;
    try {
      this.#budget.track(this.#account, bytes - before);
    } catch (cause) {
      this.#bytes = before;
      throw cause;
    }
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    const { bytes } = this;
    this.#open = false;
    this.#bytes = 0;
    if (bytes > 0) this.#budget.track(this.#account, -bytes);
  }
}
