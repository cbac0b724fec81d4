import { FailOpen } from '../fail-open.ts';
import { type Governor, HolderBook, type HolderReport, type Reclaimer, type Tracked } from '../governor/index.ts';

export interface PluginBooksOptions {
  readonly name: string;
  readonly maxPluginBytes: number;
  readonly maxTotalBytes: number;
  /** What a worker takes besides its linear memory. */
  readonly workerBytes: number;
  readonly reclaimer: Reclaimer;
  readonly report: () => HolderReport;
}

/**
 * What plugins hold in the ledger: linear memory, a consumer of kind `wasm` with one below it for each plugin; and workers with the buffers that go to and fro, of kind `external`. The bounds
 * of the host are kept here too, governor or not.
 */
export class PluginBooks implements Disposable {
  readonly #governor: Governor | undefined;
  readonly #options: PluginBooksOptions;
  readonly #failOpen: FailOpen;
  readonly #total: HolderBook;
  readonly #workers: HolderBook;
  readonly #plugins = new Map<string, { book: HolderBook; bytes: number }>();
  #tracked: Tracked | undefined;
  #bytes = 0;
  #bufferBytes = 0;

  constructor(governor: Governor | undefined, options: PluginBooksOptions) {
    const { name, maxTotalBytes, report, reclaimer } = options;
    this.#governor = governor;
    this.#options = options;
    this.#failOpen = new FailOpen(`plugins ${name}`);
    const failOpen = this.#failOpen;
    const maxBytes = maxTotalBytes;
    this.#total = new HolderBook(governor, { name, kind: 'wasm', maxBytes, stepBytes: 0, failOpen, report });
    this.#workers = new HolderBook(governor, {
      name: `${name} (workers)`,
      kind: 'external',
      maxBytes: Number.POSITIVE_INFINITY,
      stepBytes: 0,
      failOpen,
      reclaimer,
    });
    this.#tracked = failOpen.run(() => this.#workers.consumer?.track(), undefined);
  }

  /** Linear memory that is charged. */
  get memoryBytes(): number {
    return this.#bytes;
  }

  get bufferBytes(): number {
    return this.#bufferBytes;
  }

  get faults(): number {
    return this.#failOpen.count;
  }

  /** What stands in the way of so many bytes of linear memory for a plugin; undefined when they have been taken. */
  takeMemory(plugin: string, bytes: number): string | undefined {
    const { maxPluginBytes, maxTotalBytes } = this.#options;
    const own = this.#bookOf(plugin);
    if (own.bytes + bytes > maxPluginBytes) return `${own.bytes} of its ${maxPluginBytes} bytes are taken`;
    if (this.#bytes + bytes > maxTotalBytes) return `${this.#bytes} of ${maxTotalBytes} bytes for plugins are taken`;
    // Counted before: asking may run code of others.
    own.bytes += bytes;
    this.#bytes += bytes;
    if (own.book.tryTake(bytes)) return undefined;
    own.bytes -= bytes;
    this.#bytes -= bytes;
    return 'the governor has no room';
  }

  giveMemory(plugin: string, bytes: number): void {
    const own = this.#bookOf(plugin);
    own.bytes -= bytes;
    this.#bytes -= bytes;
    own.book.give(bytes);
  }

  tryTakeWorker(): boolean {
    return this.#workers.tryTake(this.#options.workerBytes);
  }

  /** Whether there is room for one without anybody's help. */
  hasSpareRoom(): boolean {
    const governor = this.#governor;
    if (governor === undefined) return true;
    return this.#failOpen.run(() => governor.availableBytes > 2 * this.#options.workerBytes, true);
  }

  giveWorker(): void {
    this.#workers.give(this.#options.workerBytes);
  }

  /** Buffers that are there and were never asked for: what callers handed over, and output within its bound. */
  addBuffers(bytes: number): void {
    this.#bufferBytes += bytes;
    this.#failOpen.run(() => this.#tracked?.resize(this.#bufferBytes), undefined);
  }

  [Symbol.dispose](): void {
    this.#failOpen.run(() => this.#tracked?.[Symbol.dispose](), undefined);
    this.#tracked = undefined;
    for (const { book } of this.#plugins.values()) book[Symbol.dispose]();
    this.#workers[Symbol.dispose]();
    this.#total[Symbol.dispose]();
  }

  #bookOf(plugin: string): { book: HolderBook; bytes: number } {
    const known = this.#plugins.get(plugin);
    if (known !== undefined) return known;
    const parent = this.#total.consumer;
    const book = new HolderBook(this.#governor, {
      name: `${this.#options.name}: ${plugin}`.slice(0, 120),
      kind: 'wasm',
      maxBytes: Math.min(this.#options.maxPluginBytes, this.#options.maxTotalBytes),
      stepBytes: 0,
      failOpen: this.#failOpen,
      ...(parent !== undefined && { parent }),
    });
    const made = { book, bytes: 0 };
    this.#plugins.set(plugin, made);
    return made;
  }
}
