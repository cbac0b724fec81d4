import type { Snapshot } from '../governor/index.ts';

/**
 * How much memory has grown since something was last given back: by a cleanup, a reclaim or a collection that was asked for. Measured from the least that was seen
 * since, so that what the collector of V8 takes away by itself is no growth.
 */
export class GrowthWatch {
  #least: number | undefined;
  #givenBack = -1;

  /** `cleanups` is how many gave something back, by the events. Undefined while no meter can be read. */
  update(snapshot: Snapshot, cleanups: number): number | undefined {
    const bytes = usedBytes(snapshot);
    if (bytes === undefined) return undefined;
    const givenBack = cleanups + snapshot.trains.releasedBytes + snapshot.collections.count + snapshot.trims.count;
    if (givenBack !== this.#givenBack || this.#least === undefined) this.#least = bytes;
    this.#givenBack = givenBack;
    this.#least = Math.min(this.#least, bytes);
    return bytes - this.#least;
  }
}

/** Heap and external memory where both can be read, all of the process otherwise. */
function usedBytes({ meters }: Snapshot): number | undefined {
  const read = (name: string) => meters.find((meter) => meter.name === name && !meter.off)?.bytes;
  const [heap, external] = [read('heap'), read('external')];
  return heap === undefined || external === undefined ? read('rss') : heap + external;
}
