import type { Consumer, Reservation } from '../governor/index.ts';
import type { OperatorSizes } from './operator-options.ts';
import { RecordBatch } from './record-batch.ts';
import type { RecordWriter } from './record-writer.ts';

/**
 * Where an operator puts records: one batch, filled again and again. `tryPush`; where that says no, `yield*` what `handOn` gives, which puts the record in too.
 * Its owner holds what the batch takes. A record that fits into no batch comes in one of its own, for which room is made with `tryPrepare` when the record comes in: when it
 * goes out there may be none. Whoever made it disposes it.
 */
export class RecordOutput implements Disposable {
  readonly #large: Reservation;
  readonly #batchBytes: () => number;
  readonly #batch: RecordBatch;
  readonly #readyBytes: number;
  /** What the batch may take now. */
  #limit: number;

  /** `batchBytes` says what a batch should take now; looked at for each. Room for a record of `readyBytes` is held by the owner. */
  constructor(memory: Consumer, sizes: OperatorSizes, batchBytes: () => number, readyBytes: number) {
    this.#large = memory.reserve(0);
    this.#batchBytes = batchBytes;
    this.#batch = new RecordBatch(sizes.batchBytes, sizes.batchCount);
    this.#limit = batchBytes();
    this.#readyBytes = this.#largeBytes(readyBytes);
  }

  /** Whether there is room for a record of that size to go out. */
  tryPrepare(bytes: number): boolean {
    const more = this.#moreFor(bytes);
    return more <= 0 || this.#large.tryGrow(more);
  }

  /** The same; without room it throws what a refused reservation throws. */
  prepare(bytes: number): void {
    const more = this.#moreFor(bytes);
    if (more > 0) this.#large.grow(more);
  }

  tryPush(bytes: Buffer, start: number, end: number): boolean {
    const batch = this.#batch;
    if (batch.count > 0 && batch.usedBytes + end - start > this.#limit) return false;
    return batch.tryPush(bytes, start, end);
  }

  /** Hands the batch on, then takes the record, or hands that on too. */
  async *handOn(bytes: Buffer, start: number, end: number): AsyncGenerator<RecordBatch, void, undefined> {
    yield* this.rest();
    if (this.tryPush(bytes, start, end)) return;
    this.prepare(end - start);
    const large = new RecordBatch(end - start, 1);
    large.tryPush(bytes, start, end);
    yield large;
  }

  /** What a writer has, where that is quickly done; false, and nothing is done, where it is not: then `handOnAll`. */
  tryPushAll({ buffer, ends }: RecordWriter): boolean {
    if (ends.length === 1) return this.tryPush(buffer, 0, ends[0]!);
    return ends.length === 0;
  }

  async *handOnAll({ buffer, ends }: RecordWriter): AsyncGenerator<RecordBatch, void, undefined> {
    let start = 0;
    for (const end of ends) {
      if (!this.tryPush(buffer, start, end)) yield* this.handOn(buffer, start, end);
      start = end;
    }
  }

  /** Hands on what there is. */
  async *rest(): AsyncGenerator<RecordBatch, void, undefined> {
    if (this.#batch.count > 0) yield this.#batch;
    this.#batch.clear();
    this.#limit = this.#batchBytes();
  }

  [Symbol.dispose](): void {
    this.#large[Symbol.dispose]();
  }

  /** Only one of them is handed on at a time: what is ready, or what was taken. */
  #moreFor(bytes: number): number {
    const needed = this.#largeBytes(bytes);
    return needed <= this.#readyBytes ? 0 : needed - this.#large.bytes;
  }

  #largeBytes(bytes: number): number {
    return bytes <= this.#batch.bytes.length ? 0 : RecordBatch.bytesFor(bytes, 1);
  }
}
