import { hitRate } from '../cache/hit-rate.ts';
import { LRU_HIT_RATES } from '../cache/published-rates.ts';
import { missingTrace, readTrace, type TraceName } from '../cache/traces.ts';
import { demandEqual, type Gate, GateSkipped } from './gate.ts';

/** The hit rates of `lru` on traces of real systems are those that others published. */
export const cacheHitRatesGate: Gate = {
  name: 'cache-hit-rates',
  promise: 'the policy `lru` has to the hundredth of a percent the hit rates that are published for LRU on real traces',
  patient: true,
  async run(say) {
    const missing = LRU_HIT_RATES.map(({ trace }) => missingTrace(trace)).find((why) => why !== undefined);
    if (missing !== undefined) throw new GateSkipped(missing);
    const traces = new Map<TraceName, Int32Array>();
    const found: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const { trace, entries, percent } of LRU_HIT_RATES) {
      const keys = traces.get(trace) ?? readTrace(trace);
      traces.set(trace, keys);
      const what = `${trace} at ${entries}`;
      found[what] = hitRate(keys, entries, 'lru').toFixed(2);
      expected[what] = percent.toFixed(2);
      say(`${what}: lru ${found[what]}, tiny-lfu ${hitRate(keys, entries, 'tiny-lfu').toFixed(2)}`);
    }
    demandEqual('hit rates', found, expected);
    return Object.entries(found)
      .map(([what, percent]) => `${what} ${percent}%`)
      .join(', ');
  },
};
