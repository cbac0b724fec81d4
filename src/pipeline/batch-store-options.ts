import { PlimsollError } from '../errors.ts';
import type { Consumer } from '../governor/index.ts';
import { checkName, checkOneOf, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { codecAtHand, isSpillForced, SPILL_CODECS, type SpillCodec, type SpillFolder } from '../spill/index.ts';
import type { ConsumerSource } from './pipeline-memory.ts';
import { PIPELINE_MODES, type PipelineMode } from './pipeline-mode.ts';

export interface BatchStoreOptions {
  /** Of its consumer and in errors, 1 to 120 characters. */
  readonly name: string;
  /** The most that it may take in memory, bytes: batches, 320 bytes for each, and the room for moving and reading: `BatchStore.leastBytes` at least. Required. */
  readonly maxBytes: number;
  /** The largest batch, bytes. Default 4 MiB. */
  readonly maxBatchBytes?: number;
  /** Where its consumer is opened: a governor, or the context of the stage that uses it. Default: nobody is asked, and its own bounds are all. */
  readonly governor?: ConsumerSource;
  readonly parent?: Consumer;
  /** How long the governor protects it: low gives back first. Whole number, default 0. */
  readonly importance?: number;
  /** At first. Default `plain`; `spill` where there is a folder under `PLIMSOLL_FORCE_SPILL=1`, and then always. */
  readonly mode?: PipelineMode;
  /** How it compresses; `none` for never. Default `zstd`; where this Node has none, `deflate` stands in. */
  readonly codec?: SpillCodec;
  /** Where it spills. Whoever opened it disposes it, after the store. Default: nowhere. */
  readonly spill?: SpillFolder;
  /** The most that it may have on the disk, bytes. Required with `spill`. */
  readonly maxSpillBytes?: number;
}

/** Options with their defaults. */
export interface BatchStoreSettings {
  readonly name: string;
  readonly maxBytes: number;
  readonly maxBatchBytes: number;
  readonly governor: ConsumerSource | undefined;
  readonly parent: Consumer | undefined;
  readonly importance: number;
  readonly mode: PipelineMode;
  /** The mode never changes. */
  readonly isForced: boolean;
  readonly codec: SpillCodec;
  readonly spill: SpillFolder | undefined;
  readonly maxSpillBytes: number;
}

const DEFAULTS = { maxBatchBytes: 4_194_304, importance: 0, mode: 'plain', codec: 'zstd' } as const;
const OPTIONS = [
  'name',
  'maxBytes',
  'maxBatchBytes',
  'governor',
  'parent',
  'importance',
  'mode',
  'codec',
  'spill',
  'maxSpillBytes',
] as const;

/** Throws `RangeError` for unsound options. */
export function resolveBatchStoreOptions(given: BatchStoreOptions): BatchStoreSettings {
  const options = copyOptions('BatchStore', given, OPTIONS);
  const { governor, parent, spill } = options;
  if ((spill === undefined) !== (options.maxSpillBytes === undefined)) {
    throw invalidOption('maxSpillBytes', 'given with `spill`, and only then', options.maxSpillBytes);
  }
  const isForced = spill !== undefined && isSpillForced();
  const mode = checkOneOf('mode', options.mode ?? DEFAULTS.mode, PIPELINE_MODES);
  return {
    name: checkName(options.name),
    maxBytes: checkWhole('maxBytes', options.maxBytes, 1),
    maxBatchBytes: checkWhole('maxBatchBytes', options.maxBatchBytes ?? DEFAULTS.maxBatchBytes, 1),
    governor,
    parent,
    importance: checkWhole('importance', options.importance ?? DEFAULTS.importance, Number.MIN_SAFE_INTEGER),
    mode: isForced ? 'spill' : mode,
    isForced,
    codec: codecAtHand(checkOneOf('codec', options.codec ?? DEFAULTS.codec, SPILL_CODECS)),
    spill,
    maxSpillBytes: options.maxSpillBytes === undefined ? 0 : checkWhole('maxSpillBytes', options.maxSpillBytes, 1),
  };
}

/**
 * `PLIMSOLL_BATCH_STORE_FULL`: a batch fits neither into the memory that a store may take nor onto its disk. Nothing of it was kept; all that was appended before is still there. `cause` is why
 * the disk did not take it, where it was asked.
 */
export class BatchStoreFullError extends PlimsollError {
  override readonly name: string = 'BatchStoreFullError';

  constructor(store: string, bytes: number, where: string, cause: unknown) {
    super(`${store}: no room for a batch of ${bytes} bytes: ${where}`, {
      code: 'PLIMSOLL_BATCH_STORE_FULL',
      recovery: 'fallback',
      cause,
    });
  }
}
