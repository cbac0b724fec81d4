import { checkOneOf, invalidOption } from '../invalid-option.ts';
import { checkDone } from './check-callback.ts';
import { ExternalSort } from './external-sort.ts';
import { JoinGroup } from './join-group.ts';
import { compareKeys } from './key-order.ts';
import type { LastKey } from './last-key.ts';
import {
  checkLeastBytes,
  checkOperatorOptions,
  checkResultBytes,
  largeResultBytes,
  ownBytes,
  type RecordKey,
  type RecordOperatorOptions,
  type ResultOptions,
} from './operator-options.ts';
import { type OperatorRun, runOperator } from './operator-run.ts';
import type { RecordBatch } from './record-batch.ts';
import { MovingView, type RecordView } from './record-view.ts';
import { RecordWriter } from './record-writer.ts';
import type { SortedRecords } from './sorted-records.ts';
import type { Source, Stage } from './stage.ts';

/** `inner`: pairs only. `left`: also each record of the left that has no partner. */
export const JOIN_TYPES = ['inner', 'left'] as const;
export type JoinType = (typeof JOIN_TYPES)[number];

export interface JoinOptions extends RecordOperatorOptions, ResultOptions {
  /** The other side. It is read first, with the context of this stage: what it reserves counts to `memory.maxBytes`. */
  readonly right: Source<RecordBatch>;
  /** The key of its records. Default: `key`. */
  readonly rightKey?: RecordKey;
  /** Default `inner`. */
  readonly type?: JoinType;
  /** Writes what comes of a pair, no record, one, or several; `right` is undefined for a record without a partner. Both are valid until it returns. */
  readonly write: (left: RecordView, right: RecordView | undefined, into: RecordWriter) => void;
}

/**
 * A stage that joins its input, the left side, with another source by key. Pairs come in the order of the keys, then of the left records, then of the right ones, as
 * they came in. Both sides are sorted (`sortRecords`) and merged; of the right side the records of one key are held, in memory where that does and else on the disk, from where they are read again for each
 * left record of that key. It hands on nothing before both sides have ended. Errors as those of `sortRecords`; what `write` throws ends the run. Throws `RangeError` for unsound options.
 * @example
 * import { joinRecords } from 'plimsoll/pipeline';
 * const withGuide = joinRecords({
 *   name: 'Joining',
 *   memory: { maxBytes: 64 * 2 ** 20 },
 *   right: programmes,
 *   type: 'left',
 *   key: (batch, index, into) => into.bytes(batch.bytes, batch.start(index), batch.start(index) + 8),
 *   write(left, right, into) {
 *     into.bytes(left.bytes, left.start, left.end);
 *     if (right !== undefined) into.bytes(right.bytes, right.start + 8, right.end);
 *     into.end();
 *   },
 * });
 */
export function joinRecords(given: JoinOptions): Stage<RecordBatch, RecordBatch> {
  const known = ['right', 'rightKey', 'type', 'write', 'maxResultBytes'];
  const { options, sizes } = checkOperatorOptions('joinRecords', given, known);
  const { right, rightKey = options.key, write, type = 'inner' } = options;
  checkOneOf('type', type, JOIN_TYPES);
  if (typeof write !== 'function') throw invalidOption('write', 'a function', write);
  if (typeof rightKey !== 'function') throw invalidOption('rightKey', 'a function', rightKey);
  if (typeof right?.open !== 'function') throw invalidOption('right', 'a source', right);
  const maxResultBytes = checkResultBytes(options);
  const partBytes = (spills: boolean): number =>
    2 * ExternalSort.floorBytes(sizes, spills) + JoinGroup.floorBytes(sizes, spills) + maxResultBytes;
  const least = ownBytes(sizes) + partBytes(true) + largeResultBytes(sizes, maxResultBytes);
  checkLeastBytes(sizes, least);
  return {
    name: options.name,
    memory: { kind: 'external', maxBytes: sizes.maxBytes },
    can: { streaming: true, spilling: true },
    estimateBytes: () => least,
    run(input, context) {
      const maxFiles = 2 * ExternalSort.maxFiles(sizes) + JoinGroup.maxFiles;
      return runOperator({ context, options, sizes, partBytes, maxResultBytes, maxFiles }, async function* (run) {
        const half = run.spill === undefined ? {} : { maxExtraBytes: Math.floor((sizes.maxBytes - least) / 2) };
        await using group = new JoinGroup(run);
        await using rightSort = run.openSort(half);
        await using leftSort = run.openSort({ ...half, keepsKey: true });
        await run.feed(rightSort, right.open(context), rightKey, { rooms: [group] });
        await rightSort.stepAside();
        await run.feed(leftSort, input, options.key, { beside: rightSort });
        const rightSorted = await rightSort.finish();
        const join = new Join(run, group, new RecordWriter(maxResultBytes), options);
        yield* join.run(await leftSort.finish(), rightSorted, leftSort.lastKey!);
      });
    },
  };
}

/** The merge of two sorted sides. */
class Join {
  readonly #run: OperatorRun;
  readonly #group: JoinGroup;
  readonly #into: RecordWriter;
  readonly #write: JoinOptions['write'];
  readonly #isLeft: boolean;
  readonly #leftView = new MovingView();
  readonly #rightView = new MovingView();

  constructor(run: OperatorRun, group: JoinGroup, into: RecordWriter, { write, type }: JoinOptions) {
    this.#run = run;
    this.#group = group;
    this.#into = into;
    this.#write = write;
    this.#isLeft = type === 'left';
  }

  async *run(left: SortedRecords, right: SortedRecords, key: LastKey): AsyncGenerator<RecordBatch, void, undefined> {
    const { output } = this.#run;
    for (let first = left.first; first !== undefined; first = left.first) {
      const other = right.first;
      const order = other === undefined ? -1 : compareKeys(first, other);
      if (order > 0) {
        if (!right.advance()) await right.fill();
      } else if (order === 0) {
        key.keep(first);
        await this.#load(right, key);
        yield* this.#pairs(left, key);
        await this.#group.clear();
      } else {
        if (this.#isLeft && !this.#put(this.#leftView.to(first), undefined)) yield* output.handOnAll(this.#into);
        if (!left.advance()) await left.fill();
      }
    }
    yield* output.rest();
  }

  /** The records of the right with this key. */
  async #load(right: SortedRecords, key: LastKey): Promise<void> {
    for (let first = right.first; first !== undefined && key.is(first); first = right.first) {
      if (!this.#group.add(first)) await this.#group.addSlowly(first);
      if (!right.advance()) await right.fill();
    }
  }

  /** Each record of the left with this key with each of the group. */
  async *#pairs(left: SortedRecords, key: LastKey): AsyncGenerator<RecordBatch, void, undefined> {
    const { output } = this.#run;
    for (let first = left.first; first !== undefined && key.is(first); first = left.first) {
      const cursor = await this.#group.read();
      for (;;) {
        if (!cursor.advance()) await cursor.fill();
        if (cursor.ended) break;
        if (!this.#put(this.#leftView.to(first), this.#rightView.to(cursor))) yield* output.handOnAll(this.#into);
      }
      if (!left.advance()) await left.fill();
    }
  }

  #put(left: RecordView, right: RecordView | undefined): boolean {
    this.#into.reset();
    const write = this.#write;
    checkDone('write', write, write(left, right, this.#into));
    this.#into.checkEnded('write', write);
    return this.#run.output.tryPushAll(this.#into);
  }
}
