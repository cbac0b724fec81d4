/** Bits of a symbol that name the slot; the rest, up to 53, are the generation. */
const SLOT_SPAN = 2 ** 26;
const LAST_GENERATION = 2 ** 27 - 1;

/**
 * Which symbols have been handed out for a slot. A slot whose text was dropped after a symbol was handed out for it begins a new generation: the old symbol then names nothing, and
 * never another text. A slot that has had its last generation is not used again. 4 bytes a slot, from the first symbol on.
 */
export class SlotGenerations {
  readonly #last: number;
  /** Twice the generation, and 1 when a symbol of it has been handed out. */
  #generations: Uint32Array;

  /** `last`: the highest generation, for tests. */
  constructor(capacity: number, last: number = LAST_GENERATION) {
    this.#last = last;
    this.#generations = new Uint32Array(capacity);
  }

  get bytes(): number {
    return this.#generations.byteLength;
  }

  grow(capacity: number): void {
    const larger = new Uint32Array(capacity);
    larger.set(this.#generations);
    this.#generations = larger;
  }

  /** The symbol of the text that is in the slot now. */
  handOut(slot: number): number {
    const next = this.#generations[slot]! | 1;
    this.#generations[slot] = next;
    return (next >>> 1) * SLOT_SPAN + slot;
  }

  /** The slot that a symbol names, or -1 when its text is gone or it was never handed out. Any number may be asked about. */
  slotOf(symbol: number): number {
    const slot = symbol % SLOT_SPAN;
    const value = this.#generations[slot];
    if (value === undefined || (value & 1) === 0 || (value >>> 1) * SLOT_SPAN + slot !== symbol) return -1;
    return slot;
  }

  /** The text of the slot was dropped. False when the slot must not be used again. */
  end(slot: number): boolean {
    const value = this.#generations[slot]!;
    if ((value & 1) === 0) return true;
    this.#generations[slot] = value + 1;
    return value >>> 1 < this.#last;
  }
}
