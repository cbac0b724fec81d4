import { checkName, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import type { SpillFolder } from '../spill/index.ts';
import { KEY_WRITER_BYTES, type KeyWriter } from './key-writer.ts';
import { RecordBatch } from './record-batch.ts';

/**
 * Writes the key of record `index` of `batch`: it decides which records are the same, and their order. Called once for
 * each record, and again where the memory that a long key takes had to be made free first.
 */
export type RecordKey = (batch: RecordBatch, index: number, into: KeyWriter) => void;

/** What all operators over records take. */
export interface RecordOperatorOptions {
  /** As the report, errors and files have it. */
  readonly name: string;
  readonly key: RecordKey;
  /** The most that it holds, bytes. Required. What is too little for its buffers is a `RangeError` that says how much they take. */
  readonly memory: { readonly maxBytes: number };
  /** Where it goes on when memory does not do. Default: the folder of the pipeline, if that has one. Without any, a refused reservation ends the run. */
  readonly spill?: SpillFolder;
  /** The most on the disk, bytes. Default: what the folder may. Merging needs up to twice what is sorted. */
  readonly maxSpillBytes?: number;
  /** The largest record with its key, bytes, up to 16 MiB. One that is larger ends the run (`PLIMSOLL_RECORD_TOO_LARGE`). Default 1,048,576. */
  readonly maxRecordBytes?: number;
  /** The buffer of its output, bytes, 64 up; the pipeline's pressure makes batches smaller, a record that is larger comes in one of its own. Default 65,536. */
  readonly batchBytes?: number;
  /** How many segments are read at once, 2 to 256. Default 16, fewer where `maxBytes` is below 4 MiB. */
  readonly fanIn?: number;
  /** What is written and read at once, bytes, 64 up. Default a 128th of `maxBytes`, from 4,096 to 131,072. */
  readonly blockBytes?: number;
}

/** The sizes of an operator's parts, in bytes where nothing else is said. */
export interface OperatorSizes {
  readonly maxBytes: number;
  readonly chunkBytes: number;
  /** Records. */
  readonly chunkCount: number;
  readonly blockBytes: number;
  readonly bufferBytes: number;
  /** Of one reader and one writer of a segment. */
  readonly readerBytes: number;
  readonly writerBytes: number;
  readonly fanIn: number;
  readonly batchBytes: number;
  readonly batchCount: number;
  readonly maxRecordBytes: number;
}

export const OPERATOR_OPTIONS = [
  'name',
  'key',
  'memory',
  'spill',
  'maxSpillBytes',
  'maxRecordBytes',
  'batchBytes',
  'fanIn',
  'blockBytes',
] as const;

export const OPERATOR_DEFAULTS = { maxRecordBytes: 2 ** 20, batchBytes: 65_536, fanIn: 16 } as const;

const MOST_RECORD_BYTES = 2 ** 24;
const DEFAULT_RESULT_BYTES = 65_536;
const MOST_FAN_IN = 256;
const LEAST_BYTES = 64;
const LEAST_SPILL_BYTES = 1_024;
const BLOCK_PART = 128;
const CHUNK_PART = 64;
/** The least that a segment reads at once, and what a reader needs besides, rather more than less. */
const LEAST_BUFFER_BYTES = 4_096;
const READER_BYTES = 4_096;
/** The least entry of a chunk, so that there are arrays for as many. */
const ENTRY_BYTES = 32;
const LEAST_RECORD_BYTES = 16;
const PER_FAN_IN = 2 ** 18;

/** Checked, with the sizes that follow from them. Throws `RangeError` for unsound ones. `known` are the options that the operator takes. */
export function checkOperatorOptions<T extends RecordOperatorOptions>(
  what: string,
  given: T,
  known: readonly string[],
): { readonly options: T; readonly sizes: OperatorSizes } {
  const options = copyOptions(what, given, [...OPERATOR_OPTIONS, ...known]);
  checkName(options.name);
  if (typeof options.key !== 'function') throw invalidOption('key', 'a function', options.key);
  const { spill } = options;
  if (spill !== undefined && typeof spill?.openRun !== 'function') throw invalidOption('spill', 'a SpillFolder', spill);
  if (options.maxSpillBytes !== undefined) checkWhole('maxSpillBytes', options.maxSpillBytes, LEAST_SPILL_BYTES);
  const { maxBytes } = copyOptions('memory', options.memory, ['maxBytes'], 'an object with `maxBytes`');
  checkWhole('memory.maxBytes', maxBytes, 1);
  const block = clamp(floorPower(maxBytes / BLOCK_PART), 4_096, 131_072);
  const blockBytes = checkWhole('blockBytes', options.blockBytes ?? block, LEAST_BYTES, MOST_RECORD_BYTES);
  const fanIn = options.fanIn ?? clamp(Math.floor(maxBytes / PER_FAN_IN), 4, OPERATOR_DEFAULTS.fanIn);
  const { maxRecordBytes = OPERATOR_DEFAULTS.maxRecordBytes, batchBytes = OPERATOR_DEFAULTS.batchBytes } = options;
  const chunkBytes = clamp(floorPower(maxBytes / CHUNK_PART), 4_096, 2 ** 20);
  const bufferBytes = Math.max(LEAST_BUFFER_BYTES, blockBytes);
  return {
    options,
    sizes: {
      maxBytes,
      chunkBytes,
      chunkCount: chunkBytes / ENTRY_BYTES,
      blockBytes,
      bufferBytes,
      readerBytes: bufferBytes + READER_BYTES,
      writerBytes: blockBytes + 2 * bufferBytes,
      fanIn: checkWhole('fanIn', fanIn, 2, MOST_FAN_IN),
      batchBytes: checkWhole('batchBytes', batchBytes, LEAST_BYTES, MOST_RECORD_BYTES),
      batchCount: Math.ceil(batchBytes / LEAST_RECORD_BYTES),
      maxRecordBytes: checkWhole('maxRecordBytes', maxRecordBytes, 1, MOST_RECORD_BYTES),
    },
  };
}

/** What each operator has besides its sorts: the output's batch and a key. */
export const ownBytes = (sizes: OperatorSizes): number =>
  RecordBatch.bytesFor(sizes.batchBytes, sizes.batchCount) + KEY_WRITER_BYTES;

/** What operators take that write records of their own. */
export interface ResultOptions {
  /** The most that is written for one group or pair, bytes, four more for each record of it: `PLIMSOLL_RECORD_TOO_LARGE` beyond. Default 65,536. */
  readonly maxResultBytes?: number;
}

/** `maxResultBytes`, checked. */
export function checkResultBytes(options: ResultOptions): number {
  return checkWhole('maxResultBytes', options.maxResultBytes ?? DEFAULT_RESULT_BYTES, LEAST_BYTES, MOST_RECORD_BYTES);
}

/** What the largest result takes when it comes in a batch of its own. */
export const largeResultBytes = (sizes: OperatorSizes, maxResultBytes: number): number =>
  maxResultBytes > sizes.batchBytes ? RecordBatch.bytesFor(maxResultBytes, 1) : 0;

/** Throws `RangeError` where `memory.maxBytes` is not enough for an operator that needs `least`. */
export function checkLeastBytes(sizes: OperatorSizes, least: number): void {
  if (sizes.maxBytes >= least) return;
  const expected = `at least ${least}, which the buffers of this operator take with these options`;
  throw invalidOption('memory.maxBytes', expected, sizes.maxBytes);
}

const clamp = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value));
const floorPower = (value: number): number => 2 ** Math.floor(Math.log2(Math.max(1, value)));
