/**
 * Who is at work. Stages stand on a stack: while one pulls from another, the time is the other's. At any moment exactly one stage, or
 * nobody, is charged, so the times add up to the total whatever the order in which stages come and go: a stage that
 * leaves while others stand above it is taken out from under them.
 */
export class StageClock {
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #stack: number[] = [];
  readonly #spentMs: number[] = [];
  #since: number;
  #outsideMs = 0;

  /** `now` in ms, never going back. */
  constructor(now: () => number) {
    this.#now = now;
    this.#startedAt = this.#since = now();
  }

  /** A new stage; returns its number. */
  add(): number {
    return this.#spentMs.push(0) - 1;
  }

  /** Number of the stage at work, -1 for nobody. */
  get current(): number {
    return this.#stack.length === 0 ? -1 : this.#stack[this.#stack.length - 1]!;
  }

  enter(stage: number): void {
    this.charge();
    this.#stack.push(stage);
  }

  /** Takes back the last `enter` of that stage; nothing when there is none. */
  leave(stage: number): void {
    this.charge();
    const at = this.#stack.lastIndexOf(stage);
    if (at >= 0) this.#stack.splice(at, 1);
  }

  /** Charges the time up to now; returns now. */
  charge(): number {
    const now = this.#now();
    const spent = now - this.#since;
    this.#since = now;
    const stage = this.current;
    if (stage < 0) this.#outsideMs += spent;
    else this.#spentMs[stage]! += spent;
    return now;
  }

  /** Charged so far. */
  spentMs(stage: number): number {
    return this.#spentMs[stage]!;
  }

  get outsideMs(): number {
    return this.#outsideMs;
  }

  /** From the start to the last charge: the sum of all the others. */
  get totalMs(): number {
    return this.#since - this.#startedAt;
  }
}
