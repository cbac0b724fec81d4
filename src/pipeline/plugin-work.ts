import { tell } from '../catch-rejection.ts';
import { describeCause } from '../describe-cause.ts';
import { PlimsollError } from '../errors.ts';
import { levelRank, type PressureLevel } from '../governor/index.ts';
import type { Plugin, PluginInstance } from '../wasm/index.ts';
import { NATIVE, type PluginChoice, type PluginRunner, type Worker } from './plugin-choice.ts';
import type { StageContext } from './stage.ts';

/** `PLIMSOLL_NO_PLUGIN`: no plugin can do the work of a stage any more, and its native way is switched off. `cause` is what the last one failed with. */
export class NoPluginError extends PlimsollError {
  override readonly name: string = 'NoPluginError';

  constructor(stage: string, cause: unknown) {
    super(`no plugin can do \`${stage}\` any more, and \`nativeFallback\` is off`, {
      code: 'PLIMSOLL_NO_PLUGIN',
      recovery: 'fail',
      cause,
    });
  }
}

export interface PluginWorkOptions {
  readonly choice: PluginChoice;
  readonly host: PluginRunner;
  /** As manifests have it. */
  readonly stage: string;
  readonly config: Uint8Array | undefined;
  readonly onFailure: ((plugin: Plugin, cause: unknown) => void) | undefined;
  /** What a new instance is told before anything else; what it puts out for that is passed over. */
  readonly catchUp?: () => Iterable<Uint8Array>;
  readonly context: StageContext;
}

/** Before anybody was at work. */
const NOBODY = 'nobody';
const LONGEST_WHY = 120;
/** Not the plugin's fault. */
const NO_ROOM = new Set(['PLIMSOLL_PLUGIN_NO_ROOM', 'PLIMSOLL_BUDGET_EXCEEDED']);

/** Who is at work in one run of a stage: a plugin's instance, or the native way. Ends instances that it opened, whatever happens. */
export class PluginWork implements AsyncDisposable {
  readonly #options: PluginWorkOptions;
  #worker: Worker | undefined;
  #instance: PluginInstance | undefined;
  #level: PressureLevel | undefined;
  #lastFault: unknown;
  #toldOf = NOBODY;

  constructor(options: PluginWorkOptions) {
    this.#options = options;
  }

  /** Undefined before `choose`, and after a failure. */
  get worker(): Worker | undefined {
    return this.#worker;
  }

  /** For which the one at work was chosen. */
  get level(): PressureLevel | undefined {
    return this.#level;
  }

  /** What went wrong last, in a few words. */
  get lastFault(): string {
    return short(this.#lastFault);
  }

  /** Undefined when the native way is at work. */
  get instance(): PluginInstance | undefined {
    return this.#instance;
  }

  /**
   * Has the right one at work for the level: the one that is, unless another is better now. One that is left for another is finalized first; what that puts out belongs to nothing, and counts as a
   * failure. At `emergency` a cleanup is asked for, once. Rejects with `PLIMSOLL_NO_PLUGIN`, or when aborted.
   */
  async choose(why: string): Promise<Worker> {
    const { choice, context } = this.#options;
    const { level } = context;
    const isNewLevel = level !== this.#level;
    this.#level = level;
    if (isNewLevel) choice.forgetRefusals();
    const before = this.#instance;
    const worker = await this.#choose(level, isNewLevel && this.#toldOf !== NOBODY ? `pressure is ${level}` : why);
    // A new one was told at its start.
    if (isNewLevel && this.#instance === before) before?.pressure(level);
    if (isNewLevel && levelRank(level) >= 4) await context.cleanUp('aggressive');
    return worker;
  }

  /** The one at work has failed: it is ended, and nobody is at work. Rejects when aborted. */
  async fail(cause: unknown): Promise<void> {
    const worker = this.#worker;
    this.#noteFault(worker, cause);
    this.#worker = undefined;
    await this.#leave();
  }

  /** Nobody is at work: another one begins anew, for a reason that is no fault of this one. */
  async abandon(): Promise<void> {
    this.#worker = undefined;
    await this.#leave();
  }

  /** The native way takes over for a reason that is no fault of the plugin. */
  async handOver(why: string): Promise<void> {
    await this.abandon();
    this.#tell(NATIVE, why.slice(0, LONGEST_WHY));
  }

  /** Says that the native way does the next piece, because the one at work has failed. */
  tellOfNative(): void {
    this.#tell(NATIVE, short(this.#lastFault));
  }

  /** Ends the instance's work well, and gives the rest of its output. */
  async finalize(): Promise<Uint8Array> {
    const instance = this.#instance!;
    this.#instance = undefined;
    return instance.finalize({ signal: this.#options.context.signal });
  }

  /** Ends the instance's work where nothing is expected of it any more: a rest of output, or a failure, counts against the plugin. Rejects when aborted. */
  async retire(): Promise<void> {
    const worker = this.#worker;
    if (this.#instance === undefined) return;
    try {
      const { byteLength } = await this.finalize();
      if (byteLength > 0) throw new Error(`put out ${byteLength} bytes at the end, which belong to nothing`);
    } catch (cause) {
      this.#noteFault(worker, cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leave();
  }

  async #choose(level: PressureLevel, why: string): Promise<Worker> {
    const { choice, context } = this.#options;
    const tried = new Set<Worker>();
    for (;;) {
      const next = choice.choose(level, this.#worker, tried);
      if (next === undefined) throw new NoPluginError(context.name, this.#lastFault);
      if (next === this.#worker) return next;
      await this.retire();
      this.#worker = undefined;
      if (await this.#begin(next, level)) {
        this.#tell(next.name, why);
        return next;
      }
      tried.add(next);
      why = `${next.name} could not begin: ${short(this.#lastFault)}`;
    }
  }

  async #begin(next: Worker, level: PressureLevel): Promise<boolean> {
    const { host, stage, config, context } = this.#options;
    const { signal } = context;
    const { plugin } = next;
    if (plugin !== undefined) {
      try {
        this.#instance = await host.open(plugin, { stage, level, signal, ...(config && { config }) });
      } catch (cause) {
        this.#noteFault(next, cause);
        return false;
      }
      if (!(await this.#tellNew(next, this.#instance))) return false;
    }
    this.#worker = next;
    return true;
  }

  /** False when the instance failed over it. What goes wrong with what it is told is thrown. */
  async #tellNew(worker: Worker, instance: PluginInstance): Promise<boolean> {
    const { catchUp, context } = this.#options;
    for (const bytes of catchUp?.() ?? []) {
      try {
        await instance.process(bytes, { signal: context.signal });
      } catch (cause) {
        this.#noteFault(worker, cause);
        await this.#leave();
        return false;
      }
    }
    return true;
  }

  /** Never rejects: disposing finalizes within the host's time limit. */
  async #leave(): Promise<void> {
    const instance = this.#instance;
    this.#instance = undefined;
    try {
      await instance?.[Symbol.asyncDispose]();
    } catch (cause) {
      this.#lastFault = cause;
    }
  }

  #noteFault(worker: Worker | undefined, cause: unknown): void {
    const { signal } = this.#options.context;
    if (signal.aborted) throw signal.reason;
    this.#lastFault = cause;
    const code = String((cause as { code?: unknown } | null)?.code);
    if (worker === undefined) return;
    if (NO_ROOM.has(code)) worker.isWithoutRoom = true;
    else if (code === 'PLIMSOLL_PLUGIN_REFUSED') worker.isRefused = true;
    else {
      worker.failures++;
      const { plugin } = worker;
      if (plugin !== undefined) tell(() => this.#options.onFailure?.(plugin, cause));
    }
  }

  #tell(to: string, why: string): void {
    if (to === this.#toldOf) return;
    this.#options.context.switched({ from: this.#toldOf, to, why });
    this.#toldOf = to;
  }
}

function short(cause: unknown): string {
  const text = describeCause(cause);
  return text.length > LONGEST_WHY ? `${text.slice(0, LONGEST_WHY)}...` : text;
}
