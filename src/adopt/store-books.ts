import type { FailOpen } from '../fail-open.ts';
import type { Consumer, Governor, Reclaimer, Reservation } from '../governor/index.ts';

/** The kinds that the entries of a store are made of: objects and strings, and what stands off the heap. */
export type StoredKind = 'heap' | 'external';

export interface StoreBooksOptions {
  readonly name: string;
  /** Of each kind. */
  readonly maxBytes: number;
  readonly importance: number | undefined;
  readonly reclaimer: (kind: StoredKind) => Reclaimer;
  readonly failOpen: FailOpen;
}

interface Book {
  readonly consumer: Consumer;
  readonly reservation: Reservation;
}

/**
 * What a store holds in the ledger: a consumer and a reservation for each kind, the one of buffers (`NAME (buffers)`) once there are some. Where the
 * governor is broken everything is granted, and the store has its own bound left.
 */
export class StoreBooks implements Disposable {
  readonly #governor: Governor;
  readonly #options: StoreBooksOptions;
  readonly #books: { heap: Book | undefined; external: Book | undefined } = { heap: undefined, external: undefined };

  constructor(governor: Governor, options: StoreBooksOptions) {
    this.#governor = governor;
    this.#options = options;
    options.failOpen.run(() => void this.#open('heap'), undefined);
  }

  /** Both or neither. */
  tryTake(heapBytes: number, externalBytes: number): boolean {
    return this.#options.failOpen.run(() => {
      const heap = this.#open('heap').reservation;
      if (!heap.tryGrow(heapBytes)) return false;
      if (externalBytes === 0 || this.#open('external').reservation.tryGrow(externalBytes)) return true;
      heap.shrink(Math.min(heapBytes, heap.bytes));
      return false;
    }, true);
  }

  give(heapBytes: number, externalBytes: number): void {
    this.#give(this.#books.heap, heapBytes);
    if (externalBytes > 0) this.#give(this.#books.external, externalBytes);
  }

  [Symbol.dispose](): void {
    const { heap, external } = this.#books;
    this.#books.heap = this.#books.external = undefined;
    for (const book of [heap, external]) {
      if (book !== undefined) this.#options.failOpen.run(() => book.consumer[Symbol.dispose](), undefined);
    }
  }

  /** Never more than is held: what was granted by a broken governor stands in no ledger. */
  #give(book: Book | undefined, bytes: number): void {
    if (book === undefined) return;
    this.#options.failOpen.run(() => book.reservation.shrink(Math.min(bytes, book.reservation.bytes)), undefined);
  }

  #open(kind: StoredKind): Book {
    const open = this.#books[kind];
    if (open !== undefined) return open;
    const { name, maxBytes, importance, reclaimer } = this.#options;
    const consumer = this.#governor.consumer({
      name: kind === 'heap' ? name : `${name} (buffers)`,
      kind,
      maxBytes,
      reclaimer: reclaimer(kind),
      ...(importance !== undefined && { importance }),
    });
    const reservation = consumer.reserve(0);
    // Opened in the middle of a request it is not that request's.
    reservation.transfer(consumer);
    return (this.#books[kind] = { consumer, reservation });
  }
}
