/**
 * Sorting what does not fit: records go into chunks; when there is no room for another, the chunks are sorted, merged into a segment on the disk, and filled anew; at the
 * end the segments are merged (Knuth, The Art of Computer Programming, volume 3, 5.4).
 *
 * - What a merge needs is there from the beginning: `floorBytes`, which its owner reserves. Only chunks beyond the first are asked for while it runs, and may be refused.
 * - A merge reads `fanIn` segments at once and no more. Those merged are neighbours, so that equal keys stay in order, and the smallest such group, so that each record is
 *   copied about once for each power of `fanIn` in the number of segments.
 * - A record that is larger than a block has what two such need to be merged taken when it comes in.
 */
import type { Consumer, Reservation } from '../governor/index.ts';
import type { SpilledSegment } from '../spill/index.ts';
import { ChunkCursor } from './chunk-cursor.ts';
import { ChunkSorter } from './chunk-sorter.ts';
import type { KeyWriter } from './key-writer.ts';
import { LAST_KEY_BYTES, LastKey } from './last-key.ts';
import { MergeTree } from './merge-tree.ts';
import type { OperatorSizes } from './operator-options.ts';
import type { OperatorSpill } from './operator-spill.ts';
import { RecordChunk } from './record-chunk.ts';
import { moveOn, type RunCursor } from './run-cursor.ts';
import { RunWriter } from './run-writer.ts';
import { SegmentCursor } from './segment-cursor.ts';
import { SortedRecords } from './sorted-records.ts';

export interface ExternalSortOptions {
  readonly memory: Consumer;
  readonly sizes: OperatorSizes;
  /** Where it spills; without it a refusal is an error. */
  readonly spill: OperatorSpill | undefined;
  readonly signal: AbortSignal;
  /** Called every block: samples, and throws when it was aborted. */
  readonly tick: () => void;
  /** Of records with one key only the first is kept. Default false. */
  readonly unique?: boolean;
  /** Whoever reads it will compare each key with the one before. Default false. */
  readonly keepsKey?: boolean;
  /** The most for chunks beyond the first. Default: as its consumer has it. */
  readonly maxExtraBytes?: number;
}

/** The most segments before some are merged, where `fanIn` is not more. */
const MOST_RUNS = 24;
/** How much more room is worth than bytes that are written: found by trying, by how often each record was copied. */
const ROOM_WEIGHT = 2.5;

export class ExternalSort implements AsyncDisposable {
  /** Keeps to one chunk, and leaves nothing in memory when all has come. Only where it can spill. */
  frugal = false;
  /** With `unique` or `keepsKey`: has room for the key of any record that was added. */
  readonly lastKey: LastKey | undefined;
  readonly #options: ExternalSortOptions;
  readonly #extra: Reservation;
  readonly #sorter: ChunkSorter;
  readonly #block: Buffer<ArrayBuffer> | undefined;
  readonly #runs: SpilledSegment[] = [];
  readonly #cursors: RunCursor[] = [];
  #chunks: RecordChunk[] = [];
  #current: RecordChunk;
  #spare: RecordChunk[] = [];
  /** For readers. */
  #mergeBytes: number;
  #largestEntry = 0;
  /** The next refusal is an error: nothing more can be given up. */
  #isLast = false;
  #refusedByOthers = false;

  /** Its owner holds `floorBytes` for it, before and until it is disposed. */
  constructor(options: ExternalSortOptions) {
    const { sizes, memory, spill, unique = false, keepsKey = false } = options;
    this.#options = options;
    this.#extra = memory.reserve(0);
    this.#sorter = new ChunkSorter(sizes.chunkCount);
    this.#current = new RecordChunk(sizes.chunkBytes, sizes.chunkCount);
    this.#chunks.push(this.#current);
    if (spill !== undefined) this.#block = Buffer.allocUnsafeSlow(sizes.blockBytes);
    if (unique || keepsKey) this.lastKey = new LastKey();
    this.#mergeBytes = sizes.fanIn * sizes.readerBytes;
  }

  static floorBytes(sizes: OperatorSizes, spills: boolean): number {
    const own = sizes.chunkBytes + ChunkSorter.bytesFor(sizes.chunkCount) + LAST_KEY_BYTES;
    return own + (spills ? sizes.fanIn * sizes.readerBytes + sizes.writerBytes : 0);
  }

  /** The most files it has at once. */
  static maxFiles(sizes: OperatorSizes): number {
    return Math.max(MOST_RUNS, sizes.fanIn) + 2;
  }

  get isSpilled(): boolean {
    return this.#runs.length > 0;
  }

  /** Copies a record in. False, and nothing is done, when there is no room: then `makeRoom`, and again. */
  add(key: KeyWriter, source: Buffer, start: number, end: number): boolean {
    return this.addParts(key.buffer, 0, key.length, source, start, end);
  }

  /** The same with the key `key[keyStart .. keyEnd)`. */
  addParts(key: Buffer, keyStart: number, keyEnd: number, source: Buffer, start: number, end: number): boolean {
    const keyBytes = keyEnd - keyStart;
    const { lastKey } = this;
    if (lastKey !== undefined && keyBytes > lastKey.capacity && !this.#growLastKey(keyBytes)) return false;
    if (this.#current.tryAdd(key, keyStart, keyEnd, source, start, end)) return true;
    const size = RecordChunk.entryBytes(keyBytes, end - start);
    if (!this.#canReadBack(size) || !this.#openChunk(size)) return false;
    this.#isLast = false;
    return this.#current.tryAdd(key, keyStart, keyEnd, source, start, end);
  }

  /** Whether it holds more than it should in the mode it is in. */
  get isOver(): boolean {
    return this.frugal && this.#chunks.length > 1;
  }

  /** Gives up memory for another record. Where there is nothing to give up, the next `add` throws what a refused reservation throws. */
  async makeRoom(): Promise<void> {
    if (!(await this.giveUp())) this.insist();
  }

  /** Nobody has anything more to give up: the next `add` throws what a refused reservation throws. */
  insist(): void {
    this.#isLast = true;
  }

  /** After the last record: writes all of it, where some of it is on the disk already or it is frugal, so that others have the room. */
  async stepAside(): Promise<void> {
    if (this.isSpilled || this.frugal) while (await this.giveUp());
  }

  /** Writes what it holds to the disk, or lets go of what it keeps for later. False where neither can be. */
  async giveUp(): Promise<boolean> {
    if (this.#options.spill !== undefined && this.#holdsRecords) await this.#spillRun();
    else if (this.#spare.length > 0) this.#dropChunks();
    else return false;
    return true;
  }

  /** After the last record: all of them in order. What it returns is valid until this is disposed. */
  async finish(): Promise<SortedRecords> {
    const { sizes, signal, unique = false } = this.#options;
    if (this.#runs.length > 0 || this.frugal) {
      if (this.#holdsRecords) await this.#spillRun();
      this.#dropChunks();
      const { fanIn } = sizes;
      for (let count = this.#runs.length; count > 1 && !this.#fits(0, count); count = this.#runs.length) {
        await this.#compact(Math.max(2, Math.min(fanIn, count - fanIn + 1)));
      }
      const { bufferBytes } = sizes;
      for (const run of this.#runs) this.#cursors.push(new SegmentCursor(run, { bufferBytes, signal }));
    } else {
      this.#cursors.push(...this.#sortedChunks());
    }
    for (const cursor of this.#cursors) await moveOn(cursor);
    return new SortedRecords(this.#cursors, unique ? this.lastKey : undefined);
  }

  /** Ends reads and removes what is left on the disk. Twice is safe. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      for (const cursor of this.#cursors.splice(0)) await cursor[Symbol.asyncDispose]();
      for (const run of this.#runs.splice(0)) await run[Symbol.asyncDispose]();
    } finally {
      this.#dropChunks();
      this.#current.free();
      this.#extra[Symbol.dispose]();
    }
  }

  get #holdsRecords(): boolean {
    return this.#chunks.some((chunk) => chunk.count > 0);
  }

  #growLastKey(keyBytes: number): boolean {
    const lastKey = this.lastKey!;
    const capacity = Math.max(keyBytes, 2 * lastKey.capacity);
    if (!this.#take(capacity - lastKey.capacity)) return false;
    lastKey.grow(capacity);
    return true;
  }

  /** Takes what two entries of that size need to be merged. */
  #canReadBack(size: number): boolean {
    const { spill, sizes } = this.#options;
    if (spill === undefined || size <= sizes.blockBytes || size <= this.#largestEntry) return true;
    const wanted = 2 * (sizes.readerBytes + size) - this.#mergeBytes;
    if (wanted > 0) {
      if (!this.#take(wanted)) return false;
      this.#mergeBytes += wanted;
    }
    this.#largestEntry = size;
    return true;
  }

  #openChunk(size: number): boolean {
    const { chunkBytes, chunkCount } = this.#options.sizes;
    if (size > chunkBytes) {
      if (this.frugal && this.#holdsRecords) return false;
      if (!this.#take(size)) return false;
      this.#current = new RecordChunk(size, 1);
    } else {
      if (this.frugal && this.#holdsRecords) return false;
      const spare = this.#spare.pop();
      if (spare === undefined && !this.#take(chunkBytes)) return false;
      this.#current = spare ?? new RecordChunk(chunkBytes, chunkCount);
    }
    this.#chunks.push(this.#current);
    return true;
  }

  #take(bytes: number): boolean {
    const { maxExtraBytes = Number.POSITIVE_INFINITY } = this.#options;
    if (this.#isLast) {
      this.#extra.grow(bytes);
      return true;
    }
    if (this.#extra.bytes + bytes > maxExtraBytes) return false;
    const { memory } = this.#options;
    const hasOwnRoom = memory.heldBytes + bytes <= memory.maxBytes;
    if (this.#extra.tryGrow(bytes)) return true;
    if (hasOwnRoom) this.#refusedByOthers = true;
    return false;
  }

  #sortedChunks(): ChunkCursor[] {
    const cursors: ChunkCursor[] = [];
    for (const chunk of this.#chunks) {
      if (chunk.count === 0) continue;
      this.#sorter.sort(chunk);
      this.#options.tick();
      cursors.push(new ChunkCursor(chunk));
    }
    return cursors;
  }

  async #spillRun(): Promise<void> {
    const cursors = this.#sortedChunks();
    for (const cursor of cursors) cursor.advance();
    this.#runs.push(await this.#write(cursors));
    const keeps = !this.frugal && !this.#refusedByOthers;
    if (!keeps) this.#dropChunks();
    else this.#clearChunks();
    while (this.#runs.length >= Math.max(MOST_RUNS, this.#options.sizes.fanIn))
      await this.#compact(this.#options.sizes.fanIn);
  }

  /** For the next run, as it was not somebody else who needed the room. */
  #clearChunks(): void {
    const { chunkBytes } = this.#options.sizes;
    const [first, ...others] = this.#chunks;
    first!.clear();
    for (const chunk of others) {
      chunk.clear();
      if (chunk.capacity === chunkBytes) this.#spare.push(chunk);
      else this.#giveBack(chunk);
    }
    this.#chunks = [first!];
    this.#current = first!;
  }

  #dropChunks(): void {
    this.#clearChunks();
    for (const chunk of this.#spare.splice(0)) this.#giveBack(chunk);
    this.#refusedByOthers = false;
  }

  #giveBack(chunk: RecordChunk): void {
    chunk.free();
    this.#extra.shrink(Math.min(this.#extra.bytes, chunk.capacity));
  }

  async #write(cursors: readonly RunCursor[]): Promise<SpilledSegment> {
    const { spill, signal } = this.#options;
    const writer = new RunWriter(await spill!.create(), this.#block!, signal);
    try {
      await this.#drain(cursors, writer);
      return await writer.finish();
    } catch (error) {
      await writer[Symbol.asyncDispose]().catch(() => {});
      throw error;
    }
  }

  async #drain(cursors: readonly RunCursor[], writer: RunWriter): Promise<void> {
    const { tick, unique = false } = this.#options;
    const lastKey = unique ? this.lastKey : undefined;
    lastKey?.forget();
    const tree = new MergeTree(cursors);
    for (let cursor = tree.first; cursor !== undefined; cursor = tree.first) {
      if (lastKey === undefined || !lastKey.is(cursor)) {
        lastKey?.keep(cursor);
        if (!writer.tryAdd(cursor)) {
          tick();
          await writer.add(cursor);
        }
      }
      if (!cursor.advance()) await cursor.fill();
      tree.replay();
    }
  }

  #fits(from: number, count: number): boolean {
    const { fanIn, bufferBytes } = this.#options.sizes;
    let needed = 0;
    for (let index = from; index < from + count; index++) needed += this.#runs[index]!.readBytes({ bufferBytes });
    return count <= fanIn && needed <= this.#mergeBytes;
  }

  /**
   * Merges that many neighbours into one, or fewer: where least is written for what the merge makes room for. Of many segments the older ones are long, and
   * always that many would take one of them into each merge, and copy it time and again.
   */
  async #compact(most: number): Promise<void> {
    let from = -1;
    let width = 0;
    let least = Number.POSITIVE_INFINITY;
    for (let count = most; count >= 2; count--) {
      for (let first = 0; first + count <= this.#runs.length; first++) {
        let bytes = 0;
        for (let index = first; index < first + count; index++) bytes += this.#runs[index]!.rawBytes;
        const cost = bytes / (count - 1) ** ROOM_WEIGHT;
        if (cost >= least || !(count === 2 || this.#fits(first, count))) continue;
        least = cost;
        from = first;
        width = count;
      }
    }
    const merged = await this.#merge(this.#runs.slice(from, from + width));
    for (const run of this.#runs.splice(from, width, merged)) await run[Symbol.asyncDispose]();
  }

  async #merge(runs: readonly SpilledSegment[]): Promise<SpilledSegment> {
    const { sizes, signal } = this.#options;
    const cursors = runs.map((run) => new SegmentCursor(run, { bufferBytes: sizes.bufferBytes, signal }));
    try {
      for (const cursor of cursors) await cursor.fill();
      return await this.#write(cursors);
    } finally {
      for (const cursor of cursors) await cursor[Symbol.asyncDispose]();
    }
  }
}
