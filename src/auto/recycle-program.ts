/**
 * The polite recycle of a program that knows nothing of it. What it needs is made when the level reaches `critical` and taken out when that is over: until
 * then no timer runs, and nothing listens to the program's servers.
 */
import type { Clock } from '../clock.ts';
import { FailOpen } from '../fail-open.ts';
import { type Governor, levelRank, type PressureLevel } from '../governor/index.ts';
import { Drain, type PoliteRecycle, politeRecycle, type RecycleEvent } from '../http/index.ts';
import { ASK_TO_END_MS, askToEnd } from './ask-to-end.ts';
import type { ListeningServers } from './listening-servers.ts';
import type { RecycleSettings } from './settings.ts';

const CRITICAL = levelRank('critical');
/** A process that starts into pressure would be started over and over. */
const YOUNG_MS = 60_000;
const MOST_SERVERS = 64;

export interface RecycleProgramOptions extends RecycleSettings {
  readonly governor: Governor;
  readonly clock: Clock;
  readonly write: (line: string) => void;
  readonly exit: (code: number) => void;
  readonly servers: ListeningServers;
  /** Default `Math.random`. */
  readonly random?: () => number;
}

export class RecycleProgram implements Disposable {
  readonly #options: RecycleProgramOptions;
  readonly #failOpen = new FailOpen('auto recycle');
  readonly #startedAt: number;
  readonly #listening: Disposable | undefined;
  #timer: Disposable | undefined;
  #recycle: PoliteRecycle | undefined;
  #drain: Drain | undefined;
  /** Nobody would start a program again that has closed its servers itself. */
  #isEnding = false;

  constructor(options: RecycleProgramOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
    this.#listening = this.#failOpen.run(() => options.governor.onLevel((to) => this.#follow(to)), undefined);
  }

  /** Another server is about to listen: the level may have been there before it. */
  note(): void {
    const { governor, clock } = this.#options;
    this.#timer ??= clock.after(0, () => {
      this.#timer = undefined;
      this.#failOpen.run(() => this.#follow(governor.level), undefined);
    });
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#failOpen.run(() => this.#listening?.[Symbol.dispose](), undefined);
    this.#callOff();
  }

  #follow(level: PressureLevel): void {
    if (levelRank(level) < CRITICAL) this.#callOff();
    else if (this.#recycle === undefined) this.#failOpen.run(() => this.#watch(), undefined);
  }

  #callOff(): void {
    // One that is under way does not hear it.
    if (this.#drain?.draining === true) return;
    this.#recycle?.[Symbol.dispose]();
    this.#drain?.[Symbol.dispose]();
    this.#recycle = undefined;
    this.#drain = undefined;
  }

  #watch(): void {
    const { governor, clock, servers, afterMs, staggerMs, exitCode, random } = this.#options;
    const listening = servers.current();
    if (listening.length === 0) return;
    this.#isEnding = false;
    const drain = new Drain({ servers: listening.slice(0, MOST_SERVERS), clock });
    this.#drain = drain;
    this.#recycle = politeRecycle(governor, {
      afterMs,
      staggerMs,
      exitCode,
      clock,
      minUptimeMs: Math.max(0, Math.round(this.#startedAt + YOUNG_MS - clock.now())),
      drain: {
        longestMs: drain.longestMs,
        drain: () => (this.#isEnding ? Promise.resolve() : drain.drain()),
      },
      shutdownHooks: [() => (this.#isEnding ? undefined : askToEnd({ clock, exitCode, exit: this.#options.exit }))],
      hookTimeoutMs: ASK_TO_END_MS,
      exit: (code) => this.#exit(code),
      onEvent: (event) => this.#tell(event),
      ...(random === undefined ? {} : { random }),
    });
  }

  #exit(code: number): void {
    if (!this.#isEnding) this.#options.exit(code);
  }

  #tell(event: RecycleEvent): void {
    const { servers, clock, write } = this.#options;
    const { what } = event;
    if (what === 'delayed' || what === 'draining') this.#isEnding = servers.current().length === 0;
    // Not in the middle of its own step.
    if (this.#isEnding && what === 'delayed') clock.after(0, () => this.#callOff());
    const line = describeRecycle(event);
    if (line !== undefined && !this.#isEnding) write(line);
  }
}

/** Undefined for what follows from the line before. */
export function describeRecycle(event: RecycleEvent): string | undefined {
  switch (event.what) {
    case 'would-recycle':
      return `would recycle the process: ${Math.round(event.criticalMs / 1_000)} s at critical, ${event.trains} trains did not mend it`;
    case 'delayed':
      return `recycles the process in ${Math.round(event.delayMs / 1_000)} s unless it recovers: ${event.trains} trains did not mend it`;
    case 'cancelled':
      return 'does not recycle the process, it has recovered';
    case 'draining':
      return 'recycles the process: its servers accept nothing more';
    case 'exit':
      return `recycles the process: exit code ${event.exitCode}`;
    default:
      return undefined;
  }
}
