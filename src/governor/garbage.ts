/**
 * How much a collection would find: what V8 counts beyond what is reserved, less what the last full collection left of that. Whoever drops what it
 * held releases it in the ledger at once, and V8 counts it until it collects; so the difference is garbage, but for what nobody ever reserved, and
 * that is still there after a collection.
 */
import type { MemoryKind } from './contract.ts';
import type { MeterName } from './meters.ts';

/** Who has not allocated what was granted for so long may never do so. */
const PENDING_HALVES_MS = 5_000;

export interface GarbageOptions {
  /** `heap` without the runtime. */
  readonly reservedBytes: (kind: MemoryKind) => number;
  /** As of the last sample. */
  readonly usedHeapBytes: () => number;
  readonly externalBytes: () => number;
  /** Whether WebAssembly memories are among the external bytes. Asked only where some are reserved: finding out makes one. */
  readonly countsWasm: () => boolean;
}

export class Garbage {
  readonly #options: GarbageOptions;
  /** What nobody has reserved and was there all the same: at first all that Node itself has. */
  #keptHeap: number | undefined;
  #keptExternal: number | undefined;
  #baseHeap: number | undefined;
  #baseExternal: number | undefined;
  #countsWasm: boolean | undefined;
  #pendingBytes = 0;
  #reservedBefore = 0;
  #seenBefore = Number.POSITIVE_INFINITY;
  #notedAt = 0;

  constructor(options: GarbageOptions) {
    this.#options = options;
  }

  /** What `meter` would see go; 0 for the ledger. O(1). */
  bytes(meter: MeterName): number {
    this.#keptHeap ??= this.#excessHeap();
    this.#keptExternal ??= this.#excessExternal();
    const heap = Math.max(0, this.#excessHeap() - this.#keptHeap);
    const external = Math.max(0, this.#excessExternal() - this.#keptExternal);
    if (meter === 'ledger') return 0;
    if (meter === 'heap') return heap;
    return meter === 'external' ? external : heap + external;
  }

  /**
   * What is reserved and V8 has not seen yet: who was granted it is about to allocate. Of all kinds together, so that what was reserved as one and is held
   * as the other counts once. Two estimates, of which the greater counts: what is reserved beyond all that is seen; and, because memory that nobody
   * reserved hides that, how much more has been reserved lately than was seen to grow, half of it forgotten every five seconds.
   */
  outstandingBytes(): number {
    const { usedHeapBytes, externalBytes } = this.#options;
    const used = usedHeapBytes();
    // No meter of these: nothing is known of it.
    if (used === 0) return 0;
    const reserved = this.#reserved();
    const seen = used - (this.#baseHeap ?? used) + externalBytes() - (this.#baseExternal ?? 0);
    return Math.max(0, reserved - Math.max(0, seen), this.#pendingBytes + reserved - this.#reservedBefore);
  }

  /** So much was found to be there already, or to be gone: nobody is about to allocate it. */
  noteTracked(kind: MemoryKind, bytes: number): void {
    const counts = kind === 'heap' || kind === 'external' || (kind === 'wasm' && this.#countsWasm === true);
    if (counts) this.#reservedBefore += bytes;
  }

  /** After each sample. */
  noteSample(nowMs: number): void {
    const { usedHeapBytes, externalBytes } = this.#options;
    const reserved = this.#reserved();
    const seen = usedHeapBytes() + externalBytes();
    const grown = Math.max(0, seen - this.#seenBefore);
    const elapsedMs = nowMs - this.#notedAt;
    const kept = elapsedMs > 0 ? 0.5 ** (elapsedMs / PENDING_HALVES_MS) : 1;
    const pending = this.#pendingBytes * kept + (reserved - this.#reservedBefore) - grown;
    this.#pendingBytes = Math.max(0, Math.min(pending, reserved));
    this.#reservedBefore = reserved;
    this.#seenBefore = seen;
    this.#notedAt = nowMs;
  }

  /** At the start: what is there now is Node's. */
  noteStart(): void {
    this.#baseHeap = this.#excessHeap();
    this.#baseExternal = this.#excessExternal();
    this.noteCollection();
  }

  /** The same, collected once more before the first objects are reserved. Buffers that came since are not Node's: a cache is adopted when it holds some. */
  noteSettled(): void {
    const [base, kept] = [this.#baseExternal, this.#keptExternal];
    this.noteStart();
    this.#baseExternal = Math.min(this.#baseExternal!, base ?? Number.POSITIVE_INFINITY);
    this.#keptExternal = Math.min(this.#keptExternal!, kept ?? Number.POSITIVE_INFINITY);
  }

  /** Right after a full collection, when the meters have been read anew: what is left is none. */
  noteCollection(): void {
    this.#keptHeap = this.#excessHeap();
    this.#keptExternal = this.#excessExternal();
  }

  #excessHeap(): number {
    return Math.max(0, this.#options.usedHeapBytes() - this.#options.reservedBytes('heap'));
  }

  #excessExternal(): number {
    return Math.max(0, this.#options.externalBytes() - this.#reservedExternal());
  }

  #reserved(): number {
    return this.#options.reservedBytes('heap') + this.#reservedExternal();
  }

  #reservedExternal(): number {
    const { reservedBytes, countsWasm } = this.#options;
    const wasm = reservedBytes('wasm');
    if (wasm > 0) this.#countsWasm ??= countsWasm();
    return reservedBytes('external') + (this.#countsWasm === true ? wasm : 0);
  }
}
