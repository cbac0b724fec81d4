import type { LeakKind, LeakPoint } from './leak-report.ts';

/** Rows that are read together, or not at all. */
type LeakGroup = 'heap' | 'ledger' | 'resources' | 'process';

const GROUPS: Readonly<Record<LeakKind, LeakGroup>> = {
  constructor: 'heap',
  function: 'heap',
  listeners: 'heap',
  buffers: 'heap',
  consumer: 'ledger',
  resource: 'resources',
  process: 'process',
};

/** Checkpoint, bytes, count, figure. */
const COLUMNS = 4;

/** One row at one checkpoint. */
export interface LeakReading {
  readonly kind: LeakKind;
  readonly what: string;
  /** Set apart from all other rows. */
  readonly key: string;
  readonly bytes: number;
  readonly count: number;
  /** What is asked whether it rises: bytes or, where `inBytes` is false, a number of things. */
  readonly figure: number;
  readonly inBytes: boolean;
  readonly at?: string | undefined;
  readonly heldBy?: readonly string[] | undefined;
  readonly heldShare?: number | undefined;
}

/** Points of a row in columns, in one piece of memory from the start: what looks for growth does not grow itself. */
class PointRing {
  readonly #figures: Float64Array;
  readonly #places: number;
  #count = 0;

  constructor(places: number) {
    this.#places = places;
    this.#figures = new Float64Array(places * COLUMNS);
  }

  push(checkpoint: number, bytes: number, count: number, figure: number): void {
    const at = (this.#count++ % this.#places) * COLUMNS;
    this.#figures[at] = checkpoint;
    this.#figures[at + 1] = bytes;
    this.#figures[at + 2] = count;
    this.#figures[at + 3] = figure;
  }

  /** Oldest first. */
  list(): LeakPoint[] {
    const first = Math.max(0, this.#count - this.#places);
    return Array.from({ length: this.#count - first }, (_, index) => {
      const at = ((first + index) % this.#places) * COLUMNS;
      const [checkpoint, bytes, count, figure] = this.#figures.subarray(at, at + COLUMNS);
      return { checkpoint: checkpoint!, bytes: bytes!, count: count!, figure: figure! };
    });
  }

  /** Whether nothing was there at any of them. */
  get isEmpty(): boolean {
    const used = Math.min(this.#count, this.#places);
    for (let place = 0; place < used; place++) {
      if (this.#figures[place * COLUMNS + 1] !== 0 || this.#figures[place * COLUMNS + 2] !== 0) return false;
    }
    return true;
  }
}

export interface LeakRow {
  /** As it was read last. */
  last: LeakReading;
  readonly points: PointRing;
}

/** Rows over checkpoints, within two bounds: the oldest checkpoint goes first, and of new rows the largest find a place. */
export class LeakSeries {
  readonly #maxCheckpoints: number;
  readonly #maxRows: number;
  readonly #rows = new Map<string, LeakRow>();
  /** By group the checkpoints at which it was read, the last of them. */
  readonly #reads = new Map<LeakGroup, PointRing>();
  #dropped = 0;

  constructor(maxCheckpoints: number, maxRows: number) {
    this.#maxCheckpoints = maxCheckpoints;
    this.#maxRows = maxRows;
  }

  get rows(): Iterable<LeakRow> {
    return this.#rows.values();
  }

  /** How often a row found no place. */
  get dropped(): number {
    return this.#dropped;
  }

  /** At how many checkpoints from `from` on a group was read, of those that are kept. */
  readsOf(group: LeakGroup, from: number): number {
    return (this.#reads.get(group)?.list() ?? []).filter(({ checkpoint }) => checkpoint >= from).length;
  }

  /** All rows of a group at a checkpoint; a row that is not among them has become nothing. */
  add(checkpoint: number, group: LeakGroup, readings: readonly LeakReading[]): void {
    const reads = this.#reads.get(group) ?? new PointRing(this.#maxCheckpoints);
    this.#reads.set(group, reads);
    const unread = new Set<string>();
    for (const [key, { last }] of this.#rows) if (GROUPS[last.kind] === group) unread.add(key);
    for (const reading of readings.toSorted((a, b) => b.bytes - a.bytes)) {
      const row = this.#rows.get(reading.key) ?? this.#open(reading, reads);
      if (row === undefined) continue;
      unread.delete(reading.key);
      const { heldBy = row.last.heldBy, heldShare = row.last.heldShare } = reading;
      row.last = { ...reading, heldBy, heldShare };
      row.points.push(checkpoint, reading.bytes, reading.count, reading.figure);
    }
    for (const key of unread) {
      const { points } = this.#rows.get(key)!;
      points.push(checkpoint, 0, 0, 0);
      if (points.isEmpty) this.#rows.delete(key);
    }
    reads.push(checkpoint, 0, 0, 0);
  }

  #open(reading: LeakReading, reads: PointRing): LeakRow | undefined {
    if (reading.bytes === 0 && reading.count === 0) return undefined;
    if (this.#rows.size >= this.#maxRows) {
      this.#dropped++;
      return undefined;
    }
    const row = { last: reading, points: new PointRing(this.#maxCheckpoints) };
    for (const { checkpoint } of reads.list()) row.points.push(checkpoint, 0, 0, 0);
    this.#rows.set(reading.key, row);
    return row;
  }
}
