import fc from 'fast-check';
import { Cache } from 'plimsoll/cache';
import { describe, expect, it } from 'vitest';
import { SlotTable } from '../../src/cache/slot-table.ts';

const SEED = 4_711;

function add(table: SlotTable<unknown, number>, key: unknown, value: number): number {
  if (table.full) table.grow();
  return table.add(key, value, table.hash(key));
}

const valueIn = (table: SlotTable<unknown, number>, key: unknown): number | undefined => {
  const slot = table.find(key, table.hash(key));
  return slot < 0 ? undefined : table.valueAt(slot);
};

/** Keys of which each has the hash of another one: among so many texts some do, by the birthday paradox. */
function collidingTexts(table: SlotTable<unknown, number>, count: number): [string, string][] {
  const seen = new Map<number, string>();
  const pairs: [string, string][] = [];
  for (let i = 0; pairs.length < count; i++) {
    const key = `k${i.toString(36)}`;
    const hash = table.hash(key);
    const other = seen.get(hash);
    if (other !== undefined) pairs.push([other, key]);
    seen.set(hash, key);
  }
  return pairs;
}

describe('keys that collide', () => {
  it('keyed by a 64-bit hash, wrong value on collision: two texts of one hash keep a value each', () => {
    const table = new SlotTable<unknown, number>({ maxSlots: 100, seed: SEED });
    const pairs = collidingTexts(table, 8);
    for (const [i, [first, second]] of pairs.entries()) {
      expect(table.hash(first)).toBe(table.hash(second));
      add(table, first, i);
      expect(valueIn(table, second)).toBeUndefined();
      add(table, second, -i - 1);
    }
    for (const [i, [first, second]] of pairs.entries()) {
      expect([valueIn(table, first), valueIn(table, second)]).toEqual([i, -i - 1]);
    }
    for (const [i, [first, second]] of pairs.entries()) {
      table.remove(table.find(first, table.hash(first)));
      expect([valueIn(table, first), valueIn(table, second)]).toEqual([undefined, -i - 1]);
      expect([...table.faults()]).toEqual([]);
    }
  });

  it('keyed by a 64-bit hash, wrong value on collision: of 200,000 keys of a cache each has its own value', () => {
    // Some 9 pairs of them have the same hash, whatever the seed.
    const cache = new Cache<string, number>({ maxEntries: 200_000 });
    for (let i = 0; i < 200_000; i++) cache.set(`k${i}`, i);
    for (let i = 0; i < 200_000; i++) if (cache.get(`k${i}`) !== i) expect(cache.get(`k${i}`)).toBe(i);
    expect(cache.size).toBe(200_000);
  });

  it('keys chosen to collide do not make it slow: they move to a Map, and all values stay', () => {
    const table = new SlotTable<unknown, number>({ maxSlots: 4_096, seed: SEED });
    // All in one chain, as long as the table has 4,096 chains or fewer.
    const chosen: number[] = [];
    for (let key = 0; chosen.length < 200; key++) if ((table.hash(key) & 4_095) === 7) chosen.push(key);
    add(table, 'a text', -1);
    for (const key of chosen) add(table, key, key * 2);
    expect(table.hashes).toBe(false);
    for (const key of chosen) expect(valueIn(table, key)).toBe(key * 2);
    expect(valueIn(table, 'a text')).toBe(-1);
    expect([...table.faults()]).toEqual([]);
    for (const key of chosen) table.remove(table.find(key, table.hash(key)));
    expect(table.size).toBe(1);
    expect([...table.faults()]).toEqual([]);
  });

  it('keys of random sorts never make it give up hashing', () => {
    const table = new SlotTable<unknown, number>({ maxSlots: 100_000 });
    for (let i = 0; i < 50_000; i++) add(table, i * 4_096, i);
    for (let i = 0; i < 50_000; i++) add(table, `id${i}`, i);
    expect(table.hashes).toBe(true);
  });
});

it('tells keys apart as a Map does', () => {
  const table = new SlotTable<unknown, number>({ maxSlots: 100, seed: SEED });
  const twins: [unknown, unknown][] = [
    [0, -0],
    [Number.NaN, Number.NaN],
    ['a', ['a'].join()],
    ['a text that is longer than twelve', ['a text that is', 'longer than twelve'].join(' ')],
    [2 ** 31, 2 ** 31],
  ];
  for (const [i, [first, second]] of twins.entries()) {
    add(table, first, i);
    expect(valueIn(table, second)).toBe(i);
  }
  for (const other of [1, '0', 'b', 10n, null, undefined, 2 ** 32, {}]) expect(valueIn(table, other)).toBeUndefined();
});

it('uses freed slots again, and has as many as there are entries', () => {
  const steps = fc.array(fc.record({ add: fc.boolean(), key: fc.integer({ min: -20, max: 20 }) }), { maxLength: 300 });
  fc.assert(
    fc.property(steps, (each) => {
      const table = new SlotTable<unknown, number>({ maxSlots: 41 });
      const model = new Map<number, number>();
      let most = 0;
      for (const [i, { add: isAdd, key }] of each.entries()) {
        const slot = table.find(key, table.hash(key));
        expect(slot < 0 ? undefined : table.valueAt(slot)).toBe(model.get(key));
        if (slot < 0 && isAdd) {
          model.set(key, i);
          add(table, key, i);
        } else if (slot >= 0 && !isAdd) {
          model.delete(key);
          table.remove(slot);
        }
        most = Math.max(most, model.size);
        expect(table.size).toBe(model.size);
        expect(table.usedSlots).toBe(most);
        expect([...table.faults()]).toEqual([]);
      }
    }),
  );
});
