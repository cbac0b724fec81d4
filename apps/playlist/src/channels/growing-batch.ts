import type { Reservation } from 'plimsoll';
import { RecordBatch, type StageContext } from 'plimsoll/pipeline';

/** Records are longer: a batch of shorter ones just holds fewer bytes. */
const BYTES_PER_RECORD = 256;

/** A batch that is filled again and again, and larger while a record wants it so. What it takes is reserved from the stage's memory; its owner disposes it. */
export class GrowingBatch implements Disposable {
  batch: RecordBatch;
  readonly #usualBytes: number;
  readonly #maxRecords: number;
  readonly #reservation: Reservation;

  constructor(batchBytes: number, context: StageContext) {
    this.#usualBytes = batchBytes;
    this.#maxRecords = Math.ceil(batchBytes / BYTES_PER_RECORD);
    this.#reservation = context.memory.reserve(RecordBatch.bytesFor(batchBytes, this.#maxRecords));
    this.batch = new RecordBatch(batchBytes, this.#maxRecords);
  }

  /** Whether so many bytes more go in, and it is no larger than `mostBytes`, which pressure may have made less than its room. */
  fits(bytes: number, mostBytes: number): boolean {
    const { batch } = this;
    const used = batch.usedBytes;
    const isSmall = used === 0 || used + bytes <= mostBytes;
    return isSmall && batch.count < this.#maxRecords && used + bytes <= batch.bytes.length;
  }

  /** Empties it, and makes room for a record of so many bytes. */
  clear(bytes: number): void {
    const size = Math.max(this.#usualBytes, bytes);
    this.batch.clear();
    if (size === this.batch.bytes.length) return;
    this.#reservation.resize(RecordBatch.bytesFor(size, this.#maxRecords));
    this.batch = new RecordBatch(size, this.#maxRecords);
  }

  [Symbol.dispose](): void {
    this.#reservation[Symbol.dispose]();
  }
}
