import { FailOpen } from '../fail-open.ts';

/**
 * Why an entry went: to make room (`evicted`), past its time (`expired`), for a new value or one that was not stored (`replaced`), by `delete`, `clear` and at the end
 * (`removed`), because the governor asked (`reclaimed`).
 */
export type RemovalReason = 'evicted' | 'expired' | 'replaced' | 'removed' | 'reclaimed';

/** Told of each entry that went, once, after the call that made it go has done its work: the cache may be used from here. */
export type RemovalListener<K, V> = (value: V, key: K, reason: RemovalReason) => void;

/** A listener that causes more than this many removals while it is told of others is in a circle, as one that puts back what was evicted. */
const LONGEST_CHAIN = 1_024;

/** Removals that the listener has yet to be told of. Told when the cache is whole again; what the listener itself causes comes after. */
export class RemovalQueue<K, V> {
  readonly #listener: RemovalListener<K, V>;
  readonly #failOpen: FailOpen;
  #waiting: { readonly key: K; readonly value: V; readonly reason: RemovalReason }[] = [];
  #telling = false;
  #caused = 0;

  constructor(listener: RemovalListener<K, V>, part: string) {
    this.#listener = listener;
    this.#failOpen = new FailOpen(part);
  }

  /** Calls that threw or rejected. */
  get faults(): number {
    return this.#failOpen.count;
  }

  /** Whether the listener has caused so many that nothing more should be stored until it is done. */
  get isCircling(): boolean {
    return this.#caused > LONGEST_CHAIN;
  }

  add(key: K, value: V, reason: RemovalReason): void {
    this.#waiting.push({ key, value, reason });
    if (this.#telling) this.#caused++;
  }

  /** Tells all. Does nothing inside of itself: the call that is under way goes on with what was added. */
  tell(): void {
    if (this.#telling || this.#waiting.length === 0) return;
    this.#telling = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      for (const { key, value, reason } of batch) {
        this.#failOpen.watch(this.#failOpen.run<unknown>(() => this.#listener(value, key, reason), undefined));
      }
    }
    this.#telling = false;
    this.#caused = 0;
  }
}
