import type { ServerResponse } from 'node:http';
import type { Clock } from '../clock.ts';

export interface EventStreamsOptions {
  readonly maxStreams: number;
  /** A client that takes nothing for so long is let go of, ms. */
  readonly stuckMs: number;
  readonly clock: Clock;
}

/** One client. Holds at most what its socket has not taken yet, one frame, and a newer one to come after it. */
class EventStream {
  readonly #response: ServerResponse;
  readonly #options: EventStreamsOptions;
  readonly #isLive: () => boolean;
  #waiting: string | undefined;
  #stuck: Disposable | undefined;
  skipped = 0;

  constructor(response: ServerResponse, options: EventStreamsOptions, isLive: () => boolean) {
    this.#response = response;
    this.#options = options;
    this.#isLive = isLive;
    response.on('drain', () => this.#onDrain());
    // A client that has gone: `close` follows.
    response.on('error', () => {});
  }

  send(frame: string): void {
    if (!this.#isLive()) return void this.end();
    if (this.#stuck !== undefined) {
      if (this.#waiting !== undefined) this.skipped++;
      this.#waiting = frame;
      return;
    }
    if (this.#response.write(frame)) return;
    this.#stuck = this.#options.clock.after(this.#options.stuckMs, () => this.#response.destroy());
  }

  end(): void {
    this.#stuck?.[Symbol.dispose]();
    this.#waiting = undefined;
    if (this.#stuck === undefined) this.#response.end();
    else this.#response.destroy();
  }

  closed(): void {
    this.#stuck?.[Symbol.dispose]();
    this.#waiting = undefined;
  }

  #onDrain(): void {
    this.#stuck?.[Symbol.dispose]();
    this.#stuck = undefined;
    const frame = this.#waiting;
    this.#waiting = undefined;
    if (frame !== undefined) this.send(frame);
  }
}

/**
 * The clients of a stream of server-sent events. One that is slower than what happens gets the newest and not what was between; one that takes nothing
 * any more is let go of. The format: HTML Living Standard, 9.2.
 */
export class EventStreams implements Disposable {
  readonly #options: EventStreamsOptions;
  readonly #streams = new Set<EventStream>();
  #skipped = 0;
  #disposed = false;

  constructor(options: EventStreamsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Frames that slow clients did not get. */
  get skipped(): number {
    let sum = this.#skipped;
    for (const stream of this.#streams) sum += stream.skipped;
    return sum;
  }

  get isFull(): boolean {
    return this.#disposed || this.#streams.size >= this.#options.maxStreams;
  }

  /** Takes over a response whose head has been written. `isLive` is asked before each frame: when it says no, the stream ends. */
  add(response: ServerResponse, isLive: () => boolean, first: string): void {
    const stream = new EventStream(response, this.#options, isLive);
    this.#streams.add(stream);
    response.on('close', () => {
      stream.closed();
      if (this.#streams.delete(stream)) this.#skipped += stream.skipped;
    });
    stream.send(first);
  }

  send(frame: string): void {
    for (const stream of [...this.#streams]) stream.send(frame);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const stream of [...this.#streams]) stream.end();
  }
}
