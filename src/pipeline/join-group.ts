import type { Reservation } from '../governor/index.ts';
import { ChunkCursor } from './chunk-cursor.ts';
import type { OperatorSizes } from './operator-options.ts';
import type { LargeRoom, OperatorRun } from './operator-run.ts';
import { RecordChunk } from './record-chunk.ts';
import { RecordLog } from './record-log.ts';
import type { RunCursor } from './run-cursor.ts';

/**
 * The records of the right side with one key, read again for each record of the left. In memory as long as that grows; one that does not fit goes to the disk and is read
 * from there each time. Whoever made it disposes it.
 */
export class JoinGroup implements AsyncDisposable, LargeRoom {
  readonly #extra: Reservation;
  readonly #chunk: RecordChunk;
  readonly #cursor: ChunkCursor;
  readonly #log: RecordLog | undefined;
  #isOnDisk = false;

  /** Its owner holds `floorBytes` for it. */
  constructor({ context, sizes, spill }: OperatorRun) {
    const { memory, signal } = context;
    this.#extra = memory.reserve(0);
    this.#chunk = new RecordChunk(sizes.chunkBytes, sizes.chunkCount);
    this.#cursor = new ChunkCursor(this.#chunk);
    if (spill !== undefined) this.#log = new RecordLog({ memory, signal, sizes, spill });
  }

  static floorBytes(sizes: OperatorSizes, spills: boolean): number {
    return sizes.chunkBytes + (spills ? RecordLog.floorBytes(sizes) : 0);
  }

  /** Files at once. */
  static maxFiles = 1;

  /** Whether there is room for a record of that size, whatever else there will be. Asked when it comes in. */
  tryPrepare(size: number): boolean {
    return this.#log?.tryPrepare(size) ?? true;
  }

  prepare(size: number): void {
    this.#log?.prepare(size);
  }

  /** Adds the record at a cursor; false, and nothing is done, where that takes time: then `addSlowly`. */
  add({ bytes, keyEnd, end }: RunCursor): boolean {
    return !this.#isOnDisk && this.#chunk.tryAdd(bytes, keyEnd, keyEnd, bytes, keyEnd, end);
  }

  async addSlowly(cursor: RunCursor): Promise<void> {
    const { bytes, keyEnd, end } = cursor;
    if (!this.#isOnDisk) {
      if (this.#grow(RecordChunk.entryBytes(0, end - keyEnd)) && this.add(cursor)) return;
      await this.#toDisk();
    }
    const log = this.#log!;
    if (!log.tryAdd(bytes, keyEnd, end)) await log.add(bytes, keyEnd, end);
  }

  /** A cursor before its first record. */
  async read(): Promise<RunCursor> {
    if (this.#isOnDisk) return (await this.#log!.read())!;
    this.#cursor.rewind();
    return this.#cursor;
  }

  async clear(): Promise<void> {
    this.#chunk.clear();
    if (!this.#isOnDisk) return;
    this.#isOnDisk = false;
    await this.#log!.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#log?.[Symbol.asyncDispose]();
    } finally {
      this.#chunk.free();
      this.#extra[Symbol.dispose]();
    }
  }

  /** Twice as large at least; both are there for a moment. Where there is no disk, a refusal is thrown. */
  #grow(entryBytes: number): boolean {
    const { capacity, maxCount } = this.#chunk;
    const more = Math.ceil(Math.max(2 * capacity, capacity + entryBytes) / 4) * 4;
    if (this.#log === undefined) this.#extra.grow(more);
    else if (!this.#extra.tryGrow(more)) return false;
    this.#chunk.grow(more, 2 * maxCount);
    this.#extra.shrink(capacity);
    return true;
  }

  async #toDisk(): Promise<void> {
    this.#isOnDisk = true;
    const log = this.#log!;
    this.#cursor.rewind();
    for (this.#cursor.advance(); !this.#cursor.ended; this.#cursor.advance()) {
      const { bytes, keyEnd, end } = this.#cursor;
      if (!log.tryAdd(bytes, keyEnd, end)) await log.add(bytes, keyEnd, end);
    }
    this.#chunk.clear();
  }
}
