import type { Clock } from '../clock.ts';
import type { CleanupEnd, CleanupQueue } from './cleanup-queue.ts';
import { type CleanupFailure, FailureList } from './failure-list.ts';
import { HELD, type ResourceSlots, RUNNING } from './resource-slots.ts';

/** What was still there at the deadline. */
export interface UnfinishedResource {
  readonly resource: string;
  readonly kind: string;
  readonly bytes: number;
  /** `running`: its disposer is at work. `waiting`: it was not begun. `held`: it was left to whoever uses it. */
  readonly state: 'running' | 'waiting' | 'held';
}

/** What came of draining: `count` is `cleaned + failed + hung + taken + running + waiting + held`. */
export interface DrainReport {
  /** Registered, or on their way out, when it began. */
  readonly count: number;
  readonly cleaned: number;
  /** Their disposers threw or rejected as often as they may be tried, or as there was time. */
  readonly failed: number;
  /** Their disposers did not end in their time. */
  readonly hung: number;
  /** Taken back meanwhile. */
  readonly taken: number;
  /** At the deadline. They stay registered: draining again goes on with them. */
  readonly running: number;
  readonly waiting: number;
  readonly held: number;
  /** Whether nothing was left at the deadline. */
  readonly complete: boolean;
  readonly elapsedMs: number;
  /** `failed` and `hung`, the latest `maxFailures`, and how many are not among them. */
  readonly failures: readonly CleanupFailure[];
  readonly failuresLeftOut: number;
  /** `running`, `waiting` and `held`, as many as `maxFailures`, and how many are not among them. */
  readonly unfinished: readonly UnfinishedResource[];
  readonly unfinishedLeftOut: number;
}

export interface RegistryDrainOptions {
  readonly slots: ResourceSlots;
  readonly queue: CleanupQueue;
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly graceMs: number;
  readonly maxFailures: number;
  readonly kindName: (kind: number) => string;
}

/** One run of draining. It is told of each that leaves. */
export class RegistryDrain {
  readonly done: Promise<DrainReport>;
  readonly #options: RegistryDrainOptions;
  readonly #count: number;
  readonly #startedAt: number;
  readonly #failures: FailureList;
  readonly #ended = { cleaned: 0, failed: 0, hung: 0, taken: 0 };
  readonly #timers: Disposable[] = [];
  #resolve: (report: DrainReport) => void = () => {};
  #isOver = false;

  constructor(options: RegistryDrainOptions) {
    this.#options = options;
    this.#count = options.slots.count;
    this.#startedAt = options.clock.now();
    this.#failures = new FailureList(options.maxFailures);
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Puts all in line, those that were used longest ago first. */
  begin(enqueue: (held: boolean) => void): void {
    const { clock, queue, deadlineMs, graceMs } = this.#options;
    queue.waitedFor = true;
    this.#timers.push(clock.after(deadlineMs, () => this.#end(), true));
    enqueue(graceMs === 0);
    if (graceMs > 0 && !this.#isOver) this.#timers.push(clock.after(graceMs, () => enqueue(true), true));
    this.#look();
  }

  note(outcome: CleanupEnd, failure: CleanupFailure | undefined): void {
    this.#ended[outcome]++;
    if (failure !== undefined) this.#failures.add(failure);
    this.#look();
  }

  #look(): void {
    if (this.#options.slots.count === 0) this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    const { slots, queue, clock } = this.#options;
    // Those that wait to be tried again fail now, and are counted.
    if (slots.count > 0) queue.stop();
    if (this.#isOver) return;
    this.#isOver = true;
    queue.waitedFor = false;
    for (const timer of this.#timers) timer[Symbol.dispose]();
    const { cleaned, failed, hung, taken } = this.#ended;
    const running = slots.countIn(RUNNING);
    const held = slots.countIn(HELD);
    const { unfinished, unfinishedLeftOut } = this.#unfinished();
    this.#resolve({
      count: this.#count,
      cleaned,
      failed,
      hung,
      taken,
      running,
      held,
      waiting: slots.count - running - held,
      complete: slots.count === 0,
      elapsedMs: clock.now() - this.#startedAt,
      failures: this.#failures.items,
      failuresLeftOut: this.#failures.leftOut,
      unfinished,
      unfinishedLeftOut,
    });
  }

  #unfinished(): { unfinished: UnfinishedResource[]; unfinishedLeftOut: number } {
    const { slots, kindName, maxFailures } = this.#options;
    const unfinished: UnfinishedResource[] = [];
    for (const slot of slots.all()) {
      if (unfinished.length >= maxFailures) break;
      const where = slots.whereIs(slot);
      const state = where === RUNNING ? 'running' : where === HELD ? 'held' : 'waiting';
      const kind = kindName(slots.kindOf(slot));
      unfinished.push({ resource: slots.nameOf(slot), kind, bytes: slots.bytesOf(slot), state });
    }
    return { unfinished, unfinishedLeftOut: slots.count - unfinished.length };
  }
}
