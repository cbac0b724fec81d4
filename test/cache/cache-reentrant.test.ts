import fc from 'fast-check';
import { CACHE_POLICIES, Cache, type CacheOptions } from 'plimsoll/cache';
import { expect, it } from 'vitest';

const key = fc.integer({ min: 0, max: 15 });
const action = fc.record({
  do: fc.constantFrom('set' as const, 'get', 'delete', 'clear', 'tune'),
  key,
  weight: fc.integer({ min: 0, max: 9 }),
});

it.each(CACHE_POLICIES)('%s: listener and weigher that use the cache while it changes harm nothing', (policy) => {
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.array(action, { maxLength: 60 }),
      fc.array(action, { minLength: 1, maxLength: 40 }),
      (weighed, outer, inner) => {
        let turn = 0;
        let depth = 0;
        let told = 0;
        const act = (each: (typeof outer)[number]): void => {
          if (each.do === 'set') cache.set(each.key, { weight: each.weight });
          else if (each.do === 'get') cache.get(each.key);
          else if (each.do === 'delete') cache.delete(each.key);
          else if (each.do === 'clear' && each.key === 0) cache.clear();
          else if (each.do === 'tune') cache.tune(weighed ? { maxBytes: 10 + each.key } : { maxEntries: 4 + each.key });
        };
        const meddle = (): void => {
          if (depth >= 2) return;
          depth++;
          act(inner[turn++ % inner.length]!);
          expect(cache.faults()).toEqual([]);
          depth--;
        };
        const weighAndMeddle = ({ weight }: { weight: number }) => {
          meddle();
          return weight;
        };
        const options: CacheOptions<number, { weight: number }> = {
          policy,
          ...(weighed ? { maxBytes: 20, weigh: weighAndMeddle } : { maxEntries: 6 }),
          onRemoval: () => {
            told++;
            meddle();
          },
        };
        const cache = new Cache(options);
        for (const each of outer) {
          act(each);
          expect(cache.faults()).toEqual([]);
        }
        expect(told).toBe(Object.values(cache.stats.removals).reduce((sum, count) => sum + count, 0));
        expect(cache.stats.listenerFaults).toBe(0);
        expect(cache.stats.unweighed).toBe(0);
      },
    ),
    { numRuns: 200 },
  );
});
