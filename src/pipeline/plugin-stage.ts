import { type Clock, systemClock } from '../clock.ts';
import { checkName, checkOneOf, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import type { Plugin } from '../wasm/index.ts';
import type { Batch } from './batch.ts';
import type { StageCapabilities } from './pipeline-mode.ts';
import { PLUGIN_SELECTIONS, PluginChoice, type PluginRunner, type PluginSelection } from './plugin-choice.ts';
import { PluginWork } from './plugin-work.ts';
import type { Stage, StageContext, StageMemory } from './stage.ts';

/** What stages with plugins have in common. */
export interface PluginWorkerOptions {
  /** Of the stage, as the report has it. */
  readonly name: string;
  /** What the work is called in manifests, such as `filtering`. */
  readonly stage: string;
  readonly host: PluginRunner;
  /** Those that may be used, in order of preference among equals. None: the native way does it all. */
  readonly plugins: readonly Plugin[];
  /** Given to each instance at its start. Default: none. */
  readonly config?: Uint8Array;
  /** Default `memory-efficient`. */
  readonly selection?: PluginSelection;
  /** Whether the native way stands in. Default true. Without it a run in which no plugin is left fails with `PLIMSOLL_NO_PLUGIN`. */
  readonly nativeFallback?: boolean;
  /** After so many failures in this stage a plugin is not asked any more, 1 up. Default 3. The host has a bound of its own. */
  readonly maxFailures?: number;
  /** Told of each failure in this stage, an answer that was refused among them; not of memory that there is none of, nor of one that refuses the work. What it throws is passed over. */
  readonly onFailure?: (plugin: Plugin, cause: unknown) => void;
  readonly clock?: Pick<Clock, 'now'>;
}

export interface PluginStageOptions<B extends Batch> extends PluginWorkerOptions {
  /** What the plugin is given for a batch. It stays valid until `apply` has returned. Memory for it is the stage's: reserve it from `context.memory`. */
  encode(batch: B, context: StageContext): Uint8Array;
  /** Puts the plugin's output into the batch. Looks through all of it first: when it throws, the batch is as it was. */
  apply(batch: B, output: Uint8Array, context: StageContext): void;
  /** Does the same to the batch without a plugin. */
  native(batch: B, context: StageContext): void | Promise<void>;
  /**
   * For plugins that keep something of the batches before, which the program knows as well: what each new instance is given first, as if they were batches, so that it can go on where another, or
   * the native way, has left off. What it puts out for them is passed over. Bytes are valid until the next are asked for. Default: nothing, for plugins that need no batch but the one they are given.
   */
  catchUp?(context: StageContext): Iterable<Uint8Array>;
  /** What the stage may hold. Default: nothing. */
  readonly memory?: StageMemory;
  /** Default: nothing. */
  readonly can?: StageCapabilities;
}

export const PLUGIN_STAGE_DEFAULTS = {
  selection: 'memory-efficient',
  nativeFallback: true,
  maxFailures: 3,
} as const;

/** Batches after which it is looked whether another would be quicker. */
const REVIEW_EVERY = 32;

/** Options of either stage, checked. Throws `RangeError`. */
export function checkPluginWorkerOptions<T extends PluginWorkerOptions>(
  what: string,
  given: T,
  known: readonly string[],
) {
  const options = copyOptions(what, given, [...WORKER_OPTIONS, ...known]);
  const { selection, nativeFallback, maxFailures } = { ...PLUGIN_STAGE_DEFAULTS, ...options };
  checkName(options.name);
  checkName(options.stage, 'stage');
  if (!Array.isArray(options.plugins)) throw invalidOption('plugins', 'an array of plugins', options.plugins);
  if (typeof options.host?.open !== 'function') throw invalidOption('host', 'a PluginHost', options.host);
  if (typeof nativeFallback !== 'boolean') throw invalidOption('nativeFallback', 'true or false', nativeFallback);
  if (options.onFailure !== undefined && typeof options.onFailure !== 'function')
    throw invalidOption('onFailure', 'a function', options.onFailure);
  return {
    options,
    choice: new PluginChoice({
      host: options.host,
      plugins: options.plugins.filter(({ manifest }) => manifest.stages.includes(options.stage)),
      selection: checkOneOf('selection', selection, PLUGIN_SELECTIONS),
      nativeFallback,
      maxFailures: checkWhole('maxFailures', maxFailures, 1),
    }),
    clock: options.clock ?? systemClock,
  };
}

const WORKER_OPTIONS = [
  'name',
  'stage',
  'host',
  'plugins',
  'config',
  'selection',
  'nativeFallback',
  'maxFailures',
  'onFailure',
  'clock',
] as const;

/**
 * A stage whose work plugins do, one batch out for each in. A plugin for this must need no batch but the one it is given, or what `catchUp` tells it: each is done by whoever is at work just then, a plugin, another one, or the
 * native way, and the result is the same. Where a plugin fails, at whatever call, or what it says is refused by `apply`, the native way does that very batch, and after `maxFailures` all
 * others. At which level which plugin is taken stands at `PluginChoice`: see the page. What a plugin puts out at its end belongs to no batch and counts as a failure.
 *
 * Plugins that do not name the stage are left out. Throws `RangeError` for unsound options.
 * @example
 * import { pluginStage } from 'plimsoll/pipeline';
 * const stage = pluginStage({ name: 'Filtering', stage: 'filtering', host, plugins, encode, apply, native });
 */
export function pluginStage<B extends Batch>(given: PluginStageOptions<B>): Stage<B, B> {
  const known = ['encode', 'apply', 'native', 'catchUp', 'memory', 'can'];
  const { options, choice, clock } = checkPluginWorkerOptions('pluginStage', given, known);
  for (const name of ['encode', 'apply', 'native'] as const) {
    if (typeof options[name] !== 'function') throw invalidOption(name, 'a function', options[name]);
  }
  if (options.catchUp !== undefined && typeof options.catchUp !== 'function')
    throw invalidOption('catchUp', 'a function', options.catchUp);
  const { name, stage, host, config, onFailure, memory, can } = options;
  return {
    name,
    ...(memory && { memory }),
    ...(can && { can }),
    async *run(input: AsyncIterable<B>, context: StageContext): AsyncGenerator<B, void, undefined> {
      const catchUp = () => options.catchUp?.(context) ?? [];
      await using work = new PluginWork({ choice, host, stage, config, onFailure, catchUp, context });
      const turns = new BatchTurns({ options, choice, work, context, clock });
      for await (const batch of input) {
        await turns.take(batch);
        yield batch;
      }
      await work.retire();
    },
  };
}

interface TurnParts<B extends Batch> {
  readonly options: PluginStageOptions<B>;
  readonly choice: PluginChoice;
  readonly work: PluginWork;
  readonly context: StageContext;
  readonly clock: Pick<Clock, 'now'>;
}

/** The batches of one run. */
class BatchTurns<B extends Batch> {
  readonly #parts: TurnParts<B>;
  #since = 0;
  #level: string | undefined;

  constructor(parts: TurnParts<B>) {
    this.#parts = parts;
  }

  async take(batch: B): Promise<void> {
    const { options, work, context, clock } = this.#parts;
    await this.#review();
    for (;;) {
      const worker = work.worker!;
      const started = clock.now();
      if (await this.#tryDo(batch)) {
        worker.noteCost(clock.now() - started, batch.byteLength);
        return;
      }
      if (options.nativeFallback !== false) break;
      await this.#review();
    }
    work.tellOfNative();
    await options.native(batch, context);
  }

  /** Not for each batch, unless there is a reason. */
  async #review(): Promise<void> {
    const { choice, work, context } = this.#parts;
    const isLong = ++this.#since >= REVIEW_EVERY;
    if (isLong) {
      choice.forgetRefusals();
      this.#since = 0;
    }
    if (!isLong && work.worker?.isSettled === true && context.level === this.#level) return;
    this.#level = context.level;
    await work.choose('chosen');
  }

  /** False when the plugin failed: the batch is as it was, and nobody is at work. */
  async #tryDo(batch: B): Promise<boolean> {
    const { options, work, context } = this.#parts;
    const { instance } = work;
    if (instance === undefined) {
      await options.native(batch, context);
      return true;
    }
    // What goes wrong in here is no fault of the plugin.
    const bytes = options.encode(batch, context);
    try {
      options.apply(batch, await instance.process(bytes, { signal: context.signal }), context);
      return true;
    } catch (cause) {
      await work.fail(cause);
      return false;
    }
  }
}
