/**
 * The end of a process that is asked to end. One deadline for all steps: each gets its part of what is left, so that one that hangs does not take the time of those after it, and one that is
 * quick leaves them more.
 */
import { constants } from 'node:os';
import { tell } from '../catch-rejection.ts';
import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import { checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { callDisposer } from './call-disposer.ts';
import { CleanupTimeoutError } from './cleanup-errors.ts';

/** What a step is told. */
export interface ShutdownContext {
  /** The signal's name, or what `run` was given. */
  readonly reason: string;
  /** How long this step has, ms. */
  readonly deadlineMs: number;
  /** Aborted when that is over: the next step begins. */
  readonly signal: AbortSignal;
}

/** Something that is drained: a `ResourceRegistry`, or what has the same verb. */
export interface Drainable {
  readonly name?: string;
  drain(call: { readonly deadlineMs: number }): Promise<unknown>;
}

export type ShutdownStep = ((context: ShutdownContext) => unknown) | Drainable;

/** What is used of `process`. */
export interface ProcessLike {
  on(signal: string, listener: () => void): unknown;
  off(signal: string, listener: () => void): unknown;
  exit(code: number): unknown;
}

export interface ShutdownOptions {
  /** At most 16. Default `SIGTERM` and `SIGINT`. */
  readonly signals?: readonly NodeJS.Signals[];
  /** How long all steps may take together, ms. Less than the supervisor waits: Kubernetes 30,000, Docker 10,000. Default 8,000. */
  readonly deadlineMs?: number;
  /** 0 to 255. Default 128 and the number of the signal, as shells have it: 143 for `SIGTERM`, 130 for `SIGINT`. */
  readonly exitCode?: number;
  /** Hears how it went, just before the process ends. What it throws is passed over. */
  readonly onEnd?: (report: ShutdownReport) => void;
  /** Default Node's own. */
  readonly process?: ProcessLike;
  readonly clock?: Clock;
}

export const SHUTDOWN_DEFAULTS = { signals: ['SIGTERM', 'SIGINT'], deadlineMs: 8_000 } as const;

export interface ShutdownStepReport {
  readonly step: string;
  /** `incomplete`: it ended, and says itself that something was left. `late`: it did not end in its part of the time. */
  readonly outcome: 'done' | 'incomplete' | 'failed' | 'late';
  readonly elapsedMs: number;
  readonly error?: Error;
  /** What a step that is drained reported. */
  readonly report?: unknown;
}

export interface ShutdownReport {
  readonly reason: string;
  readonly steps: readonly ShutdownStepReport[];
  readonly elapsedMs: number;
  /** Whether each step was done. */
  readonly complete: boolean;
}

const MOST_STEPS = 64;
const MOST_SIGNALS = 16;
/** What a step that is drained needs to say what it could not do, ms. */
const MARGIN_MS = 100;
const KNOWN = ['signals', 'deadlineMs', 'exitCode', 'onEnd', 'process', 'clock'];

/** What `onShutdown` makes. */
export class Shutdown implements Disposable {
  readonly #options: SoundShutdownOptions;
  readonly #steps: { readonly step: ShutdownStep }[] = [];
  readonly #listeners = new Map<string, () => void>();
  #running: Promise<ShutdownReport> | undefined;
  /** Which of the steps is at work, or will be next. */
  #at = 0;
  /** A signal came: the process ends when the steps have. */
  #ending = false;

  constructor(steps: readonly ShutdownStep[], options: SoundShutdownOptions) {
    this.#options = options;
    for (const step of steps) this.add(step);
    for (const signal of options.signals) {
      const listener = () => this.#onSignal(signal);
      this.#listeners.set(signal, listener);
      options.process.on(signal, listener);
    }
  }

  /** Whether it has begun. */
  get running(): boolean {
    return this.#running !== undefined;
  }

  /** A further step, after those that are there: 64 at most (`RangeError`). Disposing the result takes it out. */
  add(step: ShutdownStep): Disposable {
    if (typeof step !== 'function' && typeof step?.drain !== 'function') {
      throw invalidOption('step', 'a function or something with `drain`', step);
    }
    if (this.#steps.length >= MOST_STEPS) throw invalidOption('step', `one of at most ${MOST_STEPS}`, step);
    const entry = { step };
    this.#steps.push(entry);
    return {
      [Symbol.dispose]: () => {
        const at = this.#steps.indexOf(entry);
        if (at < 0) return;
        this.#steps.splice(at, 1);
        // The one behind it has moved up.
        if (at < this.#at) this.#at--;
      },
    };
  }

  /** Runs the steps without a signal, once, and does not end the process, unless a signal comes meanwhile: then it ends after them. Never rejects. */
  run(reason = 'asked'): Promise<ShutdownReport> {
    if (this.#running === undefined) {
      // The first step begins at once, and may ask for this very run.
      let settle: (report: Promise<ShutdownReport>) => void = () => {};
      this.#running = new Promise((resolve) => {
        settle = resolve;
      });
      settle(this.#run(String(reason)));
    }
    return this.#running;
  }

  /** Takes its listeners off the process: signals do what they did before. Steps that are running go on. */
  [Symbol.dispose](): void {
    for (const [signal, listener] of this.#listeners) this.#options.process.off(signal, listener);
    this.#listeners.clear();
  }

  #onSignal(signal: NodeJS.Signals): void {
    const code = this.#options.exitCode ?? 128 + (constants.signals[signal] ?? 0);
    // Somebody is impatient.
    if (this.#ending) {
      this.#exit(128 + (constants.signals[signal] ?? 0));
      return;
    }
    this.#ending = true;
    void this.run(signal).then((report) => {
      tell(() => this.#options.onEnd?.(report));
      this.#exit(code);
    });
  }

  #exit(code: number): void {
    this[Symbol.dispose]();
    this.#options.process.exit(code);
  }

  async #run(reason: string): Promise<ShutdownReport> {
    const { clock, deadlineMs } = this.#options;
    const startedAt = clock.now();
    const reports: ShutdownStepReport[] = [];
    while (this.#at < this.#steps.length) {
      const leftMs = Math.max(0, deadlineMs - (clock.now() - startedAt));
      const partMs = Math.floor(leftMs / (this.#steps.length - this.#at));
      // Steps add others and take themselves out.
      const { step } = this.#steps[this.#at++]!;
      reports.push(await this.#step(step, reports.length, reason, partMs));
    }
    const complete = reports.every((report) => report.outcome === 'done');
    return { reason, steps: reports, elapsedMs: clock.now() - startedAt, complete };
  }

  async #step(step: ShutdownStep, index: number, reason: string, partMs: number): Promise<ShutdownStepReport> {
    const { clock } = this.#options;
    const startedAt = clock.now();
    const abort = new AbortController();
    const name = nameOf(step) ?? `step ${index + 1}`;
    let result: unknown;
    let isIncomplete = false;
    const act = async () => {
      if (typeof step === 'function') {
        await step({ reason, deadlineMs: partMs, signal: abort.signal });
        return;
      }
      result = await step.drain({ deadlineMs: Math.floor(partMs - Math.min(MARGIN_MS, partMs / 10)) });
      isIncomplete = (result as { complete?: unknown } | null | undefined)?.complete === false;
    };
    const told = (outcome: ShutdownStepReport['outcome'], more: Partial<ShutdownStepReport> = {}) => {
      return { step: name, outcome, elapsedMs: clock.now() - startedAt, ...more };
    };
    try {
      await callDisposer(name, act, { timeoutMs: partMs, clock });
    } catch (error) {
      abort.abort(error);
      return told(error instanceof CleanupTimeoutError ? 'late' : 'failed', { error: error as Error });
    }
    if (typeof step === 'function') return told('done');
    return told(isIncomplete ? 'incomplete' : 'done', { report: result });
  }
}

/**
 * Has steps run in order when the process is told to end, and then ends it: within `deadlineMs`, with 128 and the number of the signal. A second signal ends it at once. A step is a
 * function or something with `drain`, such as a `ResourceRegistry`. One per process: further steps are `add`ed to what it returns. A loop that blocks the event
 * loop blocks this too. Throws `RangeError` for unsound options.
 * @example
 * import { onShutdown } from 'plimsoll/lifetime';
 * const shutdown = onShutdown([() => server.close(), registry], { deadlineMs: 25_000, onEnd: (report) => log.info(report) });
 * shutdown.add(() => log.flush());
 */
export function onShutdown(steps: ShutdownStep | readonly ShutdownStep[], options: ShutdownOptions = {}): Shutdown {
  const list = Array.isArray(steps) ? (steps as readonly ShutdownStep[]) : [steps as ShutdownStep];
  return new Shutdown(list, checkShutdownOptions(options));
}

/** Looking may run code of others. */
function nameOf(step: ShutdownStep): string | undefined {
  try {
    const { name } = step;
    return typeof name === 'string' && name !== '' ? name : undefined;
  } catch {
    return undefined;
  }
}

type SoundShutdownOptions = Required<Omit<ShutdownOptions, 'exitCode' | 'onEnd'>> &
  Pick<ShutdownOptions, 'exitCode' | 'onEnd'>;

function checkShutdownOptions(given: ShutdownOptions): SoundShutdownOptions {
  const options = copyOptions('onShutdown', given, KNOWN);
  const { signals = SHUTDOWN_DEFAULTS.signals, deadlineMs = SHUTDOWN_DEFAULTS.deadlineMs, exitCode, onEnd } = options;
  const isSound = Array.isArray(signals) && signals.length <= MOST_SIGNALS && new Set(signals).size === signals.length;
  if (!isSound || signals.some((signal) => constants.signals[signal as NodeJS.Signals] === undefined)) {
    throw invalidOption('signals', `an array of at most ${MOST_SIGNALS} different names of signals`, signals);
  }
  if (exitCode !== undefined) checkWhole('exitCode', exitCode, 0, 255);
  if (onEnd !== undefined && typeof onEnd !== 'function') throw invalidOption('onEnd', 'a function', onEnd);
  return {
    ...options,
    signals: [...signals],
    deadlineMs: checkWhole('deadlineMs', deadlineMs, 0, LONGEST_MS),
    process: options.process ?? process,
    clock: options.clock ?? systemClock,
  };
}
