/** The plugins of a run: loaded, hosted within what the configuration allows, counted. */
import type { Governor } from 'plimsoll';
import type { PluginRunner, PluginWorkerOptions } from 'plimsoll/pipeline';
import type { SpillFolder } from 'plimsoll/spill';
import { loadPlugins, type OpenOptions, type Plugin, PluginHost, type PluginInstance } from 'plimsoll/wasm';
import type { PluginsConfig } from './config/config.ts';
import { ConfigError } from './config/config-error.ts';
import type { PluginTally } from './report/run-report.ts';

/** What the stages of this program use plugins for. */
export const PLUGIN_STAGES = ['data_mapping', 'filtering', 'grouping', 'numbering'] as const;
export type PluginStageName = (typeof PLUGIN_STAGES)[number];

/** Everything a stage needs to have its work done by plugins, but what the work is. */
export type PluginWorkers = Omit<PluginWorkerOptions, 'name' | 'config'>;

export interface PluginJobOptions {
  readonly config: PluginsConfig;
  readonly governor: Governor;
  readonly spill: SpillFolder | undefined;
  /** The most that plugins may have on the disk. */
  readonly maxSpillBytes: number;
  readonly warn: (line: string) => void;
  /** Put between the stages and the host. For tests, which let plugins fail. */
  readonly wrap?: (runner: PluginRunner) => PluginRunner;
  /** As `PluginHostOptions.beforeStart`. */
  readonly beforeStart?: () => void;
}

/** Of a call: what comes out for one batch, or at the end. */
const MAX_OUTPUT_BYTES = 16 * 1024 ** 2;

export class PluginJob implements AsyncDisposable {
  readonly #config: PluginsConfig;
  readonly #plugins: readonly Plugin[];
  readonly #host: PluginHost;
  readonly #runner: PluginRunner;
  readonly #counts = new Map<string, PluginCount>();

  private constructor(options: PluginJobOptions, plugins: readonly Plugin[]) {
    const { config, governor, spill, maxSpillBytes, warn, wrap, beforeStart } = options;
    this.#config = config;
    this.#plugins = plugins;
    this.#host = new PluginHost({
      governor,
      maxPluginBytes: config.maxPluginBytes,
      maxTotalBytes: config.maxTotalBytes,
      timeoutMs: config.timeoutMs,
      maxFailures: config.maxFailures,
      maxOutputBytes: MAX_OUTPUT_BYTES,
      isolation: config.isolation,
      // Each stage has its plugin from the beginning: what is kept warm would hardly be used.
      warmInstances: 0,
      ...(spill !== undefined && { spill, maxSpillBytes }),
      ...(beforeStart && { beforeStart }),
      onLog: ({ manifest }, level, line) => {
        if (level >= WARNING) warn(`plugin ${manifest.name}: ${line}`);
      },
    });
    const counting: PluginRunner = {
      open: (plugin, opening) => this.#open(plugin, opening),
      isOff: (plugin) => this.#host.isOff(plugin),
      failures: (plugin) => this.#host.failures(plugin),
    };
    this.#runner = wrap === undefined ? counting : wrap(counting);
  }

  /** Reads the plugins of the configured folder. Those that cannot be used are warned of; a folder that cannot be read is a mistake. */
  static async open(options: PluginJobOptions): Promise<PluginJob> {
    const { dir } = options.config;
    try {
      const { plugins, problems } = await loadPlugins(dir);
      for (const problem of problems) options.warn(`[plugins] ${problem}`);
      if (plugins.length === 0) options.warn(`[plugins] dir: no plugin in ${dir}: the program does it all itself`);
      for (const { manifest } of plugins) {
        const { name, stages } = manifest;
        if (PLUGIN_STAGES.some((stage) => stages.includes(stage))) continue;
        options.warn(
          `[plugins] ${name}: is not used: it is for ${stages.join(', ')}, stages are ${PLUGIN_STAGES.join(', ')}`,
        );
      }
      return new PluginJob(options, plugins);
    } catch (cause) {
      // Of the folder: what the system said of it.
      const { code, message } = ((cause as Error).cause ?? cause) as NodeJS.ErrnoException;
      throw new ConfigError([`[plugins] dir: ${dir} cannot be read (${code ?? message})`], cause);
    }
  }

  /** Undefined when no plugin does that stage. */
  workersFor(stage: PluginStageName): PluginWorkers | undefined {
    const plugins = this.#plugins.filter(({ manifest }) => manifest.stages.includes(stage));
    if (plugins.length === 0) return undefined;
    const { selection, nativeFallback, maxFailures } = this.#config;
    const onFailure = ({ manifest }: Plugin): void => this.#countOf(stage, manifest.name).fail();
    return { stage, host: this.#runner, plugins, selection, nativeFallback, maxFailures, onFailure };
  }

  /** What each plugin did, those that were never at work left out. */
  get tallies(): PluginTally[] {
    return [...this.#counts.values()].map(({ stage, name, batches, failures }) => ({ stage, name, batches, failures }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host[Symbol.asyncDispose]();
  }

  async #open(plugin: Plugin, options: OpenOptions): Promise<PluginInstance> {
    const count = this.#countOf(options.stage, plugin.manifest.name);
    return countingCalls(await this.#host.open(plugin, options), count);
  }

  #countOf(stage: string, name: string): PluginCount {
    const key = `${stage} ${name}`;
    const count = this.#counts.get(key) ?? new PluginCount(stage, name);
    this.#counts.set(key, count);
    return count;
  }
}

const WARNING = 2;

/** What one plugin did in one stage. */
class PluginCount implements PluginTally {
  readonly stage: string;
  readonly name: string;
  batches = 0;
  failures = 0;
  /** Batches that the answer given last stands for, until the next is asked for. */
  #answered = 0;

  constructor(stage: string, name: string) {
    this.stage = stage;
    this.name = name;
  }

  /** Counts the batches of a call when it has been answered. */
  async call(answer: Promise<Uint8Array>, batches: number): Promise<Uint8Array> {
    this.#answered = 0;
    const output = await answer;
    this.batches += batches;
    this.#answered = batches;
    return output;
  }

  /** The stage says so: a call failed, or what it answered was refused, and then its batch was not done. */
  fail(): void {
    this.failures++;
    this.batches -= this.#answered;
    this.#answered = 0;
  }
}

/** The same instance, its calls counted. */
function countingCalls(instance: PluginInstance, count: PluginCount): PluginInstance {
  return {
    get plugin() {
      return instance.plugin;
    },
    get memoryBytes() {
      return instance.memoryBytes;
    },
    get failure() {
      return instance.failure;
    },
    process: (batch, options) => count.call(instance.process(batch, options), 1),
    finalize: (options) => count.call(instance.finalize(options), 0),
    pressure: (level) => instance.pressure(level),
    reclaim: () => instance.reclaim(),
    [Symbol.asyncDispose]: () => instance[Symbol.asyncDispose](),
  };
}
