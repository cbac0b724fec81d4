import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import { DisposedError } from '../errors.ts';
import { checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { shortText } from '../short-text.ts';
import type { Alerts } from './alerts.ts';
import { type Collections, type CollectionWatch, watchCollections } from './collections.ts';
import type { Monitor } from './monitor.ts';
import type { MonitorEvent } from './monitor-events.ts';
import { type Observation, type ObservationPoint, pointOf } from './observation.ts';
import { checkSource, type SnapshotSource } from './snapshot-source.ts';

/** Told of each look. */
export type ObservationListener = (observation: Observation) => void;

export interface ObservationFeedOptions {
  /** Who gives the picture of memory: a governor. */
  readonly source: SnapshotSource;
  /** The most points that are kept, 1 to 100,000, about 500 bytes each; up to as many again wait to be cut. The oldest goes first. */
  readonly maxPoints: number;
  /** How often it looks by itself, ms; 0: only when `look` is called. Default 1,000. */
  readonly everyMs?: number;
  /** Whose events stand in a look. Default none. Stays the caller's. */
  readonly monitor?: Pick<Monitor, 'query' | 'stats'>;
  /** Whose rows stand in a look. Default none. Stays the caller's. */
  readonly alerts?: Pick<Alerts, 'rows'>;
  /** Default V8's own (`watchCollections`). */
  readonly collections?: () => CollectionWatch;
  readonly clock?: Clock;
}

export interface ObservationFeedStats {
  readonly looks: number;
  /** What they took in all, listeners included, ms. */
  readonly spentMs: number;
  readonly subscribers: number;
  /** Looks that could not be taken, and listeners that threw. */
  readonly faults: number;
  readonly lastFault?: string;
}

export const OBSERVATION_FEED_DEFAULTS = { everyMs: 1_000 } as const;

const OPTIONS = ['source', 'maxPoints', 'everyMs', 'monitor', 'alerts', 'collections', 'clock'] as const;
const MOST_POINTS = 100_000;
const MOST_LISTENERS = 1_000;
const MOST_EVENTS = 200;
const NO_COLLECTIONS: Collections = { count: 0, pauseMs: 0, longestMs: 0 };

type Resolved = Required<Omit<ObservationFeedOptions, 'monitor' | 'alerts'>> &
  Pick<ObservationFeedOptions, 'monitor' | 'alerts'>;

function checkFeedOptions(given: ObservationFeedOptions): Resolved {
  const options = copyOptions('ObservationFeed', given, OPTIONS);
  const { source, monitor, alerts, collections = watchCollections, clock = systemClock } = options;
  if (checkSource(source) === undefined) throw invalidOption('source', 'something with `snapshot()`', source);
  if (monitor !== undefined && typeof monitor?.query !== 'function')
    throw invalidOption('monitor', 'a `Monitor`', monitor);
  if (alerts !== undefined && typeof alerts?.rows !== 'function') throw invalidOption('alerts', '`Alerts`', alerts);
  if (typeof collections !== 'function') throw invalidOption('collections', 'a function', collections);
  if (typeof clock?.after !== 'function') throw invalidOption('clock', 'a clock', clock);
  return {
    ...{ source, collections, clock },
    ...(monitor === undefined ? {} : { monitor }),
    ...(alerts === undefined ? {} : { alerts }),
    maxPoints: checkWhole('maxPoints', options.maxPoints, 1, MOST_POINTS),
    everyMs: checkWhole('everyMs', options.everyMs ?? OBSERVATION_FEED_DEFAULTS.everyMs, 0, LONGEST_MS),
  };
}

/**
 * Looks at a process at intervals and keeps what charts need: what a page, a terminal and a recording show. A look with 20 consumers takes about 0.1 ms. It never
 * throws into the program by itself: a look that fails is counted, and the next is tried. Whoever made it disposes it.
 * @example
 * import { createGovernor } from 'plimsoll';
 * import { ObservationFeed } from 'plimsoll/observe';
 * using feed = new ObservationFeed({ source: createGovernor(), maxPoints: 600 });
 * feed.subscribe(({ snapshot }) => console.log(snapshot.level));
 */
export class ObservationFeed implements Disposable {
  readonly #options: Resolved;
  readonly #watch: CollectionWatch | undefined;
  readonly #listeners = new Set<{ readonly tell: ObservationListener }>();
  #points: ObservationPoint[] = [];
  #last: Observation | undefined;
  #timer: Disposable | undefined;
  #looks = 0;
  #spentMs = 0;
  #lastEvent: number;
  #faults = 0;
  #lastFault: string | undefined;
  #disposed = false;

  constructor(options: ObservationFeedOptions) {
    this.#options = checkFeedOptions(options);
    // What was recorded before is none of what happens between looks.
    this.#lastEvent = this.#options.monitor?.stats.recorded ?? 0;
    try {
      this.#watch = this.#options.collections();
    } catch (cause) {
      this.#fault(cause);
    }
    this.#arm();
  }

  /** Takes one now, keeps its point and tells who listens. Throws what the source throws, and `PLIMSOLL_DISPOSED`. */
  look(): Observation {
    if (this.#disposed) throw new DisposedError('The feed');
    const started = this.#options.clock.now();
    try {
      return this.#look();
    } finally {
      this.#spentMs += this.#options.clock.now() - started;
    }
  }

  get last(): Observation | undefined {
    return this.#last;
  }

  /** Those kept with a number above `since`, oldest first. Default all. */
  points(since = 0): readonly ObservationPoint[] {
    const kept = this.#points.slice(-this.#options.maxPoints);
    return kept.filter(({ number }) => number > since);
  }

  /** Called after each look until what it gives is disposed. At most 1,000: `RangeError`. One that throws is counted, and called again. */
  subscribe(listener: ObservationListener): Disposable {
    if (typeof listener !== 'function') throw invalidOption('listener', 'a function', listener);
    if (this.#listeners.size >= MOST_LISTENERS) {
      throw invalidOption('listener', `one of at most ${MOST_LISTENERS}`, listener);
    }
    const entry = { tell: listener };
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }

  get stats(): ObservationFeedStats {
    return {
      looks: this.#looks,
      spentMs: this.#spentMs,
      subscribers: this.#listeners.size,
      faults: this.#faults,
      ...(this.#lastFault === undefined ? {} : { lastFault: this.#lastFault }),
    };
  }

  /** Looks no more, and forgets who listens. What was kept stays to be read. Twice is once. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
    this.#watch?.[Symbol.dispose]();
    this.#listeners.clear();
  }

  #look(): Observation {
    const { source, alerts, clock } = this.#options;
    // What throws is asked first: collections and events are told once, and a look that fails would lose them.
    const snapshot = source.snapshot();
    const rows = alerts?.rows() ?? [];
    const { events, droppedEvents } = this.#events();
    const observation: Observation = {
      version: 1,
      number: ++this.#looks,
      at: clock.wall(),
      pid: process.pid,
      snapshot,
      collections: this.#watch?.take() ?? NO_COLLECTIONS,
      alerts: rows,
      ...{ events, droppedEvents },
    };
    this.#keep(pointOf(observation, this.#last));
    this.#last = observation;
    for (const { tell } of [...this.#listeners]) {
      try {
        tell(observation);
      } catch (cause) {
        this.#fault(cause);
      }
    }
    return observation;
  }

  /** What a monitor recorded since, as far as it still has it. */
  #events(): { readonly events: readonly MonitorEvent[]; readonly droppedEvents: number } {
    const { monitor } = this.#options;
    if (monitor === undefined) return { events: [], droppedEvents: 0 };
    const { recorded } = monitor.stats;
    const since = this.#lastEvent;
    this.#lastEvent = recorded;
    if (recorded === since) return { events: [], droppedEvents: 0 };
    const events = monitor.query({ limit: MOST_EVENTS }).filter(({ number }) => number > since);
    return { events, droppedEvents: recorded - since - events.length };
  }

  #keep(point: ObservationPoint): void {
    this.#points.push(point);
    // Cut only now and then: a cut copies what stays.
    if (this.#points.length >= this.#options.maxPoints * 2) this.#points = this.#points.slice(-this.#options.maxPoints);
  }

  #arm(): void {
    const { clock, everyMs } = this.#options;
    if (everyMs === 0 || this.#disposed) return;
    this.#timer = clock.after(everyMs, () => {
      this.#arm();
      try {
        this.look();
      } catch (cause) {
        this.#fault(cause);
      }
    });
  }

  #fault(cause: unknown): void {
    this.#faults++;
    this.#lastFault = shortText(describeCause(cause));
  }
}
