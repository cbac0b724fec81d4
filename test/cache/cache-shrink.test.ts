import { createGovernor, ManualClock } from 'plimsoll';
import { CACHE_POLICIES, Cache, type EvictionPolicy, type EvictionPolicyFactory } from 'plimsoll/cache';
import { describe, expect, it } from 'vitest';
import { LfuPolicy } from '../../src/cache/lfu-policy.ts';
import { LruPolicy } from '../../src/cache/lru-policy.ts';
import { SlotTable } from '../../src/cache/slot-table.ts';

const MANY = 5_000;
/** Keys that are hashed, and keys that stand in a `Map`. */
const KEY_OF = {
  'whole numbers': (i: number): unknown => i,
  texts: (i: number): unknown => `key:${i}`,
  'long texts': (i: number): unknown => `a key that is longer than what is worth hashing here: ${i}`,
} as const;

/** The same policy, with entries that never move. */
function unmoved(make: EvictionPolicyFactory): EvictionPolicyFactory {
  return (view) => {
    const policy = make(view);
    return new Proxy(policy, {
      get: (target, name) => {
        const member = name === 'onMove' ? undefined : Reflect.get(target, name, target);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
  };
}

function heldByArrays(): number {
  globalThis.gc!();
  globalThis.gc!();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

describe('a cache that has become much smaller', () => {
  it('does not let go what is not there, for an end that an entry had before it had none', () => {
    const clock = new ManualClock();
    const cache = new Cache<number, number>({ maxEntries: MANY, clock });
    for (let i = 0; i < MANY; i++) cache.set(i, i, { ttlMs: 1_000 });
    for (let i = 0; i < MANY; i++) cache.set(i, i, { ttlMs: Number.POSITIVE_INFINITY });
    for (let i = 0; i < MANY; i++) if (i % 9 !== 0) cache.delete(i);
    const left = cache.size;
    clock.advance(5_000);
    expect(cache.size).toBe(left);
    expect(cache.stats.removals.expired).toBe(0);
    expect(cache.faults()).toEqual([]);
  });

  for (const [sort, keyOf] of Object.entries(KEY_OF)) {
    it(`has all its entries, with times and weights: ${sort}`, () => {
      const clock = new ManualClock();
      const cache = new Cache<unknown, number>({ maxBytes: 1_000_000, weigh: (value) => value % 7, clock });
      for (let i = 0; i < MANY; i++) cache.set(keyOf(i), i, { ttlMs: 1_000 + i });
      for (let i = 0; i < MANY; i++) if (i % 9 !== 0) cache.delete(keyOf(i));
      expect(cache.faults()).toEqual([]);
      let bytes = 0;
      for (let i = 0; i < MANY; i++) {
        expect(cache.get(keyOf(i))).toBe(i % 9 === 0 ? i : undefined);
        if (i % 9 === 0) bytes += i % 7;
      }
      expect(cache.bytes).toBe(bytes);
      clock.advance(1_000 + MANY / 2);
      for (let i = 0; i < MANY; i++) expect(cache.has(keyOf(i))).toBe(i % 9 === 0 && i > MANY / 2);
      for (let i = 0; i < MANY; i++) cache.set(keyOf(i), i);
      for (let i = 0; i < MANY; i++) expect(cache.get(keyOf(i))).toBe(i);
      expect(cache.faults()).toEqual([]);
    });
  }

  for (const [name, make] of [
    ['lru', () => new LruPolicy()],
    ['lfu', (view) => new LfuPolicy(view)],
  ] as const satisfies [string, EvictionPolicyFactory][]) {
    it(`lets go in the same order as before: ${name}`, () => {
      const gone: [number[], number[]] = [[], []];
      const caches = [make, unmoved(make)].map(
        (policy, i) =>
          new Cache<number, number>({ maxEntries: MANY, policy, onRemoval: (_, key) => gone[i]!.push(key) }),
      );
      for (const cache of caches) {
        for (let i = 0; i < MANY; i++) cache.set(i, i);
        for (let i = 0; i < 3 * MANY; i++) cache.get((i * i * 31) % MANY);
        for (let i = 0; i < MANY; i++) if (i % 7 !== 3) cache.delete(i);
        for (let i = 0; i < MANY; i++) cache.get((i * i * 17) % MANY);
        for (let i = MANY; i < 2 * MANY; i++) cache.set(i, i);
        expect(cache.faults()).toEqual([]);
      }
      expect(gone[0]).toHaveLength(MANY);
      expect(gone[0]).toEqual(gone[1]);
    });
  }

  for (const policy of CACHE_POLICIES) {
    it(`has freed what it gave back to the governor: ${policy}`, () => {
      const clock = new ManualClock();
      const limitBytes = 64 * 2 ** 20;
      const governor = createGovernor({ clock, meters: [], mode: 'on', runtimeBytes: 0, limitBytes });
      const before = heldByArrays();
      const cache = new Cache<number, number>({ maxBytes: limitBytes, policy, governor, clock, weigh: () => 0 });
      for (let i = 0; i < 200_000; i++) cache.set(i, i);
      const full = heldByArrays() - before;
      const other = governor.consumer({ name: 'other', kind: 'heap', maxBytes: limitBytes });
      using _room = other.reserve(limitBytes - 1_000_000);
      expect(cache.size).toBeLessThan(17_000);
      // The sketch of `tiny-lfu` stays: it knows of keys that are not there.
      expect(heldByArrays() - before).toBeLessThan(full / (policy === 'tiny-lfu' ? 2 : 5));
      for (const key of cache.keys()) expect(cache.get(key)).toBe(key);
      expect(cache.faults()).toEqual([]);
    });
  }

  it('keeps its arrays where the policy does not know what to do when an entry moves', () => {
    const cache = new Cache<number, number>({ maxEntries: MANY, policy: unmoved(() => new LruPolicy()) });
    for (let i = 0; i < MANY; i++) cache.set(i, i);
    for (let i = 100; i < MANY; i++) cache.delete(i);
    for (let i = MANY; i < 2 * MANY; i++) cache.set(i, i);
    expect(cache.size).toBe(MANY);
    expect(cache.stats.policyFaults).toBe(0);
  });

  it('tells a policy of one’s own where its entries are now, and bears that it throws', () => {
    const moves: [number, number][] = [];
    const sizes: number[] = [];
    const lru = new LruPolicy();
    const policy: EvictionPolicy = {
      name: 'own',
      onInsert: (slot) => lru.onInsert(slot),
      onAccess: (slot) => lru.onAccess(slot),
      onRemove: (slot) => lru.onRemove(slot),
      victim: () => lru.victim(),
      resize(slots) {
        sizes.push(slots);
        lru.resize(slots);
      },
      onMove(from, to) {
        moves.push([from, to]);
        lru.onMove(from, to);
        if (moves.length === 1) throw new Error('on purpose');
      },
    };
    const cache = new Cache<number, number>({ maxEntries: MANY, policy: () => policy });
    for (let i = 0; i < MANY; i++) cache.set(i, i);
    for (let i = 0; i < MANY; i++) if (i % 10 !== 9) cache.delete(i);
    expect(sizes.at(-1)).toBeLessThan(MANY / 2);
    expect(moves[0]).toEqual([expect.any(Number), 0]);
    expect(moves.every(([from, to]) => from > to)).toBe(true);
    expect(cache.stats.policyFaults).toBe(1);
    for (let i = MANY; i < 2 * MANY; i++) cache.set(i, i);
    expect(cache.size).toBe(MANY);
    expect(cache.stats.policyFaults).toBe(1);
  });

  it('is iterated while entries move: what is there from beginning to end comes once', () => {
    const cache = new Cache<number, number>({ maxEntries: MANY });
    for (let i = 0; i < MANY; i++) cache.set(i, i);
    const given = cache.keys();
    const abandoned = cache.keys();
    abandoned.next();
    const seen: number[] = [];
    for (const key of given) {
      seen.push(key);
      if (seen.length === 1_000) for (let i = 0; i < MANY; i++) if (i % 8 !== 0) cache.delete(i);
      if (seen.length === 1_050) for (let i = 0; i < MANY; i++) if (i % 40 !== 0) cache.delete(i);
    }
    expect(new Set(seen).size).toBe(seen.length);
    const stayed = seen.filter((key) => key % 40 === 0);
    expect(stayed.toSorted((a, b) => a - b)).toEqual([...cache.keys()].toSorted((a, b) => a - b));
    expect(stayed).toHaveLength(MANY / 40);
    expect([...abandoned]).toHaveLength(MANY / 40 - 1);
  });
});

it('a table that shrinks keeps the hash of each key for the sketches', () => {
  const table = new SlotTable<unknown, number>({ maxSlots: MANY, seed: 1 });
  const hashes = new Map<unknown, number>();
  for (let i = 0; i < 3 * (MANY / 3); i++) {
    const key = Object.values(KEY_OF)[i % 3]!(i);
    if (table.full) table.grow();
    const slot = table.add(key, i, table.hash(key));
    hashes.set(key, table.hashAt(slot));
  }
  for (let slot = 0; slot < MANY - 400; slot++) if (table.isUsed(slot)) table.remove(slot);
  expect(table.isSparse).toBe(true);
  table.shrink(() => {});
  expect(table.isSparse).toBe(false);
  expect(table.usedSlots).toBe(table.size);
  for (let slot = 0; slot < table.usedSlots; slot++) expect(table.hashAt(slot)).toBe(hashes.get(table.keyAt(slot)));
  expect([...table.faults()]).toEqual([]);
});
