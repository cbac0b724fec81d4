/**
 * Watches a cache of somebody else, keeps what it holds in the books, and drops its oldest entries when the governor asks or a bound is passed.
 *
 * - What it holds is count times mean; the count is read live, so that growth since the last look is in what the governor is told. Where the cache counts bytes and a
 *   sample bears it out, its own figure is taken.
 * - Heap and external bytes are two consumers, opened when there is something to put in them. One that holds less than a sixteenth offers nothing: for its few bytes
 *   most of the cache would have to go.
 * - The cache is held weakly, and so is the walk through it: one that its program has let go of takes its adoption with it.
 */
import type { Clock } from '../clock.ts';
import type { FailOpen } from '../fail-open.ts';
import {
  type Consumer,
  type Governor,
  levelRank,
  type MemoryKind,
  type ReclaimRequest,
  type Tracked,
} from '../governor/index.ts';
import type { CacheDriver } from './cache-driver.ts';
import { DropRun } from './drop-run.ts';
import { EntryWeigher, type WeighFunction } from './entry-weigher.ts';
import { RollingSample } from './rolling-sample.ts';
import { WeightEstimate } from './weight-estimate.ts';

/** What is known of an adopted cache. */
export interface AdoptedCacheStats {
  readonly entryCount: number;
  /** Of both kinds. */
  readonly bytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  /** `exact`: as the cache counts itself. */
  readonly counted: 'exact' | 'by sample';
  /**
   * Half of the 95% interval of `bytes`, as a share of it: 0 where it is exact or all entries were weighed, 1 where nothing is known. Of the sampling alone: what the
   * weighing of one entry is off by comes on top.
   */
  readonly errorShare: number;
  /** Entries in the sample that the estimate stands on, at most 1,024. */
  readonly sampled: number;
  /** Dropped here, to give back or to keep a bound: not what the cache dropped by itself. */
  readonly dropped: number;
  readonly droppedBytes: number;
  /** What went wrong and was passed over: callbacks of the cache that threw, a governor that failed. */
  readonly faults: number;
}

export interface AdoptedCacheParts {
  readonly governor: Governor;
  readonly driver: CacheDriver;
  readonly name: string;
  readonly importance: number;
  readonly maxBytes: number;
  readonly maxShare: number;
  readonly weigh: WeighFunction | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly lookMs: number;
  readonly failOpen: FailOpen;
}

interface Side {
  readonly consumer: Consumer;
  readonly tracked: Tracked;
}

type Kind = Extract<MemoryKind, 'heap' | 'external'>;

const KINDS: readonly Kind[] = ['heap', 'external'];
/** From `high` on it looks at least so often. */
const LOOK_HIGH_MS = 250;
/** While the count changes it is read so often. */
const COUNT_MS = 100;
/** Otherwise so often that one that begins to grow by a gigabyte a second is seen before it has filled the line: small containers were killed in between two looks. */
const FILLED_PER_MS = 2 ** 20;
/** What dropping may take at once; looked at every 16 entries. */
const DROP_MS = 4;
const LEAST_DROPPED = 64;
/** After growth by so many, and to more than twice of what there was, it looks at once. */
const GROWN_BY = 16;
/** Weighing that took longer than that, twice in a row so that it was no pause of the process, rests fifty times as long: V8 lists an object of 100,000 properties in 50 ms. */
const DEAR_MS = 5;
const DEAR_REST = 50;
/** When what is over the bound was too much for one look. */
const AGAIN_MS = 50;
const HIGH = levelRank('high');
const MAX_NAME = 120;
const BUFFERS = ' (buffers)';
const THREW = Symbol('threw');
/** The figure of a cache that counts itself is believed within this factor of what the sample says. */
const BELIEVED = 3;
const MINOR_SHARE = 1 / 16;
/** One that holds less than this part of the limit may grow at any level. */
const SMALL_SHARE = 1 / 64;

export class AdoptedCache implements Disposable {
  readonly #parts: AdoptedCacheParts;
  /** One that is held by nobody else is held here. */
  readonly #held: object | undefined;
  readonly #cache: WeakRef<object>;
  readonly #sample: RollingSample;
  readonly #weigher: EntryWeigher;
  readonly #estimate = new WeightEstimate();
  readonly #sides = new Map<Kind, Side>();
  #onLevel: Disposable | undefined;
  #timer: Disposable | undefined;
  #busy = false;
  #disposed = false;
  #isExact = false;
  #isOver = false;
  /** Entries that there were when the machine came to `high`, or fewer since: it holds no more until that is over. */
  #ceiling: number | undefined;
  #count = 0;
  #countAtLook = 0;
  #countAtTick = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #weighedMs = 0;
  #restsUntil = Number.NEGATIVE_INFINITY;
  #dropped = 0;
  #droppedBytes = 0;

  constructor(cache: object, parts: AdoptedCacheParts) {
    this.#parts = parts;
    this.#held = parts.driver.family === 'source' ? cache : undefined;
    this.#cache = new WeakRef(cache);
    this.#sample = new RollingSample(parts.driver, parts.random);
    const { governor, failOpen, driver, weigh, clock } = parts;
    this.#weigher = new EntryWeigher({ weigh, entryBytes: driver.entryBytes, clock, failOpen });
    this.look();
    if (this.#disposed) return;
    this.#onLevel = failOpen.run(() => governor.onLevel(() => this.look()), undefined);
    this.#schedule();
  }

  get name(): string {
    return this.#parts.name;
  }

  /** Such as `lru-cache`. */
  get family(): string {
    return this.#parts.driver.family;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** As of now; walks through the sample, about 5 µs. All 0 after the end, but for what was dropped. */
  get stats(): AdoptedCacheStats {
    this.#readCount();
    const [heapBytes, externalBytes] = [this.#bytes('heap'), this.#bytes('external')];
    return {
      entryCount: this.#count,
      bytes: heapBytes + externalBytes,
      heapBytes,
      externalBytes,
      counted: this.#isExact ? 'exact' : 'by sample',
      errorShare: this.#isExact ? 0 : this.#estimate.errorShare(this.#count),
      sampled: this.#estimate.count,
      dropped: this.#dropped,
      droppedBytes: this.#droppedBytes,
      faults: this.#parts.failOpen.count,
    };
  }

  /**
   * Looks now: weighs some entries, books what there is, and drops what is over the bound. At most 1.5 ms, more where a single entry takes longer, and 4 ms for dropping. It is done by the clock and at
   * each change of level as well. Never throws.
   */
  look(): void {
    if (this.#busy || this.#disposed) return;
    this.#busy = true;
    this.#parts.failOpen.run(() => this.#look(), undefined);
    this.#busy = false;
  }

  /** The books hold nothing of it any more; the cache stays as it is. Twice is safe. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#count = 0;
    const { failOpen } = this.#parts;
    this.#timer?.[Symbol.dispose]();
    failOpen.run(() => this.#onLevel?.[Symbol.dispose](), undefined);
    for (const { consumer } of this.#sides.values()) failOpen.run(() => consumer[Symbol.dispose](), undefined);
    this.#sides.clear();
  }

  #look(): void {
    const cache = this.#alive();
    if (cache === undefined) return;
    const { clock, driver } = this.#parts;
    this.#lookedAt = clock.now();
    this.#count = this.#countAtLook = driver.entryCount(cache);
    this.#weighSome(cache);
    this.#judgeOwnCount(cache);
    this.#book(true);
    this.#keepBound();
  }

  /** The cache, unless this has ended, or ends now because cache or governor have. */
  #alive(): object | undefined {
    if (this.#disposed) return undefined;
    const cache = this.#held ?? this.#cache.deref();
    const isOver = cache === undefined || this.#parts.failOpen.run(() => this.#parts.governor.disposed, false);
    if (!isOver) return cache;
    this[Symbol.dispose]();
    return undefined;
  }

  #weighSome(cache: object): void {
    const { clock } = this.#parts;
    const startedAt = clock.now();
    if (startedAt < this.#restsUntil) return;
    this.#weighSample(cache);
    const weighedMs = clock.now() - startedAt;
    const dearMs = Math.min(weighedMs, this.#weighedMs);
    this.#weighedMs = weighedMs;
    if (dearMs > DEAR_MS) this.#restsUntil = clock.now() + dearMs * DEAR_REST;
  }

  #weighSample(cache: object): void {
    const weights = this.#weigher.weighAll(this.#sample.take(cache, this.#count));
    const isCensus = weights.length === this.#count;
    if (isCensus) this.#estimate.clear();
    for (const { heapBytes, externalBytes } of weights) this.#estimate.add(heapBytes, externalBytes);
    this.#estimate.settle(weights.length, isCensus);
  }

  /** Some count in other units than bytes: the figure of a cache is believed where the sample bears it out, or cannot say. */
  #judgeOwnCount(cache: object): void {
    const { driver, weigh } = this.#parts;
    const own = weigh === undefined ? driver.byteCount?.(cache) : undefined;
    const sampled = this.#estimate.heapBytes(this.#count) + this.#estimate.externalBytes(this.#count);
    this.#isExact = own !== undefined && (sampled === 0 || (own <= sampled * BELIEVED && own >= sampled / BELIEVED));
  }

  /** Reads the count, where that costs next to nothing. */
  #readCount(): void {
    const { driver, failOpen } = this.#parts;
    const cache = this.#held ?? this.#cache.deref();
    if (this.#disposed || cache === undefined) this.#count = 0;
    else if (!driver.countsSlowly) this.#count = failOpen.run(() => driver.entryCount(cache), this.#count);
  }

  /** As of the last count. */
  #bytes(kind: Kind): number {
    const count = this.#count;
    const { driver, failOpen } = this.#parts;
    const estimate = this.#estimate;
    const sampled = kind === 'heap' ? estimate.heapBytes(count) : estimate.externalBytes(count);
    const cache = this.#isExact ? (this.#held ?? this.#cache.deref()) : undefined;
    if (cache === undefined || this.#disposed) return sampled;
    const own = failOpen.run(() => driver.byteCount?.(cache), undefined) ?? 0;
    const all = estimate.heapBytes(count) + estimate.externalBytes(count);
    // Nothing was weighed: what is not known to be beside the heap is in it.
    const externalBytes = all === 0 ? 0 : Math.round((own * estimate.externalBytes(count)) / all);
    return kind === 'external' ? externalBytes : own - externalBytes;
  }

  /** Puts what there is into the books. Only a look opens a consumer: not in the middle of a question of the governor's. */
  #book(mayOpen: boolean): void {
    const { failOpen } = this.#parts;
    for (const kind of KINDS) {
      const bytes = this.#bytes(kind);
      const side = this.#sides.get(kind) ?? (mayOpen && bytes > 0 ? this.#open(kind) : undefined);
      if (side !== undefined) failOpen.run(() => side.tracked.resize(bytes), undefined);
    }
  }

  #open(kind: Kind): Side | undefined {
    const { governor, name, importance, failOpen } = this.#parts;
    return failOpen.run(() => {
      const consumer = governor.consumer({
        name: kind === 'heap' ? name : `${name.slice(0, MAX_NAME - BUFFERS.length)}${BUFFERS}`,
        kind,
        maxBytes: Number.POSITIVE_INFINITY,
        importance,
        reclaimer: {
          reclaimableBytes: () => failOpen.run(() => this.#reclaimableBytes(kind), 0),
          reclaimNow: (request) => this.#reclaimNow(kind, request),
        },
      });
      const side = { consumer, tracked: consumer.track() };
      this.#sides.set(kind, side);
      return side;
    }, undefined);
  }

  #reclaimableBytes(kind: Kind): number {
    // What came since the last look is put into the books first: the governor believes no more than they say.
    this.#readCount();
    this.#book(false);
    if (this.#busy || this.#count <= this.#parts.driver.keeps) return 0;
    const bytes = this.#sides.get(kind)?.tracked.bytes ?? 0;
    return bytes < this.#all() * MINOR_SHARE ? 0 : Math.floor(bytes * (1 - this.#parts.driver.keeps / this.#count));
  }

  #reclaimNow(kind: Kind, { targetBytes }: ReclaimRequest): number {
    const side = this.#sides.get(kind);
    if (side === undefined || this.#busy || !this.#isOn()) return 0;
    this.#busy = true;
    const claimed = this.#parts.failOpen.run(() => {
      const before = side.tracked.bytes;
      this.#readCount();
      this.#drop(() => this.#bytes(kind) - Math.max(0, before - targetBytes));
      this.#book(false);
      return Math.max(0, before - side.tracked.bytes);
    }, 0);
    this.#busy = false;
    return claimed;
  }

  #isOn(): boolean {
    const { governor, failOpen } = this.#parts;
    return failOpen.run(() => governor.mode === 'on', false);
  }

  #keepBound(): void {
    const { governor, maxBytes, maxShare, failOpen } = this.#parts;
    const limitBytes = failOpen.run(() => governor.limitBytes, Number.POSITIVE_INFINITY);
    const bound = Math.min(maxBytes, maxShare * limitBytes);
    this.#isOver = false;
    if (!this.#isOn()) return;
    const ceiling = this.#noteCeiling(limitBytes);
    const over = () => {
      const bytes = this.#all();
      return Math.max(bytes - bound, this.#count > ceiling ? bytes * (1 - ceiling / this.#count) : 0);
    };
    if (!(over() > 0)) return;
    this.#drop(over);
    this.#isOver = over() > 0 && this.#count > this.#parts.driver.keeps;
    this.#book(false);
  }

  /** From `high` on a cache that grows would only be asked to give back what it has just taken, and calls are turned away meanwhile. */
  #noteCeiling(limitBytes: number): number {
    const { governor, failOpen } = this.#parts;
    const isHigh = failOpen.run(() => levelRank(governor.machineLevel) >= HIGH, false);
    if (!isHigh) this.#ceiling = undefined;
    else if (this.#all() >= limitBytes * SMALL_SHARE)
      this.#ceiling = Math.min(this.#ceiling ?? this.#count, this.#count);
    return this.#ceiling ?? Number.POSITIVE_INFINITY;
  }

  /** Drops the oldest until nothing is missing any more, the time is over, or a callback of the cache throws. */
  #drop(missingBytes: () => number): void {
    const cache = this.#alive();
    if (cache === undefined) return;
    const { clock, driver, failOpen } = this.#parts;
    const startedAt = clock.now();
    // One that says it has dropped, and is no smaller, is not asked for ever.
    const most = this.#count;
    const before = this.#all();
    const run = new DropRun(this.#weigher, clock);
    for (let missing = missingBytes(); missing > 0 && run.gone < most; missing = missingBytes()) {
      if (this.#count <= driver.keeps) break;
      const share = missing / Math.max(1, this.#all());
      const wanted = Math.min(driver.batch, this.#count, Math.max(1, Math.ceil(share * this.#count)));
      const goneBefore = run.gone;
      const ended = failOpen.run(() => void driver.dropOldest(cache, wanted, run.onDropped), THREW);
      this.#count = Math.max(0, this.#count - (run.gone - goneBefore));
      this.#readCount();
      if (run.bytes !== undefined) this.#estimate.correct(before, this.#count, run.bytes);
      if (ended === THREW || run.gone === goneBefore) break;
      // A pause of the process is not taken for the time that dropping takes: some go in any case.
      if (run.gone >= LEAST_DROPPED && clock.now() - startedAt >= DROP_MS) break;
    }
    this.#dropped += run.gone;
    this.#droppedBytes += Math.max(0, before - this.#all());
  }

  #all(): number {
    return this.#bytes('heap') + this.#bytes('external');
  }

  #lookMs(): number {
    const { governor, lookMs, failOpen } = this.#parts;
    const isHigh = failOpen.run(() => levelRank(governor.level) >= HIGH, false);
    return isHigh ? Math.min(lookMs, LOOK_HIGH_MS) : lookMs;
  }

  /** In between two looks the count is read and booked, while it changes. */
  #tick(): void {
    this.#readCount();
    const isDue = this.#parts.clock.now() - this.#lookedAt >= this.#lookMs();
    if (isDue || this.#isOver || this.#count > 2 * this.#countAtLook + GROWN_BY) this.look();
    else if (!this.#busy) this.#hold();
    if (!this.#disposed) this.#schedule();
  }

  #hold(): void {
    this.#book(false);
    if (this.#ceiling === undefined || this.#count <= this.#ceiling) return;
    this.#busy = true;
    this.#parts.failOpen.run(() => this.#keepBound(), undefined);
    this.#busy = false;
  }

  #restMs(): number {
    const { governor, driver, failOpen } = this.#parts;
    if (driver.countsSlowly) return Number.POSITIVE_INFINITY;
    return Math.max(COUNT_MS, failOpen.run(() => governor.limitBytes, Number.POSITIVE_INFINITY) / FILLED_PER_MS);
  }

  #schedule(): void {
    const { clock, failOpen } = this.#parts;
    const isMoving = this.#count !== this.#countAtTick;
    this.#countAtTick = this.#count;
    const soonMs = this.#isOver ? AGAIN_MS : isMoving ? COUNT_MS : this.#restMs();
    const delayMs = Math.max(1, Math.min(soonMs, this.#lookedAt + this.#lookMs() - clock.now()));
    this.#timer = clock.after(delayMs, () => void failOpen.run(() => this.#tick(), undefined));
  }
}
