import type { CleanupFailedError, CleanupTimeoutError } from './cleanup-errors.ts';

/** One resource that could not be cleaned up, and is not tried again. */
export interface CleanupFailure {
  readonly resource: string;
  readonly kind: string;
  readonly bytes: number;
  /** `failed`: its disposer threw or rejected each time. `hung`: it has not ended in its time. */
  readonly outcome: 'failed' | 'hung';
  readonly attempts: number;
  readonly error: CleanupFailedError | CleanupTimeoutError;
}

/** The latest failures, and how many there were before them. */
export class FailureList {
  readonly #max: number;
  readonly #items: CleanupFailure[] = [];
  #leftOut = 0;
  #at = 0;

  constructor(max: number) {
    this.#max = max;
  }

  add(failure: CleanupFailure): void {
    if (this.#items.length < this.#max) {
      this.#items.push(failure);
      return;
    }
    this.#leftOut++;
    if (this.#max === 0) return;
    this.#items[this.#at] = failure;
    this.#at = (this.#at + 1) % this.#max;
  }

  /** Oldest first; a copy. */
  get items(): readonly CleanupFailure[] {
    return [...this.#items.slice(this.#at), ...this.#items.slice(0, this.#at)];
  }

  get leftOut(): number {
    return this.#leftOut;
  }
}
