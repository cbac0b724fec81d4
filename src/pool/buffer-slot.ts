/**
 * The memory of one pooled buffer, and who it belongs to.
 *
 * - Where it is moved on return, the `ArrayBuffer` that the borrower saw is left without memory: its views have length 0, read nothing and write nothing. Moving copies nothing
 *   (`ArrayBuffer.prototype.transfer` to the same length).
 * - Each `ArrayBuffer` that was ever lent carries its slot, and the slot holds the memory. So memory that the system still reads or writes for a borrower who gave it back too early is
 *   not freed while a view of his is alive: a transfer alone would leave it to the collector. For the same reason nothing here frees memory ahead of the collector.
 * - What it carries is a private field, put on it by a constructor that returns another object: nobody else can see it or take it off. 60 ns; a `WeakMap` took 240.
 */
import { PooledSlot } from './pooled-slot.ts';
import type { SizeClass } from './size-class.ts';

const NOTHING = Buffer.alloc(0);
const CAN_TRANSFER = typeof ArrayBuffer.prototype.transfer === 'function';

/** Whether moving memory is cheap here: Node 22 and newer. */
export const MOVES_CHEAPLY = CAN_TRANSFER;

/** The value is what the borrower has: a view of exactly what was asked for, over a store of the class's size. */
export class BufferSlot extends PooledSlot<Buffer> {
  readonly row: SizeClass;
  readonly bytes: number;
  /** Whether somebody has had it. */
  used = false;
  #store: ArrayBuffer;

  /** Allocates `bytes`, which are zeros; throws what V8 throws. */
  constructor(home: BufferSlot['home'], row: SizeClass, bytes: number) {
    super(home, NOTHING);
    this.row = row;
    this.bytes = bytes;
    this.#store = owned(new ArrayBuffer(bytes), this);
  }

  /** The slot whose memory `buffer` shows or showed; undefined when it is nobody's, or nothing that has memory. */
  static of(buffer: Uint8Array): BufferSlot | undefined {
    try {
      return OwnedStore.ownerOf(buffer.buffer);
    } catch {
      return undefined;
    }
  }

  /** False when a borrower of before, whose hands it was left in, has sent it elsewhere. */
  get isThere(): boolean {
    return this.#store.byteLength === this.bytes;
  }

  /** Makes the view for a loan. With `zero` there is nothing of an earlier one in the whole store: the rest of it can be reached through `.buffer`. */
  open(bytes: number, zero: boolean): void {
    const view = Buffer.from(this.#store, 0, bytes);
    if (zero && this.used) Uint8Array.prototype.fill.call(bytes === this.bytes ? view : new Uint8Array(this.#store), 0);
    this.value = view;
  }

  /** Ends the loan, and takes the memory out of the borrower's hands if `move` says so. False when it is not there any more: the borrower has transferred it himself. */
  close(move: boolean): boolean {
    this.value = NOTHING;
    this.used = true;
    if (!this.isThere) return false;
    if (!move) return true;
    try {
      this.#store = owned(moved(this.#store), this);
      return true;
    } catch {
      // Somebody has marked it as one that cannot be moved.
      return false;
    }
  }
}

function moved(store: ArrayBuffer): ArrayBuffer {
  return CAN_TRANSFER ? store.transfer() : structuredClone(store, { transfer: [store] });
}

/** A class whose constructor returns what it is given, so that fields of a subclass come to stand on that. */
class Itself {
  constructor(store: object) {
    // biome-ignore lint/correctness/noConstructorReturn: that is what it is for
    return store;
  }
}

class OwnedStore extends Itself {
  readonly #slot: BufferSlot;

  constructor(store: ArrayBuffer, slot: BufferSlot) {
    super(store);
    this.#slot = slot;
  }

  static ownerOf(store: object): BufferSlot | undefined {
    return #slot in store ? store.#slot : undefined;
  }
}

function owned(store: ArrayBuffer, slot: BufferSlot): ArrayBuffer {
  new OwnedStore(store, slot);
  return store;
}
