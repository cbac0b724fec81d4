import { ExternalSort } from './external-sort.ts';
import { checkLeastBytes, checkOperatorOptions, ownBytes, type RecordOperatorOptions } from './operator-options.ts';
import { runOperator } from './operator-run.ts';
import type { RecordBatch } from './record-batch.ts';
import type { Stage } from './stage.ts';

export type SortOptions = RecordOperatorOptions;

/**
 * A stage that sorts records by their keys, stably: those with equal keys stay as they came. It hands on nothing before its input has ended.
 *
 * In memory as long as reservations are granted, up to `memory.maxBytes`: 12 to 15 bytes for each record besides the record and its key. Then sorted segments go to the
 * disk, which are merged at the end, so that any number of records can be sorted in half a MiB; what comes out is the same to the byte. In mode `spill` it keeps to one
 * chunk. Errors of the spill folder end the run (`PLIMSOLL_SPILL_QUOTA`, `_NO_SPACE`, `_IO`, `_CORRUPT`), as do a record that is too large
 * (`PLIMSOLL_RECORD_TOO_LARGE`) and, without a folder, a refused reservation (`PLIMSOLL_BUDGET_EXCEEDED`). Nothing is left on the disk, however it ends.
 * Throws `RangeError` for unsound options.
 * @example
 * import { sortRecords } from 'plimsoll/pipeline';
 * const byContent = sortRecords({
 *   name: 'Sorting',
 *   memory: { maxBytes: 32 * 2 ** 20 },
 *   key: (batch, index, into) => into.bytes(batch.bytes, batch.start(index), batch.end(index)),
 * });
 */
export function sortRecords(given: SortOptions): Stage<RecordBatch, RecordBatch> {
  const { options, sizes } = checkOperatorOptions('sortRecords', given, []);
  const partBytes = (spills: boolean): number => ExternalSort.floorBytes(sizes, spills);
  const least = ownBytes(sizes) + partBytes(true);
  checkLeastBytes(sizes, least);
  return {
    name: options.name,
    memory: { kind: 'external', maxBytes: sizes.maxBytes },
    can: { streaming: true, spilling: true },
    estimateBytes: () => least,
    run(input, context) {
      const maxFiles = ExternalSort.maxFiles(sizes);
      return runOperator({ context, options, sizes, partBytes, maxFiles }, async function* (run) {
        await using sort = run.openSort();
        await run.feed(sort, input, options.key, { rooms: [run.output] });
        yield* run.handOn(await sort.finish());
      });
    },
  };
}
