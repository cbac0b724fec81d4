import { levelRank, type PressureLevel } from '../governor/index.ts';
import type { Plugin, PluginHost } from '../wasm/index.ts';

/** What a stage asks of those who run plugins. A `PluginHost` fits as it stands. */
export type PluginRunner = Pick<PluginHost, 'open' | 'isOff' | 'failures'>;

/** Which of several plugins is taken first: the one that may take the least memory, or the one that took the least time for a byte. */
export const PLUGIN_SELECTIONS = ['memory-efficient', 'fastest'] as const;
export type PluginSelection = (typeof PLUGIN_SELECTIONS)[number];

/** The name of the stage's own way of doing it, in events and reports. */
export const NATIVE = 'native';

export interface PluginChoiceOptions {
  readonly host: PluginRunner;
  readonly plugins: readonly Plugin[];
  readonly selection: PluginSelection;
  readonly nativeFallback: boolean;
  readonly maxFailures: number;
}

/** How much a new measurement counts. */
const ALPHA = 0.25;
/** So many measurements before one can be compared. */
const PROBES = 4;
/** One that is at work is left for another that takes at most so much of its time. */
const WORTH_IT = 0.8;

/** A plugin, or `native`, with what is known of it. */
export class Worker {
  readonly name: string;
  /** Undefined for `native`. */
  readonly plugin: Plugin | undefined;
  /** Of this stage's own count: a plugin may do well for others. */
  failures = 0;
  /** It said that it is not for this configuration. */
  isRefused = false;
  /** There was no room for it, just now. */
  isWithoutRoom = false;
  #costs = 0;
  #msPerByte = 0;

  constructor(plugin: Plugin | undefined) {
    this.plugin = plugin;
    this.name = plugin === undefined ? NATIVE : plugin.manifest.name;
  }

  get isMeasured(): boolean {
    return this.#costs >= PROBES;
  }

  /** It was measured when it was last looked who is better. */
  get isSettled(): boolean {
    return this.#costs > PROBES;
  }

  /** Moving average; failures make it dearer. */
  get msPerByte(): number {
    return this.#msPerByte * (1 + this.failures);
  }

  noteCost(ms: number, bytes: number): void {
    const cost = Math.max(0, ms) / Math.max(1, bytes);
    this.#msPerByte = this.#costs++ === 0 ? cost : this.#msPerByte + ALPHA * (cost - this.#msPerByte);
  }
}

/**
 * Who does the work of a stage at a level:
 *
 * - `optimal`, `moderate`: any plugin; with `fastest` the native way is one of them.
 * - `high`: one that streams, else one that compresses, else any.
 * - `critical`: one that compresses, else one that streams, else native.
 * - `emergency`: native.
 *
 * Among equals the one with fewer failures, then by the selection, then in the order given. With `fastest` each is first tried for four batches. Without the native fallback what
 * would be native is any plugin.
 */
export class PluginChoice {
  readonly native: Worker | undefined;
  readonly #options: PluginChoiceOptions;
  readonly #workers: readonly Worker[];

  constructor(options: PluginChoiceOptions) {
    this.#options = options;
    this.#workers = options.plugins.map((plugin) => new Worker(plugin));
    this.native = options.nativeFallback ? new Worker(undefined) : undefined;
  }

  /** Undefined when there is nobody. `not` were tried just now. `current` stays unless another is better by more than chance. */
  choose(level: PressureLevel, current?: Worker, not?: ReadonlySet<Worker>): Worker | undefined {
    const rank = levelRank(level);
    const usable = this.#workers.filter((worker) => not?.has(worker) !== true && this.#isUsable(worker));
    for (const group of this.#groups(rank, usable)) {
      const best = this.#best(group);
      if (best === undefined) continue;
      return current !== undefined && group.includes(current) && !this.#isBetter(best, current) ? current : best;
    }
    return this.native;
  }

  /** Those for which there was no room may be asked again. */
  forgetRefusals(): void {
    for (const worker of this.#workers) worker.isWithoutRoom = false;
  }

  #isUsable(worker: Worker): boolean {
    const { host, maxFailures } = this.#options;
    if (worker.isRefused || worker.failures >= maxFailures || worker.isWithoutRoom) return false;
    return !host.isOff(worker.plugin!);
  }

  #groups(rank: number, usable: readonly Worker[]): (readonly Worker[])[] {
    const { native } = this;
    const streaming = usable.filter((worker) => worker.plugin!.manifest.supportsStreaming);
    const compressing = usable.filter((worker) => worker.plugin!.manifest.supportsCompression);
    if (rank >= 4 && native !== undefined) return [[native]];
    if (rank >= 3) return [compressing, streaming, native === undefined ? usable : [native]];
    if (rank === 2) return [streaming, compressing, usable];
    return [native !== undefined && this.#options.selection === 'fastest' ? [...usable, native] : usable];
  }

  #best(group: readonly Worker[]): Worker | undefined {
    return group.reduce<Worker | undefined>(
      (best, worker) => (best === undefined || this.#compare(worker, best) < 0 ? worker : best),
      undefined,
    );
  }

  #compare(a: Worker, b: Worker): number {
    if (a.failures !== b.failures) return a.failures - b.failures;
    if (this.#options.selection === 'fastest') {
      if (a.isMeasured !== b.isMeasured) return a.isMeasured ? 1 : -1;
      return a.isMeasured ? a.msPerByte - b.msPerByte : 0;
    }
    const heap = heapBytesOf(a) - heapBytesOf(b);
    return heap !== 0 || !a.isMeasured || !b.isMeasured ? heap : a.msPerByte - b.msPerByte;
  }

  #isBetter(other: Worker, current: Worker): boolean {
    if (other === current) return false;
    if (other.failures !== current.failures) return other.failures < current.failures;
    if (this.#options.selection !== 'fastest') return heapBytesOf(other) < heapBytesOf(current);
    // Who is being tried is tried to the end.
    if (!current.isMeasured) return false;
    return !other.isMeasured || other.msPerByte < current.msPerByte * WORTH_IT;
  }
}

const heapBytesOf = ({ plugin }: Worker): number => plugin?.manifest.maxHeapBytes ?? 0;
