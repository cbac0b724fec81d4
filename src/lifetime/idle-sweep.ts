import type { FailOpen } from '../fail-open.ts';
import { type Governor, levelRank, type PressureLevel } from '../governor/index.ts';
import type { CleanupLine } from './cleanup-line.ts';
import { IDLE } from './resource-slots.ts';

const HIGH = levelRank('high');

export interface IdleSweepOptions {
  readonly line: CleanupLine;
  readonly governor: Governor | undefined;
  readonly failOpen: FailOpen;
  readonly idleMs: number | undefined;
  readonly pressureIdleMs: number;
  readonly sweepEveryMs: number;
}

/** Has cleaned up what was not used for long, and under pressure what was not used for a while. A timer runs only while there is something to look at. */
export class IdleSweep implements Disposable {
  readonly #options: IdleSweepOptions;
  readonly #listening: Disposable | undefined;
  #pressed = false;
  #ended = false;
  #timer: Disposable | undefined;
  #soon: Disposable | undefined;

  constructor(options: IdleSweepOptions) {
    this.#options = options;
    const { governor, failOpen } = options;
    if (governor === undefined) return;
    failOpen.run(() => this.#follow(governor.level), undefined);
    this.#listening = failOpen.run(() => governor.onLevel((to) => this.#follow(to)), undefined);
  }

  /** Something is idle. */
  note(): void {
    const { line, idleMs, sweepEveryMs } = this.#options;
    if (this.#timer !== undefined || this.#ended || (idleMs === undefined && !this.#pressed)) return;
    if (line.slots.countIn(IDLE) === 0) return;
    this.#timer = line.clock.after(sweepEveryMs, () => {
      this.#timer = undefined;
      this.#clean();
      this.note();
    });
  }

  /** Looks no more. */
  [Symbol.dispose](): void {
    this.#ended = true;
    this.#timer?.[Symbol.dispose]();
    this.#soon?.[Symbol.dispose]();
    this.#timer = this.#soon = undefined;
    this.#options.failOpen.run(() => this.#listening?.[Symbol.dispose](), undefined);
  }

  #follow(level: PressureLevel): void {
    this.#pressed = levelRank(level) >= HIGH;
    if (!this.#pressed || this.#ended) return;
    // The level may have been seen inside somebody's reservation: disposers of others are not for there.
    this.#soon ??= this.#options.line.clock.after(0, () => {
      this.#soon = undefined;
      this.#clean();
      this.note();
    });
  }

  #clean(): void {
    const { line, idleMs = Number.POSITIVE_INFINITY, pressureIdleMs } = this.#options;
    const isPressed = this.#pressed && pressureIdleMs < idleMs;
    line.evict(line.idle(isPressed ? pressureIdleMs : idleMs), isPressed ? 'pressure' : 'idle');
  }
}
