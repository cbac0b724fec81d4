import type { LeakKind } from './leak-report.ts';

/** Rows that are read together, or not at all. */
export type LeakGroup = 'heap' | 'ledger' | 'resources' | 'process';

const GROUPS: Readonly<Record<LeakKind, LeakGroup>> = {
  constructor: 'heap',
  function: 'heap',
  listeners: 'heap',
  buffers: 'heap',
  consumer: 'ledger',
  resource: 'resources',
  process: 'process',
};

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

export interface SeriesPoint {
  readonly checkpoint: number;
  readonly bytes: number;
  readonly count: number;
  readonly figure: number;
}

export interface LeakRow {
  /** As it was read last. */
  last: LeakReading;
  readonly points: SeriesPoint[];
}

/** Rows over checkpoints, within two bounds: the oldest checkpoint goes first, and of new rows the largest find a place. */
export class LeakSeries {
  readonly #maxCheckpoints: number;
  readonly #maxRows: number;
  readonly #rows = new Map<string, LeakRow>();
  readonly #reads = new Map<LeakGroup, number[]>();
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
    return (this.#reads.get(group) ?? []).filter((checkpoint) => checkpoint >= from).length;
  }

  /** All rows of a group at a checkpoint; a row that is not among them has become nothing. */
  add(checkpoint: number, group: LeakGroup, readings: readonly LeakReading[]): void {
    const before = this.#reads.get(group) ?? [];
    const unread = new Set<string>();
    for (const [key, { last }] of this.#rows) if (GROUPS[last.kind] === group) unread.add(key);
    for (const reading of readings.toSorted((a, b) => b.bytes - a.bytes)) {
      const row = this.#rows.get(reading.key) ?? this.#open(reading, before);
      if (row === undefined) continue;
      unread.delete(reading.key);
      const { heldBy = row.last.heldBy, heldShare = row.last.heldShare } = reading;
      row.last = { ...reading, heldBy, heldShare };
      this.#push(row.points, { checkpoint, bytes: reading.bytes, count: reading.count, figure: reading.figure });
    }
    for (const key of unread) {
      const { points } = this.#rows.get(key)!;
      this.#push(points, { checkpoint, bytes: 0, count: 0, figure: 0 });
      if (points.every(({ bytes, count }) => bytes === 0 && count === 0)) this.#rows.delete(key);
    }
    this.#push(before, checkpoint);
    this.#reads.set(group, before);
  }

  #open(reading: LeakReading, before: readonly number[]): LeakRow | undefined {
    if (this.#rows.size >= this.#maxRows) {
      this.#dropped++;
      return undefined;
    }
    const points = before.map((checkpoint) => ({ checkpoint, bytes: 0, count: 0, figure: 0 }));
    const row = { last: reading, points };
    this.#rows.set(reading.key, row);
    return row;
  }

  #push<T>(list: T[], item: T): void {
    list.push(item);
    if (list.length > this.#maxCheckpoints) list.shift();
  }
}
