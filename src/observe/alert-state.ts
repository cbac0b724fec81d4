/** Where a rule is raised and cleared, and how long it must be so. */
export interface AlertLevels {
  /** `above`: raised from `raiseAt` up. `below`: from `raiseAt` down. */
  readonly when: 'above' | 'below';
  readonly raiseAt: number;
  /** Cleared from there back; on the good side of `raiseAt`, or the same. */
  readonly clearAt: number;
  /** How long it must read so without a break before it is raised, ms. */
  readonly raiseAfterMs: number;
  /** How long it stays raised at least, ms. */
  readonly holdMs: number;
}

export type AlertPhase = 'quiet' | 'pending' | 'raised';

/**
 * Hysteresis of one rule: two levels, a time to be believed and a time to stay. A value between the levels keeps a raised rule raised and a quiet one quiet,
 * and so does a value that is not known; either ends the time before it is raised. Constant in time and bytes, leaves no garbage.
 */
export class AlertState {
  readonly #levels: AlertLevels;
  #phase: AlertPhase = 'quiet';
  /** When the phase began, ms of the clock. */
  #since = 0;

  constructor(levels: AlertLevels) {
    this.#levels = levels;
  }

  get phase(): AlertPhase {
    return this.#phase;
  }

  /** Says what changed by a reading at `now`, if anything did. */
  update(value: number | undefined, now: number): 'raised' | 'cleared' | undefined {
    const { raiseAt, clearAt, raiseAfterMs, holdMs } = this.#levels;
    if (this.#phase === 'raised') {
      const isOver = value !== undefined && this.#reaches(clearAt, value);
      if (!isOver || now - this.#since < holdMs) return undefined;
      this.#enter('quiet', now);
      return 'cleared';
    }
    if (value === undefined || !this.#passes(raiseAt, value)) {
      if (this.#phase === 'pending') this.#enter('quiet', now);
      return undefined;
    }
    if (this.#phase === 'quiet') this.#enter('pending', now);
    if (now - this.#since < raiseAfterMs) return undefined;
    this.#enter('raised', now);
    return 'raised';
  }

  #enter(phase: AlertPhase, now: number): void {
    this.#phase = phase;
    this.#since = now;
  }

  /** At the bad side of `raiseAt`. */
  #passes(raiseAt: number, value: number): boolean {
    return this.#levels.when === 'above' ? value >= raiseAt : value <= raiseAt;
  }

  /** At the good side of `clearAt`, and not at the bad side of `raiseAt` where the two are the same. */
  #reaches(clearAt: number, value: number): boolean {
    if (this.#passes(this.#levels.raiseAt, value)) return false;
    return this.#levels.when === 'above' ? value <= clearAt : value >= clearAt;
  }
}
