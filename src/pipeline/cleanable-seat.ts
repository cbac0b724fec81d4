/**
 * One cleanable at a coordinator: its place in the governor's books, and what is between it and whoever calls it.
 *
 * - What it says that it holds is tracked, not reserved: it is there already. So a train asks it like any other holder, the journal has it by name, and what it released is what its
 *   estimate went down by. Estimates are looked at between calls, never in the middle of a reservation.
 * - It is called by trains of the governor's own accord as well. What it claimed is added up here; an operation takes the difference.
 */
import { catchRejection, isThenable } from '../catch-rejection.ts';
import type { Clock } from '../clock.ts';
import type { FailOpen } from '../fail-open.ts';
import type { Consumer, Governor, Reclaimer, ReclaimRequest, Tracked } from '../governor/index.ts';
import type { Cleaned, MemoryCleanable } from './memory-cleanable.ts';

export interface CleanableSeatOptions {
  readonly governor: Governor;
  /** Under which its consumer stands; undefined where the governor failed: then it has none. */
  readonly parent: Consumer | undefined;
  readonly failOpen: FailOpen;
  readonly clock: Clock;
  /** The most that one cleaning is waited for, ms. */
  readonly deadlineMs: number;
}

/** What a cleanable has done so far. */
export interface CleanableTally {
  readonly calls: number;
  readonly claimedBytes: number;
  readonly items: number;
  readonly elapsedMs: number;
  readonly faults: number;
}

const NEVER = new AbortController().signal;

export class CleanableSeat implements Disposable {
  readonly cleanable: MemoryCleanable;
  /** Read once: what changes its name later stays under the first. */
  readonly name: string;
  readonly isReserved: boolean;
  readonly #waits: boolean;
  readonly #options: CleanableSeatOptions;
  readonly #tally = { calls: 0, claimedBytes: 0, items: 0, elapsedMs: 0, faults: 0 };
  #consumer: Consumer | undefined;
  #tracked: Tracked | undefined;
  #bytes = 0;
  /** A call of it has not come to its end: it may be late, or call back itself. */
  #busy = false;
  #open = true;

  constructor(cleanable: MemoryCleanable, options: CleanableSeatOptions) {
    this.cleanable = cleanable;
    this.#options = options;
    const { name, kind = 'heap', importance = 0, waits = false, isReserved = false } = cleanable;
    this.name = name;
    this.isReserved = isReserved;
    this.#waits = waits;
    const { governor, parent, failOpen } = options;
    if (isReserved || parent === undefined) return;
    failOpen.run(() => {
      const bounds = { maxBytes: Number.POSITIVE_INFINITY, parent, importance };
      this.#consumer = governor.consumer({ name, kind, ...bounds, reclaimer: this.#reclaimer() });
      this.#tracked = this.#consumer.track();
    }, undefined);
    this.refresh();
  }

  /** Whether trains ask it. */
  get isInBooks(): boolean {
    return this.#tracked !== undefined;
  }

  /** As `estimate` said last. */
  get bytes(): number {
    return this.#bytes;
  }

  get tally(): CleanableTally {
    return { ...this.#tally };
  }

  /** Asks for its estimate, and puts that in the books. */
  refresh(): void {
    if (!this.#open) return;
    this.#bytes = this.#estimate();
    const tracked = this.#tracked;
    if (tracked === undefined) return;
    this.#options.failOpen.run(() => tracked.resize(this.#bytes), undefined);
  }

  /** Has it clean outside a train. Takes at most the deadline. Never rejects. */
  async clean(request: ReclaimRequest, signal: AbortSignal = NEVER): Promise<void> {
    try {
      await this.#cleanWaiting(request, signal);
    } catch (cause) {
      this.#options.failOpen.note(cause);
    }
  }

  [Symbol.dispose](): void {
    this.#open = false;
    this.#bytes = 0;
    const consumer = this.#consumer;
    this.#consumer = this.#tracked = undefined;
    if (consumer !== undefined) this.#options.failOpen.run(() => consumer[Symbol.dispose](), undefined);
  }

  #reclaimer(): Reclaimer {
    const reclaimableBytes = () => (this.#busy ? 0 : this.#bytes);
    if (this.#waits) {
      return { reclaimableBytes, reclaim: (request, { signal }) => this.#cleanWaiting(request, signal) };
    }
    return { reclaimableBytes, reclaimNow: (request) => this.#cleanNow(request) };
  }

  /** What it throws is a fault that the train notes. */
  #cleanNow(request: ReclaimRequest): number {
    if (this.#busy || !this.#open) return 0;
    const startedAt = this.#options.clock.now();
    try {
      const result = this.#call(request, NEVER);
      if (!isThenable(result)) return this.#claim(result);
      catchRejection(this.#watch(result), () => {});
      throw new TypeError('it gave a promise, and does not say that it waits');
    } catch (cause) {
      this.#tally.faults++;
      throw cause;
    } finally {
      this.#end(startedAt);
    }
  }

  async #cleanWaiting(request: ReclaimRequest, signal: AbortSignal): Promise<number> {
    if (this.#busy || !this.#open) return 0;
    const { clock, deadlineMs } = this.#options;
    const startedAt = clock.now();
    const abort = new AbortController();
    const stop = () => abort.abort(signal.aborted ? signal.reason : undefined);
    let timer: Disposable | undefined;
    try {
      const result = this.#call(request, abort.signal);
      if (!isThenable(result)) return this.#claim(result);
      const late = new Promise<never>((_, reject) => {
        abort.signal.addEventListener('abort', () => reject(new Error('it did not end in time')));
      });
      timer = clock.after(deadlineMs, stop, true);
      signal.addEventListener('abort', stop);
      if (signal.aborted) stop();
      return this.#claim(await Promise.race([this.#watch(result), late]));
    } catch (cause) {
      this.#tally.faults++;
      throw cause;
    } finally {
      timer?.[Symbol.dispose]();
      signal.removeEventListener('abort', stop);
      this.#end(startedAt);
    }
  }

  #call({ strategy, targetBytes, level }: ReclaimRequest, signal: AbortSignal): Cleaned | Promise<Cleaned> {
    this.#busy = true;
    this.#tally.calls++;
    let waits = false;
    try {
      const result = this.cleanable.clean(strategy, { targetBytes, level, signal });
      waits = isThenable(result);
      return result;
    } finally {
      if (!waits) this.#busy = false;
    }
  }

  /** Until the promise has settled, however late, it is not called again. */
  async #watch(result: PromiseLike<Cleaned>): Promise<Cleaned> {
    try {
      return await result;
    } finally {
      this.#busy = false;
      this.refresh();
    }
  }

  #claim(cleaned: Cleaned): number {
    const { bytes, items = 0 } = cleaned;
    if (!isCount(bytes) || !isCount(items))
      throw new TypeError(`it cleaned ${String(bytes)} bytes, ${String(items)} items`);
    this.#tally.claimedBytes += bytes;
    this.#tally.items += items;
    return bytes;
  }

  #end(startedAt: number): void {
    this.#tally.elapsedMs += this.#options.clock.now() - startedAt;
    this.refresh();
  }

  /** What cannot be true is nothing: more than there may be in all would make the books refuse everybody. */
  #estimate(): number {
    const { governor, failOpen } = this.#options;
    try {
      const bytes: unknown = this.cleanable.estimate();
      const mostBytes = failOpen.run(() => governor.limitBytes, Number.MAX_SAFE_INTEGER);
      if (typeof bytes === 'number' && bytes >= 0 && bytes <= mostBytes) return Math.ceil(bytes);
      failOpen.watch(bytes);
      throw new TypeError(`its estimate is not a number of bytes from 0 to ${mostBytes}`);
    } catch (cause) {
      failOpen.note(cause);
      return 0;
    }
  }
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}
