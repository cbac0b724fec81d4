import { levelRank, type MeterName, type PressureLevel } from '../governor/index.ts';
import {
  type FeedEnd,
  type FeedHeader,
  type FeedLine,
  isFeedEnd,
  isFeedHeader,
  type MonitorEvent,
  type MonitorKind,
  type Observation,
  type ObservationPoint,
  pointOf,
} from '../observe/index.ts';
import type { ProcessReport, RunConsumer, RunMeter } from './run-report.ts';
import { findSuspects } from './suspects.ts';

const MOST_POINTS = 240;
const MOST_EVENTS = 20;
const MOST_CONSUMERS = 10;
const TOLD: ReadonlySet<MonitorKind> = new Set([
  'pressure',
  'reclaim',
  'refused',
  'cleanup-failed',
  'plugin',
  'leak',
  'alert',
  'error',
]);

/** Sums up the looks at one process, as they come: at most 480 points, 20 events. */
export class RunRecorder {
  readonly pid: number;
  #header: FeedHeader | undefined;
  #end: FeedEnd['ended'] | undefined;
  #firstAt: number | undefined;
  #last: Observation | undefined;
  #looks = 0;
  #points: ObservationPoint[] = [];
  #events: MonitorEvent[] = [];
  readonly #meters = new Map<MeterName, RunMeter>();
  readonly #levels: Partial<Record<PressureLevel, number>> = {};
  #peakLevel: PressureLevel = 'optimal';
  #collections = { count: 0, pauseMs: 0, longestMs: 0, freedBytes: 0 };
  #freedIsKnown = true;

  constructor(pid: number) {
    this.pid = pid;
  }

  get last(): Observation | undefined {
    return this.#last;
  }

  get points(): readonly ObservationPoint[] {
    return this.#points;
  }

  get events(): readonly MonitorEvent[] {
    return this.#events;
  }

  get collections(): number {
    return this.#collections.count;
  }

  note(line: FeedLine): void {
    if (isFeedHeader(line)) this.#header ??= line;
    else if (isFeedEnd(line)) this.#end = line.ended;
    else this.#look(line);
  }

  /** The most that it took, for telling who matters. */
  get peakBytes(): number {
    return this.#meters.get('rss')?.peakBytes ?? 0;
  }

  /** Undefined while nothing was looked at. */
  report(): ProcessReport | undefined {
    const [firstAt, last] = [this.#firstAt, this.#last];
    if (firstAt === undefined || last === undefined) return undefined;
    const { snapshot } = last;
    const startedAt = this.#header?.startedAt ?? firstAt;
    const { freedBytes, ...collections } = this.#collections;
    return {
      pid: this.pid,
      program: this.#header?.program ?? '?',
      node: this.#header?.node ?? '?',
      startedAt,
      elapsedMs: (this.#end?.at ?? last.at) - startedAt,
      looks: this.#looks,
      ...(this.#end === undefined ? {} : { exitCode: this.#end.exitCode }),
      ...(this.#end?.peakRssBytes === undefined ? {} : { peakRssBytes: this.#end.peakRssBytes }),
      mode: snapshot.mode,
      limitBytes: snapshot.limitBytes,
      limitFrom: snapshot.limitFrom,
      thresholds: snapshot.thresholds,
      peakLevel: this.#peakLevel,
      meters: [...this.#meters.values()],
      collections: this.#freedIsKnown ? { ...collections, freedBytes } : collections,
      levels: { ...this.#levels },
      trains: {
        count: snapshot.trains.count,
        releasedBytes: snapshot.trains.releasedBytes,
        seenBytes: snapshot.trains.seenBytes,
      },
      refusals: snapshot.refusals,
      consumers: largestConsumers(last),
      suspects: findSuspects(this.#points),
      points: thinned(this.#points),
      events: this.#events,
      warnings: snapshot.warnings,
      faults: snapshot.faults.map(({ part, message, count }) => `${part}: ${message}${count > 1 ? ` (${count})` : ''}`),
    };
  }

  #look(look: Observation): void {
    const { snapshot, collections } = look;
    const before = this.#last;
    this.#looks++;
    this.#firstAt ??= look.at;
    if (before !== undefined) {
      const { level } = before.snapshot;
      this.#levels[level] = (this.#levels[level] ?? 0) + Math.max(0, look.at - before.at);
    }
    if (levelRank(snapshot.level) > levelRank(this.#peakLevel)) this.#peakLevel = snapshot.level;
    for (const { name, bytes, peakBytes, limitBytes, off } of snapshot.meters) {
      if (off) continue;
      const known = this.#meters.get(name)?.peakBytes ?? 0;
      this.#meters.set(name, { name, peakBytes: Math.max(known, peakBytes, bytes), lastBytes: bytes, limitBytes });
    }
    this.#collections.count += collections.count;
    this.#collections.pauseMs += collections.pauseMs;
    this.#collections.longestMs = Math.max(this.#collections.longestMs, collections.longestMs);
    this.#collections.freedBytes += collections.freedBytes ?? 0;
    this.#freedIsKnown &&= collections.freedBytes !== undefined;
    this.#points.push(pointOf(look, before));
    if (this.#points.length >= 2 * MOST_POINTS) this.#points = thinned(this.#points);
    const told = look.events.filter(({ kind }) => TOLD.has(kind));
    if (told.length > 0) this.#events = [...this.#events, ...told].slice(-MOST_EVENTS);
    this.#last = look;
  }
}

function largestConsumers({ snapshot }: Observation): RunConsumer[] {
  return snapshot.consumers
    .toSorted((a, b) => b.ownBytes - a.ownBytes)
    .slice(0, MOST_CONSUMERS)
    .map(({ name, kind, ownBytes, peakBytes }) => ({ name, kind, ownBytes, peakBytes }));
}

/** At most 240: neighbours become one, with the most of each figure. */
function thinned(points: readonly ObservationPoint[]): ObservationPoint[] {
  let kept = [...points];
  while (kept.length > MOST_POINTS) {
    const half: ObservationPoint[] = [];
    for (let i = 0; i < kept.length; i += 2) half.push(joined(kept[i]!, kept[i + 1]));
    kept = half;
  }
  return kept;
}

function joined(a: ObservationPoint, b: ObservationPoint | undefined): ObservationPoint {
  if (b === undefined) return a;
  const meters: Partial<Record<MeterName, number>> = { ...b.meters };
  for (const [name, bytes] of Object.entries(a.meters)) {
    meters[name as MeterName] = Math.max(bytes, meters[name as MeterName] ?? 0);
  }
  return {
    ...b,
    level: levelRank(a.level) > levelRank(b.level) ? a.level : b.level,
    meters,
    collections: a.collections + b.collections,
    pauseMs: a.pauseMs + b.pauseMs,
    releasedBytes: a.releasedBytes + b.releasedBytes,
    seenBytes: a.seenBytes + b.seenBytes,
  };
}
