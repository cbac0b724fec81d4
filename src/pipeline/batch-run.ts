/**
 * One run of a batch processor: a feeder that begins batches, and a reader who takes results.
 *
 * - A place for the result is taken before a batch is begun, and free again when its result has been used: results cannot pile up, whatever the reader does.
 * - Batches get their memory one after the other, in order. So the one that the reader waits for never waits behind a later one, and holding results while waiting for memory is no deadlock.
 * - Whoever waits, waits for any change and looks again: there are few of them, and no case is forgotten.
 */
import { DisposedError } from '../errors.ts';
import type { FailOpen } from '../fail-open.ts';
import { isGovernorRefusal, type Reservation } from '../governor/index.ts';
import { checkWhole } from '../invalid-option.ts';
import { BatchesStuckError, BatchFailedError, BatchTimeoutError } from './batch-errors.ts';
import type { BatchResult, ResolvedBatch } from './batch-options.ts';

/** Counts of all runs of a processor. */
export interface BatchCounts {
  /** Whose work began; those that failed include the ones that got no memory, or were told to end. */
  begun: number;
  succeeded: number;
  failed: number;
  timedOut: number;
  /** Under way; past their time and not ended; with a result that has not been used, those under way included, and the most of that so far. */
  running: number;
  stuck: number;
  unused: number;
  mostUnused: number;
}

interface Task<Value> {
  readonly index: number;
  readonly abort: AbortController;
  reservation: Reservation | undefined;
  result: BatchResult<Value> | undefined;
  timer: Disposable | undefined;
  /** Past its time, and not ended. */
  isStuck: boolean;
}

const HOLD_AND_WAIT = 'PLIMSOLL_HOLD_AND_WAIT';

export class BatchRun<Item, Value> {
  readonly #options: ResolvedBatch<Item, Value>;
  readonly #counts: BatchCounts;
  readonly #failOpen: FailOpen;
  readonly #source: AsyncIterator<Item> | Iterator<Item>;
  readonly #signal: AbortSignal | undefined;
  readonly #stop = new AbortController();
  /** Begun and not used, by index: of both orders. */
  readonly #tasks = new Map<number, Task<Value>>();
  /** Where they are handed out in that order: indexes as they came to their end. */
  readonly #finished: number[] = [];
  readonly #changes = new Changes();
  /** Ends the waiting for memory. */
  readonly #ending: AbortSignal;
  #begun = 0;
  #taken = 0;
  #running = 0;
  #held = 0;
  #stuck = 0;
  #feeding: Promise<void> | undefined;
  /** Nothing more is begun; and the source has been told. */
  #isFed = false;
  #isLeft = false;
  /** Comes behind the results that there are. */
  #end: { readonly error: unknown } | undefined;
  #closed = false;
  readonly #onAbort = () => this.#changes.tell();

  constructor(
    options: ResolvedBatch<Item, Value>,
    items: Iterable<Item> | AsyncIterable<Item>,
    help: { readonly counts: BatchCounts; readonly failOpen: FailOpen; readonly signal: AbortSignal | undefined },
  ) {
    this.#options = options;
    this.#counts = help.counts;
    this.#failOpen = help.failOpen;
    this.#signal = help.signal;
    this.#source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
    const { signal } = this.#stop;
    this.#ending = help.signal === undefined ? signal : AbortSignal.any([signal, help.signal]);
    help.signal?.addEventListener('abort', this.#onAbort);
  }

  /** The next result; undefined at the end. Rejects with what ends the run. */
  async take(): Promise<BatchResult<Value> | undefined> {
    this.#feeding ??= this.#feed();
    for (;;) {
      this.#signal?.throwIfAborted();
      if (this.#closed) throw new DisposedError(this.#options.name);
      const task = this.#nextTask();
      if (task?.result !== undefined) return this.#hand(task.result);
      if (this.#isFed && this.#tasks.size === 0) {
        if (this.#end !== undefined) throw this.#end.error;
        return undefined;
      }
      await this.#changes.next();
    }
  }

  /** The result has been used: its memory and its place are free. */
  used({ index }: BatchResult<Value>): void {
    const task = this.#tasks.get(index);
    if (task === undefined) return;
    this.#tasks.delete(index);
    this.#counts.unused--;
    this.#release(task);
    this.#changes.tell();
  }

  /** Ends it, wherever it stands: what is under way is told, and waited for as long as `closeMs` says. Never rejects. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#stop.abort(this.#signal?.aborted === true ? this.#signal.reason : undefined);
    for (const { abort, result } of this.#tasks.values()) if (result === undefined) abort.abort(this.#ending.reason);
    this.#changes.tell();
    await this.#settled();
    for (const { result } of [...this.#tasks.values()]) if (result !== undefined) this.used(result);
  }

  async #settled(): Promise<void> {
    const { clock, closeMs } = this.#options;
    let isLate = false;
    const timer = clock.after(
      closeMs,
      () => {
        isLate = true;
        this.#changes.tell();
      },
      true,
    );
    while (!isLate && (this.#running > 0 || (this.#feeding !== undefined && !this.#isLeft))) await this.#changes.next();
    timer[Symbol.dispose]();
  }

  #nextTask(): Task<Value> | undefined {
    const index = this.#options.order === 'input' ? this.#taken : this.#finished[0];
    return index === undefined ? undefined : this.#tasks.get(index);
  }

  #hand(result: BatchResult<Value>): BatchResult<Value> {
    this.#taken++;
    if (this.#options.order === 'completion') this.#finished.shift();
    if (result.ok || this.#options.onError === 'continue') return result;
    throw new BatchFailedError(this.#options.name, result.index, result.error);
  }

  /** Begins batches until there are no more, one failed that ends it all, or the run is closed. Never rejects. */
  async #feed(): Promise<void> {
    const { concurrency, maxResults } = this.#options;
    let isExhausted = false;
    try {
      for (;;) {
        while (this.#mayGoOn() && (this.#running >= concurrency || this.#tasks.size >= maxResults)) {
          await this.#changes.next();
        }
        if (!this.#mayGoOn()) break;
        const next = await this.#source.next();
        if (next.done === true) {
          isExhausted = true;
          break;
        }
        if (!this.#mayGoOn()) break;
        await this.#begin(next.value);
      }
    } catch (error) {
      isExhausted = true;
      this.#end ??= { error };
    } finally {
      this.#isFed = true;
      this.#changes.tell();
    }
    if (!isExhausted) await this.#leaveSource();
    this.#isLeft = true;
    this.#changes.tell();
  }

  async #leaveSource(): Promise<void> {
    try {
      await this.#source.return?.();
    } catch (cause) {
      this.#failOpen.note(cause);
    }
  }

  #mayGoOn(): boolean {
    return !this.#ending.aborted && this.#end === undefined;
  }

  async #begin(item: Item): Promise<void> {
    const abort = new AbortController();
    const task: Task<Value> = {
      index: this.#begun++,
      abort,
      reservation: undefined,
      result: undefined,
      timer: undefined,
      isStuck: false,
    };
    this.#tasks.set(task.index, task);
    this.#running++;
    const counts = this.#counts;
    counts.running++;
    counts.unused++;
    counts.mostUnused = Math.max(counts.mostUnused, counts.unused);
    try {
      task.reservation = await this.#admit(item);
      if (task.reservation !== undefined) this.#held++;
    } catch (error) {
      this.#finish(task, { index: task.index, ok: false, error });
      return;
    }
    if (!this.#mayGoOn()) {
      this.#finish(task, { index: task.index, ok: false, error: this.#ending.reason });
      return;
    }
    this.#work(task, item);
  }

  /** Waits for its memory; undefined where none is to be waited for, or the governor failed. Rejects when it was refused. */
  async #admit(item: Item): Promise<Reservation | undefined> {
    const { memory, estimateBytes, admitTimeoutMs } = this.#options;
    if (memory === undefined || estimateBytes === undefined) return undefined;
    const bytes = checkWhole('estimateBytes', estimateBytes(item), 0);
    const signal = this.#ending;
    for (;;) {
      try {
        return await memory.admit(bytes, { signal, timeoutMs: admitTimeoutMs });
      } catch (error) {
        if (!this.#mayGoOn()) throw error;
        // Inside a scope nobody may hold and wait: what is held here is given back first.
        if (this.#held > 0 && codeOf(error) === HOLD_AND_WAIT) await this.#whenReleased();
        else if (isGovernorRefusal(error)) throw error;
        else {
          this.#failOpen.note(error);
          return undefined;
        }
      }
    }
  }

  async #whenReleased(): Promise<void> {
    const held = this.#held;
    while (this.#held >= held && this.#mayGoOn()) await this.#changes.next();
  }

  #work(task: Task<Value>, item: Item): void {
    const { process, timeoutMs, clock } = this.#options;
    const { index, abort, reservation } = task;
    this.#counts.begun++;
    if (timeoutMs !== undefined) task.timer = clock.after(timeoutMs, () => this.#expire(task), true);
    const work = new Promise<Value>((resolve) => resolve(process(item, { index, signal: abort.signal, reservation })));
    work.then(
      (value) => this.#ended(task, { index, ok: true, value }),
      (error: unknown) => this.#ended(task, { index, ok: false, error }),
    );
  }

  /** Its time is over: its place is free, its memory is not before it has really ended. */
  #expire(task: Task<Value>): void {
    const { name, timeoutMs = 0, maxStuck } = this.#options;
    const error = new BatchTimeoutError(name, task.index, timeoutMs);
    const counts = this.#counts;
    task.isStuck = true;
    counts.timedOut++;
    counts.stuck++;
    this.#stuck++;
    this.#finish(task, { index: task.index, ok: false, error });
    if (this.#stuck > maxStuck) this.#end ??= { error: new BatchesStuckError(name, this.#stuck) };
    task.abort.abort(error);
  }

  /** The work has come to its end, in time or not. */
  #ended(task: Task<Value>, result: BatchResult<Value>): void {
    if (task.isStuck) {
      task.isStuck = false;
      this.#counts.stuck--;
      this.#stuck--;
      this.#release(task);
    } else this.#finish(task, result);
    if (this.#closed) this.used(result);
    this.#changes.tell();
  }

  #finish(task: Task<Value>, result: BatchResult<Value>): void {
    task.timer?.[Symbol.dispose]();
    task.timer = undefined;
    task.result = result;
    if (this.#options.order === 'completion') this.#finished.push(task.index);
    this.#running--;
    this.#counts.running--;
    if (result.ok) this.#counts.succeeded++;
    else {
      this.#release(task);
      this.#fail(task);
    }
    this.#changes.tell();
  }

  #fail({ index }: Task<Value>): void {
    this.#counts.failed++;
    if (this.#options.onError !== 'stop') return;
    // Those before it come to their end when results come in order: they are handed out before it.
    this.#end ??= { error: undefined };
    for (const other of this.#tasks.values()) {
      if (other.result !== undefined) continue;
      if (this.#options.order === 'completion' || other.index > index) other.abort.abort();
    }
  }

  /** Once, and not before it has really ended. */
  #release(task: Task<Value>): void {
    const { reservation } = task;
    if (reservation === undefined || task.isStuck) return;
    task.reservation = undefined;
    this.#held--;
    this.#failOpen.run(() => reservation[Symbol.dispose](), undefined);
  }
}

/** One promise for all who wait for something to change. */
class Changes {
  #promise: Promise<void> | undefined;
  #resolve: () => void = () => {};

  next(): Promise<void> {
    this.#promise ??= new Promise((resolve) => {
      this.#resolve = resolve;
    });
    return this.#promise;
  }

  tell(): void {
    this.#promise = undefined;
    this.#resolve();
  }
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown } | null | undefined)?.code;
}
