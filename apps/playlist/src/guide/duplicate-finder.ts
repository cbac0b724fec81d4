/**
 * Finds which of a long sequence of digests stood there before, in bounded memory: the records are dealt out to partitions by their digest, kept in one
 * temporary file in blocks, and each partition is then looked through on its own. A partition that has too many different digests for
 * that is looked through in several goes. Exact as far as a digest of 96 bits is.
 */
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Consumer, PlimsollError, type Reservation } from 'plimsoll';
import type { Digest } from '../channels/digest.ts';
import { OutputError } from '../output/output-error.ts';

const PARTITIONS = 64;
/** a, b, c of the digest and the ordinal. */
const WORDS = 4;
const BLOCK_RECORDS = 256;
const BLOCK_WORDS = BLOCK_RECORDS * WORDS;
const BLOCK_BYTES = BLOCK_WORDS * 4;
/** Different digests that are compared at a time. */
const TABLE_RECORDS = 64 * 1024;
const TABLE_SLOTS = TABLE_RECORDS * 2;
const FIRST_BLOCKS = 1024;

export interface DuplicateFinderOptions {
  /** The most the temporary file may take, bytes. Default 2 GiB: 134 million records. */
  readonly maxSpillBytes?: number;
}

/** `PLIMSOLL_PLAYLIST_GUIDE_SPILL_LIMIT`: the temporary file of `DuplicateFinder` reached its bound. */
export class SpillLimitError extends PlimsollError {
  override readonly name: string = 'SpillLimitError';

  constructor(maxSpillBytes: number) {
    super(`an unordered guide needs more than ${maxSpillBytes} bytes of temporary files to find its duplicates`, {
      code: 'PLIMSOLL_PLAYLIST_GUIDE_SPILL_LIMIT',
      recovery: 'fail',
    });
  }
}

export class DuplicateFinder implements Disposable {
  /** Records so far; the ordinal of the next one. */
  count = 0;
  duplicateCount = 0;

  readonly #path: string;
  readonly #file: number;
  readonly #maxBlocks: number;
  readonly #maxSpillBytes: number;
  readonly #reservation: Reservation;
  readonly #pending = new Uint32Array(PARTITIONS * BLOCK_WORDS);
  readonly #pendingCounts = new Uint16Array(PARTITIONS);
  /** Partition of each block in the file. */
  #owners = new Uint8Array(FIRST_BLOCKS);
  #blocks = 0;
  #table: Uint32Array | undefined;
  #keys: Uint32Array | undefined;
  #marks: Uint8Array | undefined;

  /** Makes a file in `folder`, removed by disposing. 260 KiB are reserved from `consumer` now, 1.5 MiB and a bit a record by `finish`. Throws `OutputError`. */
  constructor(folder: string, consumer: Consumer, options: DuplicateFinderOptions = {}) {
    this.#maxSpillBytes = options.maxSpillBytes ?? 2 * 1024 ** 3;
    this.#maxBlocks = Math.floor(this.#maxSpillBytes / BLOCK_BYTES);
    this.#reservation = consumer.reserve(PARTITIONS * BLOCK_BYTES + FIRST_BLOCKS);
    this.#path = join(
      folder,
      `duplicates-${process.pid}-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}.tmp`,
    );
    try {
      this.#file = openSync(this.#path, 'wx+');
    } catch (cause) {
      this.#reservation[Symbol.dispose]();
      throw new OutputError(this.#path, cause);
    }
  }

  /** Takes the next record. Writes 4 KiB when a partition's block is full; throws `SpillLimitError`, or `OutputError` when the disk is full. */
  add(digest: Digest): void {
    const partition = digest.a & (PARTITIONS - 1);
    const used = this.#pendingCounts[partition]!;
    const at = partition * BLOCK_WORDS + used * WORDS;
    const pending = this.#pending;
    pending[at] = digest.a;
    pending[at + 1] = digest.b;
    pending[at + 2] = digest.c;
    pending[at + 3] = this.count++;
    this.#pendingCounts[partition] = used + 1;
    if (used + 1 === BLOCK_RECORDS) this.#writeBlock(partition);
  }

  /** Looks through all records. Afterwards `isDuplicate` can be asked. */
  finish(): void {
    const tableBytes = TABLE_SLOTS * 4 + TABLE_RECORDS * WORDS * 4;
    this.#reservation.grow(Math.ceil(this.count / 8) + tableBytes);
    this.#marks = new Uint8Array(Math.ceil(this.count / 8));
    this.#table = new Uint32Array(TABLE_SLOTS);
    this.#keys = new Uint32Array(TABLE_RECORDS * WORDS);
    const block = new Uint32Array(BLOCK_WORDS);
    for (let partition = 0; partition < PARTITIONS; partition++) {
      let shares = 1;
      while (!this.#resolve(partition, shares, block)) shares *= 2;
    }
    this.#table = undefined;
    this.#keys = undefined;
    this.#reservation.shrink(tableBytes);
  }

  /** Whether the record of this ordinal equals an earlier one. */
  isDuplicate(ordinal: number): boolean {
    return (this.#marks![ordinal >>> 3]! & (1 << (ordinal & 7))) !== 0;
  }

  [Symbol.dispose](): void {
    if (this.#marks === NO_MARKS) return;
    this.#marks = NO_MARKS;
    closeSync(this.#file);
    rmSync(this.#path, { force: true });
    this.#reservation[Symbol.dispose]();
  }

  #writeBlock(partition: number): void {
    if (this.#blocks === this.#maxBlocks) throw new SpillLimitError(this.#maxSpillBytes);
    if (this.#blocks === this.#owners.length) {
      this.#reservation.grow(this.#owners.length);
      const owners = new Uint8Array(this.#owners.length * 2);
      owners.set(this.#owners);
      this.#owners = owners;
    }
    const from = partition * BLOCK_BYTES;
    for (let done = 0; done < BLOCK_BYTES; ) {
      const position = this.#blocks * BLOCK_BYTES + done;
      done += this.#write(from + done, BLOCK_BYTES - done, position);
    }
    this.#owners[this.#blocks++] = partition;
    this.#pendingCounts[partition] = 0;
  }

  /** Writes from the pending records; how many bytes it took. */
  #write(from: number, bytes: number, position: number): number {
    try {
      return writeSync(this.#file, bytesOf(this.#pending), from, bytes, position);
    } catch (cause) {
      throw new OutputError(this.#path, cause);
    }
  }

  #readBlock(block: Uint32Array, number: number): void {
    try {
      readBlock(this.#file, block, number);
    } catch (cause) {
      throw new OutputError(this.#path, cause, 'read back');
    }
  }

  /** Looks through a partition in `shares` goes, each over the digests of one share. False when there are too many different ones. */
  #resolve(partition: number, shares: number, block: Uint32Array): boolean {
    for (let share = 0; share < shares; share++) {
      this.#table!.fill(0);
      const table = { records: 0 };
      for (let number = 0; number < this.#blocks; number++) {
        if (this.#owners[number] !== partition) continue;
        this.#readBlock(block, number);
        if (!this.#compare(block, 0, BLOCK_RECORDS, shares, share, table)) return false;
      }
      const from = partition * BLOCK_WORDS;
      if (!this.#compare(this.#pending, from, this.#pendingCounts[partition]!, shares, share, table)) return false;
    }
    return true;
  }

  #compare(
    words: Uint32Array,
    from: number,
    count: number,
    shares: number,
    share: number,
    table: { records: number },
  ): boolean {
    const slots = this.#table!;
    const keys = this.#keys!;
    for (let at = from; at < from + count * WORDS; at += WORDS) {
      const a = words[at]!;
      const b = words[at + 1]!;
      const c = words[at + 2]!;
      if (shares > 1 && (b & (shares - 1)) !== share) continue;
      let slot = c & (TABLE_SLOTS - 1);
      for (;;) {
        const entry = slots[slot]!;
        if (entry === 0) {
          if (table.records === TABLE_RECORDS) return false;
          const key = table.records++ * WORDS;
          keys[key] = a;
          keys[key + 1] = b;
          keys[key + 2] = c;
          slots[slot] = table.records;
          break;
        }
        const key = (entry - 1) * WORDS;
        if (keys[key] === a && keys[key + 1] === b && keys[key + 2] === c) {
          this.#mark(words[at + 3]!);
          break;
        }
        slot = (slot + 1) & (TABLE_SLOTS - 1);
      }
    }
    return true;
  }

  #mark(ordinal: number): void {
    if (this.isDuplicate(ordinal)) return;
    this.#marks![ordinal >>> 3]! |= 1 << (ordinal & 7);
    this.duplicateCount++;
  }
}

const NO_MARKS = new Uint8Array(0);

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

function readBlock(file: number, block: Uint32Array, number: number): void {
  const bytes = bytesOf(block);
  for (let done = 0; done < BLOCK_BYTES; ) {
    const got = readSync(file, bytes, done, BLOCK_BYTES - done, number * BLOCK_BYTES + done);
    if (got === 0) throw new Error('a temporary file of the guide is shorter than it was written');
    done += got;
  }
}
