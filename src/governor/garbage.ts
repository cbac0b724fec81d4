/**
 * How much a collection would find: what V8 counts beyond what is reserved, less what the last full collection left of that. Whoever drops what it
 * held releases it in the ledger at once, and V8 counts it until it collects; so the difference is garbage, but for what nobody ever reserved, and
 * that is still there after a collection.
 */
import type { MemoryKind } from './contract.ts';
import type { MeterName } from './meters.ts';

export interface GarbageOptions {
  /** `heap` without the runtime. */
  readonly reservedBytes: (kind: MemoryKind) => number;
  /** As of the last sample. */
  readonly usedHeapBytes: () => number;
  readonly externalBytes: () => number;
}

export class Garbage {
  readonly #options: GarbageOptions;
  /** What nobody has reserved and was there all the same: at first all that Node itself has. */
  #keptHeap: number | undefined;
  #keptExternal: number | undefined;

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

  /** Right after a full collection, when the meters have been read anew: what is left is none. */
  noteCollection(): void {
    this.#keptHeap = this.#excessHeap();
    this.#keptExternal = this.#excessExternal();
  }

  #excessHeap(): number {
    return Math.max(0, this.#options.usedHeapBytes() - this.#options.reservedBytes('heap'));
  }

  #excessExternal(): number {
    const { reservedBytes, externalBytes } = this.#options;
    // Where V8 does not count WebAssembly memories, they are reserved and not seen: less garbage is found than there is.
    return Math.max(0, externalBytes() - reservedBytes('external') - reservedBytes('wasm'));
  }
}
