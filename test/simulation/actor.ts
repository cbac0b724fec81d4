import type { Consumer, MemoryKind, Reservation } from 'plimsoll';
import type { Machine } from './machine.ts';
import type { SimulatedScope } from './simulated-scope.ts';
import type { Temper } from './tempers.ts';

/** What the simulation knows of a reservation by itself: `bytes` is kept beside the ledger and compared with it. */
export interface Holding {
  readonly reservation: Reservation;
  owner: Actor;
  bytes: number;
  /** The scope it was reserved in; lost when it is transferred. */
  scope: SimulatedScope | undefined;
}

export interface ActorOptions {
  readonly name: string;
  readonly kind: MemoryKind;
  readonly maxBytes: number;
  readonly temper: Temper;
  readonly fairShare: boolean;
  readonly parent: Actor | undefined;
  /** Real bytes to each byte reserved: 1 for the honest. */
  readonly factor: number;
}

/** A consumer with a character, and a second set of books for it. */
export class Actor {
  readonly name: string;
  readonly kind: MemoryKind;
  readonly maxBytes: number;
  readonly temper: Temper;
  readonly fairShare: boolean;
  readonly parent: Actor | undefined;
  readonly factor: number;
  readonly holdings = new Set<Holding>();
  readonly sections: Disposable[] = [];
  consumer!: Consumer;
  open = true;
  own = 0;
  total = 0;
  peak = 0;
  /** An asynchronous reclaim of it that has not settled. */
  reclaiming = false;
  readonly #machine: Machine;

  constructor(machine: Machine, options: ActorOptions) {
    this.#machine = machine;
    this.name = options.name;
    this.kind = options.kind;
    this.maxBytes = options.maxBytes;
    this.temper = options.temper;
    this.fairShare = options.fairShare;
    this.parent = options.parent;
    this.factor = options.factor;
  }

  /** Nothing but the whole bounds it, and it is never asked to give back: who waits on it waits for the whole alone. */
  get isPlain(): boolean {
    return (
      this.temper === 'none' &&
      this.maxBytes === Number.POSITIVE_INFINITY &&
      this.parent === undefined &&
      !this.fairShare
    );
  }

  isWithin(other: Actor): boolean {
    for (let at: Actor | undefined = this; at !== undefined; at = at.parent) if (at === other) return true;
    return false;
  }

  /** Books `bytes`, negative ones back, in the simulation's own books and in the machine. */
  book(bytes: number): void {
    if (bytes > 0) this.#machine.use(this.kind, bytes * this.factor);
    else if (bytes < 0) this.#machine.drop(this.kind, -bytes * this.factor);
    this.own += bytes;
    for (let at: Actor | undefined = this; at !== undefined; at = at.parent) at.total += bytes;
  }

  take(reservation: Reservation, bytes: number, scope: SimulatedScope | undefined): Holding {
    const holding = { reservation, owner: this, bytes: this.open ? bytes : 0, scope };
    if (this.open) {
      this.holdings.add(holding);
      this.book(bytes);
    }
    return holding;
  }

  /** Notes the new size of a holding. */
  resize(holding: Holding, bytes: number): void {
    if (!this.open) return;
    this.book(bytes - holding.bytes);
    holding.bytes = bytes;
  }

  end(holding: Holding): void {
    this.resize(holding, 0);
    this.holdings.delete(holding);
  }

  /** Its consumer was disposed: nothing is held any more. Those below it are closed by themselves. */
  close(): void {
    for (const holding of [...this.holdings]) this.end(holding);
    this.open = false;
  }
}
