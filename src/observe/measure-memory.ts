import { isThenable } from '../catch-rejection.ts';
import { type Clock, systemClock } from '../clock.ts';
import { type ProcessFigures, readProcessFigures } from '../governor/index.ts';
import { checkWhole, copyOptions, invalidOption, withoutUndefined } from '../invalid-option.ts';
import { type CollectionWatch, watchCollections } from './collections.ts';
import { type Interval, intervalOf } from './confidence.ts';

export interface MeasureMemoryOptions {
  /** Readings, 2 to 1,000,000. Required. Thirty and more give intervals that mean what they say. */
  readonly iterations: number;
  /** Calls before the first reading, 0 up, so that code is compiled and tables are filled. Default 10. */
  readonly warmUp?: number;
  /** Calls in one reading, 1 up, for what is too small to be timed by itself. Figures are those of one call. Default 1. */
  readonly callsPerIteration?: number;
  /** A full collection; false: none, and nothing is known of what is retained. Default `globalThis.gc`, which is there under `--expose-gc`. */
  readonly collect?: false | (() => void);
  readonly clock?: Clock;
  /** In place of `process.memoryUsage`. */
  readonly figures?: () => ProcessFigures;
  /** Counts collections. Default `watchCollections`. */
  readonly collections?: () => CollectionWatch;
}

/** What one call takes. Plain data. */
export interface MemoryMeasurement {
  readonly iterations: number;
  readonly warmUp: number;
  readonly callsPerIteration: number;
  readonly timeMs: Interval;
  /** Allocated in V8's heap: what it grew by and what collections took from it meanwhile. Absent where collections cannot tell that. */
  readonly allocatedBytes?: Interval;
  /** Still there after a full collection, in the heap and outside. Absent without `collect`. */
  readonly retainedBytes?: Interval;
  /** While it was measured, those of `collect` left out. */
  readonly collections: number;
  /** What these figures are not. */
  readonly notes: readonly string[];
}

export const MEASURE_MEMORY_DEFAULTS = { warmUp: 10, callsPerIteration: 1 } as const;

const KNOWN = ['iterations', 'warmUp', 'callsPerIteration', 'collect', 'clock', 'figures', 'collections'] as const;
const MOST = 1_000_000;
/** Empty readings, whose median is what a reading itself allocates. */
const EMPTY = 15;
const NO_COLLECT = 'what is retained is not known: start Node with --expose-gc, or hand in `collect`';
const NO_FREED = 'what was allocated is not known: these collections do not tell what they freed';

/**
 * Bytes and time of one call of `work`, each as a mean with its 95% interval. `work` may be asynchronous; what it throws is thrown. With `collect` there is a full collection before
 * the first reading and after each, milliseconds each, outside the time; without it `retainedBytes` is left out and `notes` says so. What a reading itself allocates is
 * measured beforehand and taken off. Memory outside the heap is in `retainedBytes` alone. Let nothing else run meanwhile: it would be in the figures. Takes 24 bytes an iteration.
 */
export async function measureMemory(work: () => unknown, given: MeasureMemoryOptions): Promise<MemoryMeasurement> {
  if (typeof work !== 'function') throw invalidOption('work', 'a function', work);
  const options = resolve(given);
  const { iterations, warmUp, callsPerIteration: calls } = options;
  const collect = options.collect || undefined;
  using watch = options.collections();
  const bench = new Bench(watch, options);
  for (let i = 0; i < warmUp; i++) await settled(work());
  const empty: number[] = [];
  for (let i = 0; i < EMPTY; i++) empty.push(await bench.read(nothing, calls));
  const own = empty.toSorted((a, b) => a - b)[EMPTY >> 1]!;
  const [times, allocated, retained] = Array.from({ length: 3 }, () => new Float64Array(iterations));
  collect?.();
  bench.collections = 0;
  let before = bench.heldBytes();
  for (let i = 0; i < iterations; i++) {
    allocated![i] = ((await bench.read(work, calls)) - own) / calls;
    times![i] = bench.elapsedMs / calls;
    if (collect === undefined) continue;
    collect();
    const after = bench.heldBytes();
    retained![i] = (after - before) / calls;
    before = after;
  }
  const notes = [...(collect === undefined ? [NO_COLLECT] : []), ...(bench.tells ? [] : [NO_FREED])];
  return {
    iterations,
    warmUp,
    callsPerIteration: calls,
    timeMs: intervalOf(times!),
    ...(bench.tells ? { allocatedBytes: intervalOf(allocated!) } : {}),
    ...(collect === undefined ? {} : { retainedBytes: intervalOf(retained!) }),
    collections: bench.collections,
    notes,
  };
}

/** Takes readings. */
class Bench {
  readonly #watch: CollectionWatch;
  readonly #options: { readonly clock: Clock; readonly figures: () => ProcessFigures };
  collections = 0;
  elapsedMs = 0;
  /** False once collections did not say what they freed. */
  tells = true;

  constructor(watch: CollectionWatch, options: { readonly clock: Clock; readonly figures: () => ProcessFigures }) {
    this.#watch = watch;
    this.#options = options;
  }

  heldBytes(): number {
    const { heapUsed, external } = this.#options.figures();
    return heapUsed + external;
  }

  /** Calls `work`, and gives the bytes allocated meanwhile. */
  async read(work: () => unknown, calls: number): Promise<number> {
    const { clock, figures } = this.#options;
    this.#watch.take();
    const before = figures().heapUsed;
    const started = clock.now();
    for (let call = 0; call < calls; call++) {
      const given = work();
      if (isThenable(given)) await given;
    }
    this.elapsedMs = clock.now() - started;
    const growth = figures().heapUsed - before;
    const { count, freedBytes } = this.#watch.take();
    this.collections += count;
    if (freedBytes === undefined) this.tells = false;
    return growth + (freedBytes ?? 0);
  }
}

function nothing(): void {}

async function settled(given: unknown): Promise<void> {
  if (isThenable(given)) await given;
}

function resolve(given: MeasureMemoryOptions) {
  const known = copyOptions('measureMemory', given, KNOWN);
  const gc = (globalThis as { gc?: unknown }).gc;
  const options = {
    ...MEASURE_MEMORY_DEFAULTS,
    collect: typeof gc === 'function' ? () => void gc() : undefined,
    clock: systemClock,
    figures: readProcessFigures,
    collections: watchCollections,
    ...withoutUndefined(known),
  };
  checkWhole('iterations', options.iterations, 2, MOST);
  checkWhole('warmUp', options.warmUp, 0, MOST);
  checkWhole('callsPerIteration', options.callsPerIteration, 1, MOST);
  for (const name of ['figures', 'collections'] as const) {
    if (typeof options[name] !== 'function') throw invalidOption(name, 'a function', options[name]);
  }
  const { collect } = options;
  if (collect !== undefined && collect !== false && typeof collect !== 'function') {
    throw invalidOption('collect', 'a function or false', collect);
  }
  return options;
}
