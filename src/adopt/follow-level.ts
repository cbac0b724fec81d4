import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import { FailOpen } from '../fail-open.ts';
import { checkGovernor, type Governor, PRESSURE_LEVELS, type PressureLevel } from '../governor/index.ts';
import { checkNumber, checkOneOf, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';

/** What is left of `max` at each level. */
export const LEVEL_SHARES = { optimal: 1, moderate: 1, high: 0.5, critical: 0.25, emergency: 0 } as const;

const DEFAULT_RISE_MS = 1_000;
/** Steps from nothing to `max`. */
const STEPS = 10;
/** A share to pause at is left when the ratio is lower by this part of it. */
const PAUSE_HYSTERESIS = 0.05;

export interface FollowLevelOptions {
  /** How many at a time while all is well. Whole number from 1 up. */
  readonly max: number;
  /** What is left at `emergency`, and at the least. Whole number from 0 (all stands still) to `max`. Default 1. */
  readonly min?: number;
  /**
   * The part of `max` at each level, 0 to 1, no more at a level than at the calmer one before it. Default: all up to `moderate`, half at `high`, a quarter at
   * `critical`, `min` at `emergency`. A part above 0 leaves one at least.
   */
  readonly shares?: Partial<Record<PressureLevel, number>>;
  /** From this level on, or from this part of the limit on (above 0, up to 1), nothing is begun: 0, whatever `min` says. Default: never. */
  readonly pauseAt?: PressureLevel | number;
  /** The time between two steps up, ms. Default 1,000. */
  readonly riseMs?: number;
  /** How much a step up is. Whole number from 1 up. Default: a tenth of `max`, rounded up. */
  readonly riseStep?: number;
  readonly clock?: Clock;
}

export const FOLLOW_LEVEL_OPTIONS: readonly string[] = [
  'max',
  'min',
  'shares',
  'pauseAt',
  'riseMs',
  'riseStep',
  'clock',
] satisfies readonly (keyof FollowLevelOptions)[];

/** Disposing it restores `max` and lets go of the governor. */
export interface FollowedLevel extends Disposable {
  /** How many at a time as of now. */
  readonly current: number;
  readonly max: number;
}

/**
 * Keeps a number between `min` and `max` that follows the pressure level, by what the machine sees and not by the books: `apply` is told it whenever it changes, down at once, up again a step per
 * `riseMs` so that it does not swing. Nothing is told while the number is `max` from the start.
 *
 * In the modes `observe` and `off`, when the governor has been disposed or is broken, it is `max`. What `apply` throws, or rejects with, is published
 * (`plimsoll:fault`) and ends nothing. Takes up to five of the governor's 256 triggers; costs one timer per `riseMs` while below `max`, none above.
 * Throws `RangeError` for unsound options.
 * @example
 * import { followLevel } from 'plimsoll/adopt';
 * const followed = followLevel(governor, (count) => consumer.setPrefetch(count), { max: 32 });
 * try {
 *   await consumer.run();
 * } finally {
 *   followed[Symbol.dispose]();
 * }
 */
export function followLevel(
  governor: Governor,
  apply: (concurrency: number) => unknown,
  options: FollowLevelOptions,
): FollowedLevel {
  const given = copyOptions('followLevel', options, FOLLOW_LEVEL_OPTIONS);
  if (typeof apply !== 'function') throw invalidOption('apply', 'a function', apply);
  return new LevelFollower(governor, apply, given, new FailOpen('follow level'));
}

/** Behind `followLevel`; what is called on the governor goes through `open`. */
export class LevelFollower implements FollowedLevel {
  readonly max: number;
  readonly #governor: Governor;
  readonly #apply: (concurrency: number) => unknown;
  readonly #open: FailOpen;
  readonly #clock: Clock;
  readonly #riseMs: number;
  readonly #riseStep: number;
  readonly #ceilings: Readonly<Record<PressureLevel, number>>;
  readonly #triggers: Disposable[] = [];
  #level: PressureLevel = 'optimal';
  #paused = false;
  #current: number;
  #timer: Disposable | undefined;
  #disposed = false;

  constructor(
    governor: Governor,
    apply: (concurrency: number) => unknown,
    options: FollowLevelOptions,
    open: FailOpen,
  ) {
    const { max, min = 1, shares = {}, pauseAt, riseMs = DEFAULT_RISE_MS, clock = systemClock } = options;
    checkGovernor(governor);
    this.max = this.#current = checkWhole('max', max, 1);
    checkWhole('min', min, 0, max);
    this.#riseMs = checkNumber('riseMs', riseMs, 0, LONGEST_MS);
    this.#riseStep = checkWhole('riseStep', options.riseStep ?? Math.ceil(max / STEPS), 1);
    this.#ceilings = ceilingsOf(max, min, shares, typeof pauseAt === 'string' ? pauseAt : undefined);
    if (typeof pauseAt === 'number') checkNumber('pauseAt', pauseAt, 0, 1);
    else if (pauseAt !== undefined) checkOneOf('pauseAt', pauseAt, PRESSURE_LEVELS);
    this.#governor = governor;
    this.#apply = apply;
    this.#clock = clock;
    this.#open = open;
    this.#watch(typeof pauseAt === 'number' ? pauseAt : undefined);
    this.#look();
    this.#follow(false);
  }

  get current(): number {
    return this.#current;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const trigger of this.#triggers) this.#open.run(() => trigger[Symbol.dispose](), undefined);
    this.#set(this.max);
  }

  #watch(pauseAtShare: number | undefined): void {
    const onLevel = ({ level }: { readonly level: PressureLevel }) => {
      this.#level = level;
      this.#onEvent();
    };
    try {
      for (const [rank, level] of PRESSURE_LEVELS.entries()) {
        if (rank === 0 || this.#ceilings[level] === this.#ceilings[PRESSURE_LEVELS[rank - 1]!]) continue;
        this.#triggers.push(this.#governor.when({ level, by: 'machine' }, onLevel));
      }
      if (pauseAtShare === undefined) return;
      const range = { from: pauseAtShare * (1 - PAUSE_HYSTERESIS), to: pauseAtShare, step: 1, by: 'machine' } as const;
      const onShare = ({ scale }: { readonly scale: number }) => {
        this.#paused = scale === 1;
        this.#onEvent();
      };
      this.#triggers.push(this.#governor.when(range, onShare));
    } catch (cause) {
      for (const trigger of this.#triggers) trigger[Symbol.dispose]();
      // Too many triggers is for the caller to mend; a governor that is broken is not.
      if ((cause as { code?: unknown } | null)?.code === 'PLIMSOLL_INVALID_OPTION') throw cause;
      this.#open.note(cause);
    }
  }

  /** Triggers are told that all is well also when the governor no longer acts: then there is nothing to go slowly for. */
  #onEvent(): void {
    if (this.#disposed) return;
    if (this.#isActing()) this.#follow(false);
    else this.#letGo();
  }

  #isActing(): boolean {
    const governor = this.#governor;
    return this.#open.run(() => governor.mode === 'on' && !governor.disposed, false);
  }

  /** A level that held before it was watched, and was left before the first sample since, is told by no trigger. */
  #look(): void {
    this.#level = this.#isActing() ? this.#open.run(() => this.#governor.machineLevel, 'optimal') : 'optimal';
  }

  #letGo(): void {
    this.#level = 'optimal';
    this.#paused = false;
    this.#set(this.max);
  }

  #follow(mayRise: boolean): void {
    const ceiling = this.#paused ? 0 : this.#ceilings[this.#level];
    if (ceiling > this.#current) {
      if (mayRise) this.#set(Math.min(ceiling, this.#current + this.#riseStep));
      return;
    }
    // Pressure has been seen: from here on a step takes its whole time.
    if (!mayRise) this.#stopTimer();
    this.#set(ceiling);
  }

  #set(concurrency: number): void {
    if (concurrency !== this.#current) {
      this.#current = concurrency;
      this.#open.watch(this.#open.run(() => this.#apply(concurrency), undefined));
    }
    if (this.#current === this.max || this.#disposed) this.#stopTimer();
    else this.#timer ??= this.#clock.after(this.#riseMs, () => this.#tick());
  }

  #stopTimer(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  #tick(): void {
    this.#timer = undefined;
    if (this.#disposed) return;
    if (this.#isActing()) {
      this.#look();
      this.#follow(true);
      this.#set(this.#current);
    } else this.#letGo();
  }
}

function ceilingsOf(
  max: number,
  min: number,
  given: Partial<Record<PressureLevel, number>>,
  pauseAt: PressureLevel | undefined,
): Record<PressureLevel, number> {
  const shares = {
    ...LEVEL_SHARES,
    ...copyOptions('shares', given, PRESSURE_LEVELS, 'an object with a share for levels'),
  };
  const ceilings = { optimal: max, moderate: max, high: max, critical: max, emergency: max };
  let above = 1;
  let isPaused = false;
  for (const level of PRESSURE_LEVELS) {
    const share: unknown = shares[level];
    if (!(typeof share === 'number' && share >= 0 && share <= above)) {
      throw invalidOption(`shares.${level}`, `a number from 0 to ${above}, the one of the level before it`, share);
    }
    above = share;
    isPaused ||= level === pauseAt;
    ceilings[level] = isPaused ? 0 : Math.max(min, share === 0 ? 0 : 1, Math.floor(max * share));
  }
  return ceilings;
}
