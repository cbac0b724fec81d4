/** One loaded value: who uses it, and what is done with it when nobody does any more. */
export class LoadedValue<T> {
  readonly value: T;
  /** By the clock: when it was last asked for or let go. */
  usedAtMs: number;
  #users = 0;
  #retire: ((value: T) => void) | undefined;

  constructor(value: T, usedAtMs: number) {
    this.value = value;
    this.usedAtMs = usedAtMs;
  }

  get users(): number {
    return this.#users;
  }

  enter(): void {
    this.#users++;
  }

  leave(): void {
    this.#users--;
    this.#look();
  }

  /** It has been replaced: `dispose` is called once, when its last user has left. */
  retire(dispose: (value: T) => void): void {
    this.#retire ??= dispose;
    this.#look();
  }

  #look(): void {
    const retire = this.#retire;
    if (retire === undefined || this.#users > 0) return;
    this.#retire = () => {};
    retire(this.value);
  }
}
