/**
 * Has V8 collect when it is worth it, at a bounded rate.
 *
 * Three things measured on Node 20 to 26 made it what it is. A full collection leaves the buffers it found dead to a thread that frees them
 * afterwards: until the next collection `external_memory` still counts them, and a trim right after it gives back nothing. A minor one behind it
 * waits for that thread (0.1 to 4 ms). From Node 22 on a plain `gc()` keeps the pages that it emptied: 3 million dead objects left RSS at
 * 243 MB for more than ten seconds, and at 74 MB after one of the flavour `last-resort`, in two to three times the time. And up to Node 20
 * `gc(x)` with any `x` it does not know, `{ type: 'major' }` too, is a minor collection.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from '../clock.ts';
import type { Faults } from './faults.ts';

export type CollectionType = 'minor' | 'full';

/** Has V8 collect, or does as if. What it returns is ignored; a promise that rejects is a fault. */
export type CollectFunction = (type: CollectionType) => unknown;

export interface CollectorOptions {
  readonly clock: Clock;
  /** Where a collection that throws is noted; it is switched off then. */
  readonly faults: Faults;
  /** Default: V8's own, that of `node --expose-gc` or one that is switched on when first needed (1 ms, 1 MB). `false`: never. */
  readonly collect?: CollectFunction | false | undefined;
  /** A collection that is expected to pause for longer is not made, ms. Default 200. */
  readonly pauseBudgetMs?: number;
  /** The most that collections may take of the time, in any ten seconds; those that are urgent and help, half of it. Above 0, up to 1. Default 0.05. */
  readonly collectShare?: number;
  /** What V8's heap holds, bytes, as of lately: pauses are learned by it. Default: what `usedBytes` of the call gives. */
  readonly heapBytes?: () => number;
}

export const COLLECTOR_DEFAULTS = { pauseBudgetMs: 200, collectShare: 0.05 } as const;

/** What one call may do beyond the usual. */
export interface CollectCall {
  readonly type: CollectionType;
  /** What should go down. */
  readonly usedBytes: () => number;
  /** Bytes that were released since the last collection: then it is not in vain, and does not wait for the time between two. Default 0. */
  readonly releasedBytes?: number;
  /** Pages that become empty go back to the system at once; for a full one, where a meter of the whole process decides. Default false. */
  readonly emptyPages?: boolean;
  /** Somebody asked for it in so many words: it is made whatever it costs. Default false. */
  readonly asked?: boolean;
  /** Times the pause budget, and an eighth of the time each, half at most: where the alternative is to refuse, or to be killed. Default 1. */
  readonly patience?: number;
}

/** The shortest time between two collections of a type. */
const COOL_DOWN_MS = 250;
const LONGEST_WAIT_MS = 10_000;
/** Of the time, for those that are urgent: for each time of patience, and at most. */
const PATIENT_SHARE = 0.125;
const MOST_SHARE = 0.5;
/** One that frees less than this part of what was in use was in vain: the wait doubles. */
const WORTH = 0.01;
/** The cap on their share of the time looks so far back, at so many collections. */
const WINDOW_MS = 10_000;
const REMEMBERED = 64;
/** What a pause is expected to be is halved each time so long has gone by without one: what is never tried is never learned anew. */
const DOUBT_HALVES_MS = 60_000;
/** Weight of the newest measurement where it is shorter than was expected; a longer one is believed at once. */
const NEWEST = 0.3;
/** Of a machine with two slow cores: 230 MB of live objects took 98 to 180 ms, a minor collection 0.1 to 10 ms. */
const PRIOR_FULL_MS_PER_BYTE = 0.5 / 1_048_576;
const PRIOR_MINOR_MS = 4;

/** One type of collection: what it is expected to cost, and when it may run again. */
class Kind {
  notBefore = Number.NEGATIVE_INFINITY;
  waitMs = COOL_DOWN_MS;
  /** Of a full one ms per byte of heap, of a minor one ms. */
  cost: number;
  learnedAt: number;
  count = 0;

  constructor(cost: number, now: number) {
    this.cost = cost;
    this.learnedAt = now;
  }
}

export class Collector {
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #given: CollectFunction | false | undefined;
  readonly #pauseBudgetMs: number;
  readonly #share: number;
  readonly #heapBytes: (() => number) | undefined;
  readonly #minor: Kind;
  readonly #full: Kind;
  /** When the last ones ended and what they took. */
  readonly #endedAt = new Float64Array(REMEMBERED).fill(Number.NEGATIVE_INFINITY);
  readonly #tookMs = new Float64Array(REMEMBERED);
  #gc: NodeJS.GCFunction | undefined;
  #off: string | undefined;
  #lastAt = Number.NEGATIVE_INFINITY;
  #why: string | undefined;
  count = 0;
  spentMs = 0;

  constructor(options: CollectorOptions) {
    this.#clock = options.clock;
    this.#faults = options.faults;
    // Handed in as it is, V8's own would take our word for the type to mean a minor one.
    this.#given = (options.collect as unknown) === globalThis.gc ? undefined : options.collect;
    this.#pauseBudgetMs = options.pauseBudgetMs ?? COLLECTOR_DEFAULTS.pauseBudgetMs;
    this.#share = options.collectShare ?? COLLECTOR_DEFAULTS.collectShare;
    const now = this.#clock.now();
    this.#minor = new Kind(PRIOR_MINOR_MS, now);
    this.#full = new Kind(PRIOR_FULL_MS_PER_BYTE, now);
    this.#heapBytes = options.heapBytes;
    if (this.#given === false) this.#off = 'collections are switched off';
  }

  /** How many there were of that type. */
  countOf(type: CollectionType): number {
    return this.#kind(type).count;
  }

  /** True when there are none: they were not wanted, or one failed. */
  get isOff(): boolean {
    return this.#off !== undefined;
  }

  /** Why the last one that was asked for was not made; undefined when it was. */
  get why(): string | undefined {
    return this.#why;
  }

  /** The pause that a collection is expected to make, ms, learned per byte of heap. `heapBytes` is what V8's heap holds. */
  expectedMs(type: CollectionType, heapBytes: number): number {
    const { cost, learnedAt } = this.#kind(type);
    const expected = type === 'full' ? cost * heapBytes : cost;
    const doubtMs = this.#clock.now() - learnedAt;
    return doubtMs > 0 ? expected * 0.5 ** (doubtMs / DOUBT_HALVES_MS) : expected;
  }

  /**
   * Collects, and returns the pause in ms; or -1, and `why` says why not: too soon, in vain lately, too long a pause, too much of the time.
   * What it throws is a fault, and the end of collections.
   */
  run(call: CollectCall): number {
    const startedAt = this.#clock.now();
    if (startedAt < this.#lastAt) this.#forget(startedAt);
    this.#lastAt = startedAt;
    this.#why = this.#off ?? (call.asked === true ? undefined : this.#whyNot(call, startedAt));
    if (this.#why !== undefined) return -1;
    const { type, usedBytes } = call;
    const kind = this.#kind(type);
    // Holds also when the collection throws, or asks for one itself.
    kind.notBefore = startedAt + kind.waitMs;
    try {
      const before = usedBytes();
      const heapBefore = this.#heapBytes?.() ?? before;
      const collectedAt = this.#clock.now();
      this.#collect(call);
      const now = this.#clock.now();
      const tookMs = Math.max(0, now - collectedAt);
      this.#learn(type, tookMs, heapBefore, now);
      const freed = before - usedBytes();
      kind.waitMs = freed < before * WORTH ? Math.min(kind.waitMs * 2, LONGEST_WAIT_MS) : COOL_DOWN_MS;
      kind.notBefore = now + kind.waitMs;
      return tookMs;
    } catch (cause) {
      this.#why = this.#off = 'collections are switched off: one failed';
      this.#faults.note('collect', cause, true);
      return -1;
    }
  }

  #kind(type: CollectionType): Kind {
    return type === 'full' ? this.#full : this.#minor;
  }

  #whyNot({ type, usedBytes, releasedBytes = 0, patience = 1 }: CollectCall, now: number): string | undefined {
    const { notBefore, waitMs } = this.#kind(type);
    const inVain = waitMs > COOL_DOWN_MS;
    const isFresh = releasedBytes > (inVain ? usedBytes() * WORTH : 0);
    if (!isFresh && now < notBefore && (patience <= 1 || inVain)) {
      return 'collected a moment ago, or in vain lately';
    }
    const expectedMs = this.expectedMs(type, this.#heapBytes?.() ?? usedBytes());
    if (expectedMs > this.#pauseBudgetMs * patience) {
      return `expected to pause for ${Math.round(expectedMs)}ms, ${Math.round(this.#pauseBudgetMs * patience)}ms are allowed`;
    }
    const spentMs = this.#spentLately(now);
    // Where the alternative is worse they may have more of it: what is in vain waits all the same.
    const patientShare = Math.min(MOST_SHARE, PATIENT_SHARE * patience);
    const share = patience > 1 && isFresh ? Math.max(this.#share, patientShare) : this.#share;
    // The first in the window may always run: else a share that is smaller than one pause would be none.
    if (spentMs > 0 && spentMs + expectedMs > share * WINDOW_MS) return 'collections have had their share of the time';
    return undefined;
  }

  /** What collections took within the window, one that took all of its share for longer; all there is when more ran than are remembered. */
  #spentLately(now: number): number {
    let spentMs = 0;
    let within = 0;
    for (let i = 0; i < REMEMBERED; i++) {
      const tookMs = this.#tookMs[i]!;
      if (now - this.#endedAt[i]! >= Math.max(WINDOW_MS, tookMs / this.#share)) continue;
      spentMs += tookMs;
      within++;
    }
    return within === REMEMBERED ? Number.POSITIVE_INFINITY : spentMs;
  }

  #learn(type: CollectionType, tookMs: number, heapBytes: number, now: number): void {
    const kind = this.#kind(type);
    const at = this.count % REMEMBERED;
    this.#endedAt[at] = now;
    this.#tookMs[at] = tookMs;
    this.count++;
    this.spentMs += tookMs;
    const expected = this.expectedMs(type, Math.max(1, heapBytes));
    const learned = tookMs > expected ? tookMs : expected + NEWEST * (tookMs - expected);
    kind.cost = type === 'full' ? learned / Math.max(1, heapBytes) : learned;
    kind.learnedAt = now;
    kind.count++;
  }

  #collect({ type, emptyPages = false }: CollectCall): void {
    if (typeof this.#given === 'function') {
      const result = this.#given(type);
      this.#faults.watch('collect', result);
      return;
    }
    const gc = (this.#gc ??= globalThis.gc ?? switchOn());
    if (type === 'full') {
      if (emptyPages && knowsFlavours()) gc({ type: 'major', flavor: 'last-resort' });
      else gc();
    }
    gc({ type: 'minor' });
  }

  /** The clock went back: what was noted lies in a time that has not come yet. */
  #forget(now: number): void {
    this.#endedAt.fill(Number.NEGATIVE_INFINITY);
    for (const kind of [this.#minor, this.#full]) {
      kind.notBefore = Number.NEGATIVE_INFINITY;
      kind.learnedAt = now;
    }
  }
}

/** V8's own `gc` in a process that was started without it. The flag is taken back: no other context gets it. */
function switchOn(): NodeJS.GCFunction {
  setFlagsFromString('--expose-gc');
  try {
    return runInNewContext('gc') as NodeJS.GCFunction;
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}

function knowsFlavours(): boolean {
  return Number.parseInt(process.versions.v8, 10) >= 12;
}
