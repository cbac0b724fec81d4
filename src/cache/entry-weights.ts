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
    this.#heap = resized(this.#heap, slotCount);
    if (this.#external !== undefined) this.#external = resized(this.#external, slotCount);
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

  /** The entry in slot `from` stands in `to` now, which had none. */
  move(from: number, to: number): void {
    const [heap, external] = [this.heapAt(from), this.externalAt(from)];
    this.set(from, 0, 0);
    this.set(to, heap, external);
  }
}

function resized(array: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const other = new Uint32Array(length);
  other.set(array.subarray(0, length));
  return other;
}
