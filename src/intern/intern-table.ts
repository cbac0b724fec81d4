/**
 * Open addressing with linear probing over typed arrays; what is removed leaves no mark, the rest of its run moves up (Knuth, volume 3, 6.4, algorithm R).
 *
 * - A cell is the hash and the slot, side by side; slot 0 is none. Texts, times of use and hashes stand in arrays by slot. Slots do not move while symbols are out.
 * - Nothing lies further from its place than `MOST_PROBES` cells, so that nobody who makes texts collide makes a look-up slow. At five eighths full chance alone never comes
 *   that far; at three quarters, with 64 probes, one text in a thousand had no place.
 * - No more than `MOST_EQUAL` have one and the same hash: comparing long texts that begin alike costs far more than passing a cell.
 * - Invariants are checked by `test/intern/check-table.ts`.
 */
import { matchesBytes } from './matches-bytes.ts';
import { SlotGenerations } from './slot-generations.ts';

export const MOST_PROBES = 256;
export const MOST_EQUAL = 8;
const FIRST_CELLS = 64;
const FULLEST = 5 / 8;
const LARGEST_CAPACITY = 2 ** 25;

/** Hash and slot; pointer to the text on the heap; time of use, hash and width. */
const CELL_BYTES = 8;
const TEXT_POINTER_BYTES = 8;
const SLOT_BYTES = 8 + 4 + 1;
const GENERATION_BYTES = 4;

export class InternTable {
  cells: Int32Array;
  mask: number;
  /** Undefined where the slot is free. */
  texts: (string | undefined)[];
  /** Twice the epoch of the last use, and 1 when it was used since the hand passed. */
  uses: Float64Array;
  /** Of free slots: the next free one. */
  hashes: Int32Array;
  /** 1 for two bytes a unit. */
  wide: Uint8Array;
  /** Texts that there is room for. */
  capacity: number;
  count = 0;
  /** Equal hashes of texts that are not equal, as met in looking up. */
  collisions = 0;
  /** Slots from 1 up to here, without it, have been used. */
  top = 1;
  free = 0;
  hand = 1;
  generations: SlotGenerations | undefined;

  constructor() {
    this.cells = new Int32Array(2 * FIRST_CELLS);
    this.mask = FIRST_CELLS - 1;
    this.capacity = FIRST_CELLS * FULLEST;
    this.texts = new Array<string | undefined>(this.capacity + 1).fill(undefined);
    this.uses = new Float64Array(this.capacity + 1);
    this.hashes = new Int32Array(this.capacity + 1);
    this.wide = new Uint8Array(this.capacity + 1);
  }

  /** What it takes on the heap besides the texts, and off it. */
  get heapBytes(): number {
    return 16 + TEXT_POINTER_BYTES * (this.capacity + 1);
  }

  get externalBytes(): number {
    return externalBytes(this.mask + 1, this.capacity, this.generations !== undefined);
  }

  /** What handing out the first symbol takes more, off the heap. */
  get symbolBytes(): number {
    return GENERATION_BYTES * (this.capacity + 1);
  }

  /** What twice the room would take more, on the heap and off it. */
  get growthBytes(): { readonly heap: number; readonly external: number } {
    const cells = 2 * (this.mask + 1);
    const capacity = cells * FULLEST;
    const external = externalBytes(cells, capacity, this.generations !== undefined) - this.externalBytes;
    return { heap: TEXT_POINTER_BYTES * (capacity - this.capacity), external };
  }

  get canGrow(): boolean {
    return 2 * this.capacity <= LARGEST_CAPACITY;
  }

  /** No free slot: `place` would fail. */
  get full(): boolean {
    return this.free === 0 && this.top > this.capacity;
  }

  /** The slot of the text that the bytes say, or 0. */
  findBytes(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const { cells, mask, texts } = this;
    for (let cell = hash & mask, left = MOST_PROBES; left > 0; cell = (cell + 1) & mask, left--) {
      const slot = cells[2 * cell + 1]!;
      if (slot === 0) return 0;
      if (cells[2 * cell] !== hash) continue;
      if (matchesBytes(texts[slot]!, bytes, start, end)) return slot;
      this.collisions++;
    }
    return 0;
  }

  findText(text: string, hash: number): number {
    const { cells, mask, texts } = this;
    for (let cell = hash & mask, left = MOST_PROBES; left > 0; cell = (cell + 1) & mask, left--) {
      const slot = cells[2 * cell + 1]!;
      if (slot === 0) return 0;
      if (cells[2 * cell] !== hash) continue;
      if (texts[slot] === text) return slot;
      this.collisions++;
    }
    return 0;
  }

  /** Puts in a text that is not there, and says where; 0 when it is full or too many stand where this one belongs. */
  place(text: string, wide: boolean, hash: number, use: number): number {
    if (this.full) return 0;
    const cell = this.#emptyCell(hash);
    if (cell < 0) return 0;
    let slot = this.free;
    if (slot === 0) slot = this.top++;
    else this.free = this.hashes[slot]!;
    this.cells[2 * cell] = hash;
    this.cells[2 * cell + 1] = slot;
    this.texts[slot] = text;
    this.uses[slot] = use;
    this.hashes[slot] = hash;
    this.wide[slot] = wide ? 1 : 0;
    this.count++;
    return slot;
  }

  /** Takes out what is in a slot that is not free. */
  remove(slot: number): void {
    const { cells, mask } = this;
    let cell = this.hashes[slot]! & mask;
    while (cells[2 * cell + 1] !== slot) cell = (cell + 1) & mask;
    this.#close(cell);
    this.#release(slot);
  }

  /** Among those that stand where a hash belongs, the one used longest ago; of those with that hash when they are as many as may be. */
  coldestNear(hash: number): number {
    const { cells, mask, uses } = this;
    let coldest = 0;
    let coldestEqual = 0;
    let equal = 0;
    for (let i = 0; i < MOST_PROBES && i <= mask; i++) {
      const cell = (hash + i) & mask;
      const slot = cells[2 * cell + 1]!;
      if (slot === 0) continue;
      if (coldest === 0 || uses[slot]! < uses[coldest]!) coldest = slot;
      if (cells[2 * cell] !== hash) continue;
      equal++;
      if (coldestEqual === 0 || uses[slot]! < uses[coldestEqual]!) coldestEqual = slot;
    }
    return equal >= MOST_EQUAL ? coldestEqual : coldest;
  }

  /**
   * The next to go, after CLOCK (Corbató 1968): what was used since the hand was here is passed once. 0 when there is nothing. At most `steps` are passed; then what lies under
   * the hand goes.
   */
  victim(steps: number): number {
    if (this.count === 0) return 0;
    const { texts, uses } = this;
    for (let slot = this.#advance(); ; slot = this.#advance()) {
      if (texts[slot] === undefined) continue;
      const use = uses[slot]!;
      if ((use & 1) === 0 || steps-- <= 0) return slot;
      uses[slot] = use - 1;
    }
  }

  /** Twice the room. Slots stay. What finds no place near its own any more is lost, and `onLost` hears of it before. */
  grow(onLost: (slot: number) => void): void {
    const cells = 2 * (this.mask + 1);
    this.capacity = cells * FULLEST;
    const { texts, uses, hashes, wide } = this;
    this.texts = new Array<string | undefined>(this.capacity + 1).fill(undefined);
    for (let slot = 1; slot < this.top; slot++) this.texts[slot] = texts[slot];
    (this.uses = new Float64Array(this.capacity + 1)).set(uses);
    (this.hashes = new Int32Array(this.capacity + 1)).set(hashes);
    (this.wide = new Uint8Array(this.capacity + 1)).set(wide);
    this.generations?.grow(this.capacity + 1);
    this.cells = new Int32Array(2 * cells);
    this.mask = cells - 1;
    for (let slot = 1; slot < this.top; slot++) if (texts[slot] !== undefined) this.#settle(slot, onLost);
  }

  /** A table as small as what is in it allows, with as much again free. Not while symbols are out: slots move. `onLost` as in `grow`. */
  shrunk(onLost: (slot: number) => void): InternTable {
    const smaller = new InternTable();
    while (smaller.capacity < 2 * this.count) smaller.grow(onLost);
    for (let slot = 1; slot < this.top; slot++) {
      const text = this.texts[slot];
      if (text === undefined) continue;
      if (smaller.place(text, this.wide[slot] === 1, this.hashes[slot]!, this.uses[slot]!) === 0) onLost(slot);
    }
    smaller.collisions = this.collisions;
    return smaller;
  }

  /** Mostly empty, and could be smaller. */
  get oversized(): boolean {
    return this.generations === undefined && this.mask + 1 > FIRST_CELLS && 8 * this.count < this.capacity;
  }

  /** From here on slots do not move. */
  giveSymbols(): SlotGenerations {
    return (this.generations ??= new SlotGenerations(this.capacity + 1));
  }

  #advance(): number {
    if (++this.hand >= this.top) this.hand = 1;
    return this.hand;
  }

  #emptyCell(hash: number): number {
    const { cells, mask } = this;
    let equal = 0;
    for (let i = 0; i < MOST_PROBES && i <= mask; i++) {
      const cell = (hash + i) & mask;
      if (cells[2 * cell + 1] === 0) return cell;
      if (cells[2 * cell] === hash && ++equal >= MOST_EQUAL) return -1;
    }
    return -1;
  }

  /** Empties a cell; those behind it that may stand nearer to their place move up. */
  #close(cell: number): void {
    const { cells, mask } = this;
    for (let next = (cell + 1) & mask; cells[2 * next + 1] !== 0; next = (next + 1) & mask) {
      const home = cells[2 * next]! & mask;
      if (((next - home) & mask) < ((next - cell) & mask)) continue;
      cells[2 * cell] = cells[2 * next]!;
      cells[2 * cell + 1] = cells[2 * next + 1]!;
      cell = next;
    }
    cells[2 * cell + 1] = 0;
  }

  #settle(slot: number, onLost: (slot: number) => void): void {
    const hash = this.hashes[slot]!;
    const cell = this.#emptyCell(hash);
    if (cell < 0) {
      onLost(slot);
      this.#release(slot);
      return;
    }
    this.cells[2 * cell] = hash;
    this.cells[2 * cell + 1] = slot;
  }

  #release(slot: number): void {
    this.texts[slot] = undefined;
    this.count--;
    if (this.generations?.end(slot) === false) return;
    this.hashes[slot] = this.free;
    this.free = slot;
  }
}

function externalBytes(cells: number, capacity: number, generations: boolean): number {
  return CELL_BYTES * cells + (SLOT_BYTES + (generations ? GENERATION_BYTES : 0)) * (capacity + 1);
}
