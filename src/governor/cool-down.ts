import type { PressureLevel } from './contract.ts';

/** Doubled at most so often while nothing comes back: 32 times the cool-down. */
const MAX_DOUBLINGS = 5;
/** At `emergency` so much of the wait is enough; and none when acting helped the last time: a loop may fill 100 MB within it. */
const EMERGENCY_PART = 0.25;
/** At `critical`, where calls are turned away meanwhile, when acting helped the last time. */
const CRITICAL_PART = 0.5;

/** Why nothing is done now. */
export type Restraint = 'use is falling already' | 'cooling down';

/**
 * When the governor may act again. Not while use falls by itself, and not so soon after it has acted last: the wait doubles, up to 32 times,
 * while acting gives nothing. At `critical` it is half when acting helped the last time; at `emergency` a quarter, or none when it helped, and falling use is no reason to
 * wait either.
 * Leaves no garbage.
 */
export class CoolDown {
  readonly #coolDownMs: number;
  readonly #times = new Float64Array([Number.NEGATIVE_INFINITY]);
  #futile = 0;

  /** `coolDownMs` from 0 up. */
  constructor(coolDownMs: number) {
    this.#coolDownMs = coolDownMs;
  }

  /** What speaks against acting at `nowMs` of the clock; undefined when nothing does. */
  restraint(nowMs: number, level: PressureLevel, isFalling: boolean): Restraint | undefined {
    const isEmergency = level === 'emergency';
    if (isFalling && !isEmergency) return 'use is falling already';
    if (isEmergency && this.#futile === 0) return undefined;
    const part = isEmergency ? EMERGENCY_PART : level === 'critical' && this.#futile === 0 ? CRITICAL_PART : 1;
    const waitMs = this.#coolDownMs * 2 ** this.#futile * part;
    // A clock that went back ends the wait.
    const sinceMs = nowMs - this.#times[0]!;
    return sinceMs >= 0 && sinceMs < waitMs ? 'cooling down' : undefined;
  }

  /** Acting ended at `nowMs`, and this many bytes were seen to come back. */
  acted(nowMs: number, seenBytes: number): void {
    this.#times[0] = nowMs;
    this.#futile = seenBytes > 0 ? 0 : Math.min(this.#futile + 1, MAX_DOUBLINGS);
  }
}
