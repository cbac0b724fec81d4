import type { FailOpen } from '../fail-open.ts';
import { type Governor, HolderBook, type HolderReport, type Reclaimer } from '../governor/index.ts';

/** Giving back at once takes no longer than this, one entry aside; going down to the tiers, before it, as long again. */
export const MOST_MS = 4;

/** The kinds of memory that entries are made of. */
export type CacheKind = 'heap' | 'external';

export interface CacheBooksOptions {
  readonly name: string;
  readonly importance: number;
  readonly reclaimer: (kind: CacheKind) => Reclaimer;
  readonly report: () => HolderReport;
  readonly failOpen: FailOpen;
}

/**
 * What a cache has in the governor's books: a book for each kind, the one of buffers (`NAME (buffers)`) from the first of them on. What is given while the cache is in the
 * middle of a change is kept here until `settle`, and taken from first: in a full cache one entry takes the bytes of another without a word to the governor.
 */
export class CacheBooks implements Disposable {
  readonly #governor: Governor;
  readonly #options: CacheBooksOptions;
  readonly #heap: HolderBook;
  #external: HolderBook | undefined;
  #looseHeap = 0;
  #looseExternal = 0;

  constructor(governor: Governor, options: CacheBooksOptions) {
    this.#governor = governor;
    this.#options = options;
    this.#heap = this.#open('heap');
  }

  /** Both or neither. May run code of others, and have this very cache give back. */
  tryTake(heapBytes: number, externalBytes: number): boolean {
    const heap = Math.min(heapBytes, this.#looseHeap);
    const external = Math.min(externalBytes, this.#looseExternal);
    this.#looseHeap -= heap;
    this.#looseExternal -= external;
    if (heap === heapBytes || this.#heap.tryTake(heapBytes - heap)) {
      if (external === externalBytes) return true;
      this.#external ??= this.#open('external');
      if (this.#external.tryTake(externalBytes - external)) return true;
      this.#looseHeap += heapBytes - heap;
    }
    this.#looseHeap += heap;
    this.#looseExternal += external;
    return false;
  }

  /** Given at the next `settle`. */
  give(heapBytes: number, externalBytes: number): void {
    this.#looseHeap += heapBytes;
    this.#looseExternal += externalBytes;
  }

  settle(): void {
    const { external, heap } = { external: this.#looseExternal, heap: this.#looseHeap };
    this.#looseHeap = this.#looseExternal = 0;
    if (heap > 0) this.#heap.give(heap);
    if (external > 0) this.#external?.give(external);
  }

  [Symbol.dispose](): void {
    this.#heap[Symbol.dispose]();
    this.#external?.[Symbol.dispose]();
  }

  #open(kind: CacheKind): HolderBook {
    const { name, importance, reclaimer, report, failOpen } = this.#options;
    return new HolderBook(this.#governor, {
      name: kind === 'heap' ? name : `${name} (buffers)`,
      kind,
      // The bound is the cache's own, and may be changed while running.
      maxBytes: Number.POSITIVE_INFINITY,
      importance,
      reclaimer: reclaimer(kind),
      failOpen,
      ...(kind === 'heap' && { report }),
    });
  }
}
