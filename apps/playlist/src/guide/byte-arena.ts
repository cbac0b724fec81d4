import type { Consumer, Reservation } from 'plimsoll';

const CHUNK_SHIFT = 14;
const CHUNK_BYTES = 1 << CHUNK_SHIFT;

/**
 * Short byte strings kept end to end in 16 KiB chunks, each reserved before it is allocated; an entry costs its bytes and two
 * more. Entries are found again by the number `add` returned and live until the arena is disposed.
 */
export class ByteArena implements Disposable {
  /** The longest entry, bytes. */
  static readonly MAX_ENTRY_BYTES = 1024;

  readonly #chunks: Buffer[] = [];
  readonly #reservation: Reservation;
  #used = CHUNK_BYTES;

  constructor(consumer: Consumer) {
    this.#reservation = consumer.reserve(0);
  }

  /** Copies `bytes[start, end)` in; returns its number, -1 when it is longer than `MAX_ENTRY_BYTES`. */
  add(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    if (length > ByteArena.MAX_ENTRY_BYTES) return -1;
    if (this.#used + length + 2 > CHUNK_BYTES) {
      this.#reservation.grow(CHUNK_BYTES);
      this.#chunks.push(Buffer.allocUnsafeSlow(CHUNK_BYTES));
      this.#used = 0;
    }
    const chunk = this.#chunks[this.#chunks.length - 1]!;
    const at = this.#used;
    chunk[at] = length & 0xff;
    chunk[at + 1] = length >> 8;
    for (let i = 0; i < length; i++) chunk[at + 2 + i] = bytes[start + i]!;
    this.#used = at + 2 + length;
    return ((this.#chunks.length - 1) << CHUNK_SHIFT) + at;
  }

  /** The chunk that holds an entry: read `[start(number), end(number))` of it, and do not write. */
  chunk(entry: number): Buffer {
    return this.#chunks[entry >>> CHUNK_SHIFT]!;
  }

  start(entry: number): number {
    return (entry & (CHUNK_BYTES - 1)) + 2;
  }

  end(entry: number): number {
    const at = entry & (CHUNK_BYTES - 1);
    const chunk = this.chunk(entry);
    return at + 2 + chunk[at]! + (chunk[at + 1]! << 8);
  }

  [Symbol.dispose](): void {
    this.#chunks.length = 0;
    this.#used = CHUNK_BYTES;
    this.#reservation[Symbol.dispose]();
  }
}
