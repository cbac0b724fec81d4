/**
 * The host's side of the ABI, inside the worker: the only file that touches pointers of a guest.
 *
 * Whatever a guest gives is taken for forged: pointers and lengths are made unsigned and compared with the memory as it is at that moment, because it may have grown meanwhile and its old
 * buffer is then gone. The first fault stays: a guest that catches what a host function throws gets it again at its next call, and the host sees it after the guest's return.
 */
import { withoutControlCharacters } from '../control-characters.ts';
import { HOST_FUNCTIONS, MAX_LOG_LINES, MAX_SPILL_RECORD_BYTES, MAX_TEXT_BYTES, SPILL_ERROR } from './abi-contract.ts';

/** Where a guest's records go. Each call waits. */
export interface SpillCalls {
  /** A handle, or an error below 0. The bytes are copied before it returns. */
  write(bytes: Uint8Array): number;
  size(handle: number): number;
  /** Fills `target` from `offset` of the record on: how much, or an error. */
  read(handle: number, offset: number, target: Uint8Array): number;
  free(handle: number): number;
}

export interface AbiHost {
  readonly spill: SpillCalls;
  log(level: number, line: string): void;
  now(): number;
  level(): number;
}

/** What a guest did that ends it. */
export class AbiFault extends Error {
  override readonly name = 'AbiFault';
  readonly kind: 'trap' | 'outputLimit';

  constructor(kind: 'trap' | 'outputLimit', message: string) {
    super(message);
    this.kind = kind;
  }
}

/** What one call put out; `buffer` is longer than that. */
export interface CallOutput {
  readonly buffer: ArrayBuffer;
  readonly length: number;
}

/** Something with the bytes of a linear memory: a `WebAssembly.Memory`. */
export interface GuestMemory {
  readonly buffer: ArrayBufferLike;
}

const LEAST_OUTPUT_BYTES = 4_096;
const MOST_LOG_LEVEL = 3;

export class Abi {
  readonly #host: AbiHost;
  readonly #maxOutputBytes: number;
  readonly #text = new TextDecoder();
  #memory: GuestMemory | undefined;
  #output = new Uint8Array(new ArrayBuffer(0));
  #outputLength = 0;
  #mayEmit = false;
  #logLines = 0;
  #fault: AbiFault | undefined;
  #failText = '';

  constructor(host: AbiHost, maxOutputBytes: number) {
    this.#host = host;
    this.#maxOutputBytes = maxOutputBytes;
  }

  /** The memory that pointers are of. Until it is known a host function called by a start section is a fault. */
  set memory(memory: GuestMemory) {
    this.#memory = memory;
  }

  get fault(): AbiFault | undefined {
    return this.#fault;
  }

  /** What the guest gave to `fail` in this call. */
  get failText(): string {
    return this.#failText;
  }

  /** Functions for the imports, by the names of `HOST_FUNCTIONS`. */
  get imports(): Record<string, (...args: number[]) => number> {
    const verbs: Record<string, (...args: number[]) => number> = {
      log: (level, pointer, length) => this.#log(level!, pointer!, length!),
      now: () => this.#host.now(),
      pressure: () => this.#host.level(),
      emit: (pointer, length) => this.#emit(pointer!, length!),
      fail: (pointer, length) => this.#fail(pointer!, length!),
      spill_write: (pointer, length) => this.#spillWrite(pointer!, length!),
      spill_size: (handle) => this.#host.spill.size(handle! | 0),
      spill_read: (handle, offset, pointer, length) => this.#spillRead(handle!, offset!, pointer!, length!),
      spill_free: (handle) => this.#host.spill.free(handle! | 0),
    };
    const guarded: Record<string, (...args: number[]) => number> = {};
    for (const name of Object.keys(HOST_FUNCTIONS)) {
      const verb = verbs[name]!;
      guarded[name] = (...args) => {
        if (this.#fault !== undefined) throw this.#fault;
        return verb(...args);
      };
    }
    return guarded;
  }

  /** Before a call of the guest: what it puts out goes into `output` as long as that is large enough. */
  begin(mayEmit: boolean, output?: ArrayBuffer): void {
    this.#mayEmit = mayEmit;
    if (output !== undefined) this.#output = new Uint8Array(output);
    this.#outputLength = 0;
    this.#logLines = 0;
    this.#failText = '';
  }

  /** After a call: the output is the caller's from now on. */
  takeOutput(): CallOutput {
    const { buffer } = this.#output;
    this.#output = new Uint8Array(new ArrayBuffer(0));
    return { buffer, length: this.#outputLength };
  }

  /** Copies bytes to where the guest has made room for them. Throws `AbiFault` when there is none. */
  put(bytes: Uint8Array, pointer: number): void {
    if (bytes.byteLength > 0 && pointer === 0) throw this.#broken('plimsoll_alloc has no room');
    this.view(pointer, bytes.byteLength, 'plimsoll_alloc').set(bytes);
  }

  /** A window on the guest's memory, gone when it grows. Throws `AbiFault` when not all of it is inside. */
  view(pointer: number, length: number, what: string): Uint8Array<ArrayBuffer> {
    const memory = this.#memory;
    if (memory === undefined) throw this.#broken(`${what} was called before the module was there`);
    const start = pointer >>> 0;
    const size = length >>> 0;
    const { buffer } = memory;
    if (start + size > buffer.byteLength) {
      throw this.#broken(`${what}: ${size} bytes at ${start} are not in a memory of ${buffer.byteLength}`);
    }
    return new Uint8Array(buffer as ArrayBuffer, start, size);
  }

  #broken(message: string, kind: AbiFault['kind'] = 'trap'): AbiFault {
    this.#fault ??= new AbiFault(kind, message);
    return this.#fault;
  }

  #line(bytes: Uint8Array): string {
    const cut = bytes.subarray(0, MAX_TEXT_BYTES);
    // They could write over what stands before them on a terminal.
    return withoutControlCharacters(this.#text.decode(cut));
  }

  #log(level: number, pointer: number, length: number): number {
    const bytes = this.view(pointer, length, 'log');
    if (this.#logLines++ < MAX_LOG_LINES) {
      this.#host.log(Math.min(Math.max(level | 0, 0), MOST_LOG_LEVEL), this.#line(bytes));
    }
    return 0;
  }

  #fail(pointer: number, length: number): number {
    this.#failText = this.#line(this.view(pointer, length, 'fail'));
    return 0;
  }

  #emit(pointer: number, length: number): number {
    if (!this.#mayEmit) throw this.#broken('emit is for plimsoll_process and plimsoll_finalize');
    const bytes = this.view(pointer, length, 'emit');
    const end = this.#outputLength + bytes.byteLength;
    if (end > this.#maxOutputBytes) throw this.#broken(`more than ${this.#maxOutputBytes} bytes`, 'outputLimit');
    if (end > this.#output.byteLength) this.#growOutput(end);
    this.#output.set(bytes, this.#outputLength);
    this.#outputLength = end;
    return 0;
  }

  /** Doubles, so that many small pieces do not cost a copy each. */
  #growOutput(least: number): void {
    const size = Math.min(Math.max(least, this.#output.byteLength * 2, LEAST_OUTPUT_BYTES), this.#maxOutputBytes);
    const larger = new Uint8Array(new ArrayBuffer(Math.max(size, least)));
    larger.set(this.#output.subarray(0, this.#outputLength));
    this.#output = larger;
  }

  #spillWrite(pointer: number, length: number): number {
    const bytes = this.view(pointer, length, 'spill_write');
    return bytes.byteLength > MAX_SPILL_RECORD_BYTES ? SPILL_ERROR.tooLong : this.#host.spill.write(bytes);
  }

  #spillRead(handle: number, offset: number, pointer: number, length: number): number {
    const target = this.view(pointer, length, 'spill_read');
    return this.#host.spill.read(handle | 0, offset >>> 0, target);
  }
}
