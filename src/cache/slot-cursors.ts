/** Where a walk over slots is. Who walks holds it; once it has been let go of, nothing is left of it. */
export interface SlotCursor {
  /** The slot that comes next. */
  slot: number;
}

const FIRST_LOOK = 16;

/** The walks that are under way, held weakly: one that was given up half way is not known to be over. */
export class SlotCursors {
  #cursors: WeakRef<SlotCursor>[] = [];
  #nextLook = FIRST_LOOK;

  open(): SlotCursor {
    if (this.#cursors.length >= this.#nextLook) {
      this.#cursors = this.#cursors.filter((cursor) => cursor.deref() !== undefined);
      this.#nextLook = Math.max(FIRST_LOOK, 2 * this.#cursors.length);
    }
    const cursor = { slot: 0 };
    this.#cursors.push(new WeakRef(cursor));
    return cursor;
  }

  /** Before the slots in use move together, in their order. */
  move(isUsed: (slot: number) => boolean): void {
    for (const held of this.#cursors) {
      const cursor = held.deref();
      if (cursor === undefined) continue;
      let before = 0;
      for (let slot = 0; slot < cursor.slot; slot++) if (isUsed(slot)) before++;
      cursor.slot = before;
    }
  }
}
