import { invalidOption } from '../invalid-option.ts';
import { checkDone } from './check-callback.ts';
import { ExternalSort } from './external-sort.ts';
import {
  checkLeastBytes,
  checkOperatorOptions,
  checkResultBytes,
  largeResultBytes,
  ownBytes,
  type RecordOperatorOptions,
  type ResultOptions,
} from './operator-options.ts';
import { type OperatorRun, runOperator } from './operator-run.ts';
import type { RecordBatch } from './record-batch.ts';
import { MovingView, type RecordView } from './record-view.ts';
import { RecordWriter } from './record-writer.ts';
import type { Stage } from './stage.ts';

export interface GroupOptions<State> extends RecordOperatorOptions, ResultOptions {
  /** The state of a group before its first record. Keep it small: it is not reserved. */
  readonly init: () => State;
  /** The state after one more record: the one it was given, changed, or another. The record is valid until it returns. */
  readonly step: (state: State, record: RecordView) => State;
  /** Writes what comes of a group: no record, one, or several. */
  readonly finish: (state: State, into: RecordWriter) => void;
}

/**
 * A stage that brings records with one key together and makes something of each group. Groups come in the order of their keys, the records of one in the order in which
 * they came; no group is ever held, only its state. It hands on nothing before its input has ended. Memory, disk and errors as those of `sortRecords`; what the
 * functions throw ends the run. Throws `RangeError` for unsound options.
 * @example
 * import { groupRecords } from 'plimsoll/pipeline';
 * const counted = groupRecords<{ name: string; count: number }>({
 *   name: 'Counting',
 *   memory: { maxBytes: 32 * 2 ** 20 },
 *   key: (batch, index, into) => into.bytes(batch.bytes, batch.start(index), batch.end(index)),
 *   init: () => ({ name: '', count: 0 }),
 *   step: ({ count }, { bytes, start, end }) => ({ name: bytes.toString('utf8', start, end), count: count + 1 }),
 *   finish({ name, count }, into) {
 *     into.text(`${name}: ${count}`);
 *     into.end();
 *   },
 * });
 */
export function groupRecords<State>(given: GroupOptions<State>): Stage<RecordBatch, RecordBatch> {
  const known = ['init', 'step', 'finish', 'maxResultBytes'];
  const { options, sizes } = checkOperatorOptions('groupRecords', given, known);
  for (const name of ['init', 'step', 'finish'] as const) {
    if (typeof options[name] !== 'function') throw invalidOption(name, 'a function', options[name]);
  }
  const maxResultBytes = checkResultBytes(options);
  const partBytes = (spills: boolean): number => ExternalSort.floorBytes(sizes, spills) + maxResultBytes;
  const least = ownBytes(sizes) + partBytes(true) + largeResultBytes(sizes, maxResultBytes);
  checkLeastBytes(sizes, least);
  return {
    name: options.name,
    memory: { kind: 'external', maxBytes: sizes.maxBytes },
    can: { streaming: true, spilling: true },
    estimateBytes: () => least,
    run(input, context) {
      const maxFiles = ExternalSort.maxFiles(sizes);
      return runOperator({ context, options, sizes, partBytes, maxResultBytes, maxFiles }, async function* (run) {
        await using sort = run.openSort({ keepsKey: true });
        await run.feed(sort, input, options.key);
        yield* groups(run, sort, options, new RecordWriter(maxResultBytes));
      });
    },
  };
}

async function* groups<State>(
  run: OperatorRun,
  sort: ExternalSort,
  { init, step, finish }: GroupOptions<State>,
  into: RecordWriter,
): AsyncGenerator<RecordBatch, void, undefined> {
  const sorted = await sort.finish();
  const key = sort.lastKey!;
  const view = new MovingView();
  for (let first = sorted.first; first !== undefined; ) {
    key.keep(first);
    let state = init();
    checkDone('init', init, state);
    do {
      state = step(state, view.to(first));
      checkDone('step', step, state);
      if (!sorted.advance()) await sorted.fill();
      first = sorted.first;
    } while (first !== undefined && key.is(first));
    into.reset();
    checkDone('finish', finish, finish(state, into));
    into.checkEnded('finish', finish);
    if (!run.output.tryPushAll(into)) yield* run.output.handOnAll(into);
  }
  yield* run.output.rest();
}
