import { checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import type { SpillFolder } from '../spill/index.ts';
import type { StageCapabilities } from './pipeline-mode.ts';
import { PluginRecordRun } from './plugin-record-run.ts';
import { checkPluginWorkerOptions, type PluginWorkerOptions } from './plugin-stage.ts';
import type { RecordBatch } from './record-batch.ts';
import type { RecordCheck } from './record-check.ts';
import type { Stage, StageContext } from './stage.ts';

export interface PluginRecordStageOptions extends PluginWorkerOptions {
  /** Does the same without a plugin. What it may hold comes on top of `memory`. */
  readonly native: Stage<RecordBatch, RecordBatch>;
  /** The most that the stage keeps in memory, bytes: what went in, and what came out so far. Required. What does not fit is spilled; where that cannot be, native does it all. */
  readonly memory: { readonly maxBytes: number };
  /** Default: the folder of the pipeline, if that has one. */
  readonly spill?: SpillFolder;
  /** The most on the disk, bytes, each of what went in and what came out. Default: what the folder may. */
  readonly maxSpillBytes?: number;
  /** The largest batch that a plugin is given, and the largest record that is taken from one, bytes in the wire form. Default 1,048,576. */
  readonly maxBatchBytes?: number;
  /** What a batch of the output takes, bytes; a larger record comes in one of its own. Default 65,536. */
  readonly batchBytes?: number;
  /** Looks over what the plugin makes, such as `sameRecords`. Default: that it is whole records. */
  readonly check?: () => RecordCheck;
}

/** Options with their defaults. */
export interface PluginRecordSettings {
  readonly maxBytes: number;
  readonly maxBatchBytes: number;
  readonly batchBytes: number;
  readonly spill: SpillFolder | undefined;
  readonly maxSpillBytes: number | undefined;
}

export const PLUGIN_RECORD_STAGE_DEFAULTS = { maxBatchBytes: 1_048_576, batchBytes: 65_536 } as const;

const OPTIONS = ['native', 'memory', 'spill', 'maxSpillBytes', 'maxBatchBytes', 'batchBytes', 'check'];

/**
 * A stage over records whose work a plugin does as a whole: what comes out need not come batch by batch, and most of it may come at the end. What goes in is kept until the plugin has finished, and what
 * comes out until then too, both compressed and spilled as the mode says: nothing of a plugin that fails, at whatever moment, is handed on, and another plugin, or the native stage, begins
 * with the first record. After the input the plugin is given an empty batch, again and again until it puts nothing out for one, and is then finalized: so its output can come in pieces. Where the native way is chosen from the start, nothing is kept. When pressure rises so that another would be chosen, the plugin is given up, twice at most;
 * at `emergency` always. When pressure falls nothing is begun anew: whoever is at work stays for that run.
 *
 * Throws `RangeError` for unsound options.
 * @example
 * import { pluginRecordStage, sameRecords, sortRecords } from 'plimsoll/pipeline';
 * const native = sortRecords({ name: 'Grouping', key, memory: { maxBytes: 32 * 2 ** 20 } });
 * const stage = pluginRecordStage({ name: 'Grouping', stage: 'grouping', host, plugins, native, memory: { maxBytes: 32 * 2 ** 20 }, check: sameRecords });
 */
export function pluginRecordStage(given: PluginRecordStageOptions): Stage<RecordBatch, RecordBatch> {
  const { options, choice, clock } = checkPluginWorkerOptions('pluginRecordStage', given, OPTIONS);
  const { native, name, check } = options;
  if (typeof native?.run !== 'function') throw invalidOption('native', 'a stage', native);
  if (check !== undefined && typeof check !== 'function') throw invalidOption('check', 'a function', check);
  const settings = checkSettings(options);
  // Stricter modes are for what is kept; the native stage is told of those that it can do.
  const can: StageCapabilities = { ...native.can, compression: true, spilling: true };
  return {
    name,
    can,
    memory: {
      kind: native.memory?.kind ?? 'external',
      maxBytes: settings.maxBytes + (native.memory?.maxBytes ?? 0),
    },
    ...(native.estimateBytes && { estimateBytes: (bytes: number) => native.estimateBytes!(bytes) }),
    async *run(input: AsyncIterable<RecordBatch>, context: StageContext) {
      await using run = new PluginRecordRun({ options, settings, choice, clock, context });
      yield* run.batches(input);
    },
  };
}

function checkSettings(options: PluginRecordStageOptions): PluginRecordSettings {
  const { spill, maxSpillBytes } = options;
  const { maxBytes } = copyOptions('memory', options.memory, ['maxBytes'], 'an object with `maxBytes`');
  const { maxBatchBytes, batchBytes } = { ...PLUGIN_RECORD_STAGE_DEFAULTS, ...options };
  return {
    maxBytes: checkWhole('memory.maxBytes', maxBytes, 1),
    maxBatchBytes: checkWhole('maxBatchBytes', maxBatchBytes, 64),
    batchBytes: checkWhole('batchBytes', batchBytes, 64),
    spill,
    maxSpillBytes: maxSpillBytes === undefined ? undefined : checkWhole('maxSpillBytes', maxSpillBytes, 1),
  };
}
