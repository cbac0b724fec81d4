import { formatBytes } from '../bytes.ts';
import { describeCause } from '../describe-cause.ts';
import { type ProcessFigures, readLimits, type Snapshot } from '../governor/index.ts';
import { shortText } from '../short-text.ts';
import type { HeapCensus, HeapSource } from './heap-census.ts';

export interface HeapCounterOptions {
  readonly open: () => HeapSource;
  readonly memoryFactor: number;
  readonly freeBytes?: (() => number) | undefined;
  readonly figures: () => ProcessFigures;
}

/** What came of counting: a census, or why there is none. */
export interface HeapCount {
  readonly census?: HeapCensus;
  readonly note?: string;
}

const RESIDENT = ['cgroup', 'rss'];

/** Counts the heap where there is room for that, and knows which objects were there the time before. Never throws. */
export class HeapCounter implements Disposable {
  readonly #options: HeapCounterOptions;
  #source: HeapSource | undefined;
  #livedId = 0;
  #bornAfter: number | undefined;

  constructor(options: HeapCounterOptions) {
    this.#options = options;
  }

  /** Once warm, what came since is asked how it is held. */
  async count(snapshot: Snapshot | undefined, isWarm: boolean): Promise<HeapCount> {
    try {
      const refused = this.#refusal(snapshot);
      if (refused !== undefined) return { note: refused };
      this.#source ??= this.#options.open();
      const bornAfter = isWarm ? (this.#bornAfter ??= this.#livedId) : undefined;
      const census = await this.#source.take({
        livedId: this.#livedId,
        ...(bornAfter === undefined ? {} : { bornAfter }),
      });
      this.#livedId = census.lastId;
      if (census.sameNumbers) return { census };
      this.#bornAfter = census.lastId;
      return {
        note: 'the heap was not compared: its objects were numbered anew, by another who took a profile or snapshot',
      };
    } catch (cause) {
      return { note: shortText(`the heap was not counted: ${describeCause(cause)}`) };
    }
  }

  [Symbol.dispose](): void {
    const source = this.#source;
    this.#source = undefined;
    source?.[Symbol.dispose]();
  }

  #refusal(snapshot: Snapshot | undefined): string | undefined {
    const { memoryFactor, figures, freeBytes } = this.#options;
    const { heapUsed, rss } = figures();
    const free = freeBytes === undefined ? freeUnder(snapshot, rss) : freeBytes();
    const needed = memoryFactor * heapUsed;
    if (free >= needed) return undefined;
    const shown = formatBytes(Number.isFinite(free) ? Math.max(0, Math.floor(free)) : 0);
    return `the heap was not counted: that needs ${formatBytes(needed)} under the limit, and ${shown} are free`;
  }
}

/** What the meters of the machine leave under their limits; without any, what the limits of this machine leave beside the RSS. */
function freeUnder(snapshot: Snapshot | undefined, rss: number): number {
  if (snapshot === undefined) return readLimits().bytes - rss;
  const free = snapshot.meters.flatMap(({ name, off, bytes, limitBytes }) =>
    !off && RESIDENT.includes(name) ? [limitBytes - bytes] : [],
  );
  return free.length === 0 ? snapshot.availableBytes : Math.min(...free);
}
