/**
 * A byte-weighted semaphore over the governor for bodies that come in: what a body is expected to be is admitted before it is asked for, and corrected by what
 * its length is said to be, then by what arrives.
 *
 * Who waits here holds nothing, with one exception. A body whose length turns out to be more than was admitted gives back all that it holds before it waits for
 * the whole. A body without a length that outgrows what it holds has to keep what has arrived: it waits holding. When the bound of this budget is in the way and
 * every body that holds anything waits like that, the youngest fails, so that the others go on (wound-wait with age as the order: Rosenkrantz, Stearns and Lewis
 * 1978). Where other holders are in the way, the governor makes them give back; the timeout is the end of it.
 */
import { AsyncResource } from 'node:async_hooks';
import { formatBytes } from '../bytes.ts';
import { type Clock, systemClock } from '../clock.ts';
import { PlimsollError } from '../errors.ts';
import { refusedEvents } from '../events.ts';
import { FailOpen } from '../fail-open.ts';
import type { Consumer, Governor, GovernorMode, Reservation } from '../governor/index.ts';
import { checkName, checkNumber, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';

const KIB = 1_024;
const DEFAULT_EXPECTED_BYTES = 64 * KIB;
/** What a body without a length grows by. */
const GROW_BYTES = 64 * KIB;
const DEFAULT_TIMEOUT_MS = 30_000;
const LONGEST_MS = 2_147_483_647;
/** Bodies that all wait for each other are found in at most twice this time. */
const LOOK_MS = 100;
/** What the governor says on purpose; anything else it throws is a fault of its own. */
const REFUSALS: ReadonlySet<unknown> = new Set([
  'PLIMSOLL_BUDGET_EXCEEDED',
  'PLIMSOLL_ADMISSION_TIMEOUT',
  'PLIMSOLL_ADMISSION_QUEUE_FULL',
  'PLIMSOLL_HOLD_AND_WAIT',
  'PLIMSOLL_DEADLOCK',
  'PLIMSOLL_SCOPE_ABORTED',
]);

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
  readonly #holds = new Set<BodyHold>();
  #timer: Disposable | undefined;

  /** Throws `RangeError` for unsound options. */
  constructor(governor: Governor, what: string, options: BodyBudgetOptions) {
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
    const hold = new BodyHold(this, room, signal);
    this.#holds.add(hold);
    return hold;
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

  forget(hold: BodyHold): void {
    this.#holds.delete(hold);
  }

  /** One waits for more and holds something: somebody has to look whether they all do. */
  watch(): void {
    this.#timer ??= this.#clock.after(LOOK_MS, () => this.#look());
  }

  /** Nothing is held or counted from then on; bodies under way go on. */
  [Symbol.dispose](): void {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    this.#timer = void this.#timer?.[Symbol.dispose]();
    this.open.run(() => consumer?.[Symbol.dispose](), undefined);
  }

  #look(): void {
    this.#timer = undefined;
    const consumer = this.#consumer;
    let youngest: BodyHold | undefined;
    for (const hold of this.#holds) {
      if (hold.wantsBytes === 0) {
        if (hold.bytes === 0) continue;
        youngest = undefined;
        break;
      }
      youngest = hold;
    }
    if (youngest !== undefined && consumer !== undefined) {
      const wants = youngest.wantsBytes;
      const isOwnBound = this.open.run(() => consumer.maxBytes - consumer.heldBytes < wants, false);
      if (isOwnBound && youngest.isSeenWaiting) youngest.giveUp();
      for (const hold of this.#holds) hold.isSeenWaiting = hold.wantsBytes > 0;
    }
    if ([...this.#holds].some((hold) => hold.wantsBytes > 0)) this.watch();
  }
}

/** What one body holds, from before it is asked for to when it has been read. */
export class BodyHold {
  /** What it waits for while it holds something. */
  wantsBytes = 0;
  /** It has waited since the last look. */
  isSeenWaiting = false;
  readonly #budget: BodyBudget;
  readonly #signal: AbortSignal | undefined;
  /** What is waited for is waited for in the scope in which the body was asked for. */
  readonly #origin = new AsyncResource('PlimsollBody');
  #rooms: Reservation[];
  #arrivedBytes = 0;
  #copiesBytes = 0;
  #isOver = false;
  #isTooLarge = false;
  #giveUp: AbortController | undefined;

  constructor(budget: BodyBudget, room: Reservation, signal: AbortSignal | undefined) {
    this.#budget = budget;
    this.#rooms = [room];
    this.#signal = signal;
  }

  /** As the books have it. */
  get bytes(): number {
    return this.#budget.open.run(() => this.#rooms.reduce((sum, { bytes }) => sum + bytes, 0), 0);
  }

  /** The body will be so long. Resolves when there is room for that; throws or rejects when it is too long or there is none. */
  expect(bodyBytes: number): Promise<void> | undefined {
    this.#checkLength(bodyBytes);
    return this.#correct(bodyBytes, false);
  }

  /** The body will be longer than that, and nobody knows by how much: the room for as much is waited for, none is given back. */
  expectAtLeast(bodyBytes: number): Promise<void> | undefined {
    this.#checkLength(bodyBytes);
    return this.#correct(bodyBytes, true);
  }

  /**
   * So many bytes more have come, and are held `copies` times. A promise when they have to wait for room; throws or rejects when the body has become too long
   * or there is none.
   */
  arrive(bytes: number, copies = 1): Promise<void> | undefined {
    if (this.#isOver) return undefined;
    this.#arrivedBytes += bytes;
    this.#copiesBytes += bytes * copies;
    this.#checkLength(this.#arrivedBytes);
    const missing = this.#copiesBytes - this.bytes;
    if (missing <= 0 || this.#rooms.length === 0) return undefined;
    const left = Math.max(missing, this.#budget.maxBodyBytes * copies - this.bytes);
    if (this.#tryGrow(Math.max(missing, Math.min(GROW_BYTES, left))) || this.#tryGrow(missing)) return undefined;
    return this.#waitForMore(missing);
  }

  /** The body has been read, or never will be. */
  release(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#budget.forget(this);
    this.#giveBack();
    this.#giveUp?.abort(new PlimsollError('the body is not read any more', { code: 'PLIMSOLL_DISPOSED' }));
  }

  /** Of all that wait for each other this one goes. */
  giveUp(): void {
    const { open } = this.#budget;
    try {
      // The refusal that it would get if it did not wait.
      this.#rooms[0]?.grow(this.wantsBytes);
      this.#rooms[0]?.shrink(this.wantsBytes);
    } catch (cause) {
      if (isRefusal(cause)) this.#giveUp?.abort(cause);
      else open.note(cause);
    }
  }

  /** Where that is only observed, it is said once. */
  #checkLength(bodyBytes: number): void {
    if (bodyBytes <= this.#budget.maxBodyBytes || this.#isTooLarge) return;
    this.#isTooLarge = true;
    this.#budget.tooLarge(bodyBytes);
  }

  #correct(bodyBytes: number, atLeast: boolean): Promise<void> | undefined {
    const difference = bodyBytes - this.bytes;
    const [room] = this.#rooms;
    if (room === undefined || difference === 0 || this.#isOver) return undefined;
    if (difference < 0) {
      if (!atLeast) this.#budget.open.run(() => room.shrink(-difference), undefined);
      return undefined;
    }
    return this.#tryGrow(difference) ? undefined : this.#waitForAll(bodyBytes);
  }

  /** True also when the governor failed: then nothing is counted any more. */
  #tryGrow(bytes: number): boolean {
    const [room] = this.#rooms;
    return room === undefined || this.#budget.isOver || this.#budget.open.run(() => room.tryGrow(bytes), true);
  }

  /** Nothing has arrived: what is held is given back first. */
  async #waitForAll(bytes: number): Promise<void> {
    this.#giveBack();
    const room = await this.#admit(bytes, this.#signal);
    if (room === undefined) return;
    if (this.#isOver) this.#budget.open.run(() => room[Symbol.dispose](), undefined);
    else this.#rooms.push(room);
  }

  async #waitForMore(bytes: number): Promise<void> {
    const over = (this.#giveUp = new AbortController());
    const signals = this.#signal === undefined ? [over.signal] : [over.signal, this.#signal];
    this.wantsBytes = bytes;
    this.#budget.watch();
    try {
      const room = await this.#admit(bytes, AbortSignal.any(signals));
      if (room === undefined) return;
      if (this.#isOver) this.#budget.open.run(() => room[Symbol.dispose](), undefined);
      else this.#rooms.push(room);
    } finally {
      this.wantsBytes = 0;
      this.isSeenWaiting = false;
      this.#giveUp = undefined;
    }
  }

  #admit(bytes: number, signal: AbortSignal | undefined): Promise<Reservation | undefined> {
    return this.#origin.runInAsyncScope(() => this.#budget.take(bytes, signal));
  }

  #giveBack(): void {
    const rooms = this.#rooms;
    this.#rooms = [];
    for (const room of rooms) this.#budget.open.run(() => room[Symbol.dispose](), undefined);
  }
}

/** An abort of a scope by its own signal looks like this as well. */
function isRefusal(cause: unknown): boolean {
  const { code, name } = (cause ?? {}) as { code?: unknown; name?: unknown };
  return REFUSALS.has(code) || name === 'AbortError' || name === 'TimeoutError';
}
