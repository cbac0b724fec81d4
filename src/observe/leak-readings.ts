import type { ProcessFigures, Snapshot } from '../governor/index.ts';
import { shortText } from '../short-text.ts';
import type { HeapCensus } from './heap-census.ts';
import type { LeakReading } from './leak-series.ts';

/** A row is followed from a quarter of the least growth on; before that it counts as nothing. */
const FOLLOWED = 1 / 4;
/** Kinds of resources that are told apart. */
const MOST_RESOURCES = 200;

/** Rows of the process whose bytes are known by name where the heap is counted. */
export const HEAP_FIGURES: readonly string[] = ['process heap', 'process array buffers'];

export function heapReadings({ rows }: HeapCensus, leastBytes: number, leastCount: number): LeakReading[] {
  return rows.flatMap(({ livedBytes, livedCount, ...row }): LeakReading[] => {
    const inBytes = row.kind !== 'listeners';
    const isSmall = inBytes ? row.bytes < leastBytes * FOLLOWED : row.count < leastCount * FOLLOWED;
    if (isSmall) return [];
    return [{ ...row, figure: inBytes ? livedBytes : livedCount, inBytes }];
  });
}

/** Consumers of the same name are one row. */
export function consumerReadings({ consumers }: Snapshot): LeakReading[] {
  const byName = new Map<string, number>();
  for (const { name, ownBytes } of consumers) byName.set(name, (byName.get(name) ?? 0) + ownBytes);
  return [...byName].map(([what, bytes]) => ({
    kind: 'consumer',
    what,
    key: `consumer ${what}`,
    bytes,
    count: 0,
    figure: bytes,
    inBytes: true,
  }));
}

export function processReadings({ heapUsed, external, arrayBuffers }: ProcessFigures): LeakReading[] {
  const row = (what: string, bytes: number): LeakReading => ({
    kind: 'process',
    what,
    key: `process ${what}`,
    bytes,
    count: 0,
    figure: bytes,
    inBytes: true,
  });
  return [
    row('heap', heapUsed),
    row('array buffers', arrayBuffers),
    row('external', Math.max(0, external - arrayBuffers)),
  ];
}

export function resourceReadings(active: readonly string[]): LeakReading[] {
  const counts = new Map<string, number>();
  for (const each of active) {
    const what = shortText(String(each));
    if (counts.has(what) || counts.size < MOST_RESOURCES) counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return [...counts].map(([what, count]) => ({
    kind: 'resource',
    what,
    key: `resource ${what}`,
    bytes: 0,
    count,
    figure: count,
    inBytes: false,
  }));
}
