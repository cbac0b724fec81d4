import type { Consumer, Reservation } from 'plimsoll';
import { Digest } from '../channels/digest.ts';
import { KeyTable } from '../channels/key-table.ts';
import type { NameNormaliser } from './name-normaliser.ts';
import type { WantedSpans } from './wanted.ts';

/** The most aliases in one run. */
export const MAX_ALIASES = 100_000;

/**
 * The alias file in digests: which playlist channel (by name or tvg-id) stands for which guide channel (by id or display-name).
 * Several aliases may name one target. About 100 bytes an alias. A name counts as written first, then in its normalised form;
 * of two aliases for one channel the first counts.
 */
export class AliasTable implements Disposable {
  readonly #keys: KeyTable;
  readonly #normalKeys: KeyTable;
  readonly #targetIds: KeyTable;
  readonly #targetNames: KeyTable;
  /** By target: slot that claimed it or -1, whether by its id, and the next target of the same normalised name or -1. */
  readonly #slots: Int32Array;
  readonly #byId: Uint8Array;
  readonly #next: Int32Array;
  readonly #lists: Reservation;
  readonly #digest = new Digest();

  /** Throws `RangeError` beyond `MAX_ALIASES`. */
  constructor(consumer: Consumer, pairs: Iterable<readonly [string, string]>, normaliser: NameNormaliser) {
    const all = [...pairs];
    if (all.length > MAX_ALIASES)
      throw new RangeError(`Expected at most ${MAX_ALIASES} aliases, got \`${all.length}\``);
    this.#lists = consumer.reserve(all.length * 9);
    this.#keys = new KeyTable(consumer, { withValues: true });
    this.#normalKeys = new KeyTable(consumer, { withValues: true });
    this.#targetIds = new KeyTable(consumer, { withValues: true });
    this.#targetNames = new KeyTable(consumer, { withValues: true });
    this.#slots = new Int32Array(all.length).fill(-1);
    this.#byId = new Uint8Array(all.length);
    this.#next = new Int32Array(all.length).fill(-1);
    let targets = 0;
    for (const [key, target] of all) {
      const targetBytes = Buffer.from(target);
      const keyBytes = Buffer.from(key);
      if (targetBytes.length === 0 || keyBytes.length === 0) continue;
      const digest = this.#digest;
      if (this.#targetIds.add(digest.of(targetBytes, 0, targetBytes.length))) {
        const number = targets++;
        this.#targetIds.set(digest, number);
        const length = normaliser.normalise(targetBytes, 0, targetBytes.length);
        if (length > 0) this.#chain(digest.of(normaliser.bytes, 0, length), number);
      }
      const number = this.#targetIds.get(digest.of(targetBytes, 0, targetBytes.length));
      if (this.#keys.add(digest.of(keyBytes, 0, keyBytes.length))) this.#keys.set(digest, number);
      const length = normaliser.normalise(keyBytes, 0, keyBytes.length);
      if (length > 0 && this.#normalKeys.add(digest.of(normaliser.bytes, 0, length)))
        this.#normalKeys.set(digest, number);
    }
  }

  /** Target + 1 that a channel's id, former id, name or tvg_name stands for as written, 0 when none. */
  find(bytes: Buffer, spans: WantedSpans): number {
    return (
      this.#find(bytes, spans.idStart, spans.idEnd) ||
      this.#find(bytes, spans.originalStart, spans.originalEnd) ||
      this.#find(bytes, spans.nameStart, spans.nameEnd) ||
      this.#find(bytes, spans.tvgNameStart, spans.tvgNameEnd)
    );
  }

  /** The same for a normalised name. */
  findNormalised(digest: Digest): number {
    return this.#normalKeys.get(digest) + 1;
  }

  /** Target of a guide's id, -1 when none. */
  targetOfId(digest: Digest): number {
    return this.#targetIds.get(digest);
  }

  /** First target of a normalised display-name, -1 when none; the others by `nextOfName`. */
  targetOfName(digest: Digest): number {
    return this.#targetNames.get(digest);
  }

  nextOfName(target: number): number {
    return this.#next[target]!;
  }

  /** A claim by id takes the place of one by name; otherwise the first stays. */
  canClaim(target: number, byId: boolean): boolean {
    return this.#slots[target]! < 0 || (byId && this.#byId[target] === 0);
  }

  claim(target: number, byId: boolean, slot: number): void {
    this.#slots[target] = slot;
    this.#byId[target] = byId ? 1 : 0;
  }

  /** The slot that claimed a target, -1 when none. */
  slotOf(target: number): number {
    return this.#slots[target]!;
  }

  forgetClaims(): void {
    this.#slots.fill(-1);
    this.#byId.fill(0);
  }

  [Symbol.dispose](): void {
    this.#keys[Symbol.dispose]();
    this.#normalKeys[Symbol.dispose]();
    this.#targetIds[Symbol.dispose]();
    this.#targetNames[Symbol.dispose]();
    this.#lists[Symbol.dispose]();
  }

  #find(bytes: Buffer, start: number, end: number): number {
    if (start < 0 || end <= start) return 0;
    return this.#keys.get(this.#digest.of(bytes, start, end)) + 1;
  }

  /** Puts a target at the head of its name's chain. */
  #chain(digest: Digest, number: number): void {
    if (!this.#targetNames.add(digest)) this.#next[number] = this.#targetNames.get(digest);
    this.#targetNames.set(digest, number);
  }
}
