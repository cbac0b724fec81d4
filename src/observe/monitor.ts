/**
 * Inside: an event is a row in a ring; whether it was delivered is one number. There is never more than one call of the sink, so that one that hangs holds
 * one batch and no more; what does not fit meanwhile is counted, not kept.
 */

import { isThenable } from '../catch-rejection.ts';
import { type Clock, LONGEST_MS, systemClock } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import { checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { shortText } from '../short-text.ts';
import { hearChannels } from './channel-events.ts';
import { EventRing } from './event-ring.ts';
import { eventRow, type MonitorEvent, type MonitorKind, type NewMonitorEvent } from './monitor-events.ts';
import { type MonitorQuery, queryEvents } from './monitor-query.ts';

/** Takes events, oldest first. Those of a call that throws or rejects are given again, as far as they are still there. */
export type MonitorSink = (events: readonly MonitorEvent[]) => void | PromiseLike<void>;

export interface MonitorOptions {
  /** Where events go. Default none: they are kept for `query` only. */
  readonly sink?: MonitorSink;
  /** The most events that are kept, 1 to 1,000,000. The oldest goes first. Default 1,000: about 140 KB with short texts, 1.2 MB with five of 200 characters in each. */
  readonly maxEvents?: number;
  /** How often the sink is called, ms, 1 up. Default 5,000. Where half of `maxEvents` waits, it is called as soon as the program lets go. */
  readonly flushEveryMs?: number;
  /** When a call of the sink counts as hung, and the longest that disposing waits, ms, 1 up. Default 30,000. */
  readonly sinkTimeoutMs?: number;
  /** The part of events that is recorded, 0 to 1. `started`, `completed` and `error` always are. Default 1. */
  readonly sampleRate?: number;
  /** From 0 up to 1, for sampling. Default `Math.random`. */
  readonly random?: () => number;
  /** Whether what the library publishes is recorded. Default true. */
  readonly channels?: boolean;
  readonly clock?: Clock;
}

export interface MonitorStats {
  /** Recorded since the start, and those of them that are still kept. */
  readonly recorded: number;
  readonly kept: number;
  /** Left out by `sampleRate`. */
  readonly sampledOut: number;
  /** Not recorded, because they were none: an unknown kind, a source that is no text, a field that throws. */
  readonly refused: number;
  /** Of those kept, not yet handed to the sink. */
  readonly waiting: number;
  readonly delivered: number;
  /** Pushed out before the sink had them. 0 without a sink. */
  readonly dropped: number;
  /** Calls of the sink, those that threw or rejected, and those that took longer than `sinkTimeoutMs`. */
  readonly flushes: number;
  readonly sinkFailures: number;
  readonly sinkHangs: number;
  /** Whether a call is under way. */
  readonly flushing: boolean;
  readonly lastFailure?: string;
}

export const MONITOR_DEFAULTS = {
  maxEvents: 1_000,
  flushEveryMs: 5_000,
  sinkTimeoutMs: 30_000,
  sampleRate: 1,
  channels: true,
} as const;

const OPTIONS = [
  'sink',
  'maxEvents',
  'flushEveryMs',
  'sinkTimeoutMs',
  'sampleRate',
  'random',
  'channels',
  'clock',
] as const;
const MOST_EVENTS = 1_000_000;
const ALWAYS: ReadonlySet<MonitorKind> = new Set(['started', 'completed', 'error']);

type Resolved = Required<Omit<MonitorOptions, 'sink'>> & Pick<MonitorOptions, 'sink'>;

function checkMonitorOptions(given: MonitorOptions): Resolved {
  const options = copyOptions('Monitor', given, OPTIONS);
  const { sink, random = Math.random, clock = systemClock, channels = MONITOR_DEFAULTS.channels } = options;
  const { sampleRate = MONITOR_DEFAULTS.sampleRate } = options;
  if (sink !== undefined && typeof sink !== 'function') throw invalidOption('sink', 'a function', sink);
  if (typeof random !== 'function') throw invalidOption('random', 'a function', random);
  if (typeof channels !== 'boolean') throw invalidOption('channels', 'true or false', channels);
  if (typeof clock?.after !== 'function') throw invalidOption('clock', 'a clock', clock);
  if (!(typeof sampleRate === 'number' && sampleRate >= 0 && sampleRate <= 1)) {
    throw invalidOption('sampleRate', 'a number from 0 to 1', sampleRate);
  }
  const { maxEvents, flushEveryMs, sinkTimeoutMs } = MONITOR_DEFAULTS;
  return {
    ...(sink === undefined ? {} : { sink }),
    random,
    channels,
    clock,
    sampleRate,
    maxEvents: checkWhole('maxEvents', options.maxEvents ?? maxEvents, 1, MOST_EVENTS),
    flushEveryMs: checkWhole('flushEveryMs', options.flushEveryMs ?? flushEveryMs, 1, LONGEST_MS),
    sinkTimeoutMs: checkWhole('sinkTimeoutMs', options.sinkTimeoutMs ?? sinkTimeoutMs, 1, LONGEST_MS),
  };
}

/**
 * The events of a run: what the library publishes and what `record` is told, the last `maxEvents` of them, for `query` and for a sink. It never throws into
 * the program that it watches, whatever the sink does. Whoever made it disposes it.
 * @example
 * import { Monitor } from 'plimsoll/observe';
 * await using monitor = new Monitor({ sink: (events) => console.log(events.length) });
 * monitor.record({ kind: 'stage', source: 'parse', durationMs: 12, items: 400 });
 */
export class Monitor implements AsyncDisposable {
  readonly #options: Resolved;
  readonly #ring: EventRing;
  readonly #heard: Disposable | undefined;
  #timer: Disposable | undefined;
  /** A call ahead of the timer has been asked for. */
  #early: Disposable | undefined;
  #underWay: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  #sampledOut = 0;
  #refused = 0;
  #delivered = 0;
  #flushes = 0;
  #failures = 0;
  #hangs = 0;
  #lastFailure: string | undefined;

  constructor(options: MonitorOptions = {}) {
    this.#options = checkMonitorOptions(options);
    this.#ring = new EventRing(this.#options.maxEvents);
    if (this.#options.channels) this.#heard = hearChannels((event) => void this.record(event));
    this.#arm();
  }

  /** Keeps a copy. False where it was left out: by `sampleRate`, because it is no event, or because the monitor is disposed. Never throws. */
  record<Kind extends MonitorKind>(event: NewMonitorEvent<Kind>): boolean {
    if (this.#ending !== undefined) return false;
    try {
      if (this.#options.sampleRate < 1 && !ALWAYS.has(event.kind) && this.#isLeftOut()) {
        this.#sampledOut++;
        return false;
      }
      const row = eventRow(event as NewMonitorEvent, this.#ring.next, this.#options.clock.wall());
      // Reading a field may have recorded another.
      if (row?.number === this.#ring.next) {
        this.#ring.push(row);
        this.#flushEarly();
        return true;
      }
    } catch {
      // As promised.
    }
    this.#refused++;
    return false;
  }

  /** Of the events that are kept, those that fit, oldest first. Looks at each once. Throws `RangeError` for a query that is none. */
  query(query: MonitorQuery = {}): MonitorEvent[] {
    return queryEvents(this.#ring, query);
  }

  /** Calls the sink with what waits. Resolves when that call is over, however it ends; where one is under way, when that is. Never rejects. */
  flush(): Promise<void> {
    if (this.#underWay !== undefined) return this.#underWay;
    const { sink } = this.#options;
    if (sink === undefined || this.#ring.waiting === 0) return Promise.resolve();
    let resolve!: () => void;
    const over = new Promise<void>((done) => {
      resolve = done;
    });
    this.#underWay = over;
    const batch = this.#ring.take();
    this.#flushes++;
    const hang = this.#options.clock.after(this.#options.sinkTimeoutMs, () => void this.#hangs++);
    const settle = (failure: string | undefined): void => {
      hang[Symbol.dispose]();
      this.#underWay = undefined;
      if (failure === undefined) {
        this.#ring.delivered();
        this.#delivered += batch.length;
      } else {
        this.#ring.failed();
        this.#failures++;
        this.#lastFailure = shortText(failure);
      }
      resolve();
    };
    this.#call(sink, batch, settle);
    return over;
  }

  get stats(): MonitorStats {
    return {
      recorded: this.#ring.next - 1,
      kept: this.#ring.size,
      sampledOut: this.#sampledOut,
      refused: this.#refused,
      waiting: this.#options.sink === undefined ? 0 : this.#ring.waiting,
      delivered: this.#delivered,
      dropped: this.#options.sink === undefined ? 0 : this.#ring.lost,
      flushes: this.#flushes,
      sinkFailures: this.#failures,
      sinkHangs: this.#hangs,
      flushing: this.#underWay !== undefined,
      ...(this.#lastFailure === undefined ? {} : { lastFailure: this.#lastFailure }),
    };
  }

  /**
   * Hears and records nothing more, and calls the sink once with what waits, after a call that is under way. Resolves when that is over or after
   * `sinkTimeoutMs`. Events stay for `query`. A second time it waits for the first.
   */
  [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    this.#heard?.[Symbol.dispose]();
    this.#timer?.[Symbol.dispose]();
    this.#early?.[Symbol.dispose]();
    const last = this.#underWay === undefined ? this.flush() : this.#underWay.then(() => this.flush());
    const { clock, sinkTimeoutMs } = this.#options;
    await new Promise<void>((resolve) => {
      const late = clock.after(sinkTimeoutMs, resolve, true);
      void last.then(() => {
        late[Symbol.dispose]();
        resolve();
      });
    });
  }

  #call(sink: MonitorSink, batch: readonly MonitorEvent[], settle: (failure: string | undefined) => void): void {
    try {
      const result: unknown = sink(batch);
      if (!isThenable(result)) {
        settle(undefined);
        return;
      }
      new Promise((resolve) => resolve(result)).then(
        () => settle(undefined),
        (cause: unknown) => settle(describeCause(cause)),
      );
    } catch (cause) {
      settle(describeCause(cause));
    }
  }

  #isLeftOut(): boolean {
    return this.#options.random() >= this.#options.sampleRate;
  }

  #arm(): void {
    const { sink, clock, flushEveryMs } = this.#options;
    if (sink === undefined) return;
    this.#timer = clock.after(flushEveryMs, () => {
      void this.flush();
      this.#arm();
    });
  }

  #flushEarly(): void {
    const { sink, clock, maxEvents } = this.#options;
    if (sink === undefined || this.#early !== undefined || this.#underWay !== undefined) return;
    if (this.#ring.waiting * 2 < maxEvents) return;
    this.#early = clock.after(0, () => {
      this.#early = undefined;
      void this.flush();
    });
  }
}
