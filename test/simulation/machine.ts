import type { MemoryKind, Meter, MeterName } from 'plimsoll';

/** Pages of the program and Node's own baseline, as shares of the limit. */
const BASELINE = 0.05;

/**
 * The memory of a process as the system sees it: what is in use, what was dropped and waits for a collection, what was freed and is kept by
 * the allocator until it is trimmed, and page cache. The meters read it; the ledger knows nothing of it.
 */
export class Machine {
  limitBytes: number;
  /** In use, by kind. */
  readonly live: Record<MemoryKind, number> = { heap: 0, external: 0, mapped: 0, wasm: 0 };
  /** Dropped, not collected. */
  heapGarbage = 0;
  externalGarbage = 0;
  /** Freed, not given back to the system. */
  retained = 0;
  pageCache = 0;
  /** What nobody reserved. */
  leaked = 0;
  collections = 0;
  trims = 0;
  readonly meters: readonly SimulatedMeter[];
  /** What Node itself takes. */
  readonly baselineBytes: number;

  constructor(limitBytes: number, heldBytes: () => number) {
    this.limitBytes = limitBytes;
    this.baselineBytes = Math.floor(limitBytes * BASELINE);
    const limit = () => this.limitBytes;
    this.meters = [
      new SimulatedMeter('ledger', limit, heldBytes),
      new SimulatedMeter(
        'heap',
        () => this.limitBytes * 0.7,
        () => this.heapBytes,
      ),
      new SimulatedMeter('external', limit, () => this.externalBytes),
      new SimulatedMeter('rss', limit, () => this.chargedBytes + this.pageCache),
      new SimulatedMeter('cgroup', limit, () => this.chargedBytes),
    ];
  }

  get heapBytes(): number {
    return this.live.heap + this.heapGarbage + this.leaked;
  }

  get externalBytes(): number {
    return this.live.external + this.live.wasm + this.externalGarbage;
  }

  get chargedBytes(): number {
    return this.baselineBytes + this.heapBytes + this.externalBytes + this.live.mapped + this.retained;
  }

  use(kind: MemoryKind, bytes: number): void {
    this.live[kind] += bytes;
  }

  drop(kind: MemoryKind, bytes: number): void {
    this.live[kind] -= bytes;
    if (kind === 'heap') this.heapGarbage += bytes;
    else if (kind === 'external') this.externalGarbage += bytes;
  }

  /** A collection. Half of what lay outside the heap was small and stays with the allocator. */
  collect(type: 'minor' | 'full'): void {
    const share = type === 'full' ? 1 : 0.3;
    this.collections++;
    this.heapGarbage -= this.heapGarbage * share;
    const freed = this.externalGarbage * share;
    this.externalGarbage -= freed;
    this.retained += freed / 2;
  }

  trim(): void {
    this.trims++;
    this.retained = 0;
  }

  calm(): void {
    this.leaked = 0;
    this.pageCache = 0;
    this.collect('full');
    this.trim();
  }
}

export class SimulatedMeter implements Meter {
  readonly name: MeterName;
  readonly #limit: () => number;
  readonly #bytes: () => number;
  /** What the next reads give instead of the truth; a function may throw. */
  readonly spoiled: (() => number)[] = [];

  constructor(name: MeterName, limit: () => number, bytes: () => number) {
    this.name = name;
    this.#limit = limit;
    this.#bytes = bytes;
  }

  get limitBytes(): number {
    return this.#limit();
  }

  /** The truth, whatever is spoiled. */
  get bytes(): number {
    return this.#bytes();
  }

  read(): number {
    const spoiled = this.spoiled.pop();
    return spoiled === undefined ? this.#bytes() : spoiled();
  }
}
