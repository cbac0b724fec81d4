import type { Consumer, Reservation } from 'plimsoll';

/** What a slot stands for: see `WantedChannels`. Of two claims to one id the smaller kind wins. */
export const SlotKind = { exact: 1, rewritten: 2, adopted: 3 } as const;

/** Bits of `marks`. */
export const SlotMark = { asked: 1, written: 2 } as const;

/** Guide number of a slot whose `<channel>` element stands in no guide. */
export const NO_GUIDE = 255;

const FIRST_SLOTS = 64;
const BYTES_PER_SLOT = 4 + 4 + 1 + 1 + 1 + 1;

/**
 * What is known of each channel of the written guide, in columns: 12 bytes a channel, grown by half and reserved before.
 * Only channels that a guide really has get a slot.
 */
export class SlotTable implements Disposable {
  /** Greatest start written so far, seconds since 1970; 0 before the first. */
  lastStart = new Uint32Array(FIRST_SLOTS);
  /** Arena entry + 1 of the output id, 0 when it is the guide's own and nobody adopts it. */
  idEntry = new Uint32Array(FIRST_SLOTS);
  kind = new Uint8Array(FIRST_SLOTS);
  /** Guide that declares the channel and whose element is written, or `NO_GUIDE`. */
  guide = new Uint8Array(FIRST_SLOTS);
  /** Guide + 1 that the programmes are taken from, 0 before the first programme. */
  programmeGuide = new Uint8Array(FIRST_SLOTS);
  /** `SlotMark.asked`: a playlist channel adopts it. `SlotMark.written`: its element has been written. */
  marks = new Uint8Array(FIRST_SLOTS);
  count = 0;
  readonly #reservation: Reservation;

  constructor(consumer: Consumer) {
    this.#reservation = consumer.reserve(FIRST_SLOTS * BYTES_PER_SLOT);
  }

  add(kind: number, guide: number): number {
    if (this.count === this.kind.length) this.#grow();
    const slot = this.count++;
    this.kind[slot] = kind;
    this.guide[slot] = guide;
    return slot;
  }

  /** Forgets what the writing of a guide noted, so that it can be written again. */
  resetWriting(): void {
    this.lastStart.fill(0);
    this.programmeGuide.fill(0);
    for (let slot = 0; slot < this.count; slot++) this.marks[slot] = this.marks[slot]! & SlotMark.asked;
  }

  /** Forgets all slots. */
  clear(): void {
    for (const column of [this.lastStart, this.idEntry, this.kind, this.guide, this.programmeGuide, this.marks])
      column.fill(0);
    this.count = 0;
  }

  [Symbol.dispose](): void {
    this.count = 0;
    this.#reservation[Symbol.dispose]();
  }

  #grow(): void {
    const size = Math.ceil(this.kind.length * 1.5);
    this.#reservation.grow(size * BYTES_PER_SLOT);
    const before = this.kind.length;
    this.lastStart = moved(this.lastStart, new Uint32Array(size));
    this.idEntry = moved(this.idEntry, new Uint32Array(size));
    this.kind = moved(this.kind, new Uint8Array(size));
    this.guide = moved(this.guide, new Uint8Array(size));
    this.programmeGuide = moved(this.programmeGuide, new Uint8Array(size));
    this.marks = moved(this.marks, new Uint8Array(size));
    this.#reservation.shrink(before * BYTES_PER_SLOT);
  }
}

function moved<T extends Uint8Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  // Freed now, not at the next collection.
  (from.buffer as ArrayBuffer).transfer(0);
  return to;
}
