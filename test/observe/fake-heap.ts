import { ManualClock } from '../../src/clock.ts';
import type { ProcessFigures } from '../../src/governor/index.ts';
import type { CollectionWatch } from '../../src/observe/index.ts';

/** A heap by the book: what is allocated, dropped and collected is known exactly. */
export class FakeHeap {
  readonly clock = new ManualClock(1_000);
  heapUsed = 10_000;
  external = 500;
  rss = 50_000;
  /** Whether collections say what they freed. */
  tells = true;
  disposed = 0;
  #garbage = 0;
  #since = { count: 0, pauseMs: 0, longestMs: 0, freedBytes: 0 };

  allocate(bytes: number): void {
    this.heapUsed += bytes;
  }

  drop(bytes: number): void {
    this.#garbage += bytes;
  }

  collect(pauseMs = 0): void {
    this.heapUsed -= this.#garbage;
    this.clock.advance(pauseMs);
    const { count, pauseMs: paused, longestMs, freedBytes } = this.#since;
    this.#since = {
      count: count + 1,
      pauseMs: paused + pauseMs,
      longestMs: Math.max(longestMs, pauseMs),
      freedBytes: freedBytes + this.#garbage,
    };
    this.#garbage = 0;
  }

  readonly figures = (): ProcessFigures => ({
    heapUsed: this.heapUsed,
    external: this.external,
    arrayBuffers: 0,
    rss: this.rss,
  });

  readonly collections = (): CollectionWatch => ({
    take: () => {
      const { freedBytes, ...rest } = this.#since;
      this.#since = { count: 0, pauseMs: 0, longestMs: 0, freedBytes: 0 };
      return this.tells ? { ...rest, freedBytes } : rest;
    },
    [Symbol.dispose]: () => {
      this.disposed++;
    },
  });
}
