import type { EvictionPolicy, EvictionView } from './eviction-policy.ts';
import { SlotLists } from './slot-lists.ts';

/** Uses are counted up to here. */
const TOP = 255;
const LEVELS = TOP + 1;
/** Counts are halved after so many uses an entry. */
const USES_AN_ENTRY = 10;
const LEAST_USES = 1_000;
const LEVEL_BITS = 8;
const LEVEL_MASK = LEVELS - 1;
/** Halvings are counted modulo this; before it comes round, every mark is brought up to date. */
const HALVINGS = 2 ** 23;

/**
 * Least often used goes first, of those the least recently used. Counts are halved now and then, so that what was popular once does not stay for ever: all of one count come to
 * half of it together, so a halving joins 128 pairs of lists and touches no entry. What an entry counts is worked out from the halvings since its count was written. 12 bytes a slot; every call
 * takes the same time whatever the number of entries.
 *
 * After K. Shah, A. Mitra, D. Matani, "An O(1) algorithm for implementing the LFU cache eviction scheme" (2010), with counts that stop and age.
 */
export class LfuPolicy implements EvictionPolicy {
  readonly name = 'lfu';
  readonly #view: EvictionView;
  readonly #lists = new SlotLists(LEVELS);
  /** The level in the low 8 bits; above it the number of halvings when it was written. */
  #marks = new Uint32Array(0);
  #halvings = 0;
  #uses = 0;
  /** No level below it has an entry. */
  #lowest = 0;

  constructor(view: EvictionView) {
    this.#view = view;
  }

  onInsert(slot: number): void {
    this.#marks[slot] = (this.#halvings << LEVEL_BITS) | 1;
    this.#lists.add(1, slot);
    if (this.#lowest > 1) this.#lowest = 1;
    this.#count();
  }

  onAccess(slot: number): void {
    const level = Math.min(TOP, this.#levelOf(slot) + 1);
    this.#marks[slot] = (this.#halvings << LEVEL_BITS) | level;
    this.#lists.moveToEnd(level, slot);
    this.#count();
  }

  onRemove(slot: number): void {
    this.#lists.remove(slot);
  }

  victim(): number {
    for (; this.#lowest <= TOP; this.#lowest++) {
      const slot = this.#lists.first(this.#lowest);
      if (slot >= 0) return slot;
    }
    this.#lowest = 0;
    return -1;
  }

  resize(slotCount: number): void {
    this.#lists.resize(slotCount);
    const marks = new Uint32Array(slotCount);
    marks.set(this.#marks.subarray(0, slotCount));
    this.#marks = marks;
  }

  onMove(from: number, to: number): void {
    this.#marks[to] = this.#marks[from]!;
    this.#lists.rename(from, to);
  }

  #levelOf(slot: number): number {
    const mark = this.#marks[slot]!;
    const since = this.#halvings - (mark >>> LEVEL_BITS);
    return since > LEVEL_BITS ? 0 : (mark & LEVEL_MASK) >>> since;
  }

  #count(): void {
    if (++this.#uses >= Math.max(LEAST_USES, USES_AN_ENTRY * this.#view.entryCount)) this.#halve();
  }

  #halve(): void {
    this.#uses = 0;
    const lists = this.#lists;
    lists.append(1, 0);
    for (let level = 1; level < LEVELS / 2; level++) {
      lists.append(2 * level, level);
      lists.append(2 * level + 1, level);
    }
    this.#lowest = 0;
    if (++this.#halvings === HALVINGS) this.#rewriteMarks();
  }

  #rewriteMarks(): void {
    for (let slot = 0; slot < this.#marks.length; slot++) this.#marks[slot] = this.#levelOf(slot);
    this.#halvings = 0;
  }
}
