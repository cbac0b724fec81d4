/**
 * A table from 96-bit digests to 32-bit values, in flat memory: open addressing in 256 small partitions that grow one at
 * a time, so the whole never doubles at once. About 16 bytes an entry without values, 21 with. Every growth is
 * reserved before it is allocated; the old part is freed at once, not at the next collection.
 */
import type { Consumer, Reservation } from 'plimsoll';
import { Digest } from './digest.ts';

const PARTITIONS = 256;
const FIRST_SLOTS = 16;
const FULLEST = 0.875;
const GROWTH = 1.3;

export class KeyTable implements Disposable {
  readonly #words: 3 | 4;
  readonly #parts: (Uint32Array<ArrayBuffer> | undefined)[] = new Array(PARTITIONS).fill(undefined);
  readonly #counts = new Uint32Array(PARTITIONS);
  readonly #reservation: Reservation;
  #size = 0;

  /** `withValues` adds 4 bytes an entry. The bytes are reserved from `consumer`; a refusal throws `BudgetExceededError`. */
  constructor(consumer: Consumer, options: { readonly withValues: boolean }) {
    this.#words = options.withValues ? 4 : 3;
    this.#reservation = consumer.reserve(0);
  }

  get size(): number {
    return this.#size;
  }

  get byteLength(): number {
    return this.#reservation.bytes;
  }

  /** Adds the digest. True when it was not there; its value then is 0. */
  add(digest: Digest): boolean {
    return this.#add(digest, true)!;
  }

  /** The same; undefined, and nothing is done, when the memory for it is refused. */
  tryAdd(digest: Digest): boolean | undefined {
    return this.#add(digest, false);
  }

  has(digest: Digest): boolean {
    const slots = this.#parts[digest.b & (PARTITIONS - 1)];
    return slots !== undefined && this.#seek(slots, digest) >= 0;
  }

  /** The value of a digest, -1 when it is not there. */
  get(digest: Digest): number {
    const slots = this.#parts[digest.b & (PARTITIONS - 1)];
    if (slots === undefined) return -1;
    const at = this.#seek(slots, digest);
    return at < 0 ? -1 : slots[at + 3]!;
  }

  /** Sets the value (0 to 4,294,967,294) of a digest that is there; false when it is not. */
  set(digest: Digest, value: number): boolean {
    const slots = this.#parts[digest.b & (PARTITIONS - 1)];
    if (slots === undefined) return false;
    const at = this.#seek(slots, digest);
    if (at < 0) return false;
    slots[at + 3] = value;
    return true;
  }

  /**
   * Hands out all digests, a part at a time, and gives the memory of each part back right after: what is asked for meanwhile can be had. For a table without
   * values. It is empty afterwards, and so it is for what was not asked for when the caller leaves early.
   */
  *drain(): Generator<Digest, void, undefined> {
    const digest = new Digest();
    try {
      for (let part = 0; part < PARTITIONS; part++) {
        const slots = this.#parts[part];
        if (slots === undefined) continue;
        for (let i = 0; i < slots.length; i += this.#words) {
          digest.a = slots[i]!;
          digest.b = slots[i + 1]!;
          digest.c = slots[i + 2]!;
          if ((digest.a | digest.b | digest.c) !== 0) yield digest;
        }
        this.#free(part);
      }
    } finally {
      for (let part = 0; part < PARTITIONS; part++) this.#free(part);
    }
  }

  [Symbol.dispose](): void {
    for (let part = 0; part < PARTITIONS; part++) this.#free(part);
    this.#reservation[Symbol.dispose]();
  }

  #free(part: number): void {
    const slots = this.#parts[part];
    if (slots === undefined) return;
    this.#parts[part] = undefined;
    this.#size -= this.#counts[part]!;
    this.#counts[part] = 0;
    const bytes = slots.byteLength;
    slots.buffer.transfer(0);
    this.#reservation.shrink(bytes);
  }

  /** Word index of the digest, or ~(word index of the free slot where it belongs). An empty slot has a = b = c = 0. */
  #seek(slots: Uint32Array<ArrayBuffer>, digest: Digest): number {
    const words = this.#words;
    const { a, b, c } = digest;
    const length = slots.length;
    let at = Math.floor((a / 0x1_0000_0000) * (length / words)) * words;
    for (;;) {
      const sa = slots[at]!;
      const sb = slots[at + 1]!;
      const sc = slots[at + 2]!;
      if (sa === a && sb === b && sc === c) return at;
      if ((sa | sb | sc) === 0) return ~at;
      at += words;
      if (at === length) at = 0;
    }
  }

  #put(slots: Uint32Array<ArrayBuffer>, at: number, a: number, b: number, c: number): void {
    slots[at] = a;
    slots[at + 1] = b;
    slots[at + 2] = c;
  }

  #add(digest: Digest, demands: boolean): boolean | undefined {
    const part = digest.b & (PARTITIONS - 1);
    let slots = this.#parts[part];
    const count = this.#counts[part]!;
    if (slots === undefined || count >= (slots.length / this.#words) * FULLEST) {
      slots = this.#grow(part, slots, demands);
      if (slots === undefined) return undefined;
    }
    const at = this.#seek(slots, digest);
    if (at >= 0) return false;
    this.#put(slots, ~at, digest.a, digest.b, digest.c);
    this.#counts[part] = count + 1;
    this.#size++;
    return true;
  }

  #grow(
    part: number,
    old: Uint32Array<ArrayBuffer> | undefined,
    demands: boolean,
  ): Uint32Array<ArrayBuffer> | undefined {
    const words = this.#words;
    const slotCount = old === undefined ? FIRST_SLOTS : Math.ceil((old.length / words) * GROWTH);
    const bytes = slotCount * words * 4;
    if (demands) this.#reservation.grow(bytes);
    else if (!this.#reservation.tryGrow(bytes)) return undefined;
    const grown = new Uint32Array(bytes / 4);
    this.#parts[part] = grown;
    if (old === undefined) return grown;
    const probe = { a: 0, b: 0, c: 0 } as Digest;
    for (let i = 0; i < old.length; i += words) {
      probe.a = old[i]!;
      probe.b = old[i + 1]!;
      probe.c = old[i + 2]!;
      if ((probe.a | probe.b | probe.c) === 0) continue;
      const at = ~this.#seek(grown, probe);
      this.#put(grown, at, probe.a, probe.b, probe.c);
      if (words === 4) grown[at + 3] = old[i + 3]!;
    }
    const freed = old.byteLength;
    old.buffer.transfer(0);
    this.#reservation.shrink(freed);
    return grown;
  }
}
