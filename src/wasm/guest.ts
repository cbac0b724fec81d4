import { Abi, AbiFault, type AbiHost, type CallOutput } from './abi.ts';
import { ABI_VERSION, globalExport, tableExport } from './abi-contract.ts';
import type { GuestSnapshot, OpenRequest } from './guest-messages.ts';
import { functionsIn, haveSame, readSnapshot, writeSnapshot } from './guest-state.ts';

/** A guest that said no, in a way that the ABI has. */
export class GuestRefusal extends Error {
  override readonly name = 'GuestRefusal';
  readonly kind: 'failed' | 'refused';

  constructor(kind: 'failed' | 'refused', message: string) {
    super(message);
    this.kind = kind;
  }
}

type Call = (...args: number[]) => number;

const OK = 0;
const NOT_FOR_THIS = 1;

/** One instance of a module, inside its worker. What its methods throw ends it; what a guest does in between is its own affair. */
export class Guest {
  readonly memory: WebAssembly.Memory;
  readonly #abi: Abi;
  readonly #exports: Readonly<Record<string, unknown>>;
  readonly #request: OpenRequest;
  /** As they are after the start. */
  readonly #functions: readonly Int32Array[];

  /** Runs the start section and `_initialize`. */
  constructor(request: OpenRequest, host: AbiHost) {
    const { maxPages, minPages, memoryImported, maxOutputBytes } = request;
    this.#request = request;
    this.#abi = new Abi(host, maxOutputBytes);
    const module = request.module instanceof Uint8Array ? new WebAssembly.Module(request.module) : request.module;
    const imports: WebAssembly.Imports = { plimsoll: this.#abi.imports };
    if (memoryImported) {
      this.memory = new WebAssembly.Memory({ initial: minPages, maximum: maxPages });
      imports.env = { memory: this.memory };
      this.#abi.memory = this.memory;
    }
    const instance = this.#run('the start section', () => new WebAssembly.Instance(module, imports));
    this.#exports = instance.exports;
    this.memory ??= this.#exports.memory as WebAssembly.Memory;
    this.#abi.memory = this.memory;
    const initialize = this.#call('_initialize');
    if (initialize !== undefined) this.#run('_initialize', initialize);
    const version = this.#run('plimsoll_abi', this.#call('plimsoll_abi')!);
    if (version !== ABI_VERSION) {
      throw new AbiFault('trap', `plimsoll_abi returned ${version}, and the host has ABI ${ABI_VERSION}`);
    }
    this.#functions = functionsIn(this.#tables);
  }

  init(config: Uint8Array): void {
    this.#abi.begin(false);
    const pointer = this.#hand(config);
    const result = this.#run('plimsoll_init', () => this.#call('plimsoll_init')!(pointer, config.byteLength));
    if (result === NOT_FOR_THIS) {
      throw new GuestRefusal(
        'refused',
        this.#abi.failText || 'plimsoll_init says that it is not for this configuration',
      );
    }
    this.#check('plimsoll_init', result);
  }

  process(batch: Uint8Array, output?: ArrayBuffer): CallOutput {
    this.#abi.begin(true, output);
    const pointer = this.#hand(batch);
    const process = this.#call('plimsoll_process')!;
    this.#check(
      'plimsoll_process',
      this.#run('plimsoll_process', () => process(pointer, batch.byteLength)),
    );
    return this.#abi.takeOutput();
  }

  pressure(level: number): void {
    this.#abi.begin(false);
    const pressure = this.#call('plimsoll_pressure');
    if (pressure !== undefined) this.#run('plimsoll_pressure', () => pressure(level));
  }

  finalize(output?: ArrayBuffer): CallOutput {
    this.#abi.begin(true, output);
    const finalize = this.#call('plimsoll_finalize');
    if (finalize !== undefined) this.#check('plimsoll_finalize', this.#run('plimsoll_finalize', finalize));
    return this.#abi.takeOutput();
  }

  /** Undefined where the state cannot be taken whole. */
  snapshot(): GuestSnapshot | undefined {
    this.#abi.begin(false);
    const trim = this.#call('plimsoll_trim');
    if (trim !== undefined) this.#run('plimsoll_trim', trim);
    return haveSame(this.#tables, this.#functions) ? readSnapshot(this.memory, this.#globals) : undefined;
  }

  /** Puts the state of another instance of the same module into this fresh one. */
  restore(snapshot: GuestSnapshot): void {
    writeSnapshot(snapshot, this.memory, this.#globals);
  }

  get memoryBytes(): number {
    return this.memory.buffer.byteLength;
  }

  get #globals(): WebAssembly.Global[] {
    return this.#request.mutableGlobals.map((index) => this.#exports[globalExport(index)] as WebAssembly.Global);
  }

  get #tables(): WebAssembly.Table[] {
    return Array.from(
      { length: this.#request.tableCount },
      (_, index) => this.#exports[tableExport(index)] as WebAssembly.Table,
    );
  }

  #call(name: string): Call | undefined {
    return this.#exports[name] as Call | undefined;
  }

  /** Has the guest make room for bytes, and puts them there. */
  #hand(bytes: Uint8Array): number {
    const alloc = this.#call('plimsoll_alloc')!;
    const pointer = this.#run('plimsoll_alloc', () => alloc(bytes.byteLength)) as number;
    this.#run('plimsoll_alloc', () => this.#abi.put(bytes, pointer));
    return pointer;
  }

  /** Runs a piece of the guest. A fault of the ABI that it swallowed counts all the same; either stands with the words that the guest gave to `fail` in this call. */
  #run<T>(what: string, call: () => T): T {
    try {
      const result = call();
      if (this.#abi.fault === undefined) return result;
    } catch (cause) {
      if (this.#abi.fault === undefined)
        throw this.#inItsWords(new AbiFault('trap', `${what}: ${(cause as Error)?.message ?? cause}`));
    }
    throw this.#inItsWords(this.#abi.fault!);
  }

  #inItsWords(fault: AbiFault): AbiFault {
    const { failText } = this.#abi;
    return failText === '' ? fault : new AbiFault(fault.kind, `${fault.message}: ${failText}`);
  }

  #check(what: string, result: unknown): void {
    if (result === OK) return;
    throw new GuestRefusal('failed', `${what} returned ${result}${this.#abi.failText && `: ${this.#abi.failText}`}`);
  }
}
