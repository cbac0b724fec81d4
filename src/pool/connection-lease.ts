import { DisposedError } from '../errors.ts';
import type { ConnectionSlot, SlotHome } from './connection-slot.ts';
import { DoubleReleaseError } from './pool-errors.ts';

/**
 * A borrowed connection. Disposing it gives it back, once: `using` and `await using` do. `release` and `discard` say the same in words, and are an error
 * (`PLIMSOLL_DOUBLE_RELEASE`) when it was given back before; disposing is not. Whoever acquired it must give it back. About 50 bytes; one is made for each loan, so
 * that an old one can never give back what somebody else has now.
 */
export class ConnectionLease<C> implements Disposable, AsyncDisposable {
  readonly #slot: ConnectionSlot<C>;
  readonly #turn: number;
  #released = false;

  /** For the pool: `slot` has just been marked as lent. */
  constructor(slot: ConnectionSlot<C>) {
    this.#slot = slot;
    this.#turn = slot.turn;
  }

  /** Throws `PLIMSOLL_DISPOSED` once the lease has been given back, or the pool was closed over it. */
  get connection(): C {
    const slot = this.#slot;
    if (slot.turn !== this.#turn) throw new DisposedError(`A lease of ${slot.home.name}`);
    if (slot.trace !== undefined) slot.trace.touch();
    return slot.connection as C;
  }

  /** True when it was given back, or the pool was closed over it. */
  get released(): boolean {
    return this.#slot.turn !== this.#turn;
  }

  /** Gives the connection back. */
  release(): void {
    this.#end(false);
  }

  /** Gives the connection back to be closed: it is broken, or in a state that nobody can make good. */
  discard(): void {
    this.#end(true);
  }

  /** Something failed: before the connection is lent again it is looked at by `isValid`, however short ago it was used. `use` says so by itself. */
  suspect(): void {
    if (!this.released) this.#slot.suspect = true;
  }

  /** For the pool: the place behind it while it is out. */
  static slotOf<C>(lease: ConnectionLease<C>): ConnectionSlot<C> | undefined {
    return lease.released ? undefined : lease.#slot;
  }

  /** For the pool: whose it is, given back or not. */
  static homeOf<C>(lease: ConnectionLease<C>): SlotHome<C> {
    return lease.#slot.home;
  }

  [Symbol.dispose](): void {
    if (!this.#released) this.#end(false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
  }

  #end(discard: boolean): void {
    const slot = this.#slot;
    if (this.#released) throw new DoubleReleaseError(slot.home.name);
    this.#released = true;
    // Else the pool was closed over it: there is nothing to give back.
    if (slot.turn === this.#turn) slot.home.takeBack(slot, discard);
  }
}
