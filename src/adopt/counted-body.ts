import type { BodyBudget } from './body-budget.ts';
import type { BodyHold } from './body-hold.ts';

type ByteController = ReadableByteStreamController;

/** One stream that reads a body from its beginning, with what another has read already and it has not. */
class Branch {
  readonly queue: Uint8Array<ArrayBuffer>[] = [];
  /** Nobody keeps the stream alive but who reads it. */
  controller: WeakRef<ByteController> | undefined;
}

/**
 * A body on its way, read through streams that count. Read only when somebody reads: nothing is buffered but what a clone has not read yet. The hold ends when
 * all streams have been read, cancelled, failed or become garbage.
 */
export class CountedBody {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #hold: BodyHold;
  readonly #branches = new Set<Branch>();
  readonly #budget: BodyBudget;
  #reading: Promise<void> | undefined;
  #hasEnded = false;

  constructor(upstream: ReadableStream<Uint8Array>, hold: BodyHold, budget: BodyBudget) {
    this.#hold = hold;
    this.#budget = budget;
    this.#reader = upstream.getReader();
    this.#reader.closed.then(
      () => this.#onClosed(),
      (cause) => this.#fail(cause),
    );
  }

  /** A stream that reads all of it; `of` a stream that has not been read yet: what it has still to read. */
  stream(of?: Branch): { readonly stream: ReadableStream<Uint8Array>; readonly branch: Branch } {
    const branch = new Branch();
    if (of !== undefined) branch.queue.push(...of.queue.map((chunk) => chunk.slice()));
    this.#branches.add(branch);
    const stream = new ReadableStream({
      type: 'bytes',
      start: (controller) => {
        branch.controller = new WeakRef(controller);
      },
      pull: (controller) => this.#pull(branch, controller),
      cancel: (reason) => this.#drop(branch, reason),
    });
    this.#budget.ends.register(stream, () => void this.#drop(branch, undefined).catch(() => {}));
    return { stream, branch };
  }

  async #pull(branch: Branch, controller: ByteController): Promise<void> {
    // Two that read at a time wait for one chunk.
    while (branch.queue.length === 0 && !this.#hasEnded) {
      this.#reading ??= this.#readOne().finally(() => {
        this.#reading = undefined;
      });
      await this.#reading;
      // Cancelled, or failed, meanwhile.
      if (!this.#branches.has(branch)) return;
    }
    const chunk = branch.queue.shift();
    if (chunk !== undefined) controller.enqueue(chunk);
    this.#closeIfRead(branch);
  }

  async #readOne(): Promise<void> {
    try {
      const { done, value } = await this.#reader.read();
      if (done) {
        this.#hasEnded = true;
        return;
      }
      if (!(value instanceof Uint8Array)) throw new TypeError('Received a chunk of a body that is no Uint8Array');
      const room = this.#hold.arrive(value.byteLength, Math.max(1, this.#branches.size));
      if (room !== undefined) await room;
      if (value.byteLength > 0) this.#share(value);
    } catch (cause) {
      this.#fail(cause);
    }
  }

  /** Each stream gets bytes of its own: a byte stream takes the buffer of a chunk away. */
  #share(chunk: Uint8Array): void {
    let isWhole = chunk.buffer instanceof ArrayBuffer && chunk.byteLength === chunk.buffer.byteLength;
    const copies: Uint8Array<ArrayBuffer>[] = [];
    for (const _ of this.#branches) {
      copies.push(isWhole ? (chunk as Uint8Array<ArrayBuffer>) : new Uint8Array(chunk));
      isWhole = false;
    }
    // The one that was given as it is goes last: until then it is copied from.
    copies.reverse();
    for (const branch of this.#branches) branch.queue.push(copies.pop()!);
  }

  #onClosed(): void {
    // What has been read and waits for room is told apart by the read that follows.
    if (this.#reading !== undefined) return;
    this.#hasEnded = true;
    for (const branch of [...this.#branches]) this.#closeIfRead(branch);
  }

  #closeIfRead(branch: Branch): void {
    if (!this.#hasEnded || branch.queue.length > 0 || !this.#branches.has(branch)) return;
    this.#forget(branch);
    const controller = branch.controller?.deref();
    controller?.close();
    controller?.byobRequest?.respond(0);
  }

  async #drop(branch: Branch, reason: unknown): Promise<void> {
    if (!this.#branches.has(branch)) return;
    this.#forget(branch);
    if (this.#branches.size === 0 && !this.#hasEnded) await this.#reader.cancel(reason);
  }

  #fail(cause: unknown): void {
    this.#hasEnded = true;
    const branches = [...this.#branches];
    for (const branch of branches) this.#forget(branch);
    this.#hold.release();
    // Closes the connection.
    this.#reader.cancel(cause).catch(() => {});
    for (const branch of branches) branch.controller?.deref()?.error(cause);
  }

  #forget(branch: Branch): void {
    this.#branches.delete(branch);
    branch.queue.length = 0;
    if (this.#branches.size === 0) this.#hold.release();
  }
}

export type { Branch };
