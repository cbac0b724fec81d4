import type { CacheDriver, Entry } from './cache-driver.ts';

/** Entries that one look weighs at most. */
export const MAX_SAMPLED = 64;
/** Entries that one look passes at most: about 0.4 ms in the slowest family. */
const MAX_STEPS = 2_048;

/**
 * Entries chosen at random out of a walk that goes on from look to look, so that a look costs the same in a large cache, and all of it is come by in the end. Where a
 * walk cannot be left it begins anew each time. The walk is kept beside the cache and dies with it.
 */
export class RollingSample {
  readonly #driver: CacheDriver;
  readonly #random: () => number;
  readonly #walks = new WeakMap<object, Iterator<Entry>>();

  constructor(driver: CacheDriver, random: () => number) {
    this.#driver = driver;
    this.#random = random;
  }

  /** Up to 64 entries. Of a cache of at most 64 all, from its beginning. */
  take(cache: object, entryCount: number): Entry[] {
    const entries: Entry[] = [];
    const keys = new Set<unknown>();
    const isCensus = entryCount <= MAX_SAMPLED;
    let walk = (isCensus ? undefined : this.#walks.get(cache)) ?? this.#driver.walk(cache);
    this.#walks.delete(cache);
    const gap = isCensus ? 1 : Math.min(entryCount, MAX_STEPS) / MAX_SAMPLED;
    let hasBegunAgain = false;
    let skip = this.#gap(gap);
    for (let steps = 0; walk !== undefined && steps < MAX_STEPS && entries.length < MAX_SAMPLED; steps++) {
      const step: IteratorResult<Entry> = walk.next();
      if (step.done !== true) {
        // One that is met again, because it was moved or the walk began again, is no second one.
        if (--skip > 0 || keys.has(step.value[0])) continue;
        skip = this.#gap(gap);
        keys.add(step.value[0]);
        entries.push(step.value);
      } else if (isCensus || hasBegunAgain) return entries;
      else {
        // It stood near the end: once more from the beginning.
        hasBegunAgain = true;
        walk = this.#driver.walk(cache);
      }
    }
    if (walk !== undefined && this.#driver.resumes && !isCensus) this.#walks.set(cache, walk);
    else walk?.return?.();
    return entries;
  }

  /** Steps to the next one: 1 to twice the mean less 1, each as likely. */
  #gap(mean: number): number {
    return mean <= 1 ? 1 : 1 + Math.floor(this.#random() * (2 * mean - 1));
  }
}
