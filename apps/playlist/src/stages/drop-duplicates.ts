/**
 * Duplicates are dropped in memory, at 16 bytes a channel, as long as that is granted. When it is refused, or the stage is told to spill, the operator `distinctRecords`
 * goes on by way of the disk. It is fed what was seen as stubs, records of nothing but a key, which give the table's memory back while they are fed; then what is left
 * of the batch; then all that comes. It keeps the first of each key in the order of its input, and where that is a stub, it is taken out again: what comes out is the same
 * wherever the change happens. What the operator needs to begin is reserved from the start.
 */
import type { Reservation } from 'plimsoll';
import { distinctRecords, RecordBatch, type RecordKey, type Stage, type StageContext } from 'plimsoll/pipeline';
import { KEY_AT, KEY_BYTES } from '../channels/channel-spool.ts';
import { Digest } from '../channels/digest.ts';
import { KeyTable } from '../channels/key-table.ts';
import { putWord, wordAt } from '../channels/words.ts';

export interface DuplicateOptions {
  /** Held at most by the operator; what is more goes to the disk. */
  readonly maxBytes: number;
  /** The longest record that can come. */
  readonly maxRecordBytes: number;
}

export interface DuplicateCounts {
  duplicates: number;
}

const STUB_BATCH_BYTES = 16 * 1024;
const STUBS = Math.floor(STUB_BATCH_BYTES / KEY_BYTES);

/** Drops channels whose URL and name another one had before. */
export function dropDuplicates(options: DuplicateOptions, counts: DuplicateCounts): Stage<RecordBatch, RecordBatch> {
  const operator = distinctRecords({
    name: 'Duplicate Removal',
    key: putKey,
    keyBytes: KEY_BYTES,
    memory: { maxBytes: options.maxBytes },
    maxRecordBytes: options.maxRecordBytes,
  });
  const floorBytes = operator.estimateBytes?.(0) ?? 0;
  return {
    name: operator.name,
    memory: { kind: 'external', maxBytes: Number.POSITIVE_INFINITY },
    can: { streaming: true, spilling: true },
    async *run(input, context) {
      using seen = new SeenChannels(context, floorBytes);
      const batches = input[Symbol.asyncIterator]();
      for (let next = await batches.next(); next.done !== true; next = await batches.next()) {
        const batch = next.value;
        const rest = seen.keepNew(batch);
        counts.duplicates += seen.droppedCount;
        if (batch.count > 0) yield batch;
        if (rest === undefined) continue;
        moveToFront(batch, rest);
        seen.giveWay();
        yield* dropByOperator(operator.run(seen.andThen(batch, batches, counts), context), counts);
        return;
      }
    },
  };
}

/** It counts all that goes in, and takes off again what comes out. */
async function* dropByOperator(
  output: AsyncIterable<RecordBatch>,
  counts: DuplicateCounts,
): AsyncGenerator<RecordBatch, void, undefined> {
  for await (const batch of output) {
    takeOutStubs(batch);
    counts.duplicates -= batch.count;
    if (batch.count > 0) yield batch;
  }
}

/** Records of a batch that have not been looked at: those from `first` to `count`, of which the first begins at `start`. */
interface Rest {
  readonly first: number;
  readonly count: number;
  readonly start: number;
}

/** The keys of the channels so far, and what is needed to go on without them. */
class SeenChannels implements Disposable {
  /** In the last batch. */
  droppedCount = 0;
  readonly #context: StageContext;
  readonly #table: KeyTable;
  readonly #digest = new Digest();
  /** For the operator, and for the stubs; nothing where there is no disk to go to. */
  readonly #forOperator: Reservation;
  readonly #forStubs: Reservation;

  constructor(context: StageContext, operatorBytes: number) {
    const spills = context.spill !== undefined;
    this.#context = context;
    this.#forOperator = context.memory.reserve(spills ? operatorBytes : 0);
    this.#forStubs = context.memory.reserve(spills ? RecordBatch.bytesFor(STUB_BATCH_BYTES, STUBS) : 0);
    this.#table = new KeyTable(context.memory, { withValues: false });
  }

  /** Leaves in a batch what is new. Gives what it did not come to, when the table may not grow or is not wanted: the rest still stands behind what was kept. */
  keepNew(batch: RecordBatch): Rest | undefined {
    const { bytes, ends, count } = batch;
    const { spill, mode } = this.#context;
    this.droppedCount = 0;
    let kept = 0;
    let start = 0;
    // What is kept stays where it is up to the next duplicate, and is then moved in one piece.
    let from = 0;
    let to = 0;
    for (let index = 0; index < count; index++) {
      const isNew = spill !== undefined && mode === 'spill' ? undefined : this.#add(bytes, start + KEY_AT);
      if (isNew === undefined) {
        moveDown(bytes, from, start, to);
        batch.count = kept;
        return { first: index, count, start };
      }
      const end = ends[index]!;
      if (isNew) {
        ends[kept++] = to + end - from;
      } else {
        to = moveDown(bytes, from, start, to);
        from = end;
        this.droppedCount++;
      }
      start = end;
    }
    moveDown(bytes, from, start, to);
    batch.count = kept;
    return undefined;
  }

  /** Makes room for the operator. */
  giveWay(): void {
    this.#forOperator[Symbol.dispose]();
  }

  /** What was seen, the rest, and all that comes, for the operator. */
  async *andThen(
    rest: RecordBatch,
    batches: AsyncIterator<RecordBatch>,
    counts: DuplicateCounts,
  ): AsyncGenerator<RecordBatch, void, undefined> {
    yield* this.#stubs();
    let batch = rest;
    for (;;) {
      counts.duplicates += batch.count;
      yield batch;
      const next = await batches.next();
      if (next.done === true) return;
      batch = next.value;
    }
  }

  [Symbol.dispose](): void {
    this.#forOperator[Symbol.dispose]();
    this.#forStubs[Symbol.dispose]();
    this.#table[Symbol.dispose]();
  }

  /** Undefined when there is no room for it, and somewhere else to go. */
  #add(bytes: Buffer, at: number): boolean | undefined {
    const digest = this.#digest;
    digest.a = wordAt(bytes, at);
    digest.b = wordAt(bytes, at + 4);
    digest.c = wordAt(bytes, at + 8);
    return this.#context.spill === undefined ? this.#table.add(digest) : this.#table.tryAdd(digest);
  }

  *#stubs(): Generator<RecordBatch, void, undefined> {
    const batch = new RecordBatch(STUB_BATCH_BYTES, STUBS);
    for (const { a, b, c } of this.#table.drain()) {
      const at = batch.usedBytes;
      putWord(batch.bytes, at, a);
      putWord(batch.bytes, at + 4, b);
      putWord(batch.bytes, at + 8, c);
      batch.ends[batch.count++] = at + KEY_BYTES;
      if (batch.count < STUBS) continue;
      yield batch;
      batch.clear();
    }
    if (batch.count > 0) yield batch;
    this.#forStubs[Symbol.dispose]();
  }
}

const isStub = (batch: RecordBatch, index: number): boolean => batch.end(index) - batch.start(index) === KEY_BYTES;

const putKey: RecordKey = (batch, index, into) => {
  const at = batch.start(index) + (isStub(batch, index) ? 0 : KEY_AT);
  into.fixed(batch.bytes, at, at + KEY_BYTES);
};

/** Moves `bytes[from, end)` to `to`, which is no higher; returns the offset after it. */
function moveDown(bytes: Buffer, from: number, end: number, to: number): number {
  if (to < from && from < end) bytes.copyWithin(to, from, end);
  return to + end - from;
}

function moveToFront(batch: RecordBatch, { first, count, start }: Rest): void {
  batch.bytes.copyWithin(0, start, batch.ends[count - 1]!);
  for (let index = first; index < count; index++) batch.ends[index - first] = batch.ends[index]! - start;
  batch.count = count - first;
}

/** They come first, all of them. */
function takeOutStubs(batch: RecordBatch): void {
  let stubs = 0;
  while (stubs < batch.count && isStub(batch, stubs)) stubs++;
  if (stubs === 0) return;
  if (stubs === batch.count) batch.clear();
  else moveToFront(batch, { first: stubs, count: batch.count, start: batch.start(stubs) });
}
