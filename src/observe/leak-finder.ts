import { type Clock, systemClock } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import { DisposedError, PlimsollError } from '../errors.ts';
import { type ProcessFigures, readProcessFigures } from '../governor/index.ts';
import { checkNumber, checkWhole, copyOptions, invalidOption, withoutUndefined } from '../invalid-option.ts';
import { shortText } from '../short-text.ts';
import { CheckpointRing } from './checkpoint-ring.ts';
import type { HeapSource } from './heap-census.ts';
import { HeapCounter } from './heap-counter.ts';
import { InspectorHeap } from './inspector-heap.ts';
import { judgeLeaks, LEAST_COMPARED } from './judge-leaks.ts';
import { consumerReadings, HEAP_FIGURES, heapReadings, processReadings, resourceReadings } from './leak-readings.ts';
import type { LeakCheckpoint, LeakReport } from './leak-report.ts';
import { LeakSeries } from './leak-series.ts';
import { checkSource, type SnapshotSource } from './snapshot-source.ts';

export interface LeakFinderOptions {
  /** The most checkpoints that are kept and compared, 6 to 200: the oldest goes first. Required. */
  readonly maxCheckpoints: number;
  /** The most rows (constructors, functions, consumers and so on) that are followed, 1 to 100,000. Required. A thousand serves most programs. */
  readonly maxRows: number;
  /** Checkpoints at the start that are not compared, 1 to 100: code is compiled, tables and caches are filled. Default 1. */
  readonly warmUp?: number;
  /** Growth below that is none, over all that is compared, bytes, 1 up; 256 times that for figures of the process as a whole. Default 16 KiB. */
  readonly leastBytes?: number;
  /** The same of what is counted and has no bytes, listeners and resources, 1 up. Default 8. */
  readonly leastCount?: number;
  /** Below it nobody is suspected, above 0 up to 1. Default 0.99. */
  readonly leastConfidence?: number;
  /** A governor, say: for consumers, and for what is free. Default: none. */
  readonly source?: SnapshotSource;
  /** Counts the heap; false: it is not counted. Default V8's own, by a heap snapshot. */
  readonly heap?: false | (() => HeapSource);
  /** How many times the used heap must be free for a heap snapshot, 2 to 1,000. Default 20, as `governor.writeHeapSnapshot` has it. */
  readonly memoryFactor?: number;
  /** What is free, bytes. Default: under the limit of `source`; without one, the limit of control groups and machine less the RSS. */
  readonly freeBytes?: () => number;
  /** What keeps the event loop alive. Default `process.getActiveResourcesInfo`. */
  readonly resources?: () => readonly string[];
  /** In place of `process.memoryUsage`. */
  readonly figures?: () => ProcessFigures;
  readonly clock?: Clock;
}

const KIB = 1_024;

export const LEAK_FINDER_DEFAULTS = {
  warmUp: 1,
  leastBytes: 16 * KIB,
  leastCount: 8,
  leastConfidence: 0.99,
  memoryFactor: 20,
} as const;

const KNOWN = [
  ...['maxCheckpoints', 'maxRows', 'warmUp', 'leastBytes', 'leastCount', 'leastConfidence', 'source', 'heap'],
  ...['memoryFactor', 'freeBytes', 'resources', 'figures', 'clock'],
];
const MOST_NOTES = 20;

/**
 * Finds what grows from one checkpoint to the next and goes on growing: consumers by the ledger, and in V8's heap instances by constructor, functions by where they are written, listeners by event,
 * and memory of buffers; also what keeps the event loop alive. Of objects only those count that were there at the checkpoint before already: what comes and goes between two is not growth.
 *
 * Checkpoints must be comparable: take each after the same work, with nothing under way. One is warm-up, five more are the least that says anything, and of few rows; eight are sure. A
 * checkpoint stops the program for a heap snapshot, before which V8 collects: a second for an idle program (8 MB of heap, 109,000 objects), else 4 to 12 µs an object on a small machine that
 * others use as well, more the first time; meanwhile memory goes up by 2 to 13 times the used heap (`npm run bench -- observe leaks`). Without `memoryFactor` times the used heap free none is taken, and
 * `note` says so: the rest is counted all the same. Between checkpoints V8 remembers the numbers of all objects. Nothing is changed but that, and disposing ends it. Kept are
 * `maxRows` rows of 32 bytes for each of `maxCheckpoints`, and their names.
 *
 * Errors: `PLIMSOLL_LEAK_FINDER` for a checkpoint while another is under way, `PLIMSOLL_DISPOSED`; a `RangeError` for options. What cannot be read is noted, never thrown.
 * @example
 * import { formatLeakReport, LeakFinder } from 'plimsoll/observe';
 * using finder = new LeakFinder({ maxCheckpoints: 20, maxRows: 1_000 });
 * await finder.checkpoint(); // after each round of the same work, nine times
 * console.log(formatLeakReport(finder.report()));
 */
export class LeakFinder implements Disposable {
  readonly #options;
  readonly #series: LeakSeries;
  readonly #heap: HeapCounter | undefined;
  readonly #checkpoints: CheckpointRing;
  readonly #notes = new Set<string>();
  #number = 0;
  #spentMs = 0;
  #isBusy = false;
  #isDisposed = false;

  constructor(given: LeakFinderOptions) {
    const options = resolve(given);
    this.#options = options;
    this.#series = new LeakSeries(options.maxCheckpoints, options.maxRows);
    this.#checkpoints = new CheckpointRing(options.maxCheckpoints);
    if (options.heap !== false) this.#heap = new HeapCounter({ ...options, open: options.heap });
  }

  /** Looks at everything now. Resolves to what was seen of the process as a whole. One at a time. */
  async checkpoint(): Promise<LeakCheckpoint> {
    if (this.#isDisposed) throw new DisposedError('a LeakFinder');
    if (this.#isBusy) throw underWay();
    this.#isBusy = true;
    try {
      return await this.#look();
    } finally {
      this.#isBusy = false;
    }
  }

  /** What leaks as far as can be said by now. Worked out anew at each call, in time that grows with the rows that moved and the square of the checkpoints. */
  report(): LeakReport {
    const { leastBytes, leastCount, leastConfidence } = this.#options;
    const from = this.#comparedFrom;
    const compared = Math.max(0, this.#number - from + 1);
    const isHeapCounted = this.#series.readsOf('heap', from) >= LEAST_COMPARED;
    // Where the heap is counted, what it and its buffers hold is known by name.
    const rows = [...this.#series.rows].filter(({ last }) => !isHeapCounted || !HEAP_FIGURES.includes(last.key));
    const few = `${compared} of the ${LEAST_COMPARED} checkpoints that are needed after the warm-up: nothing can be said`;
    return {
      version: 1,
      checkpoints: this.#checkpoints.list(),
      compared,
      ...judgeLeaks(rows, from, { leastBytes, leastCount, leastConfidence }),
      droppedRows: this.#series.dropped,
      notes: [...(compared < LEAST_COMPARED ? [few] : []), ...this.#notes],
      spentMs: this.#spentMs,
    };
  }

  /** V8 forgets the numbers of objects. What was found stays. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#attempt('the heap could not be let go of', () => this.#heap?.[Symbol.dispose]());
  }

  get #comparedFrom(): number {
    const { warmUp, maxCheckpoints } = this.#options;
    return Math.max(warmUp, this.#number - maxCheckpoints) + 1;
  }

  async #look(): Promise<LeakCheckpoint> {
    const { clock, figures, source, warmUp, leastBytes, leastCount, resources } = this.#options;
    const started = clock.now();
    const number = ++this.#number;
    const snapshot = this.#attempt('consumers could not be read', () => source?.snapshot());
    const isWarm = number > warmUp;
    const { census, note } = (await this.#heap?.count(snapshot, isWarm)) ?? {};
    if (note !== undefined) this.#noteDown(note);
    // After the heap was counted: V8 has collected for that.
    const read = this.#attempt('the figures of the process could not be read', figures);
    const active = this.#attempt('active resources could not be read', resources);
    if (snapshot !== undefined) this.#series.add(number, 'ledger', consumerReadings(snapshot));
    if (read !== undefined) this.#series.add(number, 'process', processReadings(read));
    if (active !== undefined) this.#series.add(number, 'resources', resourceReadings(active));
    // The most rows, last: the others find their places first.
    if (census !== undefined) this.#series.add(number, 'heap', heapReadings(census, leastBytes, leastCount));
    const spentMs = clock.now() - started;
    this.#spentMs += spentMs;
    const checkpoint = {
      number,
      at: clock.wall(),
      compared: isWarm,
      heapBytes: read?.heapUsed ?? 0,
      externalBytes: read?.external ?? 0,
      arrayBufferBytes: read?.arrayBuffers ?? 0,
      rssBytes: read?.rss ?? 0,
      ...(census === undefined ? {} : { objects: census.objects }),
      ...(note === undefined ? {} : { note }),
      spentMs,
    };
    this.#checkpoints.push(checkpoint);
    return checkpoint;
  }

  #attempt<T>(otherwise: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (cause) {
      this.#noteDown(shortText(`${otherwise}: ${describeCause(cause)}`));
      return undefined;
    }
  }

  #noteDown(note: string): void {
    if (this.#notes.size < MOST_NOTES) this.#notes.add(note);
  }
}

function resolve(given: LeakFinderOptions) {
  const known = copyOptions('a LeakFinder', given, KNOWN);
  const options = {
    ...LEAK_FINDER_DEFAULTS,
    heap: () => new InspectorHeap(),
    resources: () => process.getActiveResourcesInfo(),
    figures: readProcessFigures,
    clock: systemClock,
    ...withoutUndefined(known),
  };
  checkWhole('maxCheckpoints', options.maxCheckpoints, LEAST_COMPARED + 1, 200);
  checkWhole('maxRows', options.maxRows, 1, 100_000);
  checkWhole('warmUp', options.warmUp, 1, 100);
  checkWhole('leastBytes', options.leastBytes, 1);
  checkWhole('leastCount', options.leastCount, 1);
  checkNumber('leastConfidence', options.leastConfidence, 0, 1);
  checkWhole('memoryFactor', options.memoryFactor, 2, 1_000);
  if (options.heap !== false && typeof options.heap !== 'function') {
    throw invalidOption('heap', 'a function or false', options.heap);
  }
  for (const name of ['resources', 'figures'] as const) {
    if (typeof options[name] !== 'function') throw invalidOption(name, 'a function', options[name]);
  }
  if (options.freeBytes !== undefined && typeof options.freeBytes !== 'function') {
    throw invalidOption('freeBytes', 'a function', options.freeBytes);
  }
  checkSource(options.source);
  return options;
}

function underWay(): PlimsollError {
  const message = 'a checkpoint of this LeakFinder is under way: wait for it';
  return new PlimsollError(message, { code: 'PLIMSOLL_LEAK_FINDER', recovery: 'retry' });
}
