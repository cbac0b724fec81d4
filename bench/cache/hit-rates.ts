/** Hit rates of the policies on traces of real systems, beside what is published. */
import { hitRate } from '../../test/cache/hit-rate.ts';
import {
  LRU_HIT_RATES,
  OPTIMAL_HIT_RATES,
  type PublishedRate,
  TINY_LFU_HIT_RATES,
} from '../../test/cache/published-rates.ts';
import { missingTrace, readTrace, type TraceName } from '../../test/cache/traces.ts';
import { median } from '../../test/gates/gate.ts';
import { table, writeSection } from '../results-file.ts';

/** The hash of keys is seeded anew each time. */
const ROUNDS = 3;

export async function benchHitRates(): Promise<void> {
  const traces = new Map<TraceName, Int32Array>();
  const rows: string[][] = [];
  for (const { trace, entries, percent } of LRU_HIT_RATES) {
    const missing = missingTrace(trace);
    if (missing !== undefined) {
      console.log(`  ${trace} is left out: ${missing}`);
      continue;
    }
    const keys = traces.get(trace) ?? readTrace(trace);
    traces.set(trace, keys);
    const tiny = Array.from({ length: ROUNDS }, () => hitRate(keys, entries, 'tiny-lfu'));
    rows.push([
      `${trace} at ${entries}`,
      hitRate(keys, entries, 'lru').toFixed(2),
      percent.toFixed(2),
      hitRate(keys, entries, 'lfu').toFixed(2),
      `${median(tiny).toFixed(2)} (${Math.min(...tiny).toFixed(2)}-${Math.max(...tiny).toFixed(2)})`,
      published(TINY_LFU_HIT_RATES, trace, entries),
      published(OPTIMAL_HIT_RATES, trace, entries),
    ]);
    console.log(`  ${rows.at(-1)!.join(', ')}`);
  }
  writeSection({
    id: 'cache-hit-rates',
    title: 'Hit rates on real traces',
    command: 'npm run bench -- cache hit-rates',
    body: `Percent of requests, at so many entries, when each miss is stored. \`tiny-lfu\`: median of ${ROUNDS} runs with least and most, as the hash is seeded anew.
The optimum knows the future (Belady).

${table(['', 'lru', 'published', 'lfu', 'tiny-lfu', 'published W-TinyLFU', 'optimum'], rows)}`,
  });
}

function published(rates: readonly PublishedRate[], trace: TraceName, entries: number): string {
  return rates.find((rate) => rate.trace === trace && rate.entries === entries)?.percent.toFixed(2) ?? '';
}
