import type { Clock } from '../clock.ts';
import type { CleanupQueue, CleanupWatcher } from './cleanup-queue.ts';
import { type CleanupFailure, FailureList } from './failure-list.ts';
import { HELD, IDLE, NONE, type ResourceSlots } from './resource-slots.ts';

/** Why something was put in line to be cleaned up. */
export const CLEANUP_REASONS = ['released', 'limit', 'idle', 'pressure', 'reclaimed', 'asked', 'drained'] as const;
export type CleanupReason = (typeof CLEANUP_REASONS)[number];

/** What came of a cleanup: `count` is `cleaned + failed + hung + taken`. */
export interface CleanupReport {
  readonly count: number;
  readonly cleaned: number;
  readonly failed: number;
  readonly hung: number;
  readonly taken: number;
  readonly cleanedBytes: number;
  readonly failures: readonly CleanupFailure[];
  readonly failuresLeftOut: number;
}

export interface CleanupLineOptions {
  readonly slots: ResourceSlots;
  readonly queue: CleanupQueue;
  readonly clock: Clock;
  readonly maxFailures: number;
  readonly concurrency: number;
}

const MOST_URGENT = 3;
/** As `idleMs`: whatever the clock says. */
const EVERY = Number.NEGATIVE_INFINITY;

/** Who is put in line, and why. Nothing here but `begin`, `evict` and `cleanUp` runs code of others. */
export class CleanupLine {
  readonly slots: ResourceSlots;
  readonly queue: CleanupQueue;
  readonly clock: Clock;
  readonly reasons = Object.fromEntries(CLEANUP_REASONS.map((reason) => [reason, 0])) as Record<CleanupReason, number>;
  readonly #maxFailures: number;
  readonly #concurrency: number;

  constructor(options: CleanupLineOptions) {
    this.slots = options.slots;
    this.queue = options.queue;
    this.clock = options.clock;
    this.#maxFailures = options.maxFailures;
    this.#concurrency = options.concurrency;
  }

  enqueue(slots: readonly number[], reason: CleanupReason): void {
    this.reasons[reason] += slots.length;
    this.queue.enqueue(slots);
  }

  begin(): void {
    this.queue.pump();
  }

  /** Those not used for so long, used longest ago first. */
  idle(idleMs: number): number[] {
    const until = this.clock.now() - idleMs;
    const found: number[] = [];
    for (let slot = this.slots.oldestIn(IDLE); slot !== NONE; slot = this.slots.nextOf(slot)) {
      if (this.slots.sinceOf(slot) > until) break;
      found.push(slot);
    }
    return found;
  }

  /** The idle ones, used longest ago first, and then those that are held. */
  registered(): number[] {
    const found = this.idle(EVERY);
    if (this.slots.countIn(HELD) === 0) return found;
    for (const slot of this.slots.all()) if (this.slots.whereIs(slot) === HELD) found.push(slot);
    return found;
  }

  /** Those used longest ago, until so many and so many bytes have gone; what weighs nothing is left where only bytes are wanted. */
  longestUnused(count: number, bytes: number): number[] {
    const found: number[] = [];
    const { slots } = this;
    let missing = bytes;
    let slot = slots.oldestIn(IDLE);
    while (slot !== NONE && (found.length < count || missing > 0)) {
      const own = slots.bytesOf(slot);
      if (own === 0 && found.length >= count) {
        slot = missing === bytes ? slots.oldestHeavy : slots.nextOf(slot);
        continue;
      }
      missing -= own;
      found.push(slot);
      slot = slots.nextOf(slot);
    }
    return found;
  }

  /** Puts them in line and begins. */
  evict(slots: readonly number[], reason: CleanupReason): void {
    if (slots.length === 0) return;
    this.enqueue(slots, reason);
    this.begin();
  }

  /** Everything idle, and what is held as well where it is said. The most urgent begin before all the others have been put in line. */
  drain(held: boolean): void {
    const slots = held ? this.registered() : this.idle(EVERY);
    this.evict(this.#mostUrgent(slots), 'drained');
    // Code of others has run.
    const isStill = (where: number) => where === IDLE || (held && where === HELD);
    this.evict(
      slots.filter((slot) => isStill(this.slots.whereIs(slot))),
      'drained',
    );
    this.begin();
  }

  /** As many of the highest priority as may be at work. */
  #mostUrgent(slots: readonly number[]): number[] {
    let highest = 0;
    let found: number[] = [];
    for (const slot of slots) {
      const priority = this.slots.priorityOf(slot);
      if (priority > highest) found = [];
      highest = Math.max(highest, priority);
      if (priority === highest && found.length < this.#concurrency) found.push(slot);
      if (highest === MOST_URGENT && found.length === this.#concurrency) break;
    }
    return found;
  }

  /** The same as `evict`; resolves when it has ended with each. */
  cleanUp(slots: readonly number[], reason: CleanupReason): Promise<CleanupReport> {
    const failures = new FailureList(this.#maxFailures);
    const ended = { cleaned: 0, failed: 0, hung: 0, taken: 0 };
    let cleanedBytes = 0;
    let left = slots.length;
    return new Promise((resolve) => {
      const end = () => {
        const { items, leftOut } = failures;
        resolve({ count: slots.length, ...ended, cleanedBytes, failures: items, failuresLeftOut: leftOut });
      };
      if (left === 0) return end();
      const watcher: CleanupWatcher = (outcome, bytes, failure) => {
        ended[outcome]++;
        if (outcome === 'cleaned') cleanedBytes += bytes;
        if (failure !== undefined) failures.add(failure);
        if (--left === 0) end();
      };
      this.enqueue(slots, reason);
      for (const slot of slots) this.queue.watch(slot, watcher);
      this.begin();
    });
  }
}
