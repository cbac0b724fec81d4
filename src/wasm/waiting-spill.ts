import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { SpillCalls } from './abi.ts';
import { type GuestReport, SIGNAL, type SpillReply, type SpillRequest } from './guest-messages.ts';

/**
 * The spill as a guest has it, inside the worker: a guest cannot wait for a promise, so the thread does. The request goes to the host by message, the worker sleeps until the answer
 * has come on a port of its own, and takes it from there. So the spill folder with its quota, its checks and its cleaning up stays with the host, and the worker opens no file.
 * One record is kept as it was read, so that reading it piece by piece costs one way to the disk.
 */
export class WaitingSpill implements SpillCalls {
  readonly #signal: Int32Array<SharedArrayBuffer>;
  readonly #answers: MessagePort;
  readonly #report: (report: GuestReport, transfer: ArrayBuffer[]) => void;
  #keptHandle = -1;
  #kept: Uint8Array | undefined;

  constructor(
    signal: Int32Array<SharedArrayBuffer>,
    answers: MessagePort,
    report: (report: GuestReport, transfer: ArrayBuffer[]) => void,
  ) {
    this.#signal = signal;
    this.#answers = answers;
    this.#report = report;
  }

  write(bytes: Uint8Array): number {
    const copy = new Uint8Array(bytes).buffer;
    return this.#ask({ verb: 'write', handle: -1, bytes: copy }, [copy]).result;
  }

  size(handle: number): number {
    return this.#ask({ verb: 'size', handle }).result;
  }

  read(handle: number, offset: number, target: Uint8Array): number {
    if (handle !== this.#keptHandle || this.#kept === undefined) {
      const { result, bytes } = this.#ask({ verb: 'read', handle });
      if (bytes === undefined) return result;
      this.#keptHandle = handle;
      this.#kept = bytes;
    }
    const piece = this.#kept.subarray(offset, offset + target.byteLength);
    target.set(piece);
    return piece.byteLength;
  }

  free(handle: number): number {
    if (handle === this.#keptHandle) this.#kept = undefined;
    return this.#ask({ verb: 'free', handle }).result;
  }

  #ask(request: SpillRequest, transfer: ArrayBuffer[] = []): SpillReply {
    Atomics.store(this.#signal, SIGNAL.answered, 0);
    this.#report({ what: 'spill', request }, transfer);
    Atomics.wait(this.#signal, SIGNAL.answered, 0);
    return receiveMessageOnPort(this.#answers)!.message as SpillReply;
  }
}
