import { PlimsollError, type PressureLevel } from 'plimsoll';
import type { PluginRunner } from 'plimsoll/pipeline';
import type { OpenOptions, Plugin, PluginInstance } from 'plimsoll/wasm';

/** At which moment a plugin goes wrong, and how. */
export type Mishap =
  | 'open'
  | 'refused'
  | 'no room'
  | 'process'
  | 'timeout'
  | 'output limit'
  | 'garbage'
  | 'half'
  | 'finalize'
  | 'rest';

/** What an instance of a fake plugin does: its own state for each instance. */
export interface Behaviour {
  process(batch: Uint8Array): Uint8Array;
  finalize?(): Uint8Array;
}

export interface FakePluginOptions {
  readonly stage: string;
  readonly behave: () => Behaviour;
  readonly maxHeapBytes?: number;
  readonly streams?: boolean;
  readonly compresses?: boolean;
  /** What goes wrong at the nth call of `process` or `open`, counted over all instances; undefined for nothing. */
  readonly mishap?: (call: number) => Mishap | undefined;
  /** How long each call takes, by the clock that the host was given. */
  readonly ms?: number;
}

export interface FakePlugin extends Plugin {
  readonly fake: FakePluginOptions;
}

export function fakePlugin(name: string, fake: FakePluginOptions): FakePlugin {
  return {
    fake,
    file: undefined,
    moduleBytes: 100,
    manifest: {
      name,
      version: '1.0.0',
      abi: 1,
      wasm: `${name}.wasm`,
      stages: [fake.stage],
      minHeapBytes: 65_536,
      maxHeapBytes: fake.maxHeapBytes ?? 1_048_576,
      supportsStreaming: fake.streams ?? false,
      supportsCompression: fake.compresses ?? false,
      description: undefined,
    },
  };
}

const fault = (code: string) => new PlimsollError(`${code} of a fake`, { code: `PLIMSOLL_PLUGIN_${code}` });
const NOTHING = new Uint8Array(0);

/** Runs fakes as a `PluginHost` runs plugins, without WebAssembly. */
export class FakePluginHost implements PluginRunner {
  maxFailures = 100;
  readonly clock: { nowMs: number };
  /** Names in the order in which instances were opened. */
  readonly opened: string[] = [];
  /** Instances that have not been disposed of. */
  running = 0;
  calls = 0;
  finalized = 0;
  readonly levels: PressureLevel[] = [];
  readonly configs: (Uint8Array | undefined)[] = [];
  readonly #failures = new Map<Plugin, number>();
  readonly #calls = new Map<Plugin, number>();

  constructor(clock = { nowMs: 0 }) {
    this.clock = clock;
  }

  isOff(plugin: Plugin): boolean {
    return this.failures(plugin) >= this.maxFailures;
  }

  failures(plugin: Plugin): number {
    return this.#failures.get(plugin) ?? 0;
  }

  async open(plugin: Plugin, { level, config, signal }: OpenOptions): Promise<PluginInstance> {
    await Promise.resolve();
    signal?.throwIfAborted();
    if (this.isOff(plugin)) throw fault('OFF');
    const mishap = this.#next(plugin);
    if (mishap === 'refused') throw fault('REFUSED');
    if (mishap === 'no room') throw fault('NO_ROOM');
    if (mishap === 'open') throw this.#fail(plugin, 'TRAP');
    this.opened.push(plugin.manifest.name);
    this.levels.push(level ?? 'optimal');
    this.configs.push(config);
    this.running++;
    return this.#instance(plugin as FakePlugin);
  }

  #next(plugin: Plugin): Mishap | undefined {
    const call = this.#calls.get(plugin) ?? 0;
    this.#calls.set(plugin, call + 1);
    return (plugin as FakePlugin).fake.mishap?.(call);
  }

  #fail(plugin: Plugin, code: string): Error {
    this.#failures.set(plugin, this.failures(plugin) + 1);
    return fault(code);
  }

  #instance(plugin: FakePlugin): PluginInstance {
    const host = this;
    const behaviour = plugin.fake.behave();
    let failure: Error | undefined;
    let isOpen = true;
    const end = () => {
      if (isOpen) host.running--;
      isOpen = false;
    };
    const fail = (code: string): never => {
      failure = host.#fail(plugin, code);
      end();
      throw failure;
    };
    const begin = async (signal: AbortSignal | undefined) => {
      await Promise.resolve();
      if (signal?.aborted) {
        end();
        throw signal.reason;
      }
      if (failure !== undefined) throw failure;
      if (!isOpen) throw new Error('used after its end');
    };
    return {
      plugin,
      memoryBytes: 65_536,
      get failure() {
        return failure;
      },
      async process(batch, options) {
        await begin(options?.signal);
        host.calls++;
        host.clock.nowMs += plugin.fake.ms ?? 0;
        const mishap = host.#next(plugin);
        if (mishap === 'process') fail('TRAP');
        if (mishap === 'timeout') fail('TIMEOUT');
        if (mishap === 'output limit') fail('OUTPUT_LIMIT');
        const output = behaviour.process(Uint8Array.from(batch));
        if (mishap === 'garbage') return new Uint8Array([255, 255, 255, 255, 1, 2, 3]);
        if (mishap === 'half') return output.subarray(0, Math.max(0, output.byteLength - 1));
        return output;
      },
      pressure(level) {
        host.levels.push(level);
      },
      async finalize(options) {
        await begin(options?.signal);
        const mishap = host.#next(plugin);
        if (mishap === 'finalize') fail('TRAP');
        host.finalized++;
        const output = behaviour.finalize?.() ?? NOTHING;
        end();
        return mishap === 'rest' ? new Uint8Array([1, 0, 0, 0, 7]) : output;
      },
      async reclaim() {
        return 0;
      },
      async [Symbol.asyncDispose]() {
        end();
      },
    };
  }
}
