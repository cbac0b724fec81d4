import { DisposedError } from '../errors.ts';
import { PRESSURE_LEVELS, type PressureLevel } from '../governor/index.ts';
import { checkOneOf, invalidOption } from '../invalid-option.ts';
import { PAGE_BYTES } from './abi-contract.ts';
import type { CheckedPlugin } from './checked-plugin.ts';
import type { GuestDone, GuestLink } from './guest-link.ts';
import type { OpenRequest } from './guest-messages.ts';
import type { PluginInstance } from './plugin-contract.ts';
import type { PluginSpill } from './plugin-spill.ts';

export interface RunningInstanceParts {
  readonly plugin: CheckedPlugin;
  readonly request: OpenRequest;
  readonly spill: PluginSpill;
  /** A worker that nothing has run in. Throws a `PluginError` where there can be none. */
  readonly link: () => GuestLink;
  /** The linear memory can be shared with the worker's thread: buffers go to and fro instead of copies. */
  readonly transfers: boolean;
  /** Called by the difference, as buffers come and go. */
  readonly onBuffers: (bytes: number) => void;
  /** A failure that counts, once. */
  readonly onFailure: (cause: unknown) => void;
  /** Once, when the worker is gone and nothing of the instance is left. */
  readonly onGone: () => void;
  readonly onReclaimed: (bytes: number) => void;
}

type SignalOption = { readonly signal?: AbortSignal };

/** Input buffers grow to a multiple of that. */
const BUFFER_STEP = 65_536;

/**
 * An instance as its owner sees it. Invariants:
 * - One call at a time, in order. Whatever ends it goes through `#fail` or `#end`, and both have waited for the worker's end and given back the charge before anybody hears of it.
 * - `plimsoll_finalize` is asked for once, whenever `plimsoll_init` has returned 0 and the worker can still be asked.
 * - Two buffers travel: input there, output back, and both return with the next call, unless somebody is already waiting for it, who would pull the output from under the first.
 */
export class RunningInstance implements PluginInstance {
  readonly plugin: CheckedPlugin;
  readonly #parts: RunningInstanceParts;
  #link: GuestLink;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #failure: Error | undefined;
  #over = false;
  #memoryBytes = 0;
  #mustFinalize = false;
  #input: ArrayBuffer | undefined;
  /** Of the last call: goes back to the worker with the next. */
  #output: ArrayBuffer | undefined;
  #bufferBytes = 0;
  #level: PressureLevel = 'optimal';
  #toldLevel: PressureLevel = 'optimal';
  #pressureWaits = false;
  #calling = false;

  constructor(parts: RunningInstanceParts, level: PressureLevel) {
    this.#parts = parts;
    this.plugin = parts.plugin;
    this.#level = this.#toldLevel = level;
    this.#link = parts.link();
    this.#link.setLevel(PRESSURE_LEVELS.indexOf(level));
  }

  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Nothing is under way or waiting. */
  get idle(): boolean {
    return !this.#over && !this.#calling && this.#waiting === 0;
  }

  /** Starts the module and hands it its configuration. When it rejects the instance is gone. */
  start(config: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    return this.#call(async () => {
      await this.#link.ready(signal);
      await this.#ask({ op: 'open' }, signal);
      await this.#ask({ op: 'init', config }, signal);
      this.#mustFinalize = true;
    });
  }

  process(batch: Uint8Array, { signal }: SignalOption = {}): Promise<Uint8Array> {
    if (!(batch instanceof Uint8Array)) return Promise.reject(invalidOption('batch', 'bytes', batch));
    return this.#call(async () => {
      const input = this.#parts.transfers ? this.#inputFor(batch) : copyOf(batch);
      const output = this.#takeOutput();
      this.#input = undefined;
      const transfer = output === undefined ? [input] : [input, output];
      const done = await this.#link.ask(
        { op: 'process', input, length: batch.byteLength, ...(output !== undefined && { output }) },
        transfer,
        signal,
      );
      this.#input = done.input;
      return this.#outputOf(done);
    });
  }

  pressure(level: PressureLevel): void {
    this.#level = checkOneOf('level', level, PRESSURE_LEVELS);
    if (this.#over) return;
    this.#link.setLevel(PRESSURE_LEVELS.indexOf(level));
    if (this.#pressureWaits || !this.plugin.shape.optional.has('plimsoll_pressure')) return;
    this.#pressureWaits = true;
    this.#call(async () => {
      this.#pressureWaits = false;
      if (this.#level === this.#toldLevel) return;
      this.#toldLevel = this.#level;
      await this.#ask({ op: 'pressure', level: PRESSURE_LEVELS.indexOf(this.#level) });
    }).catch(() => {
      // The next call says so.
    });
  }

  finalize({ signal }: SignalOption = {}): Promise<Uint8Array> {
    return this.#call(async () => {
      this.#mustFinalize = false;
      const output = this.#outputOf(await this.#ask({ op: 'finalize' }, signal));
      this.#output = undefined;
      await this.#end();
      return output;
    });
  }

  reclaim(): Promise<number> {
    return this.#call(async () => {
      const { snapshot } = await this.#ask({ op: 'snapshot' });
      const least = this.plugin.shape.memory.min * PAGE_BYTES;
      if (snapshot === undefined || snapshot.memoryBytes <= Math.max(snapshot.content.byteLength, least)) return 0;
      const { content } = snapshot;
      this.#addBuffers(content.byteLength);
      // The old memory goes first: there is never more than what is charged, and what is in use.
      await this.#link.kill();
      this.#link = this.#parts.link();
      this.#link.setLevel(PRESSURE_LEVELS.indexOf(this.#level));
      await this.#link.ready();
      await this.#ask({ op: 'open' });
      const { memoryBytes } = await this.#link.ask({ op: 'restore', snapshot }, [content]);
      this.#memoryBytes = memoryBytes;
      this.#setBuffers();
      this.#parts.onReclaimed(snapshot.memoryBytes - memoryBytes);
      return snapshot.memoryBytes - memoryBytes;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#call(async () => {
      if (this.#mustFinalize) {
        this.#mustFinalize = false;
        await this.#ask({ op: 'finalize' });
      }
      await this.#end();
    }).catch(() => {
      // It is gone either way, and what was wrong has been counted.
    });
  }

  /** In turn, and what goes wrong ends the instance. */
  #call<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++;
    const result = this.#turn.then(async () => {
      this.#waiting--;
      if (this.#over) throw this.#failure ?? new DisposedError('plugin instance');
      this.#calling = true;
      try {
        return await work();
      } catch (cause) {
        await this.#fail(cause);
        throw cause;
      } finally {
        this.#calling = false;
      }
    });
    this.#turn = result.catch(() => {});
    return result;
  }

  async #fail(cause: unknown): Promise<void> {
    if (this.#over) return;
    this.#failure = cause instanceof Error ? cause : new DisposedError('plugin instance');
    if (this.#mustFinalize && this.#link.alive) {
      this.#mustFinalize = false;
      await this.#link.ask({ op: 'finalize' }).catch(() => {});
    }
    await this.#end();
    this.#parts.onFailure(cause);
  }

  async #end(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    await this.#link.kill();
    await this.#parts.spill.close();
    this.#input = this.#output = undefined;
    this.#setBuffers();
    this.#parts.onGone();
  }

  /** A request without buffers, or with those that belong to it. */
  async #ask(
    request:
      | { op: 'open' }
      | { op: 'snapshot' }
      | { op: 'finalize' }
      | { op: 'init'; config: Uint8Array }
      | { op: 'pressure'; level: number },
    signal?: AbortSignal,
  ): Promise<GuestDone> {
    const full =
      request.op === 'open' ? { ...this.#parts.request, level: PRESSURE_LEVELS.indexOf(this.#level) } : request;
    const done = await this.#link.ask(full, [], signal);
    this.#memoryBytes = done.memoryBytes;
    return done;
  }

  #inputFor(batch: Uint8Array): ArrayBuffer {
    let input = this.#input;
    if (input === undefined || input.byteLength < batch.byteLength) {
      input = new ArrayBuffer(Math.ceil(batch.byteLength / BUFFER_STEP) * BUFFER_STEP);
      this.#input = input;
      this.#setBuffers();
    }
    new Uint8Array(input).set(batch);
    return input;
  }

  /** The last output's buffer, unless its owner may not have looked at it yet. */
  #takeOutput(): ArrayBuffer | undefined {
    const output = this.#output;
    this.#output = undefined;
    return output;
  }

  #outputOf(done: GuestDone): Uint8Array {
    const { output, outputLength = 0 } = done;
    this.#memoryBytes = done.memoryBytes;
    const buffer = output ?? new ArrayBuffer(0);
    if (this.#parts.transfers && this.#waiting === 0) this.#output = buffer;
    this.#setBuffers(buffer.byteLength);
    return new Uint8Array(buffer, 0, outputLength);
  }

  #setBuffers(output = this.#output?.byteLength ?? 0): void {
    this.#addBuffers((this.#input?.byteLength ?? 0) + output - this.#bufferBytes);
  }

  #addBuffers(bytes: number): void {
    this.#bufferBytes += bytes;
    this.#parts.onBuffers(bytes);
  }
}

function copyOf(batch: Uint8Array): ArrayBuffer {
  return new Uint8Array(batch).buffer;
}
