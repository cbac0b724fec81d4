import { AsyncResource } from 'node:async_hooks';
import type { Reservation } from '../governor/index.ts';
import type { BodyBudget } from './body-budget.ts';
import { isAborted, isRefusal } from './governor-refusal.ts';

/** What a body without a length grows by. */
const GROW_BYTES = 65_536;

/** What one body holds, from before it is asked for to when it has been read. */
export class BodyHold {
  readonly signal: AbortSignal | undefined;
  readonly #budget: BodyBudget;
  /** What is waited for is waited for in the scope in which the body was asked for. */
  readonly #origin = new AsyncResource('PlimsollBody');
  #rooms: Reservation[];
  #arrivedBytes = 0;
  #copiesBytes = 0;
  #isOver = false;
  #isTooLarge = false;
  #waiting: AbortController | undefined;

  constructor(budget: BodyBudget, room: Reservation, signal: AbortSignal | undefined) {
    this.#budget = budget;
    this.#rooms = [room];
    this.signal = signal;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** It waits for more, and holds what has arrived. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  /** The body will be so long. Resolves when there is room for that; throws or rejects when it is too long or there is none. */
  expect(bodyBytes: number): Promise<void> | undefined {
    this.#checkLength(bodyBytes);
    const difference = bodyBytes - this.#bytes;
    const [room] = this.#rooms;
    if (room === undefined || difference === 0 || this.#isOver || this.#budget.isOver) return undefined;
    if (difference > 0) return this.#tryGrow(difference) ? undefined : this.#waitForAll(bodyBytes);
    this.#budget.open.run(() => room.shrink(-difference), undefined);
    return undefined;
  }

  /** The body will be so long at least, and nobody knows how long. Resolves when it can be read to its end, some time; throws or rejects as `expect`. */
  expectAtLeast(bodyBytes: number): Promise<void> | undefined {
    this.#checkLength(bodyBytes);
    return this.#rooms.length === 0 || this.#isOver ? undefined : this.#budget.openEnded(this);
  }

  /**
   * So many bytes more have come, and are held `copies` times. A promise when they have to wait for room; throws or rejects when the body has become too long
   * or there is none.
   */
  arrive(bytes: number, copies = 1): Promise<void> | undefined {
    if (this.#isOver) return undefined;
    const budget = this.#budget;
    this.#arrivedBytes += bytes;
    this.#copiesBytes += bytes * copies;
    this.#checkLength(this.#arrivedBytes);
    const heldBytes = this.#bytes;
    const lacking = this.#copiesBytes - heldBytes;
    if (lacking <= 0 || budget.isOver) return undefined;
    const left = Math.max(lacking, budget.maxBodyBytes * copies - heldBytes);
    if (this.#tryGrow(Math.max(lacking, Math.min(GROW_BYTES, left))) || this.#grows(lacking)) return undefined;
    budget.mayFinish(this);
    const missing = this.#missingBytes(heldBytes);
    return missing <= 0 ? undefined : this.waitForMore(missing);
  }

  /** What is kept back is for this body from now on: it need not wait any more. */
  goOn(): void {
    if (this.#missingBytes(this.#bytes) <= 0) this.#waiting?.abort(GO_ON);
  }

  /** The body has been read, or never will be. */
  release(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.giveBack();
    this.#waiting?.abort(GO_ON);
    this.#budget.forget(this);
  }

  giveBack(): void {
    const rooms = this.#rooms;
    this.#rooms = [];
    for (const room of rooms) this.#budget.open.run(() => room[Symbol.dispose](), undefined);
  }

  /** In the scope in which the body was asked for. */
  async #admit(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const room = await this.#origin.runInAsyncScope(() => this.#budget.take(bytes, signal));
    if (room === undefined) return;
    if (this.#isOver) this.#budget.open.run(() => room[Symbol.dispose](), undefined);
    else this.#rooms.push(room);
  }

  /** As the books have it. */
  get #bytes(): number {
    return this.#budget.open.run(() => this.#rooms.reduce((sum, { bytes }) => sum + bytes, 0), 0);
  }

  #missingBytes(heldBytes: number): number {
    return this.#copiesBytes - heldBytes - this.#budget.reserveFor(this);
  }

  /** Where that is only observed, it is said once. */
  #checkLength(bodyBytes: number): void {
    if (bodyBytes <= this.#budget.maxBodyBytes || this.#isTooLarge) return;
    this.#isTooLarge = true;
    this.#budget.tooLarge(bodyBytes);
  }

  /** True also when the governor failed: then nothing is counted any more. */
  #tryGrow(bytes: number): boolean {
    const [room] = this.#rooms;
    // One that began with what is kept back has no room of its own.
    if (room === undefined) return this.#budget.reserveFor(this) === 0;
    return this.#budget.open.run(() => room.tryGrow(bytes), true);
  }

  /** The same, but throws where the scope is at its bound or at its end: that is nothing to wait for, and what is kept back is not for it. */
  #grows(bytes: number): boolean {
    const [room] = this.#rooms;
    if (room === undefined) return this.#tryGrow(bytes);
    try {
      room.grow(bytes);
    } catch (cause) {
      if ((cause as { reason?: unknown } | null)?.reason === 'scope' || isAborted(cause)) throw cause;
      if (isRefusal(cause)) return false;
      this.#budget.open.note(cause);
    }
    return true;
  }

  /** Nothing has arrived: what is held is given back first. */
  async #waitForAll(bytes: number): Promise<void> {
    this.giveBack();
    await this.#admit(bytes, this.signal);
  }

  /** Waits holding what has arrived, for the governor or for what is kept back, whichever comes first. */
  async waitForMore(bytes: number): Promise<void> {
    const waiting = (this.#waiting = new AbortController());
    const signals = this.signal === undefined ? [waiting.signal] : [waiting.signal, this.signal];
    try {
      await this.#admit(bytes, AbortSignal.any(signals));
    } catch (cause) {
      if (cause !== GO_ON) throw cause;
    } finally {
      this.#waiting = undefined;
    }
  }
}

/** Why one stops waiting for the governor: there is room, or the need is over. */
const GO_ON = new Error('there is room');
