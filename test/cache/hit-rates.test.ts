import { expect, it } from 'vitest';
import { hitRate } from './hit-rate.ts';
import { LOOP_OPTIMUM, LRU_HIT_RATES } from './published-rates.ts';
import { missingTrace, readTrace } from './traces.ts';

/** The large trace is for the gate. */
const small = LRU_HIT_RATES.filter(({ trace }) => trace !== 'oltp');

it.for(small)(
  'lru on $trace with $entries entries: $percent%, as published',
  ({ trace, entries, percent }, { skip }) => {
    const missing = missingTrace(trace);
    skip(missing !== undefined, missing);
    expect(hitRate(readTrace(trace), entries, 'lru').toFixed(2)).toBe(percent.toFixed(2));
  },
);

it('tiny-lfu keeps nearly all of a loop that can be kept', ({ skip }) => {
  const missing = missingTrace('loop');
  skip(missing !== undefined, missing);
  const rate = hitRate(readTrace('loop'), 512, 'tiny-lfu');
  expect(rate).toBeGreaterThan(49);
  expect(rate).toBeLessThanOrEqual(LOOP_OPTIMUM);
});
