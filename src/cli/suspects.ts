import type { ObservationPoint } from '../observe/index.ts';
import type { Suspect } from './run-report.ts';

const MIB = 1_048_576;
/** What is loaded at the start is no leak: the first part of a run does not count. */
const WARM_UP = 0.2;
const STRETCHES = 4;
const LEAST_POINTS = 16;
const LEAST_MS = 8_000;
const LEAST_GROWTH_BYTES = 4 * MIB;
const LEAST_SHARE = 0.15;
const MOST = 10;

/**
 * What grew all through a run: its least in each of four stretches is more than in the one before, by 4 MiB and 15% in all. The least, because between collections a heap
 * that leaks nothing grows as well. Growth is no proof of a leak: a cache that fills looks the same. Pure; none for runs shorter than 8 s.
 */
export function findSuspects(points: readonly ObservationPoint[]): Suspect[] {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || points.length < LEAST_POINTS) return [];
  if (last.at - first.at < LEAST_MS) return [];
  const counted = points.slice(Math.floor(points.length * WARM_UP));
  const names = new Set(counted.flatMap(({ consumers }) => Object.keys(consumers)));
  names.delete('runtime');
  const series = [
    ...(['heap', 'external'] as const).map((name) => ({ name, of: (point: ObservationPoint) => point.meters[name] })),
    ...[...names].map((name) => ({ name, of: ({ consumers }: ObservationPoint) => ownOf(consumers, name) })),
  ];
  return series
    .flatMap(({ name, of }) => growthOf(name, counted, of))
    .sort((a, b) => b.grownBytes - a.grownBytes)
    .slice(0, MOST);
}

/** What is said where nothing is suspected: that it is so, or that there was too little to go by. Pure. */
export function whyNoSuspects(points: readonly ObservationPoint[]): string {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || last.at - first.at < LEAST_MS) {
    return `too short to judge (under ${LEAST_MS / 1_000} s)`;
  }
  return points.length < LEAST_POINTS ? `too few looks to judge (under ${LEAST_POINTS})` : 'none';
}

const ownOf = (consumers: Readonly<Record<string, number>>, name: string): number | undefined =>
  Object.hasOwn(consumers, name) ? consumers[name] : undefined;

function growthOf(
  name: string,
  points: readonly ObservationPoint[],
  of: (point: ObservationPoint) => number | undefined,
): Suspect[] {
  const known = points.flatMap((point) => {
    const bytes = of(point);
    return bytes === undefined ? [] : [{ at: point.at, bytes }];
  });
  if (known.length < LEAST_POINTS / 2) return [];
  const least = Array.from({ length: STRETCHES }, (_, index) => {
    const from = Math.floor((index * known.length) / STRETCHES);
    const part = known.slice(from, Math.floor(((index + 1) * known.length) / STRETCHES));
    return part.reduce((lowest, each) => (each.bytes < lowest.bytes ? each : lowest));
  });
  const grownBytes = least[STRETCHES - 1]!.bytes - least[0]!.bytes;
  const rises = least.every(({ bytes }, index) => index === 0 || bytes > least[index - 1]!.bytes);
  if (!rises || grownBytes < LEAST_GROWTH_BYTES || grownBytes < least[0]!.bytes * LEAST_SHARE) return [];
  const seconds = (least[STRETCHES - 1]!.at - least[0]!.at) / 1_000;
  const how = 'its least was more in each quarter of the run than in the one before';
  return [{ name, grownBytes, bytesPerSecond: grownBytes / Math.max(1, seconds), how }];
}
