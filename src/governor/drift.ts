/**
 * Reserved minus observed, by kind. A holder that reserves what it holds shows 0; one that holds more than it said, less than 0.
 *
 * - `heap` is compared with V8's used heap right after a full collection: at any other time garbage is in it. Both figures of the row are those
 *   of that moment. Before the first collection it says `afterCollection: false`.
 * - `external` is compared with the external meter. What was dropped is in it until a collection, with some versions until the one after that.
 * - `wasm`: the memories of WebAssembly are in the same figure, and nothing tells the two apart: while some are reserved, either row has the
 *   figures of both together and says so. Where V8 does not count them (Node 26) nothing measures them, and there is no row.
 * - `mapped`: nothing measures it, so there is no row unless a figure is handed in.
 * - `whole` is everything, the runtime included, against what the kernel charges the control group, or RSS where there is none. The runtime is
 *   reserved as RSS had it, with some 40 MB of the program's own pages, most of which the group is not charged: that much it is over.
 *
 * What was held before anything was reserved is the baseline and is taken off; it is lowered when less than that is seen. What each figure
 * counts was measured: see `meters.ts`.
 */
import type { MemoryKind } from './contract.ts';
import type { Faults } from './faults.ts';
import { countsWasm, type MeterName } from './meters.ts';
import { Slope } from './slope.ts';

export const DRIFT_KINDS = ['heap', 'external', 'mapped', 'wasm', 'whole'] as const;
export type DriftKind = (typeof DRIFT_KINDS)[number];

/** The trend of a drift is that of a minute, or of the last collections within ten. */
const SLOPE = { spacingMs: 6_000, keep: 'last' } as const;

export interface DriftRow {
  readonly of: DriftKind;
  /** At the moment of `observedAtMs`. `heap` without the runtime. */
  readonly reservedBytes: number;
  /** Without what was there before anything was reserved; never below 0. */
  readonly observedBytes: number;
  /** Reserved minus observed. */
  readonly driftBytes: number;
  /** The drift by the greater of both, -1 to 1: -0.33 when a third of what is held was not reserved. Absent when nothing is held. */
  readonly ratio?: number;
  /** Change of the drift; 0 while it has no trend. */
  readonly bytesPerSecond: number;
  /** Of the governor's clock. */
  readonly observedAtMs: number;
  /** Of `heap`: false while there is garbage in the figure. */
  readonly afterCollection?: boolean;
  /** The figures are those of both kinds together: no meter tells them apart. */
  readonly sharedWith?: 'external' | 'wasm';
  /** Of `whole`: what it was compared with. */
  readonly meter?: MeterName;
}

/** Where the figures come from. Each is called at every sample and costs next to nothing; undefined when it cannot be read now. */
export interface DriftOptions {
  readonly faults: Faults;
  /** The runtime is left out of `heap`. */
  readonly reservedBytes: (kind: MemoryKind) => number;
  readonly runtimeBytes: () => number;
  readonly usedHeapBytes: () => number | undefined;
  readonly externalBytes: () => number | undefined;
  /** What the kernel charges. */
  readonly chargedBytes: () => number | undefined;
  readonly rssBytes: () => number | undefined;
  /** Mapped bytes that are in memory, where somebody knows. */
  readonly mappedBytes?: () => number | undefined;
  /** Whether `externalBytes` counts the memories of WebAssembly. Asked once, when some are reserved first. Default: it is tried. */
  readonly countsWasm?: () => boolean | undefined;
}

/** One comparison. */
class Line {
  readonly slope = new Slope(SLOPE);
  baselineBytes = Number.NaN;
  reservedBytes = 0;
  observedBytes = 0;
  atMs = Number.NaN;

  /** Neither of them can be known: it has no row until it is noted again. */
  clear(): void {
    this.atMs = Number.NaN;
    this.slope.clear();
  }

  /** `bytes` with the baseline in it. */
  note(atMs: number, reservedBytes: number, bytes: number): void {
    const before = Math.max(0, bytes - (Number.isNaN(this.baselineBytes) ? reservedBytes : 0));
    if (!(before >= this.baselineBytes)) this.baselineBytes = before;
    this.noteNet(atMs, reservedBytes, bytes - this.baselineBytes);
  }

  noteNet(atMs: number, reservedBytes: number, observedBytes: number): void {
    if (!(atMs >= this.atMs)) this.slope.clear();
    this.reservedBytes = reservedBytes;
    this.observedBytes = observedBytes;
    this.atMs = atMs;
    this.slope.note(atMs, reservedBytes - observedBytes);
  }
}

/** Follows the drift. A note costs less than 1 µs and leaves no garbage; 4 KiB. Nothing in it throws: what fails is noted as a fault. */
export class Drift {
  readonly #options: DriftOptions;
  readonly #heap = new Line();
  readonly #external = new Line();
  readonly #mapped = new Line();
  readonly #whole = new Line();
  #wholeMeter: MeterName = 'rss';
  #afterCollection = false;
  #countsWasm: boolean | undefined;

  constructor(options: DriftOptions) {
    this.#options = options;
  }

  /** After each sample. The first sets the baselines. */
  note(atMs: number): void {
    try {
      if (!this.#afterCollection) this.#noteHeap(atMs);
      this.#noteExternal(atMs);
      this.#noteMapped(atMs);
      this.#noteWhole(atMs);
    } catch (cause) {
      this.#options.faults.note('drift', cause);
    }
  }

  /** Right after a full collection, when the heap has been read anew. */
  noteCollection(atMs: number): void {
    try {
      // Garbage was in the figures so far: their trend is none.
      if (!this.#afterCollection) this.#heap.slope.clear();
      this.#noteHeap(atMs);
      this.#afterCollection = true;
    } catch (cause) {
      this.#options.faults.note('drift', cause);
    }
  }

  /** A row for each kind that something measures, `wasm` only while it is reserved, and `whole`. For the snapshot: it makes objects. */
  rows(): DriftRow[] {
    const rows: DriftRow[] = [];
    if (isKnown(this.#heap)) rows.push({ ...rowOf('heap', this.#heap), afterCollection: this.#afterCollection });
    if (isKnown(this.#external)) {
      const both = this.#wasmBytes() > 0;
      rows.push({ ...rowOf('external', this.#external), ...(both ? { sharedWith: 'wasm' } : {}) });
      if (both) rows.push({ ...rowOf('wasm', this.#external), sharedWith: 'external' });
    }
    if (isKnown(this.#mapped)) rows.push(rowOf('mapped', this.#mapped));
    if (isKnown(this.#whole)) rows.push({ ...rowOf('whole', this.#whole), meter: this.#wholeMeter });
    return rows;
  }

  #noteHeap(atMs: number): void {
    const bytes = this.#options.usedHeapBytes();
    if (bytes !== undefined) this.#heap.note(atMs, this.#options.reservedBytes('heap'), bytes);
  }

  #noteExternal(atMs: number): void {
    const { externalBytes, reservedBytes } = this.#options;
    const bytes = externalBytes();
    if (bytes === undefined) this.#external.clear();
    else this.#external.note(atMs, reservedBytes('external') + this.#wasmBytes(), bytes);
  }

  /** What of the kind `wasm` is reserved and can be seen. */
  #wasmBytes(): number {
    const bytes = this.#options.reservedBytes('wasm');
    if (bytes === 0) return 0;
    this.#countsWasm ??= (this.#options.countsWasm ?? countsWasm)() === true;
    return this.#countsWasm ? bytes : 0;
  }

  #noteMapped(atMs: number): void {
    const bytes = this.#options.mappedBytes?.();
    if (bytes === undefined) this.#mapped.clear();
    else this.#mapped.noteNet(atMs, this.#options.reservedBytes('mapped'), bytes);
  }

  #noteWhole(atMs: number): void {
    const { chargedBytes, rssBytes, reservedBytes, runtimeBytes } = this.#options;
    const charged = chargedBytes();
    const bytes = charged ?? rssBytes();
    if (bytes === undefined) {
      this.#whole.clear();
      return;
    }
    const meter = charged === undefined ? 'rss' : 'cgroup';
    if (meter !== this.#wholeMeter) this.#whole.clear();
    this.#wholeMeter = meter;
    const reserved =
      reservedBytes('heap') + reservedBytes('external') + reservedBytes('mapped') + reservedBytes('wasm');
    this.#whole.noteNet(atMs, reserved + runtimeBytes(), bytes);
  }
}

function isKnown(line: Line): boolean {
  return !Number.isNaN(line.atMs);
}

function rowOf(of: DriftKind, { reservedBytes, observedBytes, atMs, slope }: Line): DriftRow {
  const driftBytes = reservedBytes - observedBytes;
  const greater = Math.max(reservedBytes, observedBytes);
  const row = { of, reservedBytes, observedBytes, driftBytes, bytesPerSecond: slope.perMs * 1_000, observedAtMs: atMs };
  return greater > 0 ? { ...row, ratio: driftBytes / greater } : row;
}
