import type { Budget } from './budget.ts';
import type { AdmitOptions, Consumer, MemoryKind, Reservation, Tracked } from './contract.ts';
import type { Account } from './ledger.ts';
import { checkByteCount, LedgerReservation } from './reservation.ts';
import { TrackedBytes } from './tracked-bytes.ts';

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
    const budget = this.#budget;
    const holding = budget.scoping === undefined ? undefined : budget.scoping.holdingFor(this.#account);
    if (!budget.tryTake(this.#account, bytes, holding)) throw budget.refusal(this.#account, bytes, holding);
    return new LedgerReservation(budget, this.#account, bytes, holding);
  }

  tryReserve(bytes: number): Reservation | undefined {
    checkByteCount(bytes);
    const budget = this.#budget;
    const holding = budget.scoping === undefined ? undefined : budget.scoping.holdingFor(this.#account);
    if (!budget.tryTake(this.#account, bytes, holding)) return undefined;
    return new LedgerReservation(budget, this.#account, bytes, holding);
  }

  async admit(bytes: number, options: AdmitOptions = {}): Promise<Reservation> {
    checkByteCount(bytes);
    const budget = this.#budget;
    const account = this.#account;
    const holding = budget.scoping === undefined ? undefined : budget.scoping.holdingFor(account);
    await budget.admit(account, bytes, options, holding);
    // Granted, and disposed before the promise had its turn: what was granted has been written off.
    if (account.closed) throw budget.ended(account);
    return new LedgerReservation(budget, account, bytes, holding);
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

  track(): Tracked {
    this.#budget.check(this.#account);
    return new TrackedBytes(this.#budget, this.#account);
  }

  [Symbol.dispose](): void {
    this.#budget.close(this.#account);
  }
}
