/**
 * How duplicates are found when the keys do not fit: records go to the disk as they come, and their keys, each with the number of its record, into a sort that keeps the
 * first of each. The keys that were known before come first of all there, without a number: so what has been handed on already wins, and is not handed on again. At the
 * end the numbers that are left are sorted, and the records are read once, in order, beside them.
 */
import { ExternalSort } from './external-sort.ts';
import type { KeySet } from './key-set.ts';
import type { KeyWriter } from './key-writer.ts';
import type { OperatorSizes } from './operator-options.ts';
import type { OperatorRun } from './operator-run.ts';
import type { RecordBatch } from './record-batch.ts';
import { RecordLog } from './record-log.ts';
import type { SegmentCursor } from './segment-cursor.ts';

/** A number up to 2^48, big-endian: exactly what stands in the number of such a key. */
const NUMBER_BYTES = 6;
const NOTHING = Buffer.alloc(0);

export class DistinctSpill implements AsyncDisposable {
  readonly #run: OperatorRun;
  readonly #keys: ExternalSort;
  readonly #numbers: ExternalSort;
  readonly #log: RecordLog;
  readonly #number = Buffer.alloc(NUMBER_BYTES);
  #count = 0;

  /** Its owner holds `floorBytes` for it. Not without a place to spill. */
  constructor(run: OperatorRun) {
    const { sizes, spill, context } = run;
    this.#run = run;
    this.#keys = run.openSort({ unique: true });
    this.#numbers = run.openSort();
    this.#log = new RecordLog({ memory: context.memory, signal: context.signal, sizes, spill: spill! });
  }

  static floorBytes(sizes: OperatorSizes): number {
    return 2 * ExternalSort.floorBytes(sizes, true) + RecordLog.floorBytes(sizes);
  }

  static maxFiles(sizes: OperatorSizes): number {
    return 2 * ExternalSort.maxFiles(sizes) + 1;
  }

  /** Takes the keys of all that was handed on. The set is empty afterwards. */
  async know(set: KeySet): Promise<void> {
    this.settle();
    for (const { bytes, start, end } of set.drain()) {
      while (!this.#keys.addParts(bytes, start, end, NOTHING, 0, 0)) await this.#keys.makeRoom();
    }
  }

  settle(): void {
    this.#keys.frugal = this.#numbers.frugal = this.#run.isFrugal;
  }

  /** Takes a record: at once where it can, and then gives nothing to wait for. */
  add(key: KeyWriter, bytes: Buffer, start: number, end: number): Promise<void> | undefined {
    this.#number.writeUIntBE(this.#count++, 0, NUMBER_BYTES);
    const hasKey = this.#keys.add(key, this.#number, 0, NUMBER_BYTES);
    const hasRecord = this.#log.tryAdd(bytes, start, end);
    return hasKey && hasRecord ? undefined : this.#addRest(key, hasKey, bytes, start, hasRecord ? -1 : end);
  }

  /** Gives up memory; false when there is none to give up. */
  giveUp(): Promise<boolean> {
    return this.#keys.giveUp();
  }

  /** After the last record: those that are the first of their key, in the order in which they came. */
  async *finish(): AsyncGenerator<RecordBatch, void, undefined> {
    await this.#sortNumbers();
    const { output } = this.#run;
    const wanted = await this.#numbers.finish();
    const cursor = await this.#log.read();
    let at = -1;
    for (let first = wanted.first; cursor !== undefined && first !== undefined; first = wanted.first) {
      for (const number = Math.floor(first.number / 8); at < number; at++) if (!cursor.advance()) await cursor.fill();
      if (!output.tryPush(cursor.bytes, cursor.keyEnd, cursor.end)) yield* this.#handOn(cursor);
      if (!wanted.advance()) await wanted.fill();
    }
    yield* output.rest();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#log[Symbol.asyncDispose]();
    } finally {
      try {
        await this.#numbers[Symbol.asyncDispose]();
      } finally {
        await this.#keys[Symbol.asyncDispose]();
      }
    }
  }

  async #addRest(key: KeyWriter, hasKey: boolean, bytes: Buffer, start: number, end: number): Promise<void> {
    let isIn = hasKey;
    while (!isIn) {
      await this.#keys.makeRoom();
      isIn = this.#keys.add(key, this.#number, 0, NUMBER_BYTES);
    }
    if (end < 0) return;
    while (!this.#log.tryPrepare(end - start)) if (!(await this.#keys.giveUp())) this.#log.prepare(end - start);
    await this.#log.add(bytes, start, end);
  }

  #handOn({ bytes, keyEnd, end }: SegmentCursor): AsyncGenerator<RecordBatch, void, undefined> {
    return this.#run.output.handOn(bytes, keyEnd, end);
  }

  async #sortNumbers(): Promise<void> {
    const sorted = await this.#keys.finish();
    for (let first = sorted.first; first !== undefined; first = sorted.first) {
      if (first.end > first.keyEnd) {
        while (!this.#numbers.addParts(first.bytes, first.keyEnd, first.end, NOTHING, 0, 0)) {
          await this.#numbers.makeRoom();
        }
      }
      if (!sorted.advance()) await sorted.fill();
    }
    await this.#keys[Symbol.asyncDispose]();
  }
}
