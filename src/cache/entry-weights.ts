/** The most that one entry may weigh of each kind, bytes: it stands in 32 bits. */
export const MOST_ENTRY_BYTES = 2 ** 32 - 1;

/** What the entries weigh, by slot: 4 bytes each, 4 more from the first on that has bytes off the heap. */
export class EntryWeights {
  #heap = new Uint32Array(0);
  #external: Uint32Array<ArrayBuffer> | undefined;
  heapBytes = 0;
  externalBytes = 0;

  get bytes(): number {
    return this.heapBytes + this.externalBytes;
  }

  resize(slotCount: number): void {
    if (slotCount <= this.#heap.length) return;
    this.#heap = grown(this.#heap, slotCount);
    if (this.#external !== undefined) this.#external = grown(this.#external, slotCount);
  }

  heapAt(slot: number): number {
    return this.#heap[slot]!;
  }

  externalAt(slot: number): number {
    return this.#external === undefined ? 0 : this.#external[slot]!;
  }

  at(slot: number): number {
    return this.heapAt(slot) + this.externalAt(slot);
  }

  set(slot: number, heapBytes: number, externalBytes: number): void {
    this.heapBytes += heapBytes - this.#heap[slot]!;
    this.#heap[slot] = heapBytes;
    if (this.#external === undefined) {
      if (externalBytes === 0) return;
      this.#external = new Uint32Array(this.#heap.length);
    }
    this.externalBytes += externalBytes - this.#external[slot]!;
    this.#external[slot] = externalBytes;
  }

  /** Back to where it began; arrays are let go. */
  clear(): void {
    this.#heap = new Uint32Array(0);
    this.#external = undefined;
    this.heapBytes = this.externalBytes = 0;
  }
}

function grown(array: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(length);
  larger.set(array);
  return larger;
}
