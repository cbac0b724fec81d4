import type { Account, Ledger } from './ledger.ts';

/**
 * The accounts that hold most by themselves, largest first, found without making objects: for what must work when memory has run out. It keeps
 * accounts alive between `find` and `clear`.
 */
export class LargestHolders {
  readonly #found: (Account | undefined)[];
  #length = 0;

  /** `count` is the most that are found. */
  constructor(count: number) {
    this.#found = new Array<Account | undefined>(count).fill(undefined);
  }

  get length(): number {
    return this.#length;
  }

  at(index: number): Account | undefined {
    return this.#found[index];
  }

  /** Looks through all accounts, about 10 ns each. */
  find(ledger: Ledger): void {
    this.clear();
    const { accounts } = ledger;
    for (let i = 0; i < accounts.length; i++) {
      const account = accounts[i]!;
      if (account.own > 0) this.#insert(account);
    }
  }

  clear(): void {
    this.#found.fill(undefined);
    this.#length = 0;
  }

  #insert(account: Account): void {
    const found = this.#found;
    let at = this.#length;
    while (at > 0 && found[at - 1]!.own < account.own) {
      if (at < found.length) found[at] = found[at - 1];
      at--;
    }
    if (at >= found.length) return;
    found[at] = account;
    if (this.#length < found.length) this.#length++;
  }
}
