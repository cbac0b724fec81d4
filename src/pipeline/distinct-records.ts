import { checkWhole, invalidOption } from '../invalid-option.ts';
import { DistinctSpill } from './distinct-spill.ts';
import { KeySet } from './key-set.ts';
import { checkLeastBytes, checkOperatorOptions, ownBytes, type RecordOperatorOptions } from './operator-options.ts';
import { type OperatorRun, runOperator } from './operator-run.ts';
import type { RecordBatch } from './record-batch.ts';
import type { Stage } from './stage.ts';

export interface DistinctOptions extends RecordOperatorOptions {
  /** When all keys have the same number of bytes (a digest): then each costs 4 to 7 bytes less. A key of another length is a `RangeError`. 1 to 1,024. */
  readonly keyBytes?: number;
}

const MOST_KEY_BYTES = 1_024;
const MOST_PROBES = 1_024;
const SEEDS = 2 ** 32;

/**
 * A stage that lets through the first record of each key, in the order in which they come.
 *
 * While its keys fit into memory each record goes on at once: 17 to 20 bytes for each key of 12 bytes with `keyBytes`, about 20 MB for a million. When a reservation
 * is refused, or in mode `spill`, what comes from then on goes to the disk, with the keys that are known, and the rest is handed on when the input has ended: the same records in the
 * same order. It does not go back to memory after that. Errors as those of `sortRecords`. Throws `RangeError` for unsound options.
 * @example
 * import { distinctRecords } from 'plimsoll/pipeline';
 * const once = distinctRecords({
 *   name: 'Removing duplicates',
 *   memory: { maxBytes: 32 * 2 ** 20 },
 *   key: (batch, index, into) => into.bytes(batch.bytes, batch.start(index), batch.end(index)),
 * });
 */
export function distinctRecords(given: DistinctOptions): Stage<RecordBatch, RecordBatch> {
  const { options, sizes } = checkOperatorOptions('distinctRecords', given, ['keyBytes']);
  if (options.keyBytes !== undefined) checkWhole('keyBytes', options.keyBytes, 1, MOST_KEY_BYTES);
  const partBytes = (spills: boolean): number => KeySet.floorBytes() + (spills ? DistinctSpill.floorBytes(sizes) : 0);
  const least = ownBytes(sizes) + partBytes(true);
  checkLeastBytes(sizes, least);
  return {
    name: options.name,
    memory: { kind: 'external', maxBytes: sizes.maxBytes },
    can: { streaming: true, spilling: true },
    estimateBytes: () => least,
    run(input, context) {
      const maxFiles = DistinctSpill.maxFiles(sizes);
      return runOperator({ context, options, sizes, partBytes, maxFiles }, async function* (run) {
        await using distinct = new Distinct(run, options);
        yield* distinct.run(input);
      });
    },
  };
}

/** One run of it. */
class Distinct implements AsyncDisposable {
  readonly #run: OperatorRun;
  readonly #options: DistinctOptions;
  readonly #set: KeySet;
  #spill: DistinctSpill | undefined;

  constructor(run: OperatorRun, options: DistinctOptions) {
    const { keyBytes } = options;
    const { chunkBytes } = run.sizes;
    this.#run = run;
    this.#options = options;
    this.#set = new KeySet({
      memory: run.context.memory,
      chunkBytes,
      mostProbes: run.spill === undefined ? Number.POSITIVE_INFINITY : MOST_PROBES,
      seed: Math.floor(Math.random() * SEEDS) | 0,
      ...(keyBytes !== undefined && { keyBytes }),
    });
  }

  async *run(input: AsyncIterable<RecordBatch>): AsyncGenerator<RecordBatch, void, undefined> {
    const { key: into, output, sizes } = this.#run;
    const { key } = this.#options;
    for await (const batch of input) {
      if (this.#run.isFrugal) await this.#begin();
      this.#spill?.settle();
      const { count, bytes } = batch;
      for (let index = 0; index < count; index++) {
        if (!this.#run.tryKey(key, batch, index)) await this.#run.keyAnyway(key, batch, index, () => this.#giveUp());
        this.#checkKey();
        const start = batch.start(index);
        const end = batch.end(index);
        this.#run.checkSize(end - start);
        while (end - start > sizes.batchBytes && !output.tryPrepare(end - start)) {
          if (!(await this.#giveUp())) output.prepare(end - start);
        }
        if (this.#spill === undefined) {
          const outcome = this.#set.add(into, this.#run.spill === undefined);
          if (outcome === 'known') continue;
          if (outcome === 'added') {
            if (!output.tryPush(bytes, start, end)) yield* output.handOn(bytes, start, end);
            continue;
          }
        }
        const spill = this.#spill ?? (await this.#begin());
        const rest = spill.add(into, bytes, start, end);
        if (rest !== undefined) await rest;
      }
      // What is decided goes on: nothing waits for the next batch.
      yield* output.rest();
    }
    if (this.#spill !== undefined) yield* this.#spill.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#set[Symbol.dispose]();
    await this.#spill?.[Symbol.asyncDispose]();
  }

  async #begin(): Promise<DistinctSpill> {
    if (this.#spill !== undefined) return this.#spill;
    this.#spill = new DistinctSpill(this.#run);
    await this.#spill.know(this.#set);
    return this.#spill;
  }

  /** Makes room: the keys go to the disk, or what is held of them there. */
  async #giveUp(): Promise<boolean> {
    if (this.#run.spill === undefined) return false;
    if (this.#spill !== undefined) return await this.#spill.giveUp();
    await this.#begin();
    return true;
  }

  #checkKey(): void {
    const { keyBytes } = this.#options;
    const { length } = this.#run.key;
    if (keyBytes === undefined || length === keyBytes) return;
    throw invalidOption('keyBytes', `the length of all keys, as one has ${length} bytes`, keyBytes);
  }
}
