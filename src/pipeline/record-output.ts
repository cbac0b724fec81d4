import type { Consumer } from '../governor/index.ts';
import type { OperatorSizes } from './operator-options.ts';
import { RecordBatch } from './record-batch.ts';

/**
 * Where an operator puts records: one batch, filled again and again. `tryPush`; where that says no, `yield*` what `handOn` gives, which puts the record in too.
 * Its owner holds what the batch takes.
 */
export class RecordOutput {
  readonly #memory: Consumer;
  readonly #batchBytes: () => number;
  readonly #batch: RecordBatch;
  /** What the batch may take now. */
  #limit: number;

  /** `batchBytes` says what a batch should take now; looked at for each. */
  constructor(memory: Consumer, sizes: OperatorSizes, batchBytes: () => number) {
    this.#memory = memory;
    this.#batchBytes = batchBytes;
    this.#batch = new RecordBatch(sizes.batchBytes, sizes.batchCount);
    this.#limit = batchBytes();
  }

  tryPush(bytes: Buffer, start: number, end: number): boolean {
    const batch = this.#batch;
    if (batch.count > 0 && batch.usedBytes + end - start > this.#limit) return false;
    return batch.tryPush(bytes, start, end);
  }

  /** Hands the batch on, then takes the record; one that fits into no batch is handed on in one of its own. */
  async *handOn(bytes: Buffer, start: number, end: number): AsyncGenerator<RecordBatch, void, undefined> {
    yield* this.rest();
    if (this.tryPush(bytes, start, end)) return;
    using held = this.#memory.reserve(RecordBatch.bytesFor(end - start, 1));
    const large = new RecordBatch(end - start, 1);
    large.tryPush(bytes, start, end);
    if (held.bytes > 0) yield large;
  }

  /** Hands on what there is. */
  async *rest(): AsyncGenerator<RecordBatch, void, undefined> {
    if (this.#batch.count > 0) yield this.#batch;
    this.#batch.clear();
    this.#limit = this.#batchBytes();
  }
}
