import type { Budget } from './budget.ts';
import type { AdmitOptions, Consumer, MemoryKind, Reservation } from './contract.ts';
import type { Account } from './ledger.ts';
import { checkByteCount, LedgerReservation } from './reservation.ts';

/** A consumer as its owner sees it: the verbs, over an account of the ledger. */
export class LedgerConsumer implements Consumer {
  readonly #budget: Budget;
  readonly #account: Account;

  constructor(budget: Budget, account: Account) {
    this.#budget = budget;
    this.#account = account;
    account.consumer = this;
    budget.register(this, account);
  }

  get name(): string {
    return this.#account.name;
  }

  get kind(): MemoryKind {
    return this.#account.kind;
  }

  get maxBytes(): number {
    return this.#account.maxBytes;
  }

  get heldBytes(): number {
    return this.#account.total;
  }

  get peakBytes(): number {
    return this.#account.peak;
  }

  reserve(bytes: number): Reservation {
    checkByteCount(bytes);
    if (!this.#budget.tryTake(this.#account, bytes)) throw this.#budget.refusal(this.#account, bytes);
    return new LedgerReservation(this.#budget, this.#account, bytes);
  }

  tryReserve(bytes: number): Reservation | undefined {
    checkByteCount(bytes);
    if (!this.#budget.tryTake(this.#account, bytes)) return undefined;
    return new LedgerReservation(this.#budget, this.#account, bytes);
  }

  async admit(bytes: number, options: AdmitOptions = {}): Promise<Reservation> {
    checkByteCount(bytes);
    await this.#budget.admit(this.#account, bytes, options);
    return new LedgerReservation(this.#budget, this.#account, bytes);
  }

  nonReclaimable(): Disposable {
    const account = this.#account;
    let open = true;
    account.sections++;
    return {
      [Symbol.dispose]() {
        if (open) account.sections--;
        open = false;
      },
    };
  }

  [Symbol.dispose](): void {
    this.#budget.close(this.#account);
  }
}
