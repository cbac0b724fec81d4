/**
 * What runs in the worker of an instance: takes a request, runs the guest, replies. Loads nothing but this room's own files.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../clock.ts';
import { AbiFault, type AbiHost } from './abi.ts';
import { Guest, GuestRefusal } from './guest.ts';
import {
  type GuestFaultKind,
  type GuestReply,
  type GuestReport,
  type GuestRequest,
  type GuestWorkerData,
  SIGNAL,
} from './guest-messages.ts';
import { WaitingSpill } from './waiting-spill.ts';

type Done = Omit<Extract<GuestReply, { ok: true }>, 'ok' | 'memoryBytes'>;

class GuestLoop {
  readonly #port: MessagePort;
  readonly #host: AbiHost;
  #guest: Guest | undefined;

  constructor(port: MessagePort, { signal, answers }: GuestWorkerData) {
    this.#port = port;
    const places = new Int32Array(signal);
    this.#host = {
      spill: new WaitingSpill(places, answers, (report, transfer) => port.postMessage(report, transfer)),
      log: (level, line) => this.#report({ what: 'log', level, line }),
      now: () => systemClock.now(),
      level: () => Atomics.load(places, SIGNAL.level),
    };
    port.on('message', (request: GuestRequest) => this.#answer(request));
    this.#report({ what: 'ready' });
  }

  #answer(request: GuestRequest): void {
    try {
      const done = this.#run(request);
      const transfer = [done.input, done.output, done.snapshot?.content].filter((each) => each !== undefined);
      this.#report({ what: 'reply', reply: { ok: true, memoryBytes: this.#memoryBytes, ...done } }, transfer);
    } catch (cause) {
      const kind: GuestFaultKind = cause instanceof AbiFault || cause instanceof GuestRefusal ? cause.kind : 'trap';
      const message = String((cause as Error)?.message ?? cause);
      this.#report({ what: 'reply', reply: { ok: false, memoryBytes: this.#memoryBytes, kind, message } });
    }
  }

  #run(request: GuestRequest): Done {
    if (request.op === 'open') {
      this.#guest = new Guest(request, this.#host);
      return {};
    }
    const guest = this.#guest!;
    switch (request.op) {
      case 'init':
        guest.init(request.config);
        return {};
      case 'process': {
        const { input, length } = request;
        const { buffer, length: outputLength } = guest.process(new Uint8Array(input, 0, length), request.output);
        return { input, output: buffer, outputLength };
      }
      case 'pressure':
        guest.pressure(request.level);
        return {};
      case 'finalize': {
        const { buffer, length } = guest.finalize(request.output);
        return { output: buffer, outputLength: length };
      }
      case 'snapshot':
        return { snapshot: guest.snapshot() };
      case 'restore':
        guest.restore(request.snapshot);
        return {};
    }
  }

  get #memoryBytes(): number {
    return this.#guest?.memoryBytes ?? 0;
  }

  #report(report: GuestReport, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(report, transfer);
  }
}

if (parentPort !== null) new GuestLoop(parentPort, workerData as GuestWorkerData);
