import type { Clock } from 'plimsoll';

/** What is worth telling about a run that succeeded. */
export interface RunSummary {
  readonly channels: number;
  readonly programmes: number;
  readonly elapsedMs: number;
  readonly warnings: readonly string[];
}

export type Regenerate = (signal: AbortSignal) => Promise<RunSummary>;

export interface RunOutcome {
  /** Milliseconds since 1970. */
  readonly startedMs: number;
  readonly elapsedMs: number;
  readonly ok: boolean;
  readonly summary?: RunSummary;
  /** One line, masked. */
  readonly error?: string;
}

export interface RegeneratorOptions {
  readonly regenerate: Regenerate;
  /** From the end of one run to the start of the next; undefined: only when asked. */
  readonly everyMs: number | undefined;
  readonly clock: Clock;
  /** An error as one line without credentials. */
  readonly describeError: (error: unknown) => string;
  readonly onOutcome?: (outcome: RunOutcome) => void;
}

/** Runs one after another, never two at once, on a schedule and on demand. A run that fails does not end the schedule. */
export class Regenerator implements AsyncDisposable {
  readonly #options: RegeneratorOptions;
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;
  #timer: Disposable | undefined;
  #nextMs: number | undefined;
  #last: RunOutcome | undefined;
  #stopped = false;

  constructor(options: RegeneratorOptions) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#running !== undefined;
  }

  get last(): RunOutcome | undefined {
    return this.#last;
  }

  /** When the next run is due, milliseconds since 1970; undefined while one is running or none is planned. */
  get nextMs(): number | undefined {
    return this.#nextMs;
  }

  /** Starts a run now; false when one is running already or all is over. */
  start(): boolean {
    if (this.#running !== undefined || this.#stopped) return false;
    this.#timer?.[Symbol.dispose]();
    this.#nextMs = undefined;
    this.#running = this.#run();
    return true;
  }

  /** Interrupts a run and waits until it has cleaned up. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#timer?.[Symbol.dispose]();
    this.#nextMs = undefined;
    this.#abort.abort('SIGTERM');
    await this.#running;
  }

  async #run(): Promise<void> {
    const { regenerate, clock, describeError, onOutcome } = this.#options;
    const startedMs = clock.wall();
    const started = clock.now();
    const begin = async () => regenerate(this.#abort.signal);
    const outcome = await begin().then(
      (summary) => ({ ok: true, summary }),
      (error: unknown) => ({ ok: false, error: describeError(error) }),
    );
    this.#last = { startedMs, elapsedMs: Math.round(clock.now() - started), ...outcome };
    this.#running = undefined;
    this.#plan();
    onOutcome?.(this.#last);
  }

  #plan(): void {
    const { everyMs, clock } = this.#options;
    if (everyMs === undefined || this.#stopped) return;
    this.#nextMs = clock.wall() + everyMs;
    this.#timer = clock.after(everyMs, () => this.start());
  }
}
