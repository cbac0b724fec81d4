/**
 * Calls the disposers: which is next, how many at a time, how long, how often.
 *
 * - Four lists by priority, each in order of arrival. The next is the oldest of the list whose priority, and a step for each `agingMs` that its oldest has waited, is highest.
 * - All disposers have the same time, so those at work hang in a list in the order they began, and one timer looks at its oldest. The same for those that wait to be tried again, by
 *   number of attempts.
 * - Disposers are code of others: they throw, hang, and call the registry. Whatever is known of a slot is read anew after each.
 */
import { isThenable } from '../catch-rejection.ts';
import type { Clock } from '../clock.ts';
import { CleanupFailedError, CleanupTimeoutError } from './cleanup-errors.ts';
import type { CleanupFailure } from './failure-list.ts';
import { NONE, QUEUED, RETRY, type ResourceId, type ResourceSlots, RUNNING } from './resource-slots.ts';

/** How it ended with a resource: `gone` when it had been released, or taken, before. */
export type CleanupOutcome = 'cleaned' | 'failed' | 'hung' | 'taken' | 'gone';
/** How it ends with one that is there. */
export type CleanupEnd = Exclude<CleanupOutcome, 'gone'>;

export interface CleanupQueueOptions {
  readonly slots: ResourceSlots;
  readonly clock: Clock;
  readonly concurrency: number;
  readonly timeoutMs: number;
  readonly maxAttempts: number;
  readonly backOffMs: number;
  readonly maxBackOffMs: number;
  readonly agingMs: number;
  readonly kindName: (kind: number) => string;
  /** Each that has left, after it has. Calls no code of others but what it contains. */
  readonly onSettled: (slot: number, ...ended: Parameters<CleanupWatcher>) => void;
}

/** Hears how it ended with one. */
export type CleanupWatcher = (outcome: CleanupEnd, bytes: number, failure: CleanupFailure | undefined) => void;

const PRIORITIES = 4;
/** How long disposers may run one after another before the event loop gets its turn, and at most how many of them. */
const SLICE_MS = 10;
const SLICE_MOST = 10_000;
const LOOK_AT_CLOCK_EVERY = 32;

export class CleanupQueue {
  readonly #options: CleanupQueueOptions;
  readonly #slots: ResourceSlots;
  readonly #clock: Clock;
  readonly #watchers = new Map<number, CleanupWatcher[]>();
  /** Of those that are to be tried again. */
  readonly #lastErrors = new Map<number, unknown>();
  #pumping = false;
  #stopped = false;
  #waitedFor = false;
  #starts = 0;
  #sliceAt = 0;
  #breath: Disposable | undefined;
  #timer: Disposable | undefined;
  #timerAt = 0;
  #timerKeeps = false;
  #late = 0;
  #lastOutcome: CleanupOutcome = 'gone';
  #retries = 0;

  constructor(options: CleanupQueueOptions) {
    this.#options = options;
    this.#slots = options.slots;
    this.#clock = options.clock;
  }

  /** Waiting for their turn. */
  get waitingCount(): number {
    let count = 0;
    for (let priority = 0; priority < PRIORITIES; priority++) count += this.#slots.countIn(QUEUED + priority);
    return count;
  }

  get runningCount(): number {
    return this.#slots.countIn(RUNNING);
  }

  get retryingCount(): number {
    let count = 0;
    for (let tried = 1; tried < this.#options.maxAttempts; tried++) count += this.#slots.countIn(retryList(tried));
    return count;
  }

  /** Disposers that ended after they had been given up, and attempts that were tried again. */
  get late(): number {
    return this.#late;
  }

  get retries(): number {
    return this.#retries;
  }

  /** Nothing begins any more, until `resume`. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** How long the one that has waited longest for its turn has done so, ms. */
  oldestWaitingMs(now: number): number {
    let age = 0;
    for (let priority = 0; priority < PRIORITIES; priority++) {
      const slot = this.#slots.oldestIn(QUEUED + priority);
      if (slot !== NONE) age = Math.max(age, now - this.#slots.sinceOf(slot));
    }
    return age;
  }

  /** While it is true, the timer of what is under way keeps the process alive. */
  set waitedFor(waited: boolean) {
    this.#waitedFor = waited;
    this.#rearm();
  }

  /** Puts those that are idle or held in line. `pump` begins. */
  enqueue(slots: readonly number[]): void {
    const now = this.#clock.now();
    if (this.waitingCount === 0) this.#sliceAt = now;
    for (const slot of slots) this.#slots.move(slot, QUEUED + this.#slots.priorityOf(slot), now);
  }

  /** Nobody waits for a turn, and not all turns are taken. */
  get isFree(): boolean {
    const { concurrency } = this.#options;
    if (this.#pumping || this.#stopped || this.#breath !== undefined) return false;
    return this.runningCount < concurrency && this.waitingCount === 0;
  }

  /** Begins this one, and then those that it has put in line. Only while `isFree`. */
  begin(slot: number): void {
    this.#pumping = true;
    try {
      this.start(slot);
    } finally {
      this.#pumping = false;
    }
  }

  /** How it ended with the one that left last. */
  get lastOutcome(): CleanupOutcome {
    return this.#lastOutcome;
  }

  /** Tells how it ends with one that is in line or being cleaned. */
  watch(slot: number, watcher: CleanupWatcher): void {
    const others = this.#watchers.get(slot);
    if (others === undefined) this.#watchers.set(slot, [watcher]);
    else others.push(watcher);
    if (!this.#timerKeeps) this.#rearm();
  }

  /** Begins as many as may run. */
  pump(): void {
    if (this.#pumping || this.#stopped || this.#breath !== undefined) return;
    this.#pumping = true;
    try {
      let begun = 0;
      while (!this.#stopped && this.runningCount < this.#options.concurrency) {
        const now = this.#clock.now();
        const slot = this.#next(now);
        if (slot === NONE) return;
        if (begun++ >= SLICE_MOST || this.#isSliceOver(now)) {
          this.#breathe();
          return;
        }
        this.start(slot);
      }
    } finally {
      this.#pumping = false;
    }
  }

  /** Begins this one, whatever its turn. With a disposer that does not wait it is over when this returns. */
  start(slot: number): void {
    const { clock } = this.#options;
    const id = this.#slots.idOf(slot);
    const now = clock.now();
    const dispose = this.#slots.disposerOf(slot) as (value: unknown) => unknown;
    this.#slots.move(slot, RUNNING, now);
    this.#slots.noteAttempt(slot);
    let result: unknown;
    let isWaited = false;
    try {
      result = dispose(this.#slots.valueOf(slot));
      isWaited = isThenable(result);
    } catch (cause) {
      this.#attemptFailed(id, cause);
      return;
    }
    if (!isWaited) {
      this.#ended(id);
      return;
    }
    new Promise((resolve) => resolve(result)).then(
      () => {
        this.#ended(id);
        this.pump();
      },
      (cause) => {
        this.#attemptFailed(id, cause);
        this.pump();
      },
    );
    this.#arm(now + this.#options.timeoutMs);
  }

  /** It leaves as it is: taken. */
  take(slot: number): void {
    this.#settle(slot, 'taken');
  }

  /** Begins nothing more. What failed before and waits to be tried again has failed. */
  stop(): void {
    this.#stopped = true;
    this.#breath?.[Symbol.dispose]();
    this.#breath = undefined;
    for (const [slot, cause] of [...this.#lastErrors]) {
      if (this.#lastErrors.has(slot) && this.#slots.whereIs(slot) !== RUNNING) this.#fail(slot, cause);
    }
  }

  /** Goes on after `stop`. */
  resume(): void {
    this.#stopped = false;
    this.#sliceAt = this.#clock.now();
  }

  #isSliceOver(now: number): boolean {
    return ++this.#starts % LOOK_AT_CLOCK_EVERY === 0 && now - this.#sliceAt > SLICE_MS;
  }

  #breathe(): void {
    const goOn = () => {
      this.#breath = undefined;
      this.#sliceAt = this.#clock.now();
      this.pump();
    };
    this.#breath = this.#clock.after(0, goOn, true);
  }

  #next(now: number): number {
    let best = NONE;
    let most = Number.NEGATIVE_INFINITY;
    for (let priority = PRIORITIES - 1; priority >= 0; priority--) {
      const slot = this.#slots.oldestIn(QUEUED + priority);
      if (slot === NONE) continue;
      const urgency = priority * this.#options.agingMs + now - this.#slots.sinceOf(slot);
      if (urgency <= most) continue;
      most = urgency;
      best = slot;
    }
    return best;
  }

  /** The slot while the disposer that was begun for it is still waited for. */
  #running(id: ResourceId): number {
    const slot = this.#slots.slotOf(id);
    if (slot !== NONE && this.#slots.whereIs(slot) === RUNNING) return slot;
    this.#late++;
    return NONE;
  }

  #ended(id: ResourceId): void {
    const slot = this.#running(id);
    if (slot !== NONE) this.#settle(slot, 'cleaned');
  }

  #attemptFailed(id: ResourceId, cause: unknown): void {
    const slot = this.#running(id);
    if (slot === NONE) return;
    const attempts = this.#slots.attemptsOf(slot);
    if (attempts >= this.#options.maxAttempts || this.#stopped) {
      this.#fail(slot, cause);
      return;
    }
    const now = this.#clock.now();
    this.#lastErrors.set(slot, cause);
    this.#slots.move(slot, retryList(attempts), now);
    this.#arm(now + this.#backOff(attempts));
  }

  #backOff(attempts: number): number {
    return Math.min(this.#options.backOffMs * 2 ** (attempts - 1), this.#options.maxBackOffMs);
  }

  #fail(slot: number, cause: unknown): void {
    const attempts = this.#slots.attemptsOf(slot);
    this.#settle(slot, 'failed', new CleanupFailedError(this.#slots.nameOf(slot), attempts, cause));
  }

  #settle(slot: number, outcome: 'cleaned' | 'taken'): void;
  #settle(slot: number, outcome: 'failed' | 'hung', error: CleanupFailure['error']): void;
  #settle(slot: number, outcome: CleanupEnd, error?: CleanupFailure['error']): void {
    const slots = this.#slots;
    const bytes = slots.bytesOf(slot);
    let failure: CleanupFailure | undefined;
    if (error !== undefined && (outcome === 'failed' || outcome === 'hung')) {
      const kind = this.#options.kindName(slots.kindOf(slot));
      failure = { resource: slots.nameOf(slot), kind, bytes, outcome, attempts: slots.attemptsOf(slot), error };
    }
    if (this.#lastErrors.size > 0) this.#lastErrors.delete(slot);
    const watchers = this.#watchers.size > 0 ? this.#watchers.get(slot) : undefined;
    if (watchers !== undefined) this.#watchers.delete(slot);
    slots.free(slot);
    if (this.#timer !== undefined && this.runningCount === 0 && this.#lastErrors.size === 0) this.#disarm();
    this.#options.onSettled(slot, outcome, bytes, failure);
    this.#lastOutcome = outcome;
    if (watchers !== undefined) for (const watcher of watchers) watcher(outcome, bytes, failure);
  }

  #arm(at: number): void {
    if (this.#timer !== undefined && this.#timerAt <= at) return;
    this.#disarm();
    this.#timerKeeps = this.#waitedFor || this.#watchers.size > 0;
    this.#timerAt = at;
    this.#timer = this.#clock.after(Math.max(0, at - this.#clock.now()), () => this.#onTime(), this.#timerKeeps);
  }

  #disarm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#timerKeeps = false;
  }

  #rearm(): void {
    if (this.#timer === undefined) return;
    const at = this.#timerAt;
    this.#disarm();
    this.#arm(at);
  }

  #onTime(): void {
    this.#timer = undefined;
    this.#timerKeeps = false;
    const now = this.#clock.now();
    const { timeoutMs, maxAttempts } = this.#options;
    for (let slot = this.#slots.oldestIn(RUNNING); slot !== NONE; slot = this.#slots.oldestIn(RUNNING)) {
      if (this.#slots.sinceOf(slot) + timeoutMs > now) break;
      this.#settle(slot, 'hung', new CleanupTimeoutError(this.#slots.nameOf(slot), timeoutMs));
    }
    for (let tried = 1; tried < maxAttempts; tried++) this.#tryAgain(tried, now);
    this.#armForNext();
    this.pump();
  }

  #tryAgain(tried: number, now: number): void {
    const list = retryList(tried);
    for (let slot = this.#slots.oldestIn(list); slot !== NONE; slot = this.#slots.oldestIn(list)) {
      if (this.#slots.sinceOf(slot) + this.#backOff(tried) > now) return;
      this.#retries++;
      this.#slots.move(slot, QUEUED + this.#slots.priorityOf(slot), now);
    }
  }

  #armForNext(): void {
    const running = this.#slots.oldestIn(RUNNING);
    if (running !== NONE) this.#arm(this.#slots.sinceOf(running) + this.#options.timeoutMs);
    for (let tried = 1; tried < this.#options.maxAttempts; tried++) {
      const slot = this.#slots.oldestIn(retryList(tried));
      if (slot !== NONE) this.#arm(this.#slots.sinceOf(slot) + this.#backOff(tried));
    }
  }
}

const retryList = (attempts: number): number => RETRY + attempts - 1;
