import { type Clock, systemClock } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import { PlimsollError } from '../errors.ts';
import { type ProcessFigures, readProcessFigures, type Snapshot } from '../governor/index.ts';
import { checkName, checkWhole, copyOptions, invalidOption, withoutUndefined } from '../invalid-option.ts';
import { shortText } from '../short-text.ts';
import { type Collections, type CollectionWatch, watchCollections } from './collections.ts';
import type { MemoryCheckpoint, MemoryReport, MemorySpan, TopConsumers } from './memory-report.ts';
import { checkSource, type SnapshotSource } from './snapshot-source.ts';

export interface MemoryProfilerOptions {
  /** The most checkpoints that are kept, 1 up. Required. Start and end have places of their own. */
  readonly maxCheckpoints: number;
  /** A governor, say: for ledger, level, consumers and drift. Asked at each checkpoint. Default: none, and they are left out. */
  readonly source?: SnapshotSource;
  /** Between checkpoints the process is looked at so often for its peak, ms; 0: never, and V8's notes on collections, 8 KB each, wait for the next checkpoint. Default 100. */
  readonly sampleEveryMs?: number;
  /** How many consumers are named, 0 to 1,000. Default 5. */
  readonly topConsumers?: number;
  readonly clock?: Clock;
  /** In place of `process.memoryUsage`. */
  readonly figures?: () => ProcessFigures;
  /** Counts collections; called at the start. Default `watchCollections`. */
  readonly collections?: () => CollectionWatch;
}

export interface CheckpointOptions {
  /** How many things were made since the checkpoint before, for `averageAllocationBytes`. Default: unknown. */
  readonly items?: number;
}

export const MEMORY_PROFILER_DEFAULTS = { sampleEveryMs: 100, topConsumers: 5 } as const;

const KNOWN = ['maxCheckpoints', 'source', 'sampleEveryMs', 'topConsumers', 'clock', 'figures', 'collections'] as const;
const MOST_NAMED = 1_000;
const MOST_MS = 3_600_000;
const NONE: Collections = { count: 0, pauseMs: 0, longestMs: 0, freedBytes: 0 };

type Peak = MemoryReport['peak'];

/**
 * Looks at the memory of a stretch of work: `start`, `checkpoint` where something is done, `finish`. It changes nothing, and what it cannot read is counted as
 * a fault and never thrown. A checkpoint takes about 20 µs and 3 KB, with the snapshot of a governor of 20 consumers 60 to 110 µs and 26 KB; less
 * than half a KB of it is kept. The timer of its samples keeps no process alive. What it took stands in the report (`cost`). Disposing without `finish` stops it.
 *
 * Errors: `PLIMSOLL_PROFILER_STATE` where it is started twice, or used when it is not running; a `RangeError` for options.
 */
export class MemoryProfiler implements Disposable {
  readonly #options;
  readonly #clock: Clock;
  #state: 'new' | 'running' | 'over' = 'new';
  #watch: CollectionWatch | undefined;
  #timer: Disposable | undefined;
  readonly #checkpoints: MemoryCheckpoint[] = [];
  /** Since the last checkpoint that was kept. */
  #collected: Collections = NONE;
  #items: number | undefined;
  #dropped = 0;
  #figures: ProcessFigures = { heapUsed: 0, external: 0, arrayBuffers: 0, rss: 0 };
  #peak: Peak = { heapBytes: 0, externalBytes: 0, rssBytes: 0 };
  #most: TopConsumers | undefined;
  #drift: Snapshot['drift'] = [];
  #startedMs = 0;
  #startedAt = 0;
  #samples = 0;
  #spentMs = 0;
  #faults = 0;
  #lastFault: string | undefined;

  constructor(options: MemoryProfilerOptions) {
    this.#options = resolve(options);
    this.#clock = this.#options.clock;
  }

  /** Begins; the first checkpoint is `start`. A profiler is used once. */
  start(): void {
    if (this.#state !== 'new') throw wrongState('has been started already: make a new one');
    this.#state = 'running';
    this.#startedMs = this.#clock.now();
    this.#startedAt = this.#clock.wall();
    this.#timed(() => {
      this.#watch = this.#attempt(this.#options.collections);
      this.#keep('start');
    });
    this.#wait();
  }

  /** Notes what is used now. False when there was no place for it any more; then it is counted, and its span goes to the next. */
  checkpoint(label: string, options: CheckpointOptions = {}): boolean {
    checkName(label, 'label');
    const { items } = copyOptions('a checkpoint', options, ['items']);
    if (items !== undefined) checkWhole('items', items, 0);
    this.#checkRunning();
    if (items !== undefined) this.#items = (this.#items ?? 0) + items;
    const isRoom = this.#checkpoints.length <= this.#options.maxCheckpoints;
    if (!isRoom) this.#dropped++;
    this.#timed(() => (isRoom ? this.#keep(label) : this.#look()));
    return isRoom;
  }

  /** The last checkpoint, `end`, and what came of all. */
  finish(): MemoryReport {
    this.#checkRunning();
    this.#timed(() => this.#keep('end'));
    this[Symbol.dispose]();
    const total = sumOf(this.#checkpoints.map(({ span }) => span));
    const { elapsedMs } = total;
    const lastFault = this.#lastFault;
    return {
      version: 1,
      startedAt: this.#startedAt,
      checkpoints: [...this.#checkpoints],
      droppedCheckpoints: this.#dropped,
      total,
      peak: this.#peak,
      ...(this.#most === undefined ? {} : { topConsumers: this.#most }),
      drift: this.#drift,
      cost: { samples: this.#samples, spentMs: this.#spentMs, share: elapsedMs > 0 ? this.#spentMs / elapsedMs : 0 },
      faults: this.#faults,
      ...(lastFault === undefined ? {} : { lastFault }),
    };
  }

  [Symbol.dispose](): void {
    this.#state = 'over';
    this.#timer?.[Symbol.dispose]();
    const watch = this.#watch;
    this.#watch = undefined;
    if (watch !== undefined) this.#attempt(() => watch[Symbol.dispose]());
  }

  #checkRunning(): void {
    if (this.#state !== 'running') throw wrongState(this.#state === 'new' ? 'has not been started' : 'is over');
  }

  #wait(): void {
    const { sampleEveryMs } = this.#options;
    if (sampleEveryMs === 0) return;
    this.#timer = this.#clock.after(sampleEveryMs, () => {
      this.#timed(() => this.#look());
      this.#wait();
    });
  }

  #keep(label: string): void {
    this.#look();
    const snapshot = this.#attempt(() => this.#options.source?.snapshot());
    const before = this.#checkpoints.at(-1);
    const atMs = this.#clock.now() - this.#startedMs;
    const { heapUsed, external, rss } = this.#figures;
    const growth = before === undefined ? 0 : heapUsed - before.heapBytes;
    // What was collected while the first was taken belongs to nobody.
    const collected = before === undefined ? NONE : this.#collected;
    this.#checkpoints.push({
      label,
      atMs: before === undefined ? 0 : atMs,
      heapBytes: heapUsed,
      externalBytes: external,
      rssBytes: rss,
      ...(snapshot === undefined ? {} : { ledgerBytes: snapshot.reservedBytes, level: snapshot.level }),
      span: spanOf(before === undefined ? 0 : atMs - before.atMs, growth, collected, this.#items),
    });
    this.#collected = NONE;
    this.#items = undefined;
    if (snapshot !== undefined) this.#note(label, snapshot);
  }

  #note(label: string, snapshot: Snapshot): void {
    this.#drift = snapshot.drift;
    this.#peak = { ...this.#peak, ledgerBytes: Math.max(this.#peak.ledgerBytes ?? 0, snapshot.reservedBytes) };
    if (this.#most !== undefined && this.#most.reservedBytes >= snapshot.reservedBytes) return;
    this.#most = topOf(label, snapshot, this.#options.topConsumers);
  }

  #look(): void {
    this.#samples++;
    const figures = this.#attempt(this.#options.figures);
    if (figures !== undefined) this.#figures = figures;
    const { heapUsed, external, rss } = this.#figures;
    this.#peak = {
      ...this.#peak,
      heapBytes: Math.max(this.#peak.heapBytes, heapUsed),
      externalBytes: Math.max(this.#peak.externalBytes, external),
      rssBytes: Math.max(this.#peak.rssBytes, rss),
    };
    const lately = this.#attempt(() => this.#watch?.take());
    this.#collected = together(this.#collected, lately ?? { count: 0, pauseMs: 0, longestMs: 0 });
  }

  #timed(action: () => void): void {
    const before = this.#clock.now();
    action();
    this.#spentMs += this.#clock.now() - before;
  }

  /** What `read` gives; undefined, and a fault, when it throws. */
  #attempt<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (cause) {
      this.#faults++;
      this.#lastFault = shortText(describeCause(cause));
      return undefined;
    }
  }
}

function resolve(given: MemoryProfilerOptions) {
  const known = copyOptions('a MemoryProfiler', given, KNOWN);
  const options = {
    ...MEMORY_PROFILER_DEFAULTS,
    clock: systemClock,
    figures: readProcessFigures,
    collections: watchCollections,
    ...withoutUndefined(known),
  };
  checkWhole('maxCheckpoints', options.maxCheckpoints, 1);
  checkWhole('sampleEveryMs', options.sampleEveryMs, 0, MOST_MS);
  checkWhole('topConsumers', options.topConsumers, 0, MOST_NAMED);
  for (const name of ['figures', 'collections'] as const) {
    if (typeof options[name] !== 'function') throw invalidOption(name, 'a function', options[name]);
  }
  checkSource(options.source);
  return options;
}

function wrongState(what: string): PlimsollError {
  return new PlimsollError(`a MemoryProfiler ${what}`, { code: 'PLIMSOLL_PROFILER_STATE', recovery: 'fail' });
}

function together(a: Collections, b: Collections): Collections {
  const isKnown = a.freedBytes !== undefined && b.freedBytes !== undefined;
  return {
    count: a.count + b.count,
    pauseMs: a.pauseMs + b.pauseMs,
    longestMs: Math.max(a.longestMs, b.longestMs),
    ...(isKnown ? { freedBytes: a.freedBytes + b.freedBytes } : {}),
  };
}

function spanOf(elapsedMs: number, growth: number, collected: Collections, items: number | undefined): MemorySpan {
  // What V8 sweeps later it may count between two collections: neither figure is below 0, and the difference stays the growth.
  const freed = collected.freedBytes === undefined ? undefined : Math.max(0, collected.freedBytes, -growth);
  return withRatios({
    elapsedMs,
    heapGrowthBytes: growth,
    ...(freed === undefined ? {} : { allocatedBytes: growth + freed, freedBytes: freed }),
    collections: collected.count,
    pauseMs: collected.pauseMs,
    longestPauseMs: collected.longestMs,
    ...(items === undefined ? {} : { items }),
  });
}

function withRatios(span: MemorySpan): MemorySpan {
  const { allocatedBytes: allocated, freedBytes: freed, elapsedMs, items } = span;
  if (allocated === undefined || freed === undefined) return span;
  return {
    ...span,
    ...(elapsedMs > 0 ? { allocatedBytesPerSecond: (allocated / elapsedMs) * 1_000 } : {}),
    ...(allocated > 0 ? { efficiency: freed / allocated } : {}),
    ...(items !== undefined && items > 0 ? { averageAllocationBytes: allocated / items } : {}),
  };
}

/** All spans as one. Only what every span knows is known of the whole; the average is that of the spans whose things were counted. */
function sumOf(spans: readonly MemorySpan[]): MemorySpan {
  const sum = (pick: (span: MemorySpan) => number | undefined): number | undefined =>
    spans.reduce<number | undefined>((total, span) => {
      const more = pick(span);
      return total === undefined || more === undefined ? undefined : total + more;
    }, 0);
  const [allocatedBytes, freedBytes] = [sum((span) => span.allocatedBytes), sum((span) => span.freedBytes)];
  const counted = spans.filter(({ items }) => items !== undefined);
  const items = counted.reduce((total, span) => total + span.items!, 0);
  const countedBytes = counted.reduce((total, span) => total + (span.allocatedBytes ?? Number.NaN), 0);
  const total = withRatios({
    elapsedMs: sum((span) => span.elapsedMs)!,
    heapGrowthBytes: sum((span) => span.heapGrowthBytes)!,
    ...(allocatedBytes === undefined || freedBytes === undefined ? {} : { allocatedBytes, freedBytes }),
    collections: sum((span) => span.collections)!,
    pauseMs: sum((span) => span.pauseMs)!,
    longestPauseMs: spans.reduce((longest, span) => Math.max(longest, span.longestPauseMs), 0),
  });
  if (counted.length === 0) return total;
  const isKnown = items > 0 && !Number.isNaN(countedBytes);
  return { ...total, items, ...(isKnown ? { averageAllocationBytes: countedBytes / items } : {}) };
}

function topOf(at: string, { consumers, reservedBytes }: Snapshot, most: number): TopConsumers {
  const rows = consumers
    .map(({ name, kind, ownBytes }) => ({ name, kind, ownBytes }))
    .filter(({ ownBytes }) => ownBytes > 0)
    .toSorted((a, b) => b.ownBytes - a.ownBytes)
    .slice(0, most);
  const named = rows.reduce((sum, { ownBytes }) => sum + ownBytes, 0);
  return { at, reservedBytes, rows, otherBytes: reservedBytes - named };
}
