/** A plugin run in this thread, without the host's walls: for tests of what it puts out, many times over. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const SAMPLES_DIR = join(import.meta.dirname, '../../../../plugins/dist');

export interface GuestOptions {
  readonly config?: Uint8Array;
  /** Records that may be spilled; then there is no room. Default any number. */
  readonly spillRecords?: number;
}

type Call = (...args: number[]) => number;

/** Whether a sample is there: the one in C is built only where clang is. */
export const isBuilt = (name: string): boolean => existsSync(join(SAMPLES_DIR, `${name}.wasm`));

export const readSample = (name: string): Buffer => readFileSync(join(SAMPLES_DIR, `${name}.wasm`));

/** Compiled once for all guests of a file. */
const compiled = new Map<string, WebAssembly.Module>();

export class DirectGuest {
  readonly calls: Record<string, Call>;
  readonly memory: WebAssembly.Memory;
  /** What `plimsoll_init` returned. */
  readonly started: number;
  said = '';
  readonly spilled = new Map<number, Buffer>();
  spillWrites = 0;
  #output: Buffer[] = [];
  #handles = 0;

  constructor(
    name: string,
    { config = new Uint8Array(0), spillRecords = Number.POSITIVE_INFINITY }: GuestOptions = {},
  ) {
    const module = compiled.get(name) ?? new WebAssembly.Module(readSample(name));
    compiled.set(name, module);
    const instance = new WebAssembly.Instance(module, { plimsoll: this.#imports(spillRecords) });
    this.calls = instance.exports as unknown as Record<string, Call>;
    this.memory = instance.exports.memory as unknown as WebAssembly.Memory;
    if (this.calls.plimsoll_abi!() !== 1) throw new Error('another ABI');
    const at = this.#hand(config);
    this.started = this.calls.plimsoll_init!(at, config.byteLength);
  }

  /** What came out; throws with what the plugin said when it fails. */
  process(batch: Uint8Array): Buffer {
    this.#output = [];
    const at = this.#hand(batch);
    if (this.calls.plimsoll_process!(at, batch.byteLength) !== 0) throw new Error(this.said);
    return Buffer.concat(this.#output);
  }

  finalize(): Buffer {
    this.#output = [];
    if (this.calls.plimsoll_finalize!() !== 0) throw new Error(this.said);
    return Buffer.concat(this.#output);
  }

  /** All output of an aggregator, piece by piece, and how many pieces there were. */
  drain(): { output: Buffer; pieces: Buffer[] } {
    const pieces: Buffer[] = [];
    for (let piece = this.process(new Uint8Array(0)); piece.length > 0; piece = this.process(new Uint8Array(0)))
      pieces.push(piece);
    return { output: Buffer.concat([...pieces, this.finalize()]), pieces };
  }

  #hand(bytes: Uint8Array): number {
    const at = this.calls.plimsoll_alloc!(bytes.byteLength) >>> 0;
    Buffer.from(this.memory.buffer).set(bytes, at);
    return at;
  }

  #view(at: number, length: number): Buffer {
    const view = Buffer.from(this.memory.buffer, at >>> 0, length >>> 0);
    if (view.length !== length >>> 0) throw new Error('out of the memory');
    return view;
  }

  #imports(spillRecords: number): Record<string, (...args: number[]) => number | undefined> {
    return {
      log: () => undefined,
      now: () => 0,
      pressure: () => 0,
      emit: (at, length) => {
        this.#output.push(Buffer.from(this.#view(at!, length!)));
        return 0;
      },
      fail: (at, length) => {
        this.said = this.#view(at!, length!).toString();
        return undefined;
      },
      spill_write: (at, length) => {
        if (length! > 2 ** 20) return -5;
        if (this.spillWrites >= spillRecords) return -2;
        this.spillWrites++;
        this.spilled.set(this.#handles, Buffer.from(this.#view(at!, length!)));
        return this.#handles++;
      },
      spill_size: (handle) => this.spilled.get(handle!)?.length ?? -4,
      spill_read: (handle, offset, at, length) => {
        const record = this.spilled.get(handle!);
        return record === undefined ? -4 : record.copy(this.#view(at!, length!), 0, offset!, offset! + length!);
      },
      spill_free: (handle) => (this.spilled.delete(handle!) ? 0 : -4),
    };
  }
}
