/**
 * A backstop that says what was let go of without being given back: never the mechanism that gives back.
 *
 * - The registry holds a trace, and the trace must not lead to what is tracked, or nothing would ever be found. So stacks are kept as text: the frames of an `Error` that
 *   nobody has printed hold their receivers, and one of those is often the very object.
 * - Levels and sampling after Netty's `ResourceLeakDetector` (off, simple, advanced, paranoid).
 */

import { tell } from './catch-rejection.ts';
import { type Clock, systemClock } from './clock.ts';
import { type LeakEvent, leakEvents } from './events.ts';
import { checkOneOf, checkWhole, copyOptions, invalidOption } from './invalid-option.ts';
import { stackText } from './stack-text.ts';

/**
 * `off` looks at nothing. `simple` takes every so many and keeps where they were made. `advanced` also keeps where they were last used. `paranoid` does
 * that for every one: for tests.
 */
export const LEAK_LEVELS = ['off', 'simple', 'advanced', 'paranoid'] as const;
export type LeakLevel = (typeof LEAK_LEVELS)[number];

export interface LeakTrackerOptions {
  /** Default `simple`. */
  readonly level?: LeakLevel;
  /** Below `paranoid` one of so many is looked at, 1 up. Default 128. */
  readonly sampleEvery?: number;
  /** Frames kept of each stack, 1 to 64. Default 8. */
  readonly frames?: number;
  /** Places that are told apart, 1 up; what leaks at further ones is counted and not reported. Default 256. */
  readonly maxPlaces?: number;
  /** Hears of each leak, beside the event. What it throws is passed over. */
  readonly onLeak?: (report: LeakEvent) => void;
  readonly clock?: Clock;
}

export const LEAK_TRACKER_DEFAULTS = { level: 'simple', sampleEvery: 128, frames: 8, maxPlaces: 256 } as const;

/** What follows one object. Whoever tracks it closes the trace when it is given back; twice is safe. */
export interface LeakTrace {
  /** It was used here; kept from `advanced` on. */
  touch(): void;
  /** It was given back: no leak. */
  close(): void;
}

class Trace implements LeakTrace {
  readonly what: string;
  readonly createdAt: string;
  readonly createdMs: number;
  readonly isOver: (() => boolean) | undefined;
  lastUsedAt: string | undefined;
  readonly #tracker: TraceKeeper;

  constructor(
    tracker: TraceKeeper,
    what: string,
    createdAt: string,
    createdMs: number,
    isOver: (() => boolean) | undefined,
  ) {
    this.#tracker = tracker;
    this.isOver = isOver;
    this.what = what;
    this.createdAt = createdAt;
    this.createdMs = createdMs;
  }

  touch(): void {
    this.#tracker.touch(this);
  }

  close(): void {
    this.#tracker.close(this);
  }
}

interface TraceKeeper {
  touch(trace: Trace): void;
  close(trace: Trace): void;
}

/**
 * Follows things that must be given back, and reports those that the garbage collector found first. Shared by guards, leases and reservations: make one, hand
 * it to each as the option `leakTracker`. When V8 tells of what it has collected is its own affair: a report may come late, or never.
 *
 * Off, `track` is one comparison. What is not sampled costs about 3 ns and nothing is kept; what is costs the walk of a stack and about 1 KB until
 * it is closed: `npm run bench -- lifetime registry` prints both.
 * @example
 * import { LeakTracker } from 'plimsoll';
 * const leakTracker = new LeakTracker({ level: 'paranoid', onLeak: ({ what, createdAt }) => console.log(what, createdAt) });
 */
export class LeakTracker {
  readonly level: LeakLevel;
  readonly #every: number;
  readonly #frames: number;
  readonly #maxPlaces: number;
  readonly #touches: boolean;
  readonly #onLeak: ((report: LeakEvent) => void) | undefined;
  readonly #clock: Clock;
  readonly #places = new Map<string, number>();
  readonly #registry: FinalizationRegistry<Trace>;
  readonly #keeper: TraceKeeper;
  #untilNext = 0;
  #open = 0;
  #sampled = 0;
  #leaked = 0;

  /** Throws `RangeError` for unsound options. */
  constructor(options: LeakTrackerOptions = {}) {
    const sound = checkLeakTrackerOptions(options);
    this.level = sound.level;
    this.#every = sound.level === 'paranoid' ? 1 : sound.sampleEvery;
    this.#frames = sound.frames;
    this.#maxPlaces = sound.maxPlaces;
    this.#touches = sound.level === 'advanced' || sound.level === 'paranoid';
    this.#onLeak = sound.onLeak;
    this.#clock = sound.clock;
    this.#registry = new FinalizationRegistry((trace) => this.#found(trace));
    this.#keeper = {
      touch: (trace) => {
        if (this.#touches) trace.lastUsedAt = stackText(trace.touch, this.#frames);
      },
      close: (trace) => {
        if (this.#registry.unregister(trace)) this.#open--;
      },
    };
  }

  /** Looked at so far, still open, and found. */
  get stats(): { readonly sampled: number; readonly open: number; readonly leaked: number } {
    return { sampled: this.#sampled, open: this.#open, leaked: this.#leaked };
  }

  /**
   * Begins to follow `object`, or not: undefined when it is not looked at. `what` is how a report names it. The trace must not be reachable from the registry's
   * side alone: keep it in the object. `isOver`: asked when it was collected open, whether that was as good as given back; it must not lead to the object.
   */
  track(what: string, object: object, isOver?: () => boolean): LeakTrace | undefined {
    if (this.level === 'off') return undefined;
    if (this.#untilNext-- > 0) return undefined;
    this.#untilNext = this.#every - 1;
    const trace = new Trace(this.#keeper, what, stackText(this.track, this.#frames), this.#clock.now(), isOver);
    this.#registry.register(object, trace, trace);
    this.#open++;
    this.#sampled++;
    return trace;
  }

  #found(trace: Trace): void {
    this.#open--;
    if (trace.isOver?.() === true) return;
    this.#leaked++;
    const place = `${trace.what}\n${trace.createdAt}`;
    const before = this.#places.get(place);
    if (before === undefined && this.#places.size >= this.#maxPlaces) return;
    const count = (before ?? 0) + 1;
    this.#places.set(place, count);
    const { what, createdAt, createdMs, lastUsedAt } = trace;
    const ageMs = this.#clock.now() - createdMs;
    const report = { what, createdAt, ageMs, count, ...(lastUsedAt === undefined ? {} : { lastUsedAt }) };
    if (leakEvents.heard) leakEvents.publish(report);
    tell(() => this.#onLeak?.(report));
  }
}

/** Passes a tracker, or none, through: by its verb, not by its class. */
export function checkLeakTracker(given: LeakTracker | undefined): LeakTracker | undefined {
  if (given === undefined || typeof given?.track === 'function') return given;
  throw invalidOption('leakTracker', 'a `LeakTracker`', given);
}

function checkLeakTrackerOptions(given: LeakTrackerOptions) {
  const known = ['level', 'sampleEvery', 'frames', 'maxPlaces', 'onLeak', 'clock'];
  const { onLeak, clock = systemClock, ...options } = copyOptions('LeakTracker', given, known);
  if (onLeak !== undefined && typeof onLeak !== 'function') throw invalidOption('onLeak', 'a function', onLeak);
  const {
    level = LEAK_TRACKER_DEFAULTS.level,
    sampleEvery = LEAK_TRACKER_DEFAULTS.sampleEvery,
    frames = LEAK_TRACKER_DEFAULTS.frames,
    maxPlaces = LEAK_TRACKER_DEFAULTS.maxPlaces,
  } = options;
  return {
    level: checkOneOf('level', level, LEAK_LEVELS),
    sampleEvery: checkWhole('sampleEvery', sampleEvery, 1),
    frames: checkWhole('frames', frames, 1, 64),
    maxPlaces: checkWhole('maxPlaces', maxPlaces, 1),
    onLeak,
    clock,
  };
}
