import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PAGE_BYTES } from './abi-contract.ts';
import { besideUrl, ChannelState, type GuestChannel, type GuestListener } from './guest-channel.ts';
import type { GuestReport, GuestRequest, SpillReply } from './guest-messages.ts';

/** What goes to the process. */
export type ProcessMessage =
  | { readonly request: GuestRequest }
  | { readonly spill: SpillReply }
  | { readonly level: number };

/** V8's heap of the process, MiB: what it needs for itself. */
const OLD_SPACE_MIB = 32;
const SEMI_SPACE_MIB = 1;
/** Node has WebAssembly of its own, as what strips types. */
const LEAST_PAGES = 512;

/**
 * A process for one instance: the same thread as in `WorkerChannel`, in a process that does nothing but pass messages on. Its heap and every linear memory in it are bounded by V8's own
 * flags, on top of what the module was changed to say. Messages are copied. Node's permissions are not used: threads do not inherit them.
 */
export class ProcessChannel implements GuestChannel {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #state = new ChannelState();

  constructor(maxMemoryBytes: number) {
    const entry = besideUrl('guest-process');
    this.#child = fork(fileURLToPath(entry), [], {
      execArgv: [
        `--max-old-space-size=${OLD_SPACE_MIB}`,
        `--max-semi-space-size=${SEMI_SPACE_MIB}`,
        `--wasm-max-mem-pages=${Math.max(LEAST_PAGES, Math.floor(maxMemoryBytes / PAGE_BYTES))}`,
      ],
      env: {},
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#child.on('message', (report) => this.#state.report(report as GuestReport));
    this.#exited = new Promise((resolve) => {
      this.#child.on('error', (cause) => {
        this.#state.end(cause.message);
        // One that never began does not exit either.
        if (this.#child.pid === undefined) resolve();
      });
      this.#child.on('exit', (code, signal) => {
        this.#state.end(`its process ended with ${signal ?? `code ${code}`}`);
        resolve();
      });
    });
    this.hold(false);
  }

  get alive(): boolean {
    return this.#state.alive;
  }

  get ready(): boolean {
    return this.#state.ready;
  }

  listen(listener: GuestListener): void {
    this.#state.listen(listener);
  }

  send(request: GuestRequest): void {
    this.#send({ request });
  }

  answerSpill(spill: SpillReply): void {
    this.#send({ spill });
  }

  setLevel(level: number): void {
    this.#send({ level });
  }

  hold(held: boolean): void {
    const { channel } = this.#child;
    if (held) {
      this.#child.ref();
      channel?.ref();
    } else {
      this.#child.unref();
      channel?.unref();
    }
  }

  async kill(): Promise<void> {
    this.#state.listen(undefined);
    if (this.#state.alive) this.#child.kill('SIGKILL');
    this.hold(true);
    await this.#exited;
  }

  #send(message: ProcessMessage): void {
    // What cannot be sent ends it: the exit, or this, says so.
    if (this.#state.alive) this.#child.send(message, (cause) => cause && this.#state.end(cause.message));
  }
}
