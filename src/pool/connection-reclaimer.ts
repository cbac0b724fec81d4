import type { Reclaimer, ReclaimRequest } from '../governor/index.ts';
import type { ConnectionStock } from './connection-stock.ts';

/**
 * Idle connections, those first that were used longest ago, down to `floor`. Closing takes a while, so it is done with waiting only: what is
 * claimed stands in the books when it is.
 */
export class ConnectionReclaimer<C> implements Reclaimer {
  readonly #stock: ConnectionStock<C>;
  readonly #connectionBytes: number;
  readonly #floor: () => number;

  /** `floor`: how many are to be kept open now. */
  constructor(stock: ConnectionStock<C>, connectionBytes: number, floor: () => number) {
    this.#stock = stock;
    this.#connectionBytes = connectionBytes;
    this.#floor = floor;
  }

  reclaimableBytes(): number {
    return this.#spare(this.#floor()) * this.#connectionBytes;
  }

  async reclaim({ targetBytes, level }: ReclaimRequest, { signal }: { signal: AbortSignal }): Promise<number> {
    const floor = level === 'emergency' ? 0 : this.#floor();
    const wanted = Math.ceil(targetBytes / this.#connectionBytes);
    let closed = 0;
    const ends: Promise<void>[] = [];
    for (let begun = 0; begun < wanted && this.#spare(floor) > 0; begun++) {
      ends.push(
        new Promise((resolve) => {
          this.#stock.end(this.#stock.idle.oldest!, 'reclaimed', () => {
            closed++;
            resolve();
          });
        }),
      );
    }
    await untilAborted(Promise.all(ends), signal);
    return closed * this.#connectionBytes;
  }

  #spare(floor: number): number {
    const { idle, size } = this.#stock;
    return Math.max(0, Math.min(idle.size, size - floor));
  }
}

async function untilAborted(done: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  let onAbort = () => {};
  const aborted = new Promise<void>((resolve) => {
    onAbort = resolve;
    signal.addEventListener('abort', onAbort, { once: true });
  });
  await Promise.race([done, aborted]);
  signal.removeEventListener('abort', onAbort);
}
