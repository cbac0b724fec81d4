/** The last so many of what happened, and how many there were. */
export class SwitchLog<T> {
  readonly #most: number;
  readonly #last: T[] = [];
  #count = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get count(): number {
    return this.#count;
  }

  add(entry: T): void {
    this.#count++;
    if (this.#last.push(entry) > this.#most) this.#last.shift();
  }

  /** A copy, oldest first. */
  list(): T[] {
    return [...this.#last];
  }
}
