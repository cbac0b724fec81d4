import { tell } from '../catch-rejection.ts';
import { describeCause } from '../describe-cause.ts';
import { DisposedError } from '../errors.ts';
import { pluginEvents } from '../events.ts';
import { type HolderReport, PRESSURE_LEVELS, type ReclaimRequest } from '../governor/index.ts';
import { checkOneOf, checkSignal, copyOptions, invalidOption } from '../invalid-option.ts';
import { MAX_CONFIG_BYTES, PAGE_BYTES } from './abi-contract.ts';
import { CheckedPlugin, pagesIn } from './checked-plugin.ts';
import type { GuestChannel } from './guest-channel.ts';
import { GuestLink } from './guest-link.ts';
import type { OpenRequest } from './guest-messages.ts';
import { PluginBooks } from './plugin-books.ts';
import type { OpenOptions, Plugin, PluginInstance } from './plugin-contract.ts';
import {
  PluginError,
  PluginNoRoomError,
  PluginOffError,
  PluginRejectedError,
  PluginWorkerError,
} from './plugin-errors.ts';
import { type CheckedHostOptions, checkPluginHostOptions, type PluginHostOptions } from './plugin-host-options.ts';
import { PluginSpill } from './plugin-spill.ts';
import { ProcessChannel } from './process-channel.ts';
import { RunningInstance } from './running-instance.ts';
import { WarmWorkers } from './warm-workers.ts';
import { WorkerChannel } from './worker-channel.ts';

export interface PluginHostStats {
  /** Instances now, and workers that wait for one. */
  readonly running: number;
  readonly warm: number;
  /** Linear memory that is charged, and that is there. */
  readonly chargedBytes: number;
  readonly memoryBytes: number;
  /** Buffers that go to and fro. */
  readonly bufferBytes: number;
  /** On the disk. */
  readonly spilledBytes: number;
  /** Since the beginning: instances, those that a warm worker was ready for, failures that count, plugins that are off. */
  readonly opened: number;
  readonly warmStarts: number;
  readonly failures: number;
  readonly off: number;
  /** Fresh instances in place of large ones, and the bytes that brought. */
  readonly reclaims: number;
  readonly reclaimedBytes: number;
  /** Calls of the governor that failed; the host went on by its own bounds. */
  readonly faults: number;
}

/** What a worker takes besides linear memory, measured: `npm run bench -- wasm`. */
const WORKER_BYTES = { worker: 10 * 2 ** 20, process: 24 * 2 ** 20 } as const;

/**
 * Runs plugins, each instance in a worker of its own. What a plugin may have at most (`max_heap`) is charged before it starts, to a consumer of kind `wasm`, and given back when its worker is
 * gone. A call that takes too long, a trap, too much output: the worker is ended, the call rejects, and others go on. After `maxFailures` a plugin is off.
 *
 * Measured on a busy machine: a new worker takes 100 ms and more, one that is warm 4 ms; a call 46 µs, with 1 MiB there and back 150 µs. A worker takes about 10 MiB besides its linear
 * memory, a process about 20; both are charged (`NAME (workers)`). Compiled code is not.
 *
 * Codes: those of `PluginError`, and `PLIMSOLL_DISPOSED`. Whoever made it disposes it.
 */
export class PluginHost implements AsyncDisposable {
  readonly #options: CheckedHostOptions;
  readonly #books: PluginBooks;
  readonly #warm: WarmWorkers;
  readonly #instances = new Map<RunningInstance, PluginSpill>();
  readonly #failures = new Map<Plugin, number>();
  readonly #counts = { opened: 0, warmStarts: 0, failures: 0, reclaims: 0, reclaimedBytes: 0 };
  /** Instances, and those that are about to be. */
  #places = 0;
  #disposed = false;

  /** Throws `RangeError` for unsound options. Starts nothing. */
  constructor(options: PluginHostOptions) {
    this.#options = checkPluginHostOptions(options);
    const { governor, name, maxPluginBytes, maxTotalBytes, isolation, warmInstances } = this.#options;
    const workerBytes = WORKER_BYTES[isolation];
    this.#books = new PluginBooks(governor, {
      name,
      maxPluginBytes,
      maxTotalBytes,
      workerBytes,
      reclaimer: {
        reclaimableBytes: () => this.#warm.count * workerBytes,
        reclaim: (request, { signal }) => this.#giveBack(request, workerBytes, signal),
      },
      report: () => this.#report(),
    });
    this.#warm = new WarmWorkers({
      count: warmInstances,
      start: () => this.#startChannel(),
      tryCharge: () => this.#books.hasSpareRoom() && this.#books.tryTakeWorker(),
      giveCharge: () => this.#books.giveWorker(),
    });
  }

  /**
   * Starts an instance and hands it its configuration. Rejects with `PLIMSOLL_PLUGIN_OFF`, `_NO_ROOM`, `_REJECTED`, `_REFUSED` and `_WORKER`, with what went wrong in the plugin, and with the
   * signal's reason; then nothing is left of it. `RangeError` for a stage that it does not name.
   */
  async open(plugin: Plugin, options: OpenOptions): Promise<PluginInstance> {
    const { config, level, signal } = this.#checkOpen(plugin, options);
    const checked = plugin as CheckedPlugin;
    if (this.isOff(plugin)) throw new PluginOffError(plugin.manifest.name, this.failures(plugin));
    const maxHeapBytes = this.#maxHeapOf(checked);
    const place = this.#takePlace(plugin, maxHeapBytes);
    let instance: RunningInstance;
    try {
      const request = await this.#requestFor(checked, maxHeapBytes);
      signal?.throwIfAborted();
      if (this.#disposed) throw new DisposedError('plugin host');
      instance = this.#makeInstance(checked, request, level, place);
    } catch (cause) {
      place.give();
      if (cause instanceof PluginWorkerError) this.#failed(plugin, cause);
      throw cause;
    }
    await instance.start(config, signal);
    this.#counts.opened++;
    this.#warm.refill();
    return instance;
  }

  /** It has failed `maxFailures` times: `open` rejects. */
  isOff(plugin: Plugin): boolean {
    return this.failures(plugin) >= this.#options.maxFailures;
  }

  /** That count: traps, timeouts, too much output, errors that it returned, workers that could not start. */
  failures(plugin: Plugin): number {
    return this.#failures.get(plugin) ?? 0;
  }

  get stats(): PluginHostStats {
    let memoryBytes = 0;
    let spilledBytes = 0;
    for (const [instance, spill] of this.#instances) {
      memoryBytes += instance.memoryBytes;
      spilledBytes += spill.bytes;
    }
    return {
      running: this.#instances.size,
      warm: this.#warm.count,
      chargedBytes: this.#books.memoryBytes,
      memoryBytes,
      bufferBytes: this.#books.bufferBytes,
      spilledBytes,
      ...this.#counts,
      off: [...this.#failures.values()].filter((count) => count >= this.#options.maxFailures).length,
      faults: this.#books.faults,
    };
  }

  /** Ends warm workers and puts what instances that are not at work hold into smaller memories. Gives the linear memory that brought, bytes; the charge of what runs stays. */
  async reclaim(signal?: AbortSignal): Promise<number> {
    await this.#warm.drop();
    let bytes = 0;
    for (const instance of [...this.#instances.keys()]) {
      if (signal?.aborted === true) break;
      if (instance.idle) bytes += await instance.reclaim().catch(() => 0);
    }
    return bytes;
  }

  /** Ends all instances, each finalized within the time limit, and gives everything back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await Promise.all([...this.#instances.keys()].map((instance) => instance[Symbol.asyncDispose]()));
    await this.#warm.close();
    this.#books[Symbol.dispose]();
  }

  #checkOpen(plugin: Plugin, given: OpenOptions) {
    if (this.#disposed) throw new DisposedError('plugin host');
    if (!(plugin instanceof CheckedPlugin)) {
      throw invalidOption('plugin', 'what `loadPlugins` or `definePlugin` gave', plugin);
    }
    const options = copyOptions('open', given, ['stage', 'config', 'level', 'signal']);
    const { config = new Uint8Array(0), level = 'optimal' } = options;
    checkOneOf('stage', options.stage, plugin.manifest.stages);
    checkOneOf('level', level, PRESSURE_LEVELS);
    if (!(config instanceof Uint8Array) || config.byteLength > MAX_CONFIG_BYTES) {
      throw invalidOption('config', `at most ${MAX_CONFIG_BYTES} bytes`, config);
    }
    return { config, level, signal: checkSignal(options.signal) };
  }

  /** As much as it would have, within the host's bound. */
  #maxHeapOf({ manifest, shape }: CheckedPlugin): number {
    const { maxPluginBytes, maxTotalBytes } = this.#options;
    const bytes = pagesIn(Math.min(manifest.maxHeapBytes, maxPluginBytes, maxTotalBytes)) * PAGE_BYTES;
    const least = Math.max(manifest.minHeapBytes, shape.memory.min * PAGE_BYTES);
    if (least <= bytes) return bytes;
    throw new PluginRejectedError(manifest.name, `needs ${least} bytes of memory, and may have ${bytes}`);
  }

  /** Charges for an instance, and takes a warm worker where there is one: that has been charged. */
  #takePlace({ manifest: { name } }: Plugin, maxHeapBytes: number): Place {
    if (this.#places >= this.#options.maxInstances) {
      throw new PluginNoRoomError(name, `${this.#places} instances are running, and that is the most`, maxHeapBytes);
    }
    this.#places++;
    const warm = this.#warm.take();
    let refusal = this.#books.takeMemory(name, maxHeapBytes);
    if (refusal === undefined && warm === undefined && !this.#books.tryTakeWorker()) {
      this.#books.giveMemory(name, maxHeapBytes);
      refusal = 'the governor has no room for a worker';
    }
    if (refusal !== undefined) {
      this.#places--;
      if (warm !== undefined) void warm.kill().then(() => this.#books.giveWorker());
      throw new PluginNoRoomError(name, `no room for ${maxHeapBytes} bytes: ${refusal}`, maxHeapBytes);
    }
    const place: Place = {
      warm,
      give: () => {
        this.#places--;
        this.#books.giveMemory(name, maxHeapBytes);
        if (place.warm === undefined) this.#books.giveWorker();
        else void place.warm.kill().then(() => this.#books.giveWorker());
      },
    };
    return place;
  }

  async #requestFor(plugin: CheckedPlugin, maxHeapBytes: number): Promise<OpenRequest> {
    const { shape } = plugin;
    const shared = this.#options.isolation === 'worker';
    return {
      op: 'open',
      module: shared ? await plugin.moduleFor(maxHeapBytes) : plugin.bytesFor(maxHeapBytes),
      maxPages: Math.min(pagesIn(maxHeapBytes), shape.memory.max ?? Number.POSITIVE_INFINITY),
      minPages: shape.memory.min,
      memoryImported: shape.memoryImported,
      mutableGlobals: shape.mutableGlobals,
      tableCount: shape.tables.length,
      maxOutputBytes: this.#options.maxOutputBytes,
      level: 0,
    };
  }

  #makeInstance(
    plugin: CheckedPlugin,
    request: OpenRequest,
    level: NonNullable<OpenOptions['level']>,
    place: Place,
  ): RunningInstance {
    const { name } = plugin.manifest;
    const { spill: folder, maxSpillBytes, isolation, onLog, timeoutMs, maxOutputBytes, clock } = this.#options;
    const spill = new PluginSpill(folder, maxSpillBytes);
    const linkOptions = {
      plugin: name,
      timeoutMs,
      maxOutputBytes,
      clock,
      spill,
      onLog: (at: number, line: string) => {
        if (onLog !== undefined) tell(() => onLog(plugin, at, line));
      },
    };
    const parts = {
      plugin,
      request,
      spill,
      link: () => new GuestLink(this.#channelFor(name, place), linkOptions),
      transfers: isolation === 'worker',
      onBuffers: (bytes: number) => this.#books.addBuffers(bytes),
      onFailure: (cause: unknown) => this.#failed(plugin, cause),
      onGone: () => {
        this.#instances.delete(instance);
        place.give();
        if (!this.#disposed) this.#warm.refill();
      },
      onReclaimed: (bytes: number) => {
        this.#counts.reclaims++;
        this.#counts.reclaimedBytes += bytes;
      },
    };
    const instance = new RunningInstance(parts, level);
    this.#instances.set(instance, spill);
    return instance;
  }

  /** A worker for one that has been charged. */
  #channelFor(plugin: string, place: Place): GuestChannel {
    let channel = place.warm;
    place.warm = undefined;
    if (channel === undefined && (channel = this.#warm.take()) !== undefined) this.#books.giveWorker();
    if (channel !== undefined) {
      this.#counts.warmStarts++;
      return channel;
    }
    try {
      return this.#startChannel();
    } catch (cause) {
      throw new PluginWorkerError(plugin, `its worker could not be started: ${describeCause(cause)}`, cause);
    }
  }

  #startChannel(): GuestChannel {
    const { beforeStart, isolation, maxPluginBytes } = this.#options;
    beforeStart?.();
    return isolation === 'worker' ? new WorkerChannel() : new ProcessChannel(maxPluginBytes);
  }

  /** What is no fault of the plugin does not count: no room, not for this configuration, somebody's abort. */
  #failed(plugin: Plugin, cause: unknown): void {
    if (!(cause instanceof PluginError) || NO_FAILURES.has(cause.code)) return;
    const failures = this.failures(plugin) + 1;
    const { maxFailures } = this.#options;
    this.#failures.set(plugin, failures);
    this.#counts.failures++;
    if (!pluginEvents.heard) return;
    const what = failures === maxFailures ? 'off' : 'failed';
    const { code, message } = cause;
    pluginEvents.publish({ plugin: plugin.manifest.name, what, code, message, failures, maxFailures });
  }

  async #giveBack(
    { targetBytes, strategy }: ReclaimRequest,
    workerBytes: number,
    signal: AbortSignal,
  ): Promise<number> {
    const before = this.#warm.count;
    await this.#warm.drop(Math.ceil(targetBytes / workerBytes));
    // It helps the machine, and not the books: what runs stays charged with all that it may come to.
    if (strategy !== 'basic') await this.reclaim(signal);
    return (before - this.#warm.count) * workerBytes;
  }

  #report(): HolderReport {
    const { stats } = this;
    const isOff = stats.off > 0;
    return {
      type: 'plugin host',
      health: isOff ? 'degraded' : 'ok',
      ...(isOff && { why: `${stats.off} ${stats.off === 1 ? 'plugin is' : 'plugins are'} off` }),
      counts: { ...stats },
    };
  }
}

/** What an instance has been charged for. */
interface Place {
  /** Taken for it and not used yet. */
  warm: GuestChannel | undefined;
  give(): void;
}

const NO_FAILURES = new Set(['PLIMSOLL_PLUGIN_NO_ROOM', 'PLIMSOLL_PLUGIN_REFUSED', 'PLIMSOLL_PLUGIN_REJECTED']);
