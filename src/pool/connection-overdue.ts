import { tell } from '../catch-rejection.ts';
import { type LeakEvent, leakEvents } from '../events.ts';
import type { ConnectionSlot } from './connection-slot.ts';

/** Places that are told apart in counting. */
const MOST_PLACES = 256;
const NOT_SAMPLED = '(no stack was taken of this lease)';

/** Reports leases that last too long, each once. */
export class OverdueLeases {
  readonly #what: string;
  readonly #onLeak: ((report: LeakEvent) => void) | undefined;
  readonly #places = new Map<string, number>();

  constructor(pool: string, onLeak: ((report: LeakEvent) => void) | undefined) {
    this.#what = `overdue lease of ${pool}`;
    this.#onLeak = onLeak;
  }

  report(slot: ConnectionSlot<unknown>, ageMs: number): void {
    slot.overdue = true;
    const createdAt = slot.stack ?? NOT_SAMPLED;
    // The line that borrowed: how it was come by differs from time to time.
    const place = createdAt.split('\n', 1)[0]!;
    const count = (this.#places.get(place) ?? 0) + 1;
    if (count > 1 || this.#places.size < MOST_PLACES) this.#places.set(place, count);
    const report: LeakEvent = { what: this.#what, createdAt, ageMs, count };
    if (leakEvents.heard) leakEvents.publish(report);
    tell(() => this.#onLeak?.(report));
  }
}
