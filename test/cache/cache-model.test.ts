import fc from 'fast-check';
import { Cache, type CacheOptions, type RemovalReason } from 'plimsoll/cache';
import { expect, it } from 'vitest';

/** Keys of all sorts: those that are hashed here, those that stand in a `Map`, and those that are easily taken for each other. */
const OBJECT = { an: 'object' };
const KEYS: readonly unknown[] = [
  ...[0, -0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, 0.5, Number.NaN, Number.POSITIVE_INFINITY],
  ...['', '0', '1', 'a', 'twelve chars', 'thirteen char', 'a text that is a good deal longer', 'ä', '\ud83d\ude00'],
  ...[undefined, null, true, false, 10n, OBJECT, Symbol.iterator],
];

interface Removal {
  readonly key: unknown;
  readonly value: unknown;
  readonly reason: RemovalReason;
}

/** What an LRU is, as plainly as it can be said. */
class LruModel {
  readonly entries = new Map<unknown, { value: number; weight: number }>();
  readonly removals: Removal[] = [];
  maxEntries: number;
  maxBytes: number;

  constructor(maxEntries: number, maxBytes: number) {
    this.maxEntries = maxEntries;
    this.maxBytes = maxBytes;
  }

  get bytes(): number {
    return [...this.entries.values()].reduce((sum, { weight }) => sum + weight, 0);
  }

  get(key: unknown): number | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.value;
  }

  set(key: unknown, value: number, weight: number): boolean {
    const old = this.entries.get(key);
    if (weight > this.maxBytes) {
      if (old !== undefined) this.remove(key, 'replaced');
      return false;
    }
    if (old === undefined) {
      this.trim(weight, 1);
      this.entries.set(key, { value, weight });
      return true;
    }
    // The one that is written may be the coldest: then it goes first, for its own new value.
    while (this.bytes - old.weight + weight > this.maxBytes) {
      const [coldest] = this.entries.keys();
      this.remove(coldest, Object.is(coldest, plain(key)) ? 'replaced' : 'evicted');
      if (!this.entries.has(key)) return this.set(key, value, weight);
    }
    if (old.value !== value) this.removals.push({ key: plain(key), value: old.value, reason: 'replaced' });
    this.entries.delete(key);
    this.entries.set(key, { value, weight });
    return true;
  }

  trim(weight: number, count: number): void {
    while (
      this.entries.size + count > this.maxEntries ||
      (this.entries.size > 0 && this.bytes + weight > this.maxBytes)
    ) {
      const [coldest] = this.entries.keys();
      this.remove(coldest, 'evicted');
    }
  }

  remove(key: unknown, reason: RemovalReason): boolean {
    const entry = this.entries.get(key);
    if (entry === undefined) return false;
    this.entries.delete(key);
    this.removals.push({ key: plain(key), value: entry.value, reason });
    return true;
  }
}

type Step =
  | { readonly do: 'get' | 'peek' | 'has' | 'delete'; readonly key: unknown }
  | { readonly do: 'set'; readonly key: unknown; readonly weight: number }
  | { readonly do: 'clear' }
  | { readonly do: 'tune'; readonly maxEntries: number; readonly maxBytes: number };

const key = fc.constantFrom(...KEYS);
/** As a `Map` has it. */
const plain = (of: unknown): unknown => (of === 0 ? 0 : of);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('set' as const), key, weight: fc.integer({ min: 0, max: 12 }) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('get' as const, 'peek', 'has', 'delete'), key }) },
  { weight: 1, arbitrary: fc.constant({ do: 'clear' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('tune' as const),
      maxEntries: fc.integer({ min: 1, max: 24 }),
      maxBytes: fc.integer({ min: 1, max: 60 }),
    }),
  },
);

for (const weighed of [false, true]) {
  it(`does what the plainest LRU does, step by step, ${weighed ? 'bound by bytes' : 'bound by entries'}`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(step, { maxLength: 120 }),
        (maxEntries, maxBytes, steps) => {
          const removals: Removal[] = [];
          let weight = 0;
          const options: CacheOptions<unknown, number> = {
            maxEntries,
            onRemoval: (value, of, reason) => void removals.push({ key: of, value, reason }),
            ...(weighed && { maxBytes, weigh: () => weight }),
          };
          const cache = new Cache<unknown, number>(options);
          const model = new LruModel(maxEntries, weighed ? maxBytes : Number.POSITIVE_INFINITY);
          let value = 0;
          for (const each of steps) {
            switch (each.do) {
              case 'get':
                expect(cache.get(each.key)).toBe(model.get(each.key));
                break;
              case 'peek':
                expect(cache.peek(each.key)).toBe(model.entries.get(each.key)?.value);
                break;
              case 'has':
                expect(cache.has(each.key)).toBe(model.entries.has(each.key));
                break;
              case 'delete':
                expect(cache.delete(each.key)).toBe(model.remove(each.key, 'removed'));
                break;
              case 'set':
                weight = each.weight;
                value++;
                expect(cache.set(each.key, value)).toBe(model.set(each.key, value, weighed ? weight : 0));
                break;
              case 'clear':
                cache.clear();
                for (const gone of removals.slice(model.removals.length)) model.remove(gone.key, 'removed');
                expect(model.entries.size).toBe(0);
                break;
              case 'tune':
                model.maxEntries = each.maxEntries;
                if (weighed) model.maxBytes = each.maxBytes;
                cache.tune({ maxEntries: each.maxEntries, ...(weighed && { maxBytes: each.maxBytes }) });
                model.trim(0, 0);
                break;
            }
            expect(cache.faults()).toEqual([]);
            expect(removals).toEqual(model.removals);
            expect(cache.size).toBe(model.entries.size);
            if (weighed) expect(cache.bytes).toBe(model.bytes);
          }
          expect(new Map(cache.entries())).toEqual(new Map([...model.entries].map(([of, entry]) => [of, entry.value])));
        },
      ),
      { numRuns: 400 },
    );
  });
}
