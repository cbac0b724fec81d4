/**
 * Ends a process that stays at `critical` although everything was tried, as politely as can be, so that its supervisor starts a fresh one: before the kernel
 * ends it in the middle of everything it is answering.
 *
 * watching -> delayed -> draining -> hooks -> exit. Recovery takes it back from `delayed`; from `draining` on there is no way back, because who has told its
 * balancer and its clients that it goes is of no use any more. Time at `critical` is counted in steps of bounded length, as `dieFast` does: a clock that jumps
 * recycles nobody.
 */
import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import { FailOpen } from '../fail-open.ts';
import { checkGovernor, type Governor, levelRank, type PressureLevel, type TrainReport } from '../governor/index.ts';
import { checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { Drain, type DrainableServer } from './drain.ts';

/** What was tried before it came to this. */
export interface RecycleReason {
  /** At `critical` or above without a break, as it is counted. */
  readonly criticalMs: number;
  /** Trains since then, and what the deciding meters saw of them. */
  readonly trains: number;
  readonly seenBytes: number;
}

/** What happens, as it happens. `would-recycle` is all there is in mode `observe`, once. */
export type RecycleEvent =
  | ({ readonly what: 'would-recycle' } & RecycleReason)
  | ({ readonly what: 'delayed'; readonly delayMs: number } & RecycleReason)
  | { readonly what: 'cancelled' }
  | { readonly what: 'draining' }
  | { readonly what: 'hooks' }
  | { readonly what: 'failed'; readonly part: string; readonly cause: unknown }
  | { readonly what: 'exit'; readonly exitCode: number };

export type RecycleState = 'watching' | 'delayed' | 'draining' | 'hooks' | 'exit';

export interface PoliteRecycleOptions {
  /** What to drain by, a `Drain` say; `longestMs` bounds it, 30,000 where it says nothing. Or `servers`, for a `Drain` with its defaults. Or neither. */
  readonly drain?: { drain(): Promise<unknown>; readonly longestMs?: number };
  readonly servers?: readonly DrainableServer[];
  /** How long the machine's meters must have been at `critical` without a break although trains ran, ms; three times as long where none ran. Default 30,000. */
  readonly afterMs?: number;
  /** The most that it is put off, drawn evenly, so that not all replicas go at once, ms. Default 60,000. */
  readonly staggerMs?: number;
  /** A younger process is left alone: one that starts into pressure would be started over and over. Default 60,000 ms. */
  readonly minUptimeMs?: number;
  /** Called one after the other when all is drained. At most 64. */
  readonly shutdownHooks?: readonly (() => unknown)[];
  /** The most that each hook may take, ms. Default 5,000. */
  readonly hookTimeoutMs?: number;
  /**
   * 0 to 255. Default 75, the temporary failure of `sysexits.h`, as with `dieFast`: not 0, by which many a supervisor takes the work for done, and no code by
   * which a signal or a crash is known.
   */
  readonly exitCode?: number;
  /** Default `process.exit`. */
  readonly exit?: (code: number) => void;
  /** Default `Math.random`. */
  readonly random?: () => number;
  readonly clock?: Clock;
  readonly onEvent?: (event: RecycleEvent) => void;
}

const MOST_HOOKS = 64;
const LONGEST_DRAIN_MS = 30_000;
const LONGEST_POLL_MS = 1_000;
/** The most that one look may add to the time counted. */
const LONGEST_STEP_MS = 5_000;
/** At least so many looks agree. */
const FEWEST_LOOKS = 5;
/** Where no train could run. */
const WITHOUT_HELP = 3;
const CRITICAL = levelRank('critical');

/** A recycle that is set up. Disposing it calls it off; once it is draining there is nothing to call off. */
export interface PoliteRecycle extends Disposable {
  readonly state: RecycleState;
}

/**
 * Watches, and recycles the process when it must be. In mode `on` only; in `observe` it says once that it would have. Looks at the level once a second, about
 * 0.1 µs, and at a snapshot only at `critical`; a governor that is broken recycles nobody. Throws `RangeError` for unsound options, at once.
 * @example
 * import { politeRecycle } from 'plimsoll/http';
 * using recycle = politeRecycle(governor, { servers: [server], shutdownHooks: [() => pool.end()], onEvent: (event) => log.warn(event) });
 */
export function politeRecycle(governor: Governor, options: PoliteRecycleOptions = {}): PoliteRecycle {
  checkGovernor(governor);
  return new Recycle(governor, checkOptions(options));
}

class Recycle implements PoliteRecycle {
  readonly #governor: Governor;
  readonly #options: ResolvedOptions;
  readonly #faults = new FailOpen('recycle');
  readonly #drain: PoliteRecycleOptions['drain'];
  readonly #ownDrain: Drain | undefined;
  readonly #startedAt: number;
  readonly #pollMs: number;
  readonly #longestStepMs: number;
  readonly #listening: Disposable | undefined;
  #timer: Disposable | undefined;
  #state: RecycleState = 'watching';
  #isCritical = false;
  #countedMs = 0;
  #lastMs = 0;
  #trainsBefore = 0;
  #dueAt = 0;
  #told = false;

  constructor(governor: Governor, options: ResolvedOptions) {
    const { servers, clock, afterMs } = options;
    this.#governor = governor;
    this.#options = options;
    this.#ownDrain = options.drain === undefined && servers !== undefined ? new Drain({ servers, clock }) : undefined;
    this.#drain = options.drain ?? this.#ownDrain;
    this.#startedAt = clock.now();
    this.#pollMs = Math.max(1, Math.min(LONGEST_POLL_MS, afterMs / FEWEST_LOOKS));
    this.#longestStepMs = Math.min(LONGEST_STEP_MS, afterMs / (FEWEST_LOOKS - 1));
    // A recovery between two looks is one, too.
    this.#listening = this.#faults.run(() => governor.onLevel((to) => this.#hearLevel(to)), undefined);
    this.#setTimer();
  }

  get state(): RecycleState {
    return this.#state;
  }

  [Symbol.dispose](): void {
    if (this.#isGoing) return;
    this.#stop();
    this.#ownDrain?.[Symbol.dispose]();
  }

  get #isGoing(): boolean {
    return this.#state !== 'watching' && this.#state !== 'delayed';
  }

  #stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#faults.run(() => this.#listening?.[Symbol.dispose](), undefined);
  }

  #setTimer(): void {
    const { clock } = this.#options;
    const leftMs = this.#state === 'delayed' ? Math.ceil(this.#dueAt - clock.now()) : LONGEST_POLL_MS;
    this.#timer = clock.after(Math.max(1, Math.min(this.#pollMs, leftMs)), () => this.#look());
  }

  #hearLevel(to: PressureLevel): void {
    if (!this.#isGoing && levelRank(to) < CRITICAL) this.#recover();
  }

  #look(): void {
    const isCritical = this.#faults.run(() => this.#lookAtMachine(), false);
    if (!isCritical) this.#recover();
    else if (this.#state === 'watching') this.#count();
    else if (this.#options.clock.now() >= this.#dueAt) {
      void this.#go();
      return;
    }
    this.#setTimer();
  }

  /** Cheap as long as all is well. */
  #lookAtMachine(): boolean {
    const governor = this.#governor;
    const { mode } = governor;
    if (mode === 'off' || (mode === 'observe' && this.#state === 'delayed')) return false;
    return levelRank(governor.machineLevel) >= CRITICAL;
  }

  #recover(): void {
    this.#isCritical = false;
    this.#countedMs = 0;
    if (this.#state !== 'delayed') return;
    this.#state = 'watching';
    this.#tell({ what: 'cancelled' });
  }

  #count(): void {
    const { clock, afterMs, minUptimeMs } = this.#options;
    const now = clock.now();
    const stepMs = now - this.#lastMs;
    this.#lastMs = now;
    if (!this.#isCritical) {
      this.#isCritical = true;
      this.#trainsBefore = this.#faults.run(() => this.#governor.snapshot().trains.count, 0);
      return;
    }
    if (stepMs > 0) this.#countedMs += Math.min(stepMs, this.#longestStepMs);
    if (this.#countedMs < afterMs || now - this.#startedAt < minUptimeMs) return;
    const trains = this.#faults
      .run(() => this.#governor.journal(), [])
      .filter(({ number }) => number > this.#trainsBefore);
    if (trains.length > 0 || this.#countedMs >= afterMs * WITHOUT_HELP) this.#decide(trains);
  }

  #decide(trains: readonly TrainReport[]): void {
    const { random, staggerMs, clock } = this.#options;
    let seenBytes = 0;
    for (const train of trains) seenBytes += train.seenBytes;
    const reason = { criticalMs: this.#countedMs, trains: trains.length, seenBytes };
    if (this.#faults.run(() => this.#governor.mode, 'off') !== 'on') {
      if (!this.#told) this.#tell({ what: 'would-recycle', ...reason });
      this.#told = true;
      return;
    }
    const drawn = this.#faults.run(random, 0);
    const delayMs = drawn > 0 && drawn <= 1 ? Math.round(drawn * staggerMs) : 0;
    this.#dueAt = clock.now() + delayMs;
    this.#state = 'delayed';
    this.#tell({ what: 'delayed', delayMs, ...reason });
  }

  async #go(): Promise<void> {
    const { shutdownHooks, hookTimeoutMs, exit, exitCode } = this.#options;
    this.#state = 'draining';
    this.#stop();
    this.#tell({ what: 'draining' });
    const drain = this.#drain;
    if (drain !== undefined) await this.#bounded('drain', () => drain.drain(), longestOf(drain));
    this.#state = 'hooks';
    this.#tell({ what: 'hooks' });
    for (const [index, hook] of shutdownHooks.entries())
      await this.#bounded(`shutdownHooks[${index}]`, hook, hookTimeoutMs);
    this.#state = 'exit';
    this.#tell({ what: 'exit', exitCode });
    exit(exitCode);
  }

  /** What throws, rejects or takes too long is told, and passed over. The process stays alive for it. */
  async #bounded(part: string, act: () => unknown, mostMs: number): Promise<void> {
    let timer: Disposable | undefined;
    const tooLong = new Promise<never>((_, reject) => {
      timer = this.#options.clock.after(mostMs, () => reject(new Error(`not done within ${mostMs} ms`)), true);
    });
    try {
      await Promise.race([(async () => act())(), tooLong]);
    } catch (cause) {
      this.#faults.note(cause);
      this.#tell({ what: 'failed', part, cause });
    } finally {
      timer?.[Symbol.dispose]();
    }
  }

  #tell(event: RecycleEvent): void {
    const { onEvent } = this.#options;
    if (onEvent !== undefined) this.#faults.watch(this.#faults.run(() => onEvent(event) as unknown, undefined));
  }
}

function longestOf(drain: NonNullable<PoliteRecycleOptions['drain']>): number {
  const { longestMs } = drain;
  return typeof longestMs === 'number' && longestMs >= 0 && longestMs < LONGEST_MS
    ? longestMs + 1_000
    : LONGEST_DRAIN_MS;
}

type Optional = 'drain' | 'servers' | 'onEvent';
type ResolvedOptions = Required<Omit<PoliteRecycleOptions, Optional>> & Pick<PoliteRecycleOptions, Optional>;

const KNOWN: readonly string[] = [
  'drain',
  'servers',
  'afterMs',
  'staggerMs',
  'minUptimeMs',
  'shutdownHooks',
  'hookTimeoutMs',
  'exitCode',
  'exit',
  'random',
  'clock',
  'onEvent',
];

function checkOptions(options: PoliteRecycleOptions): ResolvedOptions {
  const given = copyOptions('politeRecycle', options, KNOWN);
  const {
    drain,
    servers,
    shutdownHooks = [],
    onEvent,
    exit = (code) => process.exit(code),
    random = Math.random,
  } = given;
  if (drain !== undefined && typeof drain?.drain !== 'function') throw invalidOption('drain', 'a `Drain`', drain);
  if (drain !== undefined && servers !== undefined) throw invalidOption('servers', 'absent beside `drain`', servers);
  if (!Array.isArray(shutdownHooks) || shutdownHooks.length > MOST_HOOKS) {
    throw invalidOption('shutdownHooks', `an array of at most ${MOST_HOOKS} functions`, shutdownHooks);
  }
  const functions = [...shutdownHooks.entries()].map(([index, hook]) => [`shutdownHooks[${index}]`, hook] as const);
  for (const [name, value] of [...functions, ['exit', exit] as const, ['random', random] as const]) {
    if (typeof value !== 'function') throw invalidOption(name, 'a function', value);
  }
  if (onEvent !== undefined && typeof onEvent !== 'function') throw invalidOption('onEvent', 'a function', onEvent);
  return {
    ...(drain === undefined ? {} : { drain }),
    ...(servers === undefined ? {} : { servers }),
    ...(onEvent === undefined ? {} : { onEvent }),
    shutdownHooks: [...shutdownHooks],
    exit,
    random,
    clock: given.clock ?? systemClock,
    afterMs: checkWhole('afterMs', given.afterMs ?? 30_000, 1, LONGEST_MS),
    staggerMs: checkWhole('staggerMs', given.staggerMs ?? 60_000, 0, LONGEST_MS),
    minUptimeMs: checkWhole('minUptimeMs', given.minUptimeMs ?? 60_000, 0, LONGEST_MS),
    hookTimeoutMs: checkWhole('hookTimeoutMs', given.hookTimeoutMs ?? 5_000, 1, LONGEST_MS),
    exitCode: checkWhole('exitCode', given.exitCode ?? 75, 0, 255),
  };
}
