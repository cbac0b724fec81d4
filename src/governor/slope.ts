/**
 * How fast a noisy figure rises, from a few points.
 *
 * The estimator is that of Theil and Sen: the median of the slopes between all pairs of points. Least squares lets one outlier, and any
 * step, tilt the line; the median does not move while less than about a third of the points are bad. Its usual price, every pair, is
 * bounded here: the samples are gathered into at most 12 points, so there are 66 slopes. Three checks keep out what is no trend: the change may
 * not lie for the most part between two points, else it is a step; the net change must be a third of the length of the path at least
 * (Kaufman's efficiency ratio), else it is noise; and the newer half has to agree, else it is over. Of both halves' slopes the smaller counts.
 */

const MOST_POINTS = 12;
const FEWEST_POINTS = 3;
/** Net change by path: below that it is noise. */
const EFFICIENT = 1 / 3;
/** Of the path between two points: above that it is a step. */
const STEP = 0.7;
/** What changes by less than one over the whole window does not change. */
const LEAST = 1;
const WINDOW_POINTS = 10;
/** How many points back the greatest is looked for. */
const TOP_POINTS = 3;

export interface SlopeOptions {
  /** Samples closer than that become one point, ms. Points count for ten times as long, the last three for up to a hundred times. */
  readonly spacingMs: number;
  /** What stands for a point: the greatest of its samples and of those up to three points before, or its last sample. */
  readonly keep: 'tops' | 'last';
}

/** Takes samples in O(1); the slope costs about 1 µs when it is asked for anew. Leaves no garbage; 0.8 KiB. */
export class Slope {
  readonly #spacingMs: number;
  readonly #tops: boolean;
  readonly #at = new Float64Array(MOST_POINTS);
  readonly #values = new Float64Array(MOST_POINTS);
  /** As `#values`, or the tops of them. */
  readonly #heights = new Float64Array(MOST_POINTS);
  readonly #slopes = new Float64Array((MOST_POINTS * (MOST_POINTS - 1)) / 2);
  #length = 0;
  #pointBeganAt = 0;
  #fresh = true;
  #perMs = 0;

  constructor({ spacingMs, keep }: SlopeOptions) {
    this.#spacingMs = spacingMs;
    this.#tops = keep === 'tops';
  }

  /** Times must not go down: `clear` first when they do. */
  note(atMs: number, value: number): void {
    this.#fresh = false;
    const last = this.#length - 1;
    if (last >= 0 && atMs - this.#pointBeganAt < this.#spacingMs) {
      if (this.#tops && value < this.#values[last]!) return;
      this.#at[last] = atMs;
      this.#values[last] = value;
      return;
    }
    if (this.#length === MOST_POINTS) {
      this.#at.copyWithin(0, 1);
      this.#values.copyWithin(0, 1);
      this.#length--;
    }
    this.#at[this.#length] = atMs;
    this.#values[this.#length++] = value;
    this.#pointBeganAt = atMs;
  }

  clear(): void {
    this.#length = 0;
    this.#perMs = 0;
    this.#fresh = true;
  }

  /** Change per millisecond; 0 with fewer than three points, and when there is no trend to speak of. */
  get perMs(): number {
    if (!this.#fresh) {
      this.#perMs = this.#estimate();
      this.#fresh = true;
    }
    return this.#perMs;
  }

  /** The greatest of the last three points; `-Infinity` without any. */
  get top(): number {
    let top = Number.NEGATIVE_INFINITY;
    for (let i = Math.max(0, this.#length - TOP_POINTS); i < this.#length; i++) top = Math.max(top, this.#values[i]!);
    return top;
  }

  /** How far the points that count lie apart. */
  get range(): number {
    let least = Number.POSITIVE_INFINITY;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = this.#first(); i < this.#length; i++) {
      least = Math.min(least, this.#values[i]!);
      most = Math.max(most, this.#values[i]!);
    }
    return most >= least ? most - least : 0;
  }

  #estimate(): number {
    const first = this.#first();
    const count = this.#length - first;
    if (count < FEWEST_POINTS) return 0;
    this.#raise(first);
    const whole = this.#median(first);
    if (whole === 0 || !this.#isTrend(first, whole)) return 0;
    const newer = this.#length - Math.ceil(count / 2);
    return this.#length - newer < FEWEST_POINTS ? whole : nearerToZero(whole, this.#median(newer));
  }

  /** The oldest point that counts. */
  #first(): number {
    if (this.#length === 0) return 0;
    const now = this.#at[this.#length - 1]!;
    const windowMs = this.#spacingMs * WINDOW_POINTS;
    let first = 0;
    while (now - this.#at[first]! > windowMs) first++;
    const three = this.#length - FEWEST_POINTS;
    const usable = three >= 0 && first > three && now - this.#at[three]! <= windowMs * WINDOW_POINTS;
    return usable ? three : first;
  }

  #raise(first: number): void {
    const topMs = this.#spacingMs * TOP_POINTS;
    for (let i = first; i < this.#length; i++) {
      let height = this.#values[i]!;
      if (this.#tops) {
        for (let j = i - 1; j >= 0 && this.#at[i]! - this.#at[j]! < topMs; j--)
          height = Math.max(height, this.#values[j]!);
      }
      this.#heights[i] = height;
    }
  }

  #median(first: number): number {
    const slopes = this.#slopes;
    let count = 0;
    for (let i = first; i < this.#length; i++) {
      for (let j = i + 1; j < this.#length; j++) {
        const ms = this.#at[j]! - this.#at[i]!;
        if (ms <= 0) continue;
        const slope = (this.#heights[j]! - this.#heights[i]!) / ms;
        let at = count++;
        for (; at > 0 && slopes[at - 1]! > slope; at--) slopes[at] = slopes[at - 1]!;
        slopes[at] = slope;
      }
    }
    if (count === 0) return 0;
    const middle = count >> 1;
    return count % 2 === 1 ? slopes[middle]! : nearerToZero(slopes[middle - 1]!, slopes[middle]!);
  }

  #isTrend(first: number, perMs: number): boolean {
    let path = 0;
    let longest = 0;
    for (let i = first + 1; i < this.#length; i++) {
      const change = Math.abs(this.#heights[i]! - this.#heights[i - 1]!);
      path += change;
      longest = Math.max(longest, change);
    }
    const net = Math.abs(perMs) * (this.#at[this.#length - 1]! - this.#at[first]!);
    return longest <= path * STEP && net >= Math.max(LEAST, path * EFFICIENT);
  }
}

function nearerToZero(a: number, b: number): number {
  if (a > 0 && b > 0) return Math.min(a, b);
  return a < 0 && b < 0 ? Math.max(a, b) : 0;
}
