/**
 * What has been demoted: an index by key beside the cache's own, so that who hits pays nothing for it and who misses one look. Invariants:
 * - A key stands in the strong tier or here, never in both.
 * - An entry that is being written to or read from the disk stays where it is meanwhile. When the work is done, it is looked whether the index still has that very entry: who set,
 *   deleted or took it in between wins.
 * - Each entry is booked in the heap (index, key) and, while it is compressed, off it. Bytes are taken before they are kept.
 * - Nothing here throws: what cannot be packed, written, read or unpacked is not there.
 */
import type { Clock } from '../clock.ts';
import { FailOpen } from '../fail-open.ts';
import { type Governor, HolderBook, type PressureLevel, type ReclaimRequest } from '../governor/index.ts';
import { isSpillForced } from '../spill/index.ts';
import { weigh } from '../weigh.ts';
import { MOST_MS } from './cache-books.ts';
import { DemotedEntry, DemotedList, type EntrySpan } from './demoted-entry.ts';
import { EntryTimes } from './entry-times.ts';
import type { Tier, TierSettings } from './tier-options.ts';
import { NO_TIER_COUNTS, type TierStats } from './tier-stats.ts';
import { type PackedValue, ValuePacker } from './value-codec.ts';

/** Of an entry besides its key: index, links, the packed value and the buffer's objects, or the weak reference. Measured: 466 and 229, with 24 more off the heap where it has an end. */
const PACKED_ENTRY_BYTES = 480;
const WEAK_ENTRY_BYTES = 240;
const LOOK_AT_CLOCK_EVERY = 16;
/** After a failure of the disk nothing is written for so long. */
const SPILL_PAUSE_MS = 10_000;
const NEVER = Number.POSITIVE_INFINITY;

export interface LowerTiersOptions<V> {
  readonly name: string;
  readonly settings: TierSettings<V>;
  readonly governor: Governor | undefined;
  readonly importance: number;
  readonly clock: Clock;
}

/** A value that came back, and how long it still lives. */
export interface Promoted<V> {
  readonly value: V;
  readonly span: EntrySpan;
}

/** Weak, compressed and disk tier of one cache. Two consumers of the governor: `NAME (tiers)` and `NAME (compressed)`. */
export class LowerTiers<K, V> implements Disposable {
  readonly #settings: TierSettings<V>;
  readonly #clock: Clock;
  readonly #packer: ValuePacker<V>;
  readonly #failOpen: FailOpen;
  readonly #heapBook: HolderBook;
  readonly #externalBook: HolderBook;
  readonly #index = new Map<K, DemotedEntry<K>>();
  readonly #weak = new DemotedList<K>();
  readonly #compressed = new DemotedList<K>();
  readonly #disk = new DemotedList<K>();
  readonly #counts = { ...NO_TIER_COUNTS };
  /** Whatever goes down goes to the disk at once: `isSpillForced`. */
  readonly #isForced: boolean;
  #uncompressedBytes = 0;
  #diskBytes = 0;
  #times: EntryTimes | undefined;
  readonly #timed: (DemotedEntry<K> | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  #spilling: Promise<void> | undefined;
  #spillPausedUntil = Number.NEGATIVE_INFINITY;
  #disposed = false;

  constructor({ name, settings, governor, importance, clock }: LowerTiersOptions<V>) {
    this.#settings = settings;
    this.#clock = clock;
    this.#isForced = settings.spill !== undefined && isSpillForced();
    this.#packer = new ValuePacker(settings.codec, settings.compression);
    this.#failOpen = new FailOpen(`tiers of ${name}`);
    // Nothing is booked ahead: what goes down is to leave room.
    const common = { maxBytes: NEVER, stepBytes: 0, importance, failOpen: this.#failOpen } as const;
    this.#heapBook = new HolderBook(governor, {
      ...common,
      name: `${name} (tiers)`,
      kind: 'heap',
      reclaimer: {
        reclaimableBytes: () => this.#heapBook.usedBytes,
        reclaimNow: (request) => this.#giveBack(request, this.#heapBook),
      },
    });
    this.#externalBook = new HolderBook(governor, {
      ...common,
      name: `${name} (compressed)`,
      kind: 'external',
      reclaimer: {
        reclaimableBytes: () => this.#externalBook.usedBytes,
        // Where there is a disk, only what waits can give back: dropped at once, nothing would ever come there.
        ...(settings.spill === undefined
          ? { reclaimNow: (request: ReclaimRequest) => this.#giveBack(request, this.#externalBook) }
          : {
              reclaim: (request: ReclaimRequest, { signal }: { signal: AbortSignal }) =>
                this.#spillBack(request, signal),
            }),
      },
    });
  }

  /** In memory, of both kinds. */
  get heldBytes(): number {
    return this.#heapBook.usedBytes + this.#externalBook.usedBytes;
  }

  get stats(): TierStats {
    return {
      weakCount: this.#weak.size,
      compressedCount: this.#compressed.size,
      diskCount: this.#disk.size,
      compressedBytes: this.#externalBook.usedBytes,
      uncompressedBytes: this.#uncompressedBytes,
      diskBytes: this.#diskBytes,
      indexBytes: this.#heapBook.usedBytes,
      ...this.#counts,
      spillPaused: this.#settings.spill !== undefined && !this.#canSpill,
    };
  }

  /**
   * Takes over an entry that leaves the strong tier: true when it is kept. At `emergency` nothing is; from `critical` on what is compressed is written to the disk soon. Blocks while it compresses: see
   * `maxEntryBytes`.
   */
  demote(key: K, value: V, span: EntrySpan, level: PressureLevel): boolean {
    const kept = !this.#disposed && level !== 'emergency' && this.#keep(key, value, span, level);
    this.#counts[kept ? 'demoted' : 'notDemoted']++;
    if (kept && this.#isForced) this.#spillSoon(NEVER);
    else if (kept && (level === 'critical' || this.#isOverBytes)) this.#spillSoon(this.#externalBook.usedBytes);
    return kept;
  }

  /** Takes out what can be had at once: weak or compressed. */
  take(key: K): Promoted<V> | undefined {
    const entry = this.#live(key);
    if (entry === undefined || entry.tier === 'disk') return undefined;
    this.#remove(entry);
    if (entry.tier === 'weak') {
      const value = entry.ref!.deref() as V | undefined;
      this.#counts[value === undefined ? 'collected' : 'weakHits']++;
      return value === undefined ? undefined : { value, span: entry.span };
    }
    return this.#unpack(entry, entry.packed!, 'compressedHits');
  }

  /** Whether only `takeFromDisk` can get it. */
  isOnDisk(key: K): boolean {
    return this.#live(key)?.tier === 'disk';
  }

  /** Takes out what stands on the disk; undefined when it is not there any more, was set, deleted or taken meanwhile, or cannot be read. Never rejects. Read once for all who ask meanwhile;
   * `onFound` of the first of them has it before anybody else can change the entry. */
  async takeFromDisk(key: K, onFound: (found: Promoted<V>) => void): Promise<Promoted<V> | undefined> {
    const entry = this.#live(key);
    if (entry === undefined || entry.tier !== 'disk') return undefined;
    entry.reading ??= this.#readBack(entry, onFound);
    return entry.reading as Promise<Promoted<V> | undefined>;
  }

  async #readBack(entry: DemotedEntry<K>, onFound: (found: Promoted<V>) => void): Promise<Promoted<V> | undefined> {
    let bytes: Uint8Array | undefined;
    try {
      bytes = await this.#settings.spill!.get(entry.record!);
    } catch (cause) {
      this.#failOpen.note(cause);
    }
    if (this.#live(entry.key) !== entry) return undefined;
    this.#remove(entry);
    if (bytes === undefined) {
      this.#counts.lost++;
      return undefined;
    }
    const found = this.#unpack(entry, { ...entry.packed!, bytes }, 'diskHits');
    if (found !== undefined) onFound(found);
    return found;
  }

  tierOf(key: K): Exclude<Tier, 'strong'> | undefined {
    const entry = this.#live(key);
    return entry?.tier === 'weak' && entry.ref!.deref() === undefined ? undefined : entry?.tier;
  }

  delete(key: K): boolean {
    const entry = this.#live(key);
    if (entry !== undefined) this.#remove(entry);
    return entry !== undefined;
  }

  clear(): void {
    for (const entry of this.#index.values()) this.#remove(entry);
  }

  /** Drops everything and closes the consumers. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.clear();
    this.#disposed = true;
    this.#times?.[Symbol.dispose]();
    this.#heapBook[Symbol.dispose]();
    this.#externalBook[Symbol.dispose]();
  }

  get #isOverBytes(): boolean {
    return this.#externalBook.usedBytes > this.#settings.maxBytes;
  }

  #keep(key: K, value: V, span: EntrySpan, level: PressureLevel): boolean {
    const now = this.#clock.now();
    const endsAt = Math.min(span.freshUntil, now + span.idleMs);
    if (endsAt <= now) return false;
    const isWeak = this.#settings.second === 'weak';
    const ownBytes = isWeak ? WEAK_ENTRY_BYTES : PACKED_ENTRY_BYTES;
    const heapBytes = ownBytes + (typeof key === 'number' ? 0 : weigh(key).heapBytes);
    const kept = isWeak ? weakly(value) : this.#packed(value, level);
    if (kept === undefined) return false;
    const entry = new DemotedEntry<K>(key, span, endsAt, heapBytes, kept);
    const { externalBytes } = entry;
    while (this.#index.size >= this.#settings.maxEntries) this.#dropOldest();
    if (!this.#makeRoomFor(externalBytes)) return false;
    if (!this.#heapBook.tryTake(heapBytes)) return false;
    if (!this.#externalBook.tryTake(externalBytes)) {
      this.#heapBook.give(heapBytes);
      return false;
    }
    // Code of others may have run meanwhile.
    this.delete(key);
    this.#index.set(key, entry);
    this.#listOf(entry).add(entry);
    this.#uncompressedBytes += entry.packed?.rawBytes ?? 0;
    this.#setTime(entry);
    return true;
  }

  /** Up to twice the bound for a moment where the rest is on its way to the disk. */
  #makeRoomFor(bytes: number): boolean {
    const { maxBytes, spill } = this.#settings;
    if (bytes > maxBytes) return false;
    const most = spill !== undefined && this.#canSpill ? 2 * maxBytes : maxBytes;
    while (this.#externalBook.usedBytes + bytes > most) this.#drop(this.#compressed.oldest!);
    return true;
  }

  #packed(value: V, level: PressureLevel): { packed: PackedValue } | undefined {
    return this.#failOpen.run(() => {
      const { minEntryBytes, maxEntryBytes } = this.#settings;
      // A unit of text is a byte or more: what is too large anyway is not copied when memory is short.
      if (typeof value === 'string' && value.length > maxEntryBytes) return undefined;
      const plain = this.#packer.pack(value);
      if (plain === undefined || plain.rawBytes < minEntryBytes || plain.rawBytes > maxEntryBytes) return undefined;
      const packed = this.#packer.compress(plain);
      if (packed !== undefined) return { packed };
      // It is no smaller, but it can go to the disk.
      return (level === 'critical' || this.#isForced) && this.#canSpill ? { packed: plain } : undefined;
    }, undefined);
  }

  #unpack(entry: DemotedEntry<K>, packed: PackedValue, how: 'compressedHits' | 'diskHits'): Promoted<V> | undefined {
    try {
      const value = this.#packer.unpack(packed);
      this.#counts[how]++;
      return { value, span: entry.span };
    } catch (cause) {
      this.#failOpen.note(cause);
      this.#counts.lost++;
      return undefined;
    }
  }

  /** One that is not past its time. */
  #live(key: K): DemotedEntry<K> | undefined {
    if (this.#index.size === 0) return undefined;
    const entry = this.#index.get(key);
    if (entry === undefined || entry.endsAt === NEVER || this.#clock.now() < entry.endsAt) return entry;
    this.#expire(entry);
    return undefined;
  }

  #expire(entry: DemotedEntry<K>): void {
    this.#counts.expired++;
    this.#remove(entry);
  }

  #drop(entry: DemotedEntry<K>): void {
    this.#counts.dropped++;
    this.#remove(entry);
  }

  #dropOldest(): void {
    this.#drop((this.#disk.oldest ?? this.#compressed.oldest ?? this.#weak.oldest)!);
  }

  #remove(entry: DemotedEntry<K>): void {
    this.#index.delete(entry.key);
    this.#listOf(entry).remove(entry);
    if (entry.tier === 'compressed') this.#uncompressedBytes -= entry.packed!.rawBytes;
    if (entry.tier === 'disk') this.#leaveDisk(entry);
    this.#heapBook.give(entry.heapBytes);
    if (entry.externalBytes > 0) this.#externalBook.give(entry.externalBytes);
    if (entry.slot < 0) return;
    this.#times!.remove(entry.slot);
    this.#timed[entry.slot] = undefined;
    this.#freeSlots.push(entry.slot);
    entry.slot = -1;
  }

  #leaveDisk(entry: DemotedEntry<K>): void {
    this.#diskBytes -= entry.record!.bytes;
    this.#failOpen.run(() => this.#settings.spill!.delete(entry.record!), undefined);
  }

  #listOf(entry: DemotedEntry<K>): DemotedList<K> {
    return entry.tier === 'weak' ? this.#weak : entry.tier === 'disk' ? this.#disk : this.#compressed;
  }

  #setTime(entry: DemotedEntry<K>): void {
    if (entry.endsAt === NEVER) return;
    this.#times ??= new EntryTimes({
      clock: this.#clock,
      capacity: 16,
      ttlMs: NEVER,
      idleMs: NEVER,
      staleMs: 0,
      onExpired: (slot) => this.#expire(this.#timed[slot]!),
    });
    entry.slot = this.#freeSlots.pop() ?? this.#timed.length;
    this.#timed[entry.slot] = entry;
    if (entry.slot >= this.#times.capacity) this.#times.grow(2 * this.#times.capacity);
    this.#times.restore(entry.slot, entry.endsAt, NEVER);
  }

  /** Drops the oldest that hold bytes of the book. */
  #giveBack({ targetBytes }: ReclaimRequest, book: HolderBook): number {
    const startedAt = this.#clock.now();
    const before = book.usedBytes;
    for (let seen = 1; before - book.usedBytes < targetBytes; seen++) {
      const oldest =
        book === this.#externalBook
          ? this.#compressed.oldest
          : (this.#disk.oldest ?? this.#compressed.oldest ?? this.#weak.oldest);
      if (oldest === undefined) break;
      this.#drop(oldest);
      if (seen % LOOK_AT_CLOCK_EVERY === 0 && this.#clock.now() - startedAt > MOST_MS) break;
    }
    return before - book.usedBytes;
  }

  /** Writes the oldest to the disk; at `emergency`, and where the disk fails, drops them. Needs no memory: the bytes are written from where they are. */
  async #spillBack(request: ReclaimRequest, signal: AbortSignal): Promise<number> {
    const before = this.#externalBook.usedBytes;
    if (request.level !== 'emergency') await this.#spill(request.targetBytes, signal);
    const missing = request.targetBytes - (before - this.#externalBook.usedBytes);
    if (missing > 0 && !signal.aborted) this.#giveBack({ ...request, targetBytes: missing }, this.#externalBook);
    return before - this.#externalBook.usedBytes;
  }

  get #canSpill(): boolean {
    const { spill } = this.#settings;
    return spill !== undefined && !spill.disposed && this.#clock.now() >= this.#spillPausedUntil;
  }

  #spillSoon(bytes: number): void {
    if (this.#spilling !== undefined || !this.#canSpill) return;
    this.#spilling = this.#spill(bytes, undefined).finally(() => {
      this.#spilling = undefined;
    });
  }

  /** Until so many bytes have gone from memory. Never rejects. */
  async #spill(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const before = this.#externalBook.usedBytes;
    while (before - this.#externalBook.usedBytes < bytes && this.#canSpill && signal?.aborted !== true) {
      const entry = this.#compressed.oldest;
      if (entry === undefined) return;
      if (!(await this.#spillOne(entry, signal))) return;
    }
  }

  /** False when the disk does not take it now. */
  async #spillOne(entry: DemotedEntry<K>, signal: AbortSignal | undefined): Promise<boolean> {
    const { spill, maxSpillBytes } = this.#settings;
    const { sort, rawBytes, compressed, bytes } = entry.packed!;
    const size = bytes.byteLength;
    if (size > maxSpillBytes) {
      this.#drop(entry);
      return true;
    }
    while (this.#diskBytes + size > maxSpillBytes) this.#drop(this.#disk.oldest!);
    try {
      const record = await spill!.put(bytes, signal === undefined ? {} : { signal });
      if (this.#disposed || this.#index.get(entry.key) !== entry || entry.tier !== 'compressed') {
        spill!.delete(record);
        return true;
      }
      this.#compressed.remove(entry);
      this.#externalBook.give(size);
      this.#uncompressedBytes -= rawBytes;
      entry.tier = 'disk';
      entry.packed = { sort, rawBytes, compressed, bytes: NO_BYTES };
      entry.record = record;
      this.#disk.add(entry);
      this.#diskBytes += size;
      this.#counts.spilled++;
      return true;
    } catch (cause) {
      return this.#spillFailed(cause, signal);
    }
  }

  #spillFailed(cause: unknown, signal: AbortSignal | undefined): boolean {
    if (signal?.aborted === true) return false;
    this.#counts.spillFailures++;
    // The folder is full: what is oldest there makes room.
    if ((cause as { code?: unknown }).code === 'PLIMSOLL_SPILL_QUOTA' && this.#disk.oldest !== undefined) {
      this.#drop(this.#disk.oldest);
      return true;
    }
    this.#failOpen.note(cause);
    this.#spillPausedUntil = this.#clock.now() + SPILL_PAUSE_MS;
    return false;
  }
}

const NO_BYTES = new Uint8Array(0);

function weakly(value: unknown): { ref: WeakRef<object> } | undefined {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return isObject ? { ref: new WeakRef(value) } : undefined;
}
