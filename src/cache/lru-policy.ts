import type { EvictionPolicy } from './eviction-policy.ts';
import { SlotLists } from './slot-lists.ts';

/** The one list of it. */
export const ALL_USES = 0;

/** Least recently used goes first. 8 bytes a slot. */
export class LruPolicy implements EvictionPolicy {
  readonly name = 'lru';
  /** Oldest use first. The store calls it without a detour: V8 inlines only so much. */
  readonly uses = new SlotLists(1);

  onInsert(slot: number): void {
    this.uses.add(ALL_USES, slot);
  }

  onAccess(slot: number): void {
    this.uses.moveToEnd(ALL_USES, slot);
  }

  onRemove(slot: number): void {
    this.uses.remove(slot);
  }

  victim(): number {
    return this.uses.first(ALL_USES);
  }

  resize(slotCount: number): void {
    this.uses.resize(slotCount);
  }

  onMove(from: number, to: number): void {
    this.uses.rename(from, to);
  }
}
