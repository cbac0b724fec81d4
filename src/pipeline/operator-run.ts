import type { Reservation } from '../governor/index.ts';
import { isSpillForced } from '../spill/index.ts';
import { checkDone } from './check-callback.ts';
import { ExternalSort, type ExternalSortOptions } from './external-sort.ts';
import { KeyWriter } from './key-writer.ts';
import { RecordTooLargeError } from './operator-errors.ts';
import {
  largeResultBytes,
  type OperatorSizes,
  ownBytes,
  type RecordKey,
  type RecordOperatorOptions,
} from './operator-options.ts';
import { OperatorSpill } from './operator-spill.ts';
import type { RecordBatch } from './record-batch.ts';
import { RecordOutput } from './record-output.ts';
import type { SortedRecords } from './sorted-records.ts';
import type { StageContext } from './stage.ts';

export interface OperatorRunOptions {
  readonly context: StageContext;
  readonly options: RecordOperatorOptions;
  readonly sizes: OperatorSizes;
  /** What its parts take, besides `ownBytes`, when it can spill and when it cannot. */
  readonly partBytes: (spills: boolean) => number;
  /** The largest record that it writes by itself, for which there is room from the beginning. Default 0. */
  readonly maxResultBytes?: number;
  /** The most files that they have at once. */
  readonly maxFiles: number;
}

/** What the work of an operator hands on. Opens its run, and closes it however that ends. */
export async function* runOperator(
  options: OperatorRunOptions,
  work: (run: OperatorRun) => AsyncIterable<RecordBatch>,
): AsyncGenerator<RecordBatch, void, undefined> {
  await using run = new OperatorRun(options);
  try {
    yield* work(run);
  } catch (error) {
    throw explained(error, run);
  }
}

/** The same error; where its own memory was refused and there is nowhere to spill, that is said too. */
function explained(error: unknown, { context, spill }: OperatorRun): unknown {
  const { code, consumer } = Object(error) as { readonly code?: unknown; readonly consumer?: unknown };
  const isOwn = code === 'PLIMSOLL_BUDGET_EXCEEDED' && consumer === context.memory.name;
  if (isOwn && spill === undefined && error instanceof Error) {
    error.message += '; it has no spill folder (`spill`) for what does not fit into memory';
  }
  return error;
}

/** One run of an operator: what all of them need. Takes all that it cannot do without when it is made. Whoever made it disposes it, after the parts. */
export class OperatorRun implements AsyncDisposable {
  readonly context: StageContext;
  readonly sizes: OperatorSizes;
  readonly spill: OperatorSpill | undefined;
  readonly key: KeyWriter;
  readonly output: RecordOutput;
  readonly #floor: Reservation;
  readonly #isForced: boolean;
  readonly #leftKey: RecordKey;

  /** Throws what a refused reservation throws, and then holds nothing. */
  constructor({ context, options, sizes, partBytes, maxFiles, maxResultBytes = 0 }: OperatorRunOptions) {
    const folder = options.spill ?? context.spill;
    const { memory } = context;
    this.context = context;
    this.sizes = sizes;
    this.#leftKey = options.key;
    this.#isForced = folder !== undefined && isSpillForced();
    const own = ownBytes(sizes) + largeResultBytes(sizes, maxResultBytes);
    this.#floor = memory.reserve(own + partBytes(folder !== undefined));
    this.key = new KeyWriter(sizes.maxRecordBytes, (bytes) => this.#floor.grow(bytes));
    this.output = new RecordOutput(memory, sizes, () => context.batchBytes, maxResultBytes);
    if (folder === undefined) return;
    this.spill = new OperatorSpill({
      name: options.name,
      folder,
      maxBytes: options.maxSpillBytes ?? folder.stats.maxBytes,
      maxFiles,
      maxBatchBytes: sizes.blockBytes + sizes.maxRecordBytes,
      bufferBytes: sizes.bufferBytes,
    });
  }

  /** Whether it is to keep as little as it can. */
  get isFrugal(): boolean {
    return this.spill !== undefined && (this.#isForced || this.context.mode === 'spill');
  }

  /** A sort whose floor is among the parts. */
  openSort(more: Pick<ExternalSortOptions, 'unique' | 'keepsKey' | 'maxExtraBytes'> = {}): ExternalSort {
    const { context, sizes, spill } = this;
    const { memory, signal } = context;
    return new ExternalSort({ memory, sizes, spill, signal, tick: () => context.advance({}), ...more });
  }

  /** Puts all records of `input` into a sort. */
  async feed(
    sort: ExternalSort,
    input: AsyncIterable<RecordBatch>,
    key: RecordKey,
    { rooms = [], beside }: FeedOptions = {},
  ): Promise<void> {
    const { key: into, sizes } = this;
    const large = Math.min(sizes.batchBytes, sizes.blockBytes);
    const giveUp = async () => (await sort.giveUp()) || (await beside?.giveUp()) === true;
    for await (const batch of input) {
      await this.settle(sort);
      if (beside !== undefined) await this.settle(beside);
      const { count, bytes } = batch;
      for (let index = 0; index < count; index++) {
        if (!this.tryKey(key, batch, index)) await this.keyAnyway(key, batch, index, giveUp);
        const start = batch.start(index);
        const end = batch.end(index);
        this.checkSize(end - start);
        if (end - start > large) await prepare(rooms, giveUp, end - start);
        while (!sort.add(into, bytes, start, end)) if (!(await giveUp())) sort.insist();
      }
    }
    sort.frugal = this.isFrugal;
  }

  /** Writes the key of a record; false where the memory that it needs was refused: then `keyAnyway`. Throws what `key` throws. */
  tryKey(key: RecordKey, batch: RecordBatch, index: number): boolean {
    this.key.reset();
    let result: unknown;
    try {
      result = key(batch, index, this.key);
    } catch (error) {
      if (this.key.wasRefused) return false;
      throw error;
    }
    // Of those that are well-behaved nothing more is asked.
    if (result !== undefined) this.#checkKeyDone(key, result);
    return true;
  }

  /** Writes it with what others give up, and throws the refusal when they have nothing more. */
  async keyAnyway(key: RecordKey, batch: RecordBatch, index: number, giveUp: () => Promise<boolean>): Promise<void> {
    while (!this.tryKey(key, batch, index)) {
      if (await giveUp()) continue;
      this.key.reset();
      this.#checkKeyDone(key, key(batch, index, this.key));
      return;
    }
  }

  /** Throws for a record that is too large with its key, which has been written. */
  checkSize(recordBytes: number): void {
    const { maxRecordBytes } = this.sizes;
    if (this.key.length + recordBytes > maxRecordBytes) {
      throw new RecordTooLargeError('a record with its key', maxRecordBytes);
    }
  }

  /** Lets a sort work as the mode of the moment has it. */
  async settle(sort: ExternalSort): Promise<void> {
    sort.frugal = this.isFrugal;
    if (sort.isOver) await sort.makeRoom();
  }

  /** Hands on what a sort gives. */
  async *handOn(sorted: SortedRecords): AsyncGenerator<RecordBatch, void, undefined> {
    const { output } = this;
    for (let first = sorted.first; first !== undefined; first = sorted.first) {
      if (!output.tryPush(first.bytes, first.keyEnd, first.end)) {
        yield* output.handOn(first.bytes, first.keyEnd, first.end);
      }
      if (!sorted.advance()) await sorted.fill();
    }
    yield* output.rest();
  }

  #checkKeyDone(key: RecordKey, result: unknown): void {
    checkDone(key === this.#leftKey ? 'key' : 'rightKey', key, result);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.spill?.[Symbol.asyncDispose]();
    } finally {
      this.output[Symbol.dispose]();
      this.#floor[Symbol.dispose]();
    }
  }
}

export interface FeedOptions {
  /** Who needs room for large records, and has it before the sort. */
  readonly rooms?: readonly LargeRoom[];
  /** Another sort, which has all of its records: it gives up its memory where the one that is fed has nothing more to give up. */
  readonly beside?: ExternalSort;
}

/** Room for large records, which is taken when they come in: later there may be none, and nothing to give up for it. */
export interface LargeRoom {
  /** Whether there is room for one of so many bytes. */
  tryPrepare(bytes: number): boolean;
  /** The same; without room it throws what a refused reservation throws. */
  prepare(bytes: number): void;
}

async function prepare(rooms: readonly LargeRoom[], giveUp: () => Promise<boolean>, bytes: number): Promise<void> {
  for (const room of rooms) while (!room.tryPrepare(bytes)) if (!(await giveUp())) room.prepare(bytes);
}
