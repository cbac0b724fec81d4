import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import { PlimsollError } from '../errors.ts';
import { FailOpen } from '../fail-open.ts';
import type { Governor } from '../governor/index.ts';
import { checkName, checkWhole } from '../invalid-option.ts';
import { FOLLOW_LEVEL_OPTIONS, type FollowLevelOptions, LevelFollower } from './follow-level.ts';

const DEFAULT_MAX_WAITING = 1_024;
const DEFAULT_TIMEOUT_MS = 30_000;

export interface GateOptions extends FollowLevelOptions {
  /** As errors and faults name it. 1 to 120 characters. */
  readonly name: string;
  /** The most that may wait; one more is turned away (`PLIMSOLL_CONCURRENCY_QUEUE_FULL`). From 0 up, default 1,024. */
  readonly maxWaiting?: number;
  /** The most that one waits, ms (`PLIMSOLL_CONCURRENCY_TIMEOUT`). Default 30,000. */
  readonly timeoutMs?: number;
}

export const GATE_OPTIONS: readonly string[] = ['name', 'maxWaiting', 'timeoutMs', ...FOLLOW_LEVEL_OPTIONS];

interface Waiting {
  grant(): void;
}

/**
 * So many at a time as the level allows; the others wait their turn. While the governor does not act (`observe`, `off`, disposed, broken) everybody
 * passes.
 */
export class ConcurrencyGate implements Disposable {
  readonly #governor: Governor;
  readonly #name: string;
  readonly #maxWaiting: number;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #open: FailOpen;
  readonly #follower: LevelFollower;
  readonly #queue = new Set<Waiting>();
  #limit: number;
  #active = 0;
  #disposed = false;

  constructor(governor: Governor, options: GateOptions) {
    const { name, maxWaiting = DEFAULT_MAX_WAITING, timeoutMs = DEFAULT_TIMEOUT_MS, ...follow } = options;
    this.#governor = governor;
    this.#name = checkName(name);
    this.#maxWaiting = checkWhole('maxWaiting', maxWaiting, 0);
    this.#timeoutMs = checkWhole('timeoutMs', timeoutMs, 0, LONGEST_MS);
    this.#clock = follow.clock ?? systemClock;
    this.#open = new FailOpen(`adopt ${name}`);
    this.#limit = follow.max;
    this.#follower = new LevelFollower(governor, (limit) => this.#setLimit(limit), follow, this.#open);
  }

  /** How many may be inside at a time as of now. */
  get current(): number {
    return this.#follower.current;
  }

  get active(): number {
    return this.#active;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Resolves when one more may be inside; then `leave` is to be called once. */
  enter(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (!this.#isLimiting() || (this.#active < this.#limit && this.#queue.size === 0)) {
      this.#active++;
      return Promise.resolve();
    }
    if (this.#queue.size >= this.#maxWaiting) {
      const message = `${this.#name} was turned away: ${this.#queue.size} are waiting for their turn already`;
      return Promise.reject(
        new PlimsollError(message, { code: 'PLIMSOLL_CONCURRENCY_QUEUE_FULL', recovery: 'circuit-break' }),
      );
    }
    return this.#wait(signal);
  }

  leave(): void {
    this.#active--;
    this.#wake();
  }

  /** Everybody who waits may go in, and everybody after. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#follower[Symbol.dispose]();
    this.#wake();
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (reason: unknown) => {
        end();
        reject(reason);
      };
      const onAbort = () => fail(signal?.reason);
      const onTimeout = () => {
        const message = `${this.#name} waited ${this.#timeoutMs}ms for its turn: ${this.#limit} at a time at this pressure`;
        fail(new PlimsollError(message, { code: 'PLIMSOLL_CONCURRENCY_TIMEOUT', recovery: 'retry' }));
      };
      const timer = this.#clock.after(this.#timeoutMs, onTimeout, true);
      const waiting: Waiting = {
        grant: () => {
          end();
          this.#active++;
          resolve();
        },
      };
      const end = () => {
        this.#queue.delete(waiting);
        timer[Symbol.dispose]();
        signal?.removeEventListener('abort', onAbort);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#queue.add(waiting);
    });
  }

  #isLimiting(): boolean {
    const governor = this.#governor;
    return !this.#disposed && this.#open.run(() => governor.mode === 'on' && !governor.disposed, false);
  }

  #setLimit(limit: number): void {
    this.#limit = limit;
    this.#wake();
  }

  #wake(): void {
    if (this.#queue.size === 0) return;
    const isLimiting = this.#isLimiting();
    for (const waiting of this.#queue) {
      if (isLimiting && this.#active >= this.#limit) return;
      waiting.grant();
    }
  }
}
