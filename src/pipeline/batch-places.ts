/**
 * Where the batches of one store stand: in memory as they are, compressed, or on the disk; and what each place costs. Invariants:
 * - Bytes are booked before they are there. Moving a batch only ever gives back: what that needs meanwhile, and what reading back needs, is booked with the largest batch (`workBytes`). So
 *   a store that is full, or is being reclaimed, can still be emptied and read.
 * - Compressing and decompressing go through one turn: there is one codec's memory at a time.
 * - A batch changes its place in one step, when the new one stands; not while a reader has it in hands.
 * - What the disk fails to take stays in memory.
 */
import type { HolderBook } from '../governor/index.ts';
import { FrameCodec, freeBuffer, freeChunk, type SpillCodec } from '../spill/index.ts';
import type { BatchStoreSettings } from './batch-store-options.ts';
import { StoredBatch } from './stored-batch.ts';
import { Turn } from './turn.ts';

/** Of a batch, besides its bytes: its objects, and its record on the disk. */
const BATCH_BYTES = 320;
/** Of a record on the disk, and what a buffer to read it has to have more. */
const RECORD_BYTES = 20;
const MOST_FAILURES_IN_ROW = 3;
/** What compressing is thought to leave before anything has been compressed. */
const FIRST_RATIO = 0.5;

/** A batch in the hands of a reader. */
export interface LoadedBatch {
  readonly bytes: Buffer;
  /** Of memory that was made for it. Once. */
  free(): void;
}

export class BatchPlaces {
  readonly #settings: BatchStoreSettings;
  readonly #book: HolderBook;
  readonly #codec: FrameCodec;
  readonly #coding = new Turn();
  /** In the hands of readers. */
  readonly #pinned = new Set<StoredBatch>();
  #largestBytes = 0;
  #workBytes = 0;
  /** In memory. Of them: not compressed and could be; in the hands of readers. */
  #memoryBytes = 0;
  #looseBytes = 0;
  #handedBytes = 0;
  #diskBytes = 0;
  /** Of all that was compressed, before and after. */
  #codedFrom = 0;
  #codedTo = 0;
  #failuresInRow = 0;
  readonly counts = { compressions: 0, spills: 0, spillFailures: 0 };
  /** What the disk said last. */
  fault: unknown;

  constructor(settings: BatchStoreSettings, book: HolderBook) {
    this.#settings = settings;
    this.#book = book;
    this.#codec = new FrameCodec(settings.codec);
  }

  get canCompress(): boolean {
    return this.#codec.name !== 'none';
  }

  /** There is a disk, and it has not failed three times in a row. */
  get canSpill(): boolean {
    return this.#settings.spill !== undefined && this.#failuresInRow < MOST_FAILURES_IN_ROW;
  }

  get diskBytes(): number {
    return this.#diskBytes;
  }

  /** Booked, and not to be given back by moving. */
  get pinnedBytes(): number {
    return this.#book.usedBytes - this.#memoryBytes + this.#handedBytes;
  }

  /** That moving would give back: all where there is a disk, else what compressing is likely to save. */
  get movableBytes(): number {
    if (this.canSpill) return this.#memoryBytes - this.#handedBytes;
    if (!this.canCompress) return 0;
    const ratio = this.#codedFrom === 0 ? FIRST_RATIO : this.#codedTo / this.#codedFrom;
    return Math.max(0, Math.floor((this.#looseBytes - this.#handedBytes) * (1 - ratio)));
  }

  /** Within the store's own bound, and the governor's. */
  tryTake(bytes: number): boolean {
    return this.#book.usedBytes + bytes <= this.#settings.maxBytes && this.#book.tryTake(bytes);
  }

  give(bytes: number): void {
    this.#book.give(bytes);
  }

  /** Books what a batch takes besides its bytes, and the room for moving and reading one so large. */
  tryBegin(rawBytes: number): boolean {
    const work = this.#workFor(Math.max(rawBytes, this.#largestBytes));
    if (!this.tryTake(BATCH_BYTES + work - this.#workBytes)) return false;
    this.#workBytes = work;
    this.#largestBytes = Math.max(rawBytes, this.#largestBytes);
    return true;
  }

  /** Of a batch that was begun and found no place. */
  giveUp(): void {
    this.#book.give(BATCH_BYTES);
  }

  tryKeep(bytes: Uint8Array): StoredBatch | undefined {
    if (!this.tryTake(bytes.byteLength)) return undefined;
    const copy = Buffer.allocUnsafeSlow(bytes.byteLength);
    copy.set(bytes);
    this.#memoryBytes += copy.byteLength;
    this.#looseBytes += copy.byteLength;
    return new StoredBatch(bytes.byteLength, bytes.byteLength, copy, false);
  }

  /** Undefined when it does not become smaller, or there is no room even then. */
  tryKeepPacked(bytes: Uint8Array): Promise<StoredBatch | undefined> {
    return this.#coding.run(async () => {
      const small = await this.#shrink(bytes);
      if (small === undefined) return undefined;
      try {
        if (!this.tryTake(small.byteLength)) return undefined;
        this.#memoryBytes += small.byteLength;
        return new StoredBatch(bytes.byteLength, small.byteLength, ownCopy(small), true);
      } finally {
        freeChunk(small, bytes.byteLength);
      }
    });
  }

  /** Undefined when the disk does not take it. Rejects with the signal's reason alone. */
  tryKeepOnDisk(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<StoredBatch | undefined> {
    return this.#coding.run(async () => {
      const small = await this.#shrink(bytes);
      try {
        const stored = small ?? bytes;
        const record = await this.#put(stored, signal);
        if (record === undefined) return undefined;
        return new StoredBatch(bytes.byteLength, stored.byteLength, record, small !== undefined);
      } finally {
        if (small !== undefined) freeChunk(small, bytes.byteLength);
      }
    });
  }

  /** Compresses a batch in memory. False when nothing was moved. Never rejects. */
  pack(batch: StoredBatch): Promise<boolean> {
    return this.#coding.run(async () => {
      const { bytes, rawBytes } = batch;
      if (bytes === undefined || batch.isPacked || batch.isStubborn || batch.pins > 0) return false;
      batch.isBusy = true;
      const small = await this.#shrink(bytes);
      batch.isBusy = false;
      const isFree = this.#settle(batch);
      if (small === undefined) {
        if (isFree) this.#looseBytes -= rawBytes;
        batch.isStubborn = isFree;
        return false;
      }
      if (isFree) {
        batch.bytes = ownCopy(small);
        batch.storedBytes = small.byteLength;
        batch.isPacked = true;
        freeBuffer(bytes);
        this.#looseBytes -= rawBytes;
        this.#memoryBytes -= rawBytes - small.byteLength;
        this.#book.give(rawBytes - small.byteLength);
      }
      freeChunk(small, rawBytes);
      return isFree;
    });
  }

  /** Writes a batch to the disk and lets go of its memory. False when nothing was moved. Never rejects. */
  async spill(batch: StoredBatch): Promise<boolean> {
    const { bytes } = batch;
    if (bytes === undefined || batch.pins > 0) return false;
    batch.isBusy = true;
    const record = await this.#put(bytes, undefined);
    batch.isBusy = false;
    const isFree = this.#settle(batch);
    if (record === undefined) return false;
    if (!isFree) {
      this.#forget(record, batch.storedBytes);
      return false;
    }
    batch.record = record;
    this.#freeMemory(batch);
    return true;
  }

  /** The batch as it was appended. Pin it before. */
  async load(batch: StoredBatch, signal: AbortSignal | undefined): Promise<LoadedBatch> {
    const { bytes } = batch;
    if (bytes !== undefined && !batch.isPacked) return { bytes, free() {} };
    return this.#coding.run(async () => {
      const stored = bytes ?? (await this.#readBack(batch, signal));
      if (!batch.isPacked) return { bytes: stored, free: () => freeBuffer(stored) };
      const raw = await this.#codec.restore(stored, batch.rawBytes);
      if (bytes === undefined) freeBuffer(stored);
      if (raw === undefined) throw new Error(`${this.#settings.name}: a compressed batch cannot be restored`);
      return { bytes: raw, free: () => freeChunk(raw, batch.rawBytes) };
    });
  }

  pin(batch: StoredBatch): void {
    if (batch.pins++ > 0) return;
    this.#pinned.add(batch);
    if (batch.bytes !== undefined) this.#handedBytes += batch.storedBytes;
  }

  unpin(batch: StoredBatch): void {
    if (--batch.pins > 0) return;
    if (batch.isRemoved) return;
    this.#pinned.delete(batch);
    if (batch.bytes !== undefined) this.#handedBytes -= batch.storedBytes;
    if (batch.isGone && !batch.isBusy) this.#remove(batch);
  }

  /** Lets go of a batch, now or when its readers have. Once. */
  drop(batch: StoredBatch): void {
    batch.isGone = true;
    if (batch.pins === 0 && !batch.isBusy) this.#remove(batch);
  }

  /** When nothing is being compressed or decompressed: lets go of batches whose readers may never come back; what they have in hands is left to them. */
  async close(): Promise<void> {
    await this.#coding.run(async () => {});
    for (const batch of this.#pinned) {
      // Not freed: somebody may look at it.
      if (batch.bytes !== undefined) batch.bytes = Buffer.alloc(0);
      this.#remove(batch);
    }
    this.#pinned.clear();
    this.#handedBytes = 0;
  }

  /** After work on a batch: false when it was let go or taken in hands meanwhile, and so stays where it is. */
  #settle(batch: StoredBatch): boolean {
    if (batch.pins > 0) return false;
    if (batch.isGone) this.#remove(batch);
    return !batch.isGone;
  }

  #remove(batch: StoredBatch): void {
    if (batch.isRemoved) return;
    batch.isRemoved = true;
    if (batch.record !== undefined) this.#forget(batch.record, batch.storedBytes);
    batch.record = undefined;
    this.#freeMemory(batch);
    this.#book.give(BATCH_BYTES);
  }

  #freeMemory(batch: StoredBatch): void {
    const { bytes } = batch;
    if (bytes === undefined) return;
    batch.bytes = undefined;
    this.#memoryBytes -= batch.storedBytes;
    if (!batch.isPacked && !batch.isStubborn) this.#looseBytes -= batch.storedBytes;
    freeBuffer(bytes);
    this.#book.give(batch.storedBytes);
  }

  async #shrink(bytes: Uint8Array): Promise<Buffer | undefined> {
    const small = await this.#codec.shrink(bytes);
    if (!this.canCompress || bytes.byteLength === 0) return undefined;
    this.#codedFrom += bytes.byteLength;
    this.#codedTo += small?.byteLength ?? bytes.byteLength;
    if (small !== undefined) this.counts.compressions++;
    return small;
  }

  async #put(bytes: Uint8Array, signal: AbortSignal | undefined) {
    const { spill, maxSpillBytes } = this.#settings;
    const diskBytes = bytes.byteLength + RECORD_BYTES;
    if (spill === undefined || !this.canSpill) return undefined;
    if (this.#diskBytes + diskBytes > maxSpillBytes) {
      this.counts.spillFailures++;
      return undefined;
    }
    this.#diskBytes += diskBytes;
    try {
      const record = await spill.put(bytes, signal && { signal });
      this.#failuresInRow = 0;
      this.counts.spills++;
      return record;
    } catch (cause) {
      this.#diskBytes -= diskBytes;
      signal?.throwIfAborted();
      this.fault = cause;
      this.#failuresInRow++;
      this.counts.spillFailures++;
      return undefined;
    }
  }

  async #readBack(batch: StoredBatch, signal: AbortSignal | undefined): Promise<Buffer> {
    const into = Buffer.allocUnsafeSlow(batch.storedBytes + RECORD_BYTES);
    try {
      const bytes = await this.#settings.spill!.get(batch.record!, { into, ...(signal && { signal }) });
      return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
    } catch (cause) {
      freeBuffer(into);
      throw cause;
    }
  }

  #forget(record: NonNullable<StoredBatch['record']>, storedBytes: number): void {
    this.#diskBytes -= storedBytes + RECORD_BYTES;
    this.#settings.spill!.delete(record);
  }

  #workFor(largestBytes: number): number {
    return workBytes(this.#codec, this.#settings.spill !== undefined, largestBytes);
  }
}

/** What a store needs for a batch of one byte, and so the least that one may take. */
export function leastStoreBytes(codec: SpillCodec, spills: boolean): number {
  return BATCH_BYTES + workBytes(new FrameCodec(codec), spills, 1) + 1;
}

function workBytes(codec: FrameCodec, spills: boolean, largestBytes: number): number {
  const reading = spills ? largestBytes + RECORD_BYTES : 0;
  if (codec.name === 'none') return reading;
  const handed = largestBytes;
  const shrinking = Math.max(codec.shrinkBytes(largestBytes), 2 * largestBytes);
  return handed + Math.max(shrinking, codec.restoreBytes(largestBytes) - handed + reading);
}

/** Exactly as long, alone in its memory. */
function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.byteLength);
  copy.set(bytes);
  return copy;
}
