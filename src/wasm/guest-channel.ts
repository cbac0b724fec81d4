import type { GuestReport, GuestRequest, SpillReply } from './guest-messages.ts';

/** The host's end of what leads to a guest: a thread, or a process with a thread in it. */
export interface GuestChannel {
  /** What is in `transfer` is gone from here where the channel hands memory over; elsewhere it is copied. */
  send(request: GuestRequest, transfer?: readonly ArrayBuffer[]): void;
  answerSpill(reply: SpillReply): void;
  setLevel(level: number): void;
  /** Whoever has the channel hears what comes and, once, that it is over and why. Set before the first `send`. */
  listen(listener: GuestListener): void;
  /** While somebody waits for a reply the process stays alive. */
  hold(held: boolean): void;
  /** Ends it, whatever it is doing; resolves when it is gone. Twice is safe. Never rejects. */
  kill(): Promise<void>;
  /** False once it is known to be over. */
  readonly alive: boolean;
  /** It has said that it can be asked. */
  readonly ready: boolean;
}

export interface GuestListener {
  onReady(): void;
  onReport(report: GuestReport): void;
  onEnd(why: string): void;
}

/** What a channel has heard, and who is to hear of it: the same for all. */
export class ChannelState {
  #listener: GuestListener | undefined;
  #why: string | undefined;
  ready = false;

  get alive(): boolean {
    return this.#why === undefined;
  }

  listen(listener: GuestListener | undefined): void {
    this.#listener = listener;
    if (this.ready) listener?.onReady();
    if (this.#why !== undefined) listener?.onEnd(this.#why);
  }

  report(report: GuestReport): void {
    if (report.what === 'ready') {
      this.ready = true;
      this.#listener?.onReady();
    } else this.#listener?.onReport(report);
  }

  end(why: string): void {
    if (this.#why !== undefined) return;
    this.#why = why;
    this.#listener?.onEnd(why);
  }
}

/** A file of this room beside the one that asks, as source or built. */
export function besideUrl(name: string): URL {
  const { url } = import.meta;
  return new URL(`./${name}${url.endsWith('.ts') ? '.ts' : '.js'}`, url);
}
