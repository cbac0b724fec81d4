import type { Clock } from '../clock.ts';
import type { GuestChannel } from './guest-channel.ts';
import type { GuestReply, GuestReport, GuestRequest } from './guest-messages.ts';
import {
  type PluginError,
  PluginFailedError,
  PluginOutputLimitError,
  PluginRefusedError,
  PluginTimeoutError,
  PluginTrapError,
  PluginWorkerError,
} from './plugin-errors.ts';
import type { PluginSpill } from './plugin-spill.ts';

export type GuestDone = Extract<GuestReply, { ok: true }>;

export interface GuestLinkOptions {
  readonly plugin: string;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  readonly clock: Clock;
  readonly spill: PluginSpill;
  readonly onLog: (level: number, line: string) => void;
}

interface Pending {
  /** For messages: `plimsoll_process`. */
  readonly call: string;
  reject(cause: unknown): void;
}

/** A worker is loaded in less than a tenth of a second, on a machine that has the time. */
const START_MS = 60_000;
const CALLS: Readonly<Record<GuestRequest['op'], string>> = {
  open: 'its start',
  init: 'plimsoll_init',
  process: 'plimsoll_process',
  pressure: 'plimsoll_pressure',
  finalize: 'plimsoll_finalize',
  snapshot: 'plimsoll_trim',
  restore: 'being restored',
};

/** One worker and what is asked of it: a request at a time, within the time limit. A request that takes longer, or is aborted, ends the worker before it rejects. */
export class GuestLink {
  readonly #channel: GuestChannel;
  readonly #options: GuestLinkOptions;
  #pending: Pending | undefined;
  #onReady: (() => void) | undefined;
  #onReply: ((done: GuestDone) => void) | undefined;
  #dead: Promise<void> | undefined;

  constructor(channel: GuestChannel, options: GuestLinkOptions) {
    this.#channel = channel;
    this.#options = options;
    channel.listen({
      onReady: () => this.#onReady?.(),
      onReport: (report) => this.#hear(report),
      onEnd: (why) => this.#pending?.reject(new PluginWorkerError(options.plugin, why)),
    });
  }

  /** Whether it can be asked something still. */
  get alive(): boolean {
    return this.#dead === undefined && this.#channel.alive;
  }

  setLevel(level: number): void {
    if (this.alive) this.#channel.setLevel(level);
  }

  /** Resolves when the worker has been loaded, which is no time of the plugin's. Rejects as `ask` does. */
  ready(signal?: AbortSignal): Promise<void> {
    if (this.#channel.ready) return Promise.resolve();
    const { plugin } = this.#options;
    const late = () => new PluginWorkerError(plugin, `its worker did not start within ${START_MS}ms`);
    return this.#wait<void>('its start', START_MS, late, signal, (resolve) => {
      this.#onReady = () => resolve();
    });
  }

  /** Rejects with a `PluginError`, or with the signal's reason. */
  ask(request: GuestRequest, transfer: readonly ArrayBuffer[] = [], signal?: AbortSignal): Promise<GuestDone> {
    const { plugin, timeoutMs } = this.#options;
    const call = CALLS[request.op];
    const late = () => new PluginTimeoutError(plugin, call, timeoutMs);
    return this.#wait<GuestDone>(call, timeoutMs, late, signal, (resolve) => {
      this.#onReply = resolve;
      this.#channel.send(request, transfer);
    });
  }

  async #wait<T>(
    call: string,
    ms: number,
    late: () => Error,
    signal: AbortSignal | undefined,
    begin: (resolve: (value: T) => void) => void,
  ): Promise<T> {
    signal?.throwIfAborted();
    if (!this.alive) throw new PluginWorkerError(this.#options.plugin, 'its worker has ended');
    let timer: Disposable | undefined;
    let onAbort: (() => void) | undefined;
    this.#channel.hold(true);
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#pending = { call, reject };
        const endWith = (cause: unknown) => {
          // What comes from it now, a late reply or the end of it, is not heard any more.
          this.#pending = undefined;
          void this.kill().then(() => reject(cause));
        };
        timer = this.#options.clock.after(ms, () => endWith(late()), true);
        onAbort = () => endWith(signal!.reason);
        signal?.addEventListener('abort', onAbort, { once: true });
        begin(resolve);
      });
    } finally {
      this.#pending = this.#onReady = this.#onReply = undefined;
      timer?.[Symbol.dispose]();
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
      if (this.alive) this.#channel.hold(false);
    }
  }

  /** Resolves when the worker is gone. Never rejects. */
  kill(): Promise<void> {
    this.#dead ??= this.#channel.kill();
    return this.#dead;
  }

  #hear(report: GuestReport): void {
    if (report.what === 'log') this.#options.onLog(report.level, report.line);
    else if (report.what === 'spill') {
      void this.#options.spill.answer(report.request).then((reply) => {
        if (this.alive) this.#channel.answerSpill(reply);
      });
    } else if (report.what === 'reply' && this.#pending !== undefined) {
      const { call, reject } = this.#pending;
      if (report.reply.ok) this.#onReply?.(report.reply);
      else reject(this.#errorOf(report.reply, call));
    }
  }

  #errorOf({ kind, message }: Extract<GuestReply, { ok: false }>, call: string): PluginError {
    const { plugin, maxOutputBytes } = this.#options;
    switch (kind) {
      case 'trap':
        return new PluginTrapError(plugin, message);
      case 'outputLimit':
        return new PluginOutputLimitError(plugin, call, maxOutputBytes);
      case 'failed':
        return new PluginFailedError(plugin, message);
      case 'refused':
        return new PluginRefusedError(plugin, message);
    }
  }
}
