import {
  cleanupEvents,
  cleanupFailedEvents,
  pluginEvents,
  reclaimEvents,
  slowAcquireEvents,
  trainEvents,
} from '../events.ts';
import type { NewMonitorEvent } from './monitor-events.ts';

const PARTS = 10;

/** How often something happened within the last `windowMs`, to a tenth of it. 80 bytes of counters. */
export class WindowCount {
  readonly #partMs: number;
  readonly #parts = new Float64Array(PARTS);
  #current = 0;

  constructor(windowMs: number) {
    this.#partMs = windowMs / PARTS;
  }

  add(now: number): void {
    this.#moveTo(now);
    const at = this.#current % PARTS;
    this.#parts[at] = this.#parts[at]! + 1;
  }

  at(now: number): number {
    this.#moveTo(now);
    let sum = 0;
    for (const count of this.#parts) sum += count;
    return sum;
  }

  #moveTo(now: number): void {
    const part = Math.floor(now / this.#partMs);
    if (part - this.#current >= PARTS) this.#parts.fill(0);
    else for (let gone = this.#current + 1; gone <= part; gone++) this.#parts[gone % PARTS] = 0;
    this.#current = Math.max(this.#current, part);
  }
}

/** What rules know of the events so far. */
export interface EventTallyRow {
  /** Within the window. */
  readonly cleanupFailures: number;
  readonly pluginFailures: number;
  readonly slowAcquires: number;
  /** Cleanups and trains that gave something back, since the start. */
  readonly cleanups: number;
  /** Of the last run that said how many items it had worked on: items, and the most it held where it said so. */
  readonly items?: number;
  readonly peakBytes?: number;
}

/** What an `EventTally` counts comes from these: hearing another would have its messages made for nothing. */
export const COUNTED_CHANNELS = [
  trainEvents,
  reclaimEvents,
  cleanupEvents,
  cleanupFailedEvents,
  slowAcquireEvents,
  pluginEvents,
] as const;

/** Counts what the rules of alerts ask for. Constant in bytes. */
export class EventTally {
  readonly #cleanupFailures: WindowCount;
  readonly #pluginFailures: WindowCount;
  readonly #slowAcquires: WindowCount;
  #cleanups = 0;
  #run: { readonly items: number; readonly peakBytes?: number } | undefined;

  constructor(windowMs: number) {
    this.#cleanupFailures = new WindowCount(windowMs);
    this.#pluginFailures = new WindowCount(windowMs);
    this.#slowAcquires = new WindowCount(windowMs);
  }

  add(event: NewMonitorEvent, now: number): void {
    switch (event.kind) {
      case 'cleanup-failed':
        this.#cleanupFailures.add(now);
        break;
      case 'plugin':
        this.#pluginFailures.add(now);
        break;
      case 'pool':
        if (event.waitedMs !== undefined) this.#slowAcquires.add(now);
        break;
      case 'cleaned':
        if (event.bytes > 0) this.#cleanups++;
        break;
      case 'reclaim':
        if (event.releasedBytes > 0 && event.observed !== true) this.#cleanups++;
        break;
      case 'completed': {
        const { items, peakBytes } = event;
        if (items !== undefined) this.#run = { items, ...(peakBytes === undefined ? {} : { peakBytes }) };
      }
    }
  }

  row(now: number): EventTallyRow {
    return {
      cleanupFailures: this.#cleanupFailures.at(now),
      pluginFailures: this.#pluginFailures.at(now),
      slowAcquires: this.#slowAcquires.at(now),
      cleanups: this.#cleanups,
      ...this.#run,
    };
  }
}
