import { closeSync, constants, open } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
import type { ByteSource } from './byte-source.ts';
import { SourceError } from './source-error.ts';

const BUFFER_BYTES = 64 * 1024;

/**
 * A named pipe, read as it is written. For maintainers: opened and read as a file, a pipe on which nobody writes holds a thread of the pool that
 * nothing can stop, not even the end of the process. Opened without waiting and read as a socket it holds none. Holds 64 KiB.
 */
export class PipeSource implements ByteSource {
  readonly label: string;
  readonly sizeBytes = undefined;
  readonly #socket: Socket;
  readonly #signal: AbortSignal;
  readonly #buffer: Buffer;
  #at = 0;
  #end = 0;
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #onAbort = () => {
    this.#socket.destroy();
    this.#wake?.();
  };

  private constructor(fd: number, label: string, signal: AbortSignal) {
    this.label = label;
    this.#signal = signal;
    const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    this.#buffer = buffer;
    const onread = {
      buffer,
      callback: (count: number) => {
        this.#at = 0;
        this.#end = count;
        this.#wake?.();
        return false;
      },
    };
    // `onread` is an option of every socket; the declarations know it for connections only.
    const options = { fd, readable: true, writable: false, onread };
    this.#socket = new Socket(options);
    this.#socket.on('error', (error) => {
      this.#failure = error;
    });
    for (const event of ['end', 'close'] as const)
      this.#socket.on(event, () => {
        this.#ended = true;
        this.#wake?.();
      });
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Does not wait for a writer; the first read does. An abort ends it with the signal's reason. Errors: `SourceError` `unreadable`. */
  static async open(path: string, label: string, signal: AbortSignal): Promise<PipeSource> {
    signal.throwIfAborted();
    let fd: number;
    try {
      fd = await promisify(open)(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (cause) {
      throw unreadable(label, cause);
    }
    try {
      return new PipeSource(fd, label, signal);
    } catch (cause) {
      closeSync(fd);
      throw unreadable(label, cause);
    }
  }

  async read(target: Buffer, offset: number, length: number): Promise<number> {
    while (this.#at === this.#end) {
      this.#signal.throwIfAborted();
      if (this.#failure !== undefined) throw unreadable(this.label, this.#failure);
      if (this.#ended) return 0;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#socket.resume();
      });
    }
    const count = this.#buffer.copy(target, offset, this.#at, Math.min(this.#end, this.#at + length));
    this.#at += count;
    return count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#socket.destroy();
  }
}

function unreadable(label: string, cause: unknown): SourceError {
  const { code = String(cause) } = cause as NodeJS.ErrnoException;
  return new SourceError(label, code === 'EACCES' ? 'permission denied' : `cannot be read (${code})`, {
    fault: 'unreadable',
    cause,
  });
}
