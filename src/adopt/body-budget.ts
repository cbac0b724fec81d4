/**
 * A byte-weighted semaphore over the governor for bodies that come in: what a body is expected to be is admitted before it is asked for, and corrected by what
 * its length is said to be, then by what arrives.
 *
 * Who waits here holds nothing, with one exception: a body without a length that outgrows what it holds has to keep what has arrived. That these do not wait for
 * each other, the room for one longest body is kept back while any of them is under way, and is one body's at a time until that has been read, then the
 * oldest's that waits: so one at least can always go on to its end (the banker's algorithm, Dijkstra 1965, with one loan). A body whose length turns out to be
 * more than was admitted gives back all that it holds before it waits for the whole.
 */
import { AsyncResource } from 'node:async_hooks';
import { formatBytes } from '../bytes.ts';
import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import { PlimsollError } from '../errors.ts';
import { refusedEvents } from '../events.ts';
import { FailOpen } from '../fail-open.ts';
import { type Consumer, checkGovernor, type Governor, type GovernorMode, type Reservation } from '../governor/index.ts';
import { checkName, checkNumber, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { BodyHold } from './body-hold.ts';
import { isRefusal } from './governor-refusal.ts';

const KIB = 1_024;
const DEFAULT_EXPECTED_BYTES = 64 * KIB;
const DEFAULT_TIMEOUT_MS = 30_000;
export interface BodyBudgetOptions {
  /** Of the consumer that holds the bodies. 1 to 120 characters. */
  readonly name: string;
  /** The most that all bodies under way may hold together, bytes, from `maxBodyBytes` up. This or `maxShare` is required. */
  readonly maxInFlightBytes?: number;
  /** The same as a part of the limit, above 0, up to 1, as the limit is when this is made. */
  readonly maxShare?: number;
  /** The longest body that is taken, bytes, as it is read: decompressed where that is done before. */
  readonly maxBodyBytes: number;
  /** What is admitted before a request is sent, when nobody knows yet how long its body will be. From 0 to `maxBodyBytes`. Default 64 KiB, or `maxBodyBytes` where that is less. */
  readonly expectedBodyBytes?: number;
  /** The most to wait for room, each time, ms. Default 30,000. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

export const BODY_BUDGET_OPTIONS: readonly string[] = [
  'name',
  'maxInFlightBytes',
  'maxShare',
  'maxBodyBytes',
  'expectedBodyBytes',
  'timeoutMs',
  'clock',
] satisfies readonly (keyof BodyBudgetOptions)[];

/** `PLIMSOLL_BODY_TOO_LARGE`: a body is longer than may be taken. Its connection is closed. */
export class BodyTooLargeError extends PlimsollError {
  override readonly name: string = 'BodyTooLargeError';
  readonly consumer: string;
  readonly maxBodyBytes: number;
  /** What its length was said to be, or what had arrived when it was given up. */
  readonly seenBytes: number;

  constructor(consumer: string, maxBodyBytes: number, seenBytes: number) {
    super(
      `${consumer} takes bodies up to ${formatBytes(maxBodyBytes)}, and this one has ${formatBytes(seenBytes)} at least`,
      {
        code: 'PLIMSOLL_BODY_TOO_LARGE',
        recovery: 'fail',
      },
    );
    this.consumer = consumer;
    this.maxBodyBytes = maxBodyBytes;
    this.seenBytes = seenBytes;
  }
}

/** The bound of all bodies of one adapter. */
export class BodyBudget implements Disposable {
  readonly name: string;
  readonly maxBodyBytes: number;
  readonly open: FailOpen;
  readonly timeoutMs: number;
  /** Ends what is read by something that has become garbage. Kept here: a registry that is garbage itself tells nobody. */
  readonly ends = new FinalizationRegistry<() => void>((end) => end());
  readonly #governor: Governor;
  readonly #expectedBytes: number;
  readonly #clock: Clock;
  /** Undefined where the governor was broken from the start, and at the end. */
  #consumer: Consumer | undefined;
  /** What is kept back belongs to no scope. */
  readonly #outside = new AsyncResource('PlimsollBodyBudget');
  /** Bodies without a length, oldest first. */
  readonly #openEnded = new Set<BodyHold>();
  #reserve: Reservation | undefined;
  #reserving: Promise<void> | undefined;
  /** Whose the reserve is as of now. */
  #finisher: BodyHold | undefined;

  /** Throws `RangeError` for unsound options. */
  constructor(governor: Governor, what: string, options: BodyBudgetOptions) {
    checkGovernor(governor);
    const given = copyOptions(what, options, BODY_BUDGET_OPTIONS);
    const { maxBodyBytes, maxInFlightBytes, maxShare, timeoutMs = DEFAULT_TIMEOUT_MS, clock = systemClock } = given;
    this.name = checkName(given.name);
    this.open = new FailOpen(`adopt ${this.name}`);
    this.maxBodyBytes = checkWhole('maxBodyBytes', maxBodyBytes, 1);
    const expectedBytes = given.expectedBodyBytes ?? Math.min(DEFAULT_EXPECTED_BYTES, maxBodyBytes);
    this.#expectedBytes = checkWhole('expectedBodyBytes', expectedBytes, 0, maxBodyBytes);
    this.timeoutMs = checkWhole('timeoutMs', timeoutMs, 0, LONGEST_MS);
    this.#governor = governor;
    this.#clock = clock;
    if ((maxInFlightBytes === undefined) === (maxShare === undefined)) {
      throw invalidOption('maxInFlightBytes', 'given, or `maxShare` instead of it', maxInFlightBytes);
    }
    if (maxShare !== undefined) checkNumber('maxShare', maxShare, 0, 1);
    else checkWhole('maxInFlightBytes', maxInFlightBytes, 1);
    const maxBytes = maxInFlightBytes ?? this.open.run(() => Math.floor(governor.limitBytes * maxShare!), undefined);
    if (maxBytes === undefined) return;
    if (maxBytes < maxBodyBytes) {
      throw invalidOption('maxBodyBytes', `no more than the ${maxBytes} bytes of all bodies together`, maxBodyBytes);
    }
    this.#consumer = this.open.run(() => governor.consumer({ name: this.name, kind: 'external', maxBytes }), undefined);
  }

  /** What the governor does; `off` when it cannot be asked. */
  get mode(): GovernorMode {
    if (this.#consumer === undefined) return 'off';
    return this.open.run(() => (this.#governor.disposed ? 'off' : this.#governor.mode), 'off');
  }

  /** Disposed, or never begun. */
  get isOver(): boolean {
    return this.#consumer === undefined;
  }

  get heldBytes(): number {
    return this.open.run(() => this.#consumer?.heldBytes ?? 0, 0);
  }

  /** Waits for what a body is expected to be. Undefined when nothing is counted; rejects as `Consumer.admit`. */
  async admit(signal?: AbortSignal): Promise<BodyHold | undefined> {
    if (this.mode === 'off') return undefined;
    const room = await this.take(this.#expectedBytes, signal);
    if (room === undefined) return undefined;
    return new BodyHold(this, room, signal);
  }

  /** Undefined where the governor failed. */
  async take(bytes: number, signal?: AbortSignal): Promise<Reservation | undefined> {
    try {
      const { timeoutMs } = this;
      return await this.#consumer?.admit(bytes, signal === undefined ? { timeoutMs } : { timeoutMs, signal });
    } catch (cause) {
      if (signal?.aborted || isRefusal(cause)) throw cause;
      this.open.note(cause);
      return undefined;
    }
  }

  /** Throws where it is enforced. */
  tooLarge(seenBytes: number): void {
    const { mode, name, maxBodyBytes } = this;
    if (refusedEvents.heard && mode !== 'off') {
      refusedEvents.publish({
        consumer: name,
        requestedBytes: seenBytes,
        reason: 'max',
        boundBy: 'maxBodyBytes',
        availableBytes: maxBodyBytes,
        observed: mode !== 'on',
      });
    }
    if (mode === 'on') throw new BodyTooLargeError(name, maxBodyBytes, seenBytes);
  }

  /** Nobody knows how long this body will be: something is kept back for it. Resolves when there is. */
  openEnded(hold: BodyHold): Promise<void> | undefined {
    const consumer = this.#consumer;
    this.#openEnded.add(hold);
    if (this.#reserve !== undefined || consumer === undefined) return undefined;
    const reserve = () => consumer.tryReserve(this.maxBodyBytes);
    this.#reserve = this.open.run(() => this.#outside.runInAsyncScope(reserve), undefined);
    return this.#reserve === undefined ? this.#waitForReserve(hold) : undefined;
  }

  /** What is kept back for it. */
  reserveFor(hold: BodyHold): number {
    return this.#finisher === hold ? this.maxBodyBytes : 0;
  }

  /** Makes the reserve this body's when it is nobody's. */
  mayFinish(hold: BodyHold): boolean {
    if (this.#finisher !== undefined || this.#reserve === undefined || !this.#openEnded.has(hold)) return false;
    this.#finisher = hold;
    return true;
  }

  /** Its body is over. */
  forget(hold: BodyHold): void {
    this.#openEnded.delete(hold);
    if (this.#finisher === hold) {
      this.#finisher = undefined;
      for (const next of this.#openEnded) {
        if (!next.isWaiting) continue;
        this.#finisher = next;
        next.goOn();
        break;
      }
    }
    if (this.#openEnded.size === 0) this.#dropReserve();
  }

  /** Nothing is held or counted from then on; bodies under way go on. */
  [Symbol.dispose](): void {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    this.open.run(() => consumer?.[Symbol.dispose](), undefined);
  }

  async #waitForReserve(hold: BodyHold): Promise<void> {
    hold.giveBack();
    const deadline = this.#clock.now() + this.timeoutMs;
    while (this.#reserve === undefined && !hold.isOver) {
      // All that wait for it wait for the same.
      this.#reserving ??= this.#takeReserve();
      try {
        await raced(this.#reserving, hold.signal);
        if (this.#reserve === undefined) return;
      } catch (cause) {
        const { code } = (cause ?? {}) as { code?: unknown };
        // More than this machine ever has, outside of this budget: then without.
        if (code === 'PLIMSOLL_BUDGET_EXCEEDED') break;
        // It was another that had waited so long.
        if (code !== 'PLIMSOLL_ADMISSION_TIMEOUT' || this.#clock.now() >= deadline) throw cause;
      }
    }
    if (!hold.isOver && !this.mayFinish(hold)) await hold.waitForMore(this.#expectedBytes);
  }

  #takeReserve(): Promise<void> {
    const taking = this.#outside
      .runInAsyncScope(() => this.take(this.maxBodyBytes))
      .then((room) => {
        if (this.#reserve === undefined && this.#openEnded.size > 0) this.#reserve = room;
        else this.open.run(() => room?.[Symbol.dispose](), undefined);
      })
      .finally(() => {
        this.#reserving = undefined;
      });
    // Whoever waited for it may have gone.
    taking.catch(() => {});
    return taking;
  }

  #dropReserve(): void {
    const reserve = this.#reserve;
    this.#reserve = undefined;
    this.open.run(() => reserve?.[Symbol.dispose](), undefined);
  }
}

/** As the promise, unless the signal is aborted before. */
function raced(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
