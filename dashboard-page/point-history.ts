/** The points of the charts, as columns. Pure, and knows no browser. */
import type { ObservationPoint } from '../src/observe/observation.ts';

const MOST_POINTS = 3_600;

export class PointHistory {
  #points: ObservationPoint[] = [];

  get points(): readonly ObservationPoint[] {
    return this.#points;
  }

  get last(): ObservationPoint | undefined {
    return this.#points.at(-1);
  }

  /** Those that are not known yet, in any order; what comes twice counts once. The oldest go first past an hour of seconds. */
  add(points: readonly ObservationPoint[]): void {
    const newest = this.last?.number ?? 0;
    const isNext = points.every(({ number }, i) => number > (i === 0 ? newest : points[i - 1]!.number));
    if (isNext) this.#points.push(...points);
    else {
      const byNumber = new Map(this.#points.map((point) => [point.number, point]));
      for (const point of points) byNumber.set(point.number, point);
      this.#points = [...byNumber.values()].sort((a, b) => a.number - b.number);
    }
    if (this.#points.length > MOST_POINTS) this.#points = this.#points.slice(-MOST_POINTS);
  }

  /** The number up to which nothing is missing between the first and the last. */
  get gapFreeUpTo(): number {
    let known = this.#points[0]?.number ?? 0;
    for (const { number } of this.#points) {
      if (number > known + 1) break;
      known = number;
    }
    return known;
  }

  clear(): void {
    this.#points = [];
  }

  /** Seconds since 1970. */
  times(): number[] {
    return this.#points.map(({ at }) => at / 1_000);
  }

  column(read: (point: ObservationPoint) => number | undefined): (number | null)[] {
    return this.#points.map((point) => read(point) ?? null);
  }

  /** The names that held most at any one point, largest first; `most` of them. */
  largestConsumers(most: number): string[] {
    const peaks = new Map<string, number>();
    for (const { consumers } of this.#points) {
      for (const [name, bytes] of Object.entries(consumers)) {
        if (bytes > (peaks.get(name) ?? 0)) peaks.set(name, bytes);
      }
    }
    return [...peaks]
      .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
      .slice(0, most)
      .map(([name]) => name);
  }

  /** What each of `names` held, bottom first, each on top of those before it, and last of all everybody else. */
  stack(names: readonly string[]): number[][] {
    const layers = [...names.map(() => [] as number[]), [] as number[]];
    for (const { consumers, reservedBytes } of this.#points) {
      let sum = 0;
      for (const [i, name] of names.entries()) layers[i]!.push((sum += consumers[name] ?? 0));
      layers.at(-1)!.push(Math.max(sum, reservedBytes));
    }
    return layers;
  }
}
