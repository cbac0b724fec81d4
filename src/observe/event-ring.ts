import type { MonitorEvent } from './monitor-events.ts';

/**
 * The last events, at most `capacity`, and how far they have been delivered. Events carry numbers without gaps, so that what was pushed out before it was
 * delivered is a difference and costs nothing to count.
 */
export class EventRing {
  readonly #slots: (MonitorEvent | undefined)[];
  #last = 0;
  #delivered = 0;
  /** Up to here they are being delivered; 0 when none are. */
  #underWay = 0;
  #lost = 0;

  constructor(capacity: number) {
    this.#slots = new Array<MonitorEvent | undefined>(capacity).fill(undefined);
  }

  /** The number that the next one must have. */
  get next(): number {
    return this.#last + 1;
  }

  get size(): number {
    return Math.min(this.#last, this.#slots.length);
  }

  /** Kept and not yet handed to anybody. */
  get waiting(): number {
    return this.#last - Math.max(this.#delivered, this.#underWay, this.#first - 1);
  }

  /** Pushed out before they were handed to anybody, or while they were by a delivery that failed. */
  get lost(): number {
    return this.#lost + Math.max(0, this.#first - 1 - Math.max(this.#delivered, this.#underWay));
  }

  get #first(): number {
    return Math.max(1, this.#last - this.#slots.length + 1);
  }

  push(event: MonitorEvent): void {
    this.#last++;
    this.#slots[(this.#last - 1) % this.#slots.length] = event;
  }

  /** Oldest first. */
  *[Symbol.iterator](): Generator<MonitorEvent> {
    for (let number = this.#first; number <= this.#last; number++) yield this.#at(number);
  }

  /** What is to be delivered, oldest first; `delivered` or `failed` must follow before the next. */
  take(): MonitorEvent[] {
    this.#settleLost();
    const batch: MonitorEvent[] = [];
    for (let number = this.#delivered + 1; number <= this.#last; number++) batch.push({ ...this.#at(number) });
    this.#underWay = this.#last;
    return batch;
  }

  delivered(): void {
    this.#delivered = Math.max(this.#delivered, this.#underWay);
    this.#underWay = 0;
  }

  /** They are taken again, those that are still there. */
  failed(): void {
    this.#underWay = 0;
    this.#settleLost();
  }

  #settleLost(): void {
    const gone = Math.max(0, this.#first - 1 - this.#delivered);
    this.#lost += gone;
    this.#delivered += gone;
  }

  #at(number: number): MonitorEvent {
    return this.#slots[(number - 1) % this.#slots.length]!;
  }
}
