import type { LeakPoint, LeakSuspect } from './leak-report.ts';
import type { LeakRow } from './leak-series.ts';
import { type Trend, theilSen, trendOf, turnedChances } from './trend-test.ts';

/** Fewer figures say nothing: of three in a row one in six rises by chance. */
export const LEAST_COMPARED = 5;

export interface LeakLevels {
  readonly leastBytes: number;
  readonly leastCount: number;
  readonly leastConfidence: number;
}

const ROUGH = 256;
/** Names that say nothing of who holds. */
const COMMON: readonly string[] = [
  'Object',
  'Array',
  'Map',
  'Set',
  'system / Context',
  '(array)',
  '(anonymous)',
  'Generator',
];

interface Asked {
  readonly row: LeakRow;
  readonly points: readonly LeakPoint[];
  readonly trend: Trend;
}

/**
 * What of these rows leaks, as far as the figures say. `from` is the first checkpoint that is compared. The confidence is the product of
 *
 * - 1 minus the probability that a row without a trend rises as clearly (Mann and Kendall, exact), times the number of rows that moved enough to be asked: with many rows one of them
 *   would rise by chance (Bonferroni; Dunn 1961). Rows hang together, so that this asks for more than it must.
 * - whether it goes on: how much of the slope (Theil and Sen) before is left in the last third, and how many more pairs rise there than fall, the less of the two, doubled, at
 *   most 1. What fills and stops, a cache with a bound or a warm-up, does not go on.
 *
 * Rows that grew by less than the least are left out. Pure.
 */
export function judgeLeaks(
  rows: Iterable<LeakRow>,
  from: number,
  levels: LeakLevels,
): { suspects: LeakSuspect[]; asked: number } {
  const asked: Asked[] = [];
  const chances = new Map<number, Float64Array>();
  for (const row of rows) {
    const points = row.points.list().filter(({ checkpoint }) => checkpoint >= from);
    if (points.length < LEAST_COMPARED) continue;
    const figures = points.map(({ figure }) => figure);
    const moved = Math.max(...figures) - Math.min(...figures);
    if (moved < leastOf(row, levels)) continue;
    const known = chances.get(figures.length) ?? turnedChances(figures.length);
    chances.set(figures.length, known);
    asked.push({ row, points, trend: trendOf(figures, known) });
  }
  const suspects = asked.flatMap((each) => {
    const confidence = confidenceOf(each.trend, asked.length);
    const { first, last } = endsOf(each.points);
    const grown = last.figure - first.figure;
    const isEnough = grown >= leastOf(each.row, levels);
    return confidence >= levels.leastConfidence && isEnough ? [suspectOf(each, confidence)] : [];
  });
  suspects.sort(
    (a, b) => b.confidence - a.confidence || b.growthBytes - a.growthBytes || b.growthCount - a.growthCount,
  );
  const placed = suspects.map((suspect) => withHolder(suspect, suspects));
  // What is held by another suspect comes behind those that are not.
  const isInside = ({ within }: LeakSuspect) => within !== undefined;
  return { suspects: [...placed.filter((each) => !isInside(each)), ...placed.filter(isInside)], asked: asked.length };
}

/** What the process holds as a whole is a rough figure. */
function leastOf({ last: { inBytes, kind } }: LeakRow, { leastBytes, leastCount }: LeakLevels): number {
  if (!inBytes) return leastCount;
  return kind === 'process' ? leastBytes * ROUGH : leastBytes;
}

function confidenceOf({ probability, slope, earlySlope, lateSlope, lateRise }: Trend, asked: number): number {
  if (slope <= 0) return 0;
  const left = earlySlope > 0 ? lateSlope / earlySlope : 1;
  const goesOn = Math.max(0, Math.min(1, 2 * left, 2 * lateRise));
  return Math.max(0, 1 - probability * asked) * goesOn;
}

function endsOf(points: readonly LeakPoint[]): { first: LeakPoint; last: LeakPoint } {
  return { first: points[0]!, last: points.at(-1)! };
}

function suspectOf({ row, points }: Asked, confidence: number): LeakSuspect {
  const { kind, what, at, heldBy, heldShare } = row.last;
  const { first, last } = endsOf(points);
  return {
    kind,
    what,
    ...(at === undefined ? {} : { at }),
    confidence,
    growthBytes: last.bytes - first.bytes,
    growthCount: last.count - first.count,
    bytesEach: theilSen(points.map(({ bytes }) => bytes)),
    countEach: theilSen(points.map(({ count }) => count)),
    points,
    ...(heldBy === undefined || heldShare === undefined ? {} : { heldBy, heldShare }),
  };
}

/** The nearest holder on its path that is a suspect too, and of which there are not many sorts in every program. */
function withHolder(suspect: LeakSuspect, all: readonly LeakSuspect[]): LeakSuspect {
  const steps = suspect.heldBy ?? [];
  for (let at = steps.length - 1; at >= 0; at--) {
    const names = holdersAt(steps, at);
    const holder = all.find((each) => names.includes(each.what) && each.what !== suspect.what);
    if (holder !== undefined) return { ...suspect, within: holder.what };
  }
  return suspect;
}

/** As suspects are called: the owner of the reference and, where that is a table of listeners, its event. */
function holdersAt(steps: readonly string[], at: number): readonly string[] {
  const owner = /^(?!variable )(.+?)(?:\(\))?(?:\.|\[)/.exec(steps[at]!)?.[1];
  if (owner === undefined || COMMON.includes(owner)) {
    const emitter = /^(.+)\._events$/.exec(steps[at - 1] ?? '')?.[1];
    const event = /^Object\.(.+)$/.exec(steps[at]!)?.[1];
    return emitter === undefined || event === undefined ? [] : [`'${event}' of ${emitter}`];
  }
  return [owner];
}
