/**
 * What one holder has in the books of one kind of memory.
 *
 * - Booked ahead in steps, so that most of what is taken and given costs an addition. What is booked and not used counts as reclaimable and goes back first.
 * - Fails open: where there is no governor, or it is broken or disposed, everything is granted and only counted, and the holder's own bound is what is left. What was granted so
 *   is booked as soon as the governor answers again.
 * - Asking for room may run code of others, and have this very holder give back in the middle: after each call what is booked is read anew.
 */
import type { FailOpen } from '../fail-open.ts';
import { checkWhole } from '../invalid-option.ts';
import type { Consumer, ConsumerOptions, Reclaimer, ReclaimRequest, Reservation } from './contract.ts';
import type { Governor } from './governor.ts';
import { checkConsumerOptions } from './ledger.ts';

export interface HolderBookOptions extends ConsumerOptions {
  /** Booked ahead, bytes. Default 65,536; no more than a sixteenth of `maxBytes`. */
  readonly stepBytes?: number;
  readonly failOpen: FailOpen;
}

/** What a book asks a governor for. */
export type HolderGovernor = Pick<Governor, 'consumer' | 'availableBytes' | 'disposed'>;

const STEP_BYTES = 65_536;
const STEP_SHARE = 1 / 16;
/** What is booked ahead may go back while more is asked for. */
const BOOK_TRIES = 4;
const DISPOSED = 'PLIMSOLL_DISPOSED';

/**
 * A holder's account: `tryTake` before allocating, `give` after letting go. An addition each, and a reservation every `stepBytes`. The reclaimer's claims are replaced
 * by what the books went down by. Whoever made it disposes it.
 */
export class HolderBook implements Disposable {
  readonly #governor: HolderGovernor | undefined;
  readonly #failOpen: FailOpen;
  readonly #maxBytes: number;
  readonly #step: number;
  #consumer: Consumer | undefined;
  #reservation: Reservation | undefined;
  #booked = 0;
  #used = 0;

  /** Throws `RangeError` for unsound options, whether or not there is a governor. Opens the consumer at once. */
  constructor(governor: HolderGovernor | undefined, options: HolderBookOptions) {
    const { stepBytes = STEP_BYTES, failOpen, reclaimer, ...rest } = options;
    checkWhole('stepBytes', stepBytes, 0);
    checkConsumerOptions(rest);
    this.#governor = governor;
    this.#failOpen = failOpen;
    this.#maxBytes = rest.maxBytes;
    this.#step = Math.min(stepBytes, Math.floor(rest.maxBytes * STEP_SHARE));
    if (governor === undefined) return;
    failOpen.run(() => {
      const wrapped = reclaimer === undefined ? undefined : this.#wrap(reclaimer);
      const consumer = governor.consumer({ ...rest, ...(wrapped && { reclaimer: wrapped }) });
      const reservation = consumer.reserve(0);
      // Opened in the middle of a request it is not that request's.
      reservation.transfer(consumer);
      this.#consumer = consumer;
      this.#reservation = reservation;
    }, undefined);
  }

  /** Undefined without a governor, and where it failed. */
  get consumer(): Consumer | undefined {
    return this.#consumer;
  }

  /** Taken and not given. */
  get usedBytes(): number {
    return this.#used;
  }

  /** In the ledger: `usedBytes` and what is booked ahead; less where the governor failed. */
  get bookedBytes(): number {
    return this.#booked;
  }

  /** Takes bytes, a whole number from 0 up, or says no. May have others, and this holder, give back meanwhile. Never throws. */
  tryTake(bytes: number): boolean {
    if (this.#used + bytes > this.#booked && !this.#book(bytes)) return false;
    this.#used += bytes;
    return true;
  }

  /** Gives bytes: no more than were taken. Never throws. */
  give(bytes: number): void {
    this.#used -= bytes;
    if (this.#booked - this.#used > 2 * this.#step) this.#shrinkTo(this.#used + this.#step);
  }

  /** Gives back what is booked ahead. */
  settle(): void {
    if (this.#booked > this.#used) this.#shrinkTo(this.#used);
  }

  /** Closes the consumer. What is taken afterwards is granted and stands in no books. */
  [Symbol.dispose](): void {
    const consumer = this.#consumer;
    this.#consumer = this.#reservation = undefined;
    this.#booked = 0;
    if (consumer !== undefined) this.#failOpen.run(() => consumer[Symbol.dispose](), undefined);
  }

  #book(bytes: number): boolean {
    const reservation = this.#reservation;
    if (reservation === undefined) return true;
    try {
      for (let tries = 0; tries < BOOK_TRIES && this.#used + bytes > this.#booked; tries++) {
        if (!this.#growBy(reservation, this.#used + bytes - this.#booked)) break;
        this.#booked = reservation.bytes;
      }
      // This holder may have given back in the middle.
      return this.#used + bytes <= this.#booked || this.#governor!.disposed;
    } catch (cause) {
      this.#failOpen.note(cause);
      // Closed over our head: there is nothing to book on any more.
      if ((cause as { code?: unknown } | null)?.code === DISPOSED) this[Symbol.dispose]();
    }
    return true;
  }

  /** Some ahead where there is room without anybody's help, else what is missing. */
  #growBy(reservation: Reservation, missing: number): boolean {
    const ahead = Math.min(this.#step, this.#maxBytes - reservation.bytes - missing);
    const wanted = missing + ahead;
    if (ahead > 0 && this.#governor!.availableBytes >= wanted && reservation.tryGrow(wanted)) return true;
    return reservation.tryGrow(missing);
  }

  #shrinkTo(bytes: number): void {
    const reservation = this.#reservation;
    if (reservation === undefined) return;
    this.#failOpen.run(() => {
      reservation.shrink(Math.max(0, reservation.bytes - bytes));
      this.#booked = reservation.bytes;
    }, undefined);
  }

  /** What is booked ahead is offered too, and what counts is what the books say. */
  #wrap(reclaimer: Reclaimer): Reclaimer {
    const claimed = (before: number): number => {
      this.settle();
      return Math.max(0, before - this.#booked);
    };
    const wrapped: Reclaimer = {
      reclaimableBytes: () => reclaimer.reclaimableBytes() + Math.max(0, this.#booked - this.#used),
    };
    if (reclaimer.reclaimNow !== undefined) {
      wrapped.reclaimNow = (request: ReclaimRequest) => {
        const before = this.#booked;
        this.settle();
        const missing = request.targetBytes - (before - this.#booked);
        if (missing > 0) reclaimer.reclaimNow!({ ...request, targetBytes: missing });
        return claimed(before);
      };
    }
    if (reclaimer.reclaim !== undefined) {
      wrapped.reclaim = async (request, help) => {
        const before = this.#booked;
        await reclaimer.reclaim!(request, help);
        return claimed(before);
      };
    }
    return wrapped;
  }
}
