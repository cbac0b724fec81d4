/**
 * Where one meter is going.
 *
 * A heap goes up and down with each collection, and what matters of that is whether the tops climb. So the tops are followed, twice: over
 * five seconds for what is steep, and over fifty for a slow leak under large teeth, which says something only while the teeth are large enough
 * to hide it. Collections that are further apart than five seconds would still look like a climb on each way up: the highest reading of
 * each quarter of a minute is kept for a minute, and a rise below a height that was reached before, more than once, and left again by
 * itself, is taken for one more tooth and is no growth until it passes that height. What fell because bytes were given back did not fall by
 * itself: `restart` after a train, else the next climb is taken for a tooth.
 *
 * It keeps summaries of its own and does not read the ring of the history: close to the line that ring spans five seconds.
 */
import { Slope } from './slope.ts';

const STEEP = { spacingMs: 500, keep: 'tops' } as const;
const SLOW = { spacingMs: 5_000, keep: 'tops' } as const;
/** What the slow trend makes in the window of the steep one may be hidden by teeth of half of that. */
const HIDDEN_MS = 2_500;
/** Readings closer than that are one, for the steps between readings. */
const STEP_MS = 10;
const BLOCK_MS = 15_000;
/** The block under way and the three before it. */
const BLOCKS = 4;
/** A gap longer than that (a suspended machine) is the end of what was before. */
const GAP_MS = 60_000;
/** Further than that nothing is predicted from five seconds. */
const FARTHEST_MS = 600_000;
/** Of the limit: what is passed by less is not passed. */
const TOLERANCE = 0.01;
/** Falling: by that part of the limit at least over two steps, and that fast per second. */
const FALL = 0.005;
const FALL_PER_SECOND = 0.05;
/** Of the limit: a rise that does not end a fall. */
const TREMBLE = 0.001;
const FALL_IS_OLD_AFTER_MS = 2_500;

export interface TrendRow {
  /** Growth of the meter, signed; 0 while there is no trend. */
  readonly bytesPerSecond: number;
  /** Until the meter is at its limit, when it goes on like that; absent when it does not in the next ten minutes. */
  readonly timeToLineMs?: number;
  /** Use is clearly going down just now. */
  readonly falling: boolean;
}

/** One meter's trend. A reading costs O(1) and leaves no garbage; what is asked for costs about 1 µs after each. 2 KiB. */
export class Trend {
  readonly #steep = new Slope(STEEP);
  readonly #slow = new Slope(SLOW);
  /** The last three readings, newest first, and their times. */
  readonly #step = new Float64Array(3);
  readonly #stepAt = new Float64Array(3);
  #steps = 0;
  /** The highest of each block, newest first. */
  readonly #highs = new Float64Array(BLOCKS);
  #block = 0;
  #limitBytes = 0;

  constructor() {
    this.restart();
  }

  /** A reading. A clock that went back, or stood for a minute, begins anew. */
  note(atMs: number, bytes: number, limitBytes: number): void {
    this.#limitBytes = limitBytes;
    if (this.#steps > 0 && !(atMs >= this.#stepAt[0]! && atMs - this.#stepAt[0]! <= GAP_MS)) this.restart();
    if (!Number.isFinite(atMs)) return;
    this.#steep.note(atMs, bytes);
    this.#slow.note(atMs, bytes);
    this.#noteStep(atMs, bytes);
    this.#noteHigh(atMs, bytes);
  }

  /** Forgets: after a train, or whatever else makes what was before say nothing of what comes. */
  restart(): void {
    this.#steep.clear();
    this.#slow.clear();
    this.#steps = 0;
    this.#highs.fill(Number.NEGATIVE_INFINITY);
    this.#block = Number.NaN;
  }

  /** Growth, signed; 0 while there is no trend. */
  get bytesPerSecond(): number {
    const steep = this.#steep.perMs;
    if (steep === 0) return this.#slowPerMs() * 1_000;
    return steep > 0 && this.#step[0]! <= this.#familiarHigh() ? 0 : steep * 1_000;
  }

  /** Rise between the last readings, bytes per millisecond, 0 when there was none: not robust at all, for deciding when to look again. */
  get lastRisePerMs(): number {
    const ms = this.#stepAt[0]! - this.#stepAt[1]!;
    return this.#steps < 2 || !(ms >= STEP_MS) ? 0 : Math.max(0, (this.#step[0]! - this.#step[1]!) / ms);
  }

  /** From `nowMs` until the meter is at its limit; undefined when it does not get there in the next ten minutes. */
  timeToLineMs(nowMs: number = this.#stepAt[0]!): number | undefined {
    if (this.#steps === 0) return undefined;
    if (this.#step[0]! >= this.#limitBytes) return 0;
    const { bytesPerSecond } = this;
    if (bytesPerSecond <= 0) return undefined;
    // Of teeth that climb, it is the tops that get there.
    const missing = this.#limitBytes - (this.#steep.perMs === 0 ? this.#slow.top : this.#step[0]!);
    const elapsed = Math.max(0, nowMs - this.#stepAt[0]!) || 0;
    const ms = Math.max(0, (missing / bytesPerSecond) * 1_000 - elapsed);
    return ms <= FARTHEST_MS ? ms : undefined;
  }

  /** Two steps without a rise that together are a fall worth the name, seen just now: giving back would come after the event. */
  isFalling(nowMs: number = this.#stepAt[0]!): boolean {
    if (this.#steps < 3 || !(nowMs - this.#stepAt[0]! <= FALL_IS_OLD_AFTER_MS)) return false;
    if (this.#stepAt[0]! - this.#stepAt[1]! < STEP_MS) return false;
    const newest = this.#step[0]!;
    const middle = this.#step[1]!;
    const oldest = this.#step[2]!;
    const tremble = this.#limitBytes * TREMBLE;
    if (newest > middle + tremble || middle > oldest + tremble) return false;
    const seconds = (this.#stepAt[0]! - this.#stepAt[2]!) / 1_000;
    return oldest - newest >= this.#limitBytes * Math.max(FALL, FALL_PER_SECOND * seconds);
  }

  row(nowMs?: number): TrendRow {
    const timeToLineMs = this.timeToLineMs(nowMs);
    const row = { bytesPerSecond: this.bytesPerSecond, falling: this.isFalling(nowMs) };
    return timeToLineMs === undefined ? row : { ...row, timeToLineMs };
  }

  #slowPerMs(): number {
    const slow = this.#slow.perMs;
    return this.#steep.range >= Math.abs(slow) * HIDDEN_MS ? slow : 0;
  }

  #noteStep(atMs: number, bytes: number): void {
    const step = this.#step;
    const at = this.#stepAt;
    // Inside a loop samples come microseconds apart: the newest moves on until it is far enough from the one before.
    if (this.#steps < 2 || at[0]! - at[1]! >= STEP_MS) {
      step.copyWithin(1, 0);
      at.copyWithin(1, 0);
      if (this.#steps < 3) this.#steps++;
    }
    step[0] = bytes;
    at[0] = atMs;
  }

  #noteHigh(atMs: number, bytes: number): void {
    const block = Math.floor(atMs / BLOCK_MS);
    const highs = this.#highs;
    // NaN at the start: no block is under way.
    for (let passed = Math.min(block - this.#block, BLOCKS); passed > 0; passed--) {
      highs.copyWithin(1, 0);
      highs[0] = Number.NEGATIVE_INFINITY;
    }
    this.#block = block;
    if (bytes > highs[0]!) highs[0] = bytes;
  }

  /** The height that at least two of the three last full blocks reached. */
  #familiarHigh(): number {
    const a = this.#highs[1]!;
    const b = this.#highs[2]!;
    const c = this.#highs[3]!;
    const second = Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
    return second + this.#limitBytes * TOLERANCE;
  }
}
