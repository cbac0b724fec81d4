import type { FailOpen } from '../fail-open.ts';
import { type Governor, HolderBook, type Reclaimer } from '../governor/index.ts';

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

/**
 * What a store holds in the ledger: a consumer for each kind, the one of buffers (`NAME (buffers)`) once there are some. Where the governor is broken everything is
 * granted, and the store has its own bound left.
 */
export class StoreBooks implements Disposable {
  readonly #governor: Governor;
  readonly #options: StoreBooksOptions;
  readonly #heap: HolderBook;
  #external: HolderBook | undefined;

  constructor(governor: Governor, options: StoreBooksOptions) {
    this.#governor = governor;
    this.#options = options;
    this.#heap = this.#open('heap');
  }

  /** Both or neither. */
  tryTake(heapBytes: number, externalBytes: number): boolean {
    if (!this.#heap.tryTake(heapBytes)) return false;
    if (externalBytes === 0 || (this.#external ??= this.#open('external')).tryTake(externalBytes)) return true;
    this.#heap.give(heapBytes);
    return false;
  }

  give(heapBytes: number, externalBytes: number): void {
    this.#heap.give(heapBytes);
    if (externalBytes > 0) this.#external?.give(externalBytes);
  }

  [Symbol.dispose](): void {
    this.#heap[Symbol.dispose]();
    this.#external?.[Symbol.dispose]();
  }

  #open(kind: StoredKind): HolderBook {
    const { name, maxBytes, importance, reclaimer, failOpen } = this.#options;
    return new HolderBook(this.#governor, {
      name: kind === 'heap' ? name : `${name} (buffers)`,
      kind,
      maxBytes,
      reclaimer: reclaimer(kind),
      failOpen,
      // The ledger is to say what the store says.
      stepBytes: 0,
      ...(importance !== undefined && { importance }),
    });
  }
}
