import fc from 'fast-check';
import { Cache, type EvictionPolicy, type EvictionPolicyFactory, type EvictionView } from 'plimsoll/cache';
import { expect, it } from 'vitest';

/** Looks over the shoulder of a policy: what it is told, and what it says. */
class WatchedPolicy implements EvictionPolicy {
  readonly name: string;
  readonly present = new Set<number>();
  readonly faults: string[] = [];
  readonly #policy: EvictionPolicy;
  #slots = 0;

  constructor(policy: EvictionPolicy) {
    this.#policy = policy;
    this.name = policy.name;
  }

  onInsert(slot: number): void {
    if (slot >= this.#slots) this.faults.push(`slot ${slot} comes before there is room for it`);
    if (this.present.has(slot)) this.faults.push(`slot ${slot} comes twice`);
    this.present.add(slot);
    this.#policy.onInsert(slot);
  }

  onAccess(slot: number): void {
    this.#expect(slot, 'used');
    this.#policy.onAccess(slot);
  }

  onUpdate(slot: number, weightBefore: number): void {
    this.#expect(slot, 'written');
    if (this.#policy.onUpdate === undefined) this.#policy.onAccess(slot);
    else this.#policy.onUpdate(slot, weightBefore);
  }

  onRemove(slot: number): void {
    this.#expect(slot, 'removed');
    this.present.delete(slot);
    this.#policy.onRemove(slot);
  }

  victim(incomingWeight: number): number {
    const slot = this.#policy.victim(incomingWeight);
    if (this.present.size === 0 ? slot !== -1 : !this.present.has(slot))
      this.faults.push(`${slot} is named as a victim`);
    return slot;
  }

  resize(slotCount: number): void {
    this.#slots = Math.max(this.#slots, slotCount);
    this.#policy.resize(slotCount);
  }

  onBound(): void {
    this.#policy.onBound?.();
  }

  #expect(slot: number, what: string): void {
    if (!this.present.has(slot)) this.faults.push(`slot ${slot} is ${what} and not there`);
  }
}

const key = fc.integer({ min: 0, max: 40 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('set' as const), key, weight: fc.integer({ min: 0, max: 9 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('get' as const, 'delete' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('tune' as const), key: fc.integer({ min: 1, max: 60 }) }) },
);

/** What every eviction policy keeps to, whatever it prefers. */
export function policyContract(name: string, make: EvictionPolicyFactory): void {
  for (const weighed of [false, true]) {
    const bound = weighed ? 'bytes' : 'entries';

    it(`${name}, bound by ${bound}: names an entry that is there, and none when there is none`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 60 }), fc.array(step, { maxLength: 200 }), (bytes, steps) => {
          let watched: WatchedPolicy | undefined;
          let weight = 0;
          const policy = (view: EvictionView) => (watched = new WatchedPolicy(make(view)));
          const cache = weighed
            ? new Cache<number, number>({ maxBytes: bytes, policy, weigh: () => weight })
            : new Cache<number, number>({ maxEntries: bytes, policy });
          const newest = new Map<number, number>();
          for (const [i, each] of steps.entries()) {
            if (each.do === 'set') {
              weight = each.weight;
              if (cache.set(each.key, i)) newest.set(each.key, i);
              else newest.delete(each.key);
              expect(cache.peek(each.key)).toBe(newest.get(each.key));
            } else if (each.do === 'get') {
              const value = cache.get(each.key);
              if (value !== undefined) expect(value).toBe(newest.get(each.key));
            } else if (each.do === 'delete') cache.delete(each.key);
            else cache.tune(weighed ? { maxBytes: each.key } : { maxEntries: each.key });
            expect(cache.faults()).toEqual([]);
            expect(watched!.faults).toEqual([]);
            expect(watched!.present.size).toBe(cache.size);
          }
          expect(cache.stats.policyFaults).toBe(0);
          cache.clear();
          expect(watched!.victim(1)).toBe(-1);
          expect(watched!.faults).toEqual([]);
        }),
        { numRuns: 150 },
      );
    });
  }

  it(`${name}: lets go of every entry when asked often enough, each once`, () => {
    const gone: number[] = [];
    const cache = new Cache<number, number>({
      maxEntries: 1_000,
      policy: make,
      onRemoval: (_, of) => void gone.push(of),
    });
    for (let i = 0; i < 1_000; i++) cache.set(i, i);
    for (let i = 0; i < 3_000; i++) cache.get((i * 7) % 500);
    cache.tune({ maxEntries: 1 });
    expect(new Set(gone).size).toBe(999);
    expect(gone).toHaveLength(999);
    expect(cache.stats.policyFaults).toBe(0);
  });

  it(`${name}: takes over from another policy while running, and hands over to it`, () => {
    const cache = new Cache<number, number>({ maxEntries: 500, policy: 'lru' });
    for (let i = 0; i < 800; i++) cache.set(i, i);
    for (const policy of [make, 'lfu', make, 'tiny-lfu', make, 'lru'] as const) {
      cache.tune({ policy });
      expect(cache.size).toBe(500);
      for (let i = 0; i < 300; i++) if (cache.get(i * 3) === undefined) cache.set(i * 3, i);
      expect(cache.faults()).toEqual([]);
    }
    expect(cache.stats.policyFaults).toBe(0);
  });
}
