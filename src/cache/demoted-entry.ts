import type { SpillRecord } from '../spill/index.ts';
import type { Tier } from './tier-options.ts';
import type { PackedValue } from './value-codec.ts';

/** Until when an entry lives, by the clock. It takes that along from tier to tier. */
export interface EntrySpan {
  /** `Infinity` for ever. */
  readonly freshUntil: number;
  /** Begins anew when it is promoted. `Infinity` for never. */
  readonly idleMs: number;
}

/** An entry below the strong tier. */
export class DemotedEntry<K> {
  readonly key: K;
  readonly span: EntrySpan;
  /** When it is over, unless it is promoted. */
  readonly endsAt: number;
  readonly heapBytes: number;
  tier: Exclude<Tier, 'strong'>;
  ref: WeakRef<object> | undefined;
  /** In tier `disk` without its bytes. */
  packed: PackedValue | undefined;
  record: SpillRecord | undefined;
  /** While it is read from the disk: for all who ask meanwhile. */
  reading: Promise<unknown> | undefined;
  /** A number of its own while it has an end. */
  slot = -1;
  older: DemotedEntry<K> | undefined;
  newer: DemotedEntry<K> | undefined;

  constructor(
    key: K,
    span: EntrySpan,
    endsAt: number,
    heapBytes: number,
    kept: { ref?: WeakRef<object>; packed?: PackedValue },
  ) {
    this.key = key;
    this.span = span;
    this.endsAt = endsAt;
    this.heapBytes = heapBytes;
    this.ref = kept.ref;
    this.packed = kept.packed;
    this.record = undefined;
    this.reading = undefined;
    this.tier = kept.ref === undefined ? 'compressed' : 'weak';
    this.older = undefined;
    this.newer = undefined;
  }

  /** Off the heap. */
  get externalBytes(): number {
    return this.tier === 'compressed' ? this.packed!.bytes.byteLength : 0;
  }
}

/** Entries of one tier by when they came, linked through themselves. */
export class DemotedList<K> {
  oldest: DemotedEntry<K> | undefined;
  newest: DemotedEntry<K> | undefined;
  size = 0;

  add(entry: DemotedEntry<K>): void {
    entry.older = this.newest;
    entry.newer = undefined;
    if (this.newest === undefined) this.oldest = entry;
    else this.newest.newer = entry;
    this.newest = entry;
    this.size++;
  }

  remove(entry: DemotedEntry<K>): void {
    if (entry.older === undefined) this.oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === undefined) this.newest = entry.older;
    else entry.newer.older = entry.older;
    entry.older = entry.newer = undefined;
    this.size--;
  }
}
