import type { EvictionPolicy } from './eviction-policy.ts';
import { SlotLists } from './slot-lists.ts';

const ALL = 0;

/** Least recently used goes first. 8 bytes a slot. */
export class LruPolicy implements EvictionPolicy {
  readonly name = 'lru';
  readonly #lists = new SlotLists(1);

  onInsert(slot: number): void {
    this.#lists.add(ALL, slot);
  }

  onAccess(slot: number): void {
    this.#lists.moveToEnd(ALL, slot);
  }

  onRemove(slot: number): void {
    this.#lists.remove(slot);
  }

  victim(): number {
    return this.#lists.first(ALL);
  }

  resize(slotCount: number): void {
    this.#lists.resize(slotCount);
  }

  onMove(from: number, to: number): void {
    this.#lists.rename(from, to);
  }
}
