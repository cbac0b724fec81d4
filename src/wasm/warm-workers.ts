import { tell } from '../catch-rejection.ts';
import type { GuestChannel } from './guest-channel.ts';

export interface WarmWorkersOptions {
  readonly count: number;
  /** Throws where there can be none. */
  readonly start: () => GuestChannel;
  /** Charges one, where there is room without anybody's help. */
  readonly tryCharge: () => boolean;
  readonly giveCharge: () => void;
}

/**
 * Workers in which nothing has run, started ahead. One that has run a guest is never used again: nothing of one plugin is there for the next, and its memory is gone with it.
 */
export class WarmWorkers {
  readonly #options: WarmWorkersOptions;
  readonly #channels = new Set<GuestChannel>();
  #closed = false;

  constructor(options: WarmWorkersOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#channels.size;
  }

  /** One of them; its charge goes with it. */
  take(): GuestChannel | undefined {
    for (const channel of this.#channels) {
      this.#channels.delete(channel);
      if (channel.alive) return channel;
      this.#options.giveCharge();
    }
    return undefined;
  }

  /** As many as there are to be, where there is room for them. Never throws. */
  refill(): void {
    const { count, start, tryCharge, giveCharge } = this.#options;
    while (!this.#closed && this.#channels.size < count && tryCharge()) {
      try {
        const channel = start();
        this.#channels.add(channel);
        channel.listen({ onReady: () => {}, onReport: () => {}, onEnd: () => this.#forget(channel) });
      } catch {
        giveCharge();
        return;
      }
    }
  }

  /** Ends so many of them, and gives back what they were charged. */
  async drop(most: number = this.#channels.size): Promise<void> {
    const going = [...this.#channels].slice(0, most);
    for (const channel of going) this.#channels.delete(channel);
    await Promise.all(
      going.map(async (channel) => {
        await channel.kill();
        tell(this.#options.giveCharge);
      }),
    );
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.drop();
  }

  #forget(channel: GuestChannel): void {
    if (this.#channels.delete(channel)) this.#options.giveCharge();
  }
}
