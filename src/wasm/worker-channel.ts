import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { besideUrl, ChannelState, type GuestChannel, type GuestListener } from './guest-channel.ts';
import {
  type GuestReport,
  type GuestRequest,
  type GuestWorkerData,
  SIGNAL,
  type SpillReply,
} from './guest-messages.ts';

/**
 * A thread for one instance. It gets no environment, no arguments, no options of Node and no standard streams. `resourceLimits` are left alone on purpose: a thread that
 * passes them can take the process down, and what a guest can fill is bounded without them.
 */
export class WorkerChannel implements GuestChannel {
  readonly #worker: Worker;
  readonly #places: Int32Array<SharedArrayBuffer>;
  readonly #answers: MessagePort;
  readonly #state = new ChannelState();
  #gone: Promise<unknown> | undefined;

  /** Throws what Node says when there can be no thread. */
  constructor() {
    const signal = new SharedArrayBuffer(4 * SIGNAL.length);
    this.#places = new Int32Array(signal);
    const { port1, port2 } = new MessageChannel();
    this.#answers = port1;
    const workerData: GuestWorkerData = { signal, answers: port2 };
    this.#worker = new Worker(besideUrl('guest-worker'), {
      workerData,
      transferList: [port2],
      env: {},
      argv: [],
      execArgv: [],
      stdin: false,
      stdout: true,
      stderr: true,
    });
    this.#worker.on('message', (report: GuestReport) => this.#state.report(report));
    this.#worker.on('messageerror', (cause) => this.#state.end(cause.message));
    this.#worker.on('error', (cause) => this.#state.end(String((cause as Error)?.message ?? cause)));
    this.#worker.on('exit', (code) => this.#state.end(`its thread ended with code ${code}`));
    this.#worker.unref();
    port1.unref();
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

  send(request: GuestRequest, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, [...transfer]);
  }

  answerSpill(reply: SpillReply): void {
    // The answer must be there before the thread wakes.
    this.#answers.postMessage(reply);
    Atomics.store(this.#places, SIGNAL.answered, 1);
    Atomics.notify(this.#places, SIGNAL.answered);
  }

  setLevel(level: number): void {
    Atomics.store(this.#places, SIGNAL.level, level);
  }

  hold(held: boolean): void {
    if (held) this.#worker.ref();
    else this.#worker.unref();
  }

  async kill(): Promise<void> {
    this.#state.listen(undefined);
    this.#gone ??= this.#worker.terminate().catch(() => {});
    await this.#gone;
    this.#answers.close();
  }
}
