import type { Consumer, Reservation } from 'plimsoll';
import { Digest } from '../channels/digest.ts';
import { KeyTable } from '../channels/key-table.ts';
import type { ByteArena } from './byte-arena.ts';

/** The most different ids that rules may make of one id and that the guide is written for. */
export const MAX_REWRITES_PER_ID = 64;

const FIRST_REWRITES = 64;

/**
 * Which ids rules have made of which: from the digest of the former id to the chain of new ones. About 50 bytes a pair
 * and the new id's bytes, reserved before. A rewrite is a number from 1 up; 0 is the end of a chain.
 */
export class RewriteTable implements Disposable {
  /** Pairs left out for `MAX_REWRITES_PER_ID` or a new id too long for the arena. */
  refusedCount = 0;

  readonly #former: KeyTable;
  readonly #pairs: KeyTable;
  readonly #arena: ByteArena;
  readonly #lists: Reservation;
  readonly #digest = new Digest();
  #entries = new Uint32Array(FIRST_REWRITES);
  #older = new Uint32Array(FIRST_REWRITES);
  #count = 0;

  constructor(consumer: Consumer, arena: ByteArena) {
    this.#former = new KeyTable(consumer, { withValues: true });
    this.#pairs = new KeyTable(consumer, { withValues: false });
    this.#lists = consumer.reserve(FIRST_REWRITES * 8);
    this.#arena = arena;
  }

  /** Notes that `bytes[from, fromEnd)` has become `bytes[to, toEnd)`; once a pair. */
  add(bytes: Buffer, from: number, fromEnd: number, to: number, toEnd: number): void {
    if (bytes.compare(bytes, to, toEnd, from, fromEnd) === 0) return;
    const digest = this.#digest;
    if (!this.#pairs.add(digest.of(bytes, from, fromEnd, to, toEnd))) return;
    this.#former.add(digest.of(bytes, from, fromEnd));
    const older = this.#former.get(digest);
    let length = 1;
    for (let at = older; at > 0; at = this.next(at)) length++;
    const entry = length > MAX_REWRITES_PER_ID ? -1 : this.#arena.add(bytes, to, toEnd);
    if (entry < 0) {
      this.refusedCount++;
      return;
    }
    if (this.#count === this.#entries.length) this.#grow();
    this.#entries[this.#count] = entry;
    this.#older[this.#count] = older;
    this.#former.set(digest, ++this.#count);
  }

  /** First rewrite of a former id, 0 when there is none. */
  first(former: Digest): number {
    return Math.max(0, this.#former.get(former));
  }

  next(rewrite: number): number {
    return this.#older[rewrite - 1]!;
  }

  /** Arena entry of the new id. */
  entry(rewrite: number): number {
    return this.#entries[rewrite - 1]!;
  }

  /** Digest of the new id; valid until the next call. */
  newId(rewrite: number): Digest {
    const entry = this.entry(rewrite);
    return this.#digest.of(this.#arena.chunk(entry), this.#arena.start(entry), this.#arena.end(entry));
  }

  [Symbol.dispose](): void {
    this.#former[Symbol.dispose]();
    this.#pairs[Symbol.dispose]();
    this.#lists[Symbol.dispose]();
  }

  #grow(): void {
    const size = Math.ceil(this.#entries.length * 1.5);
    this.#lists.grow(size * 8);
    const entries = new Uint32Array(size);
    const older = new Uint32Array(size);
    entries.set(this.#entries);
    older.set(this.#older);
    this.#lists.shrink(this.#entries.length * 8);
    this.#entries.buffer.transfer(0);
    this.#older.buffer.transfer(0);
    this.#entries = entries;
    this.#older = older;
  }
}
