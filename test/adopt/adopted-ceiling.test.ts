/** A cache that grows while the machine is at `high` would be asked to give back what it has just taken. */
import { LRUCache } from 'lru-cache';
import { adopt } from 'plimsoll/adopt';
import { expect, it } from 'vitest';
import { MIB, setUp } from '../governor/fake-meter.ts';

function begin() {
  const { governor, clock, rss } = setUp({ collect: false, trim: false });
  const cache = new LRUCache<number, Buffer>({ max: 10_000 });
  const adopted = adopt(governor, cache, { name: 'pictures', clock });
  let next = 0;
  const fill = (count: number) => {
    for (let i = 0; i < count; i++) cache.set(next++, Buffer.alloc(16_384));
  };
  const use = (mib: number) => {
    rss.bytes = mib * MIB;
    governor.sample();
    adopted.look();
  };
  return { governor, cache, adopted, fill, use };
}

it('a cache holds no more from `high` on, its newest entries, and grows again when that is over', () => {
  const { cache, adopted, fill, use } = begin();
  fill(200);
  use(75);
  fill(150);
  adopted.look();
  expect([cache.size, cache.has(349), cache.has(0)]).toEqual([200, true, false]);
  use(30);
  fill(150);
  adopted.look();
  expect(cache.size).toBe(350);
});

it('a small one grows at any level, and any grows where the governor only looks', () => {
  const small = begin();
  small.fill(20);
  small.use(75);
  small.fill(20);
  small.adopted.look();
  expect(small.cache.size).toBe(40);
  const observed = begin();
  observed.governor.tune({ mode: 'observe' });
  observed.fill(200);
  observed.use(75);
  observed.fill(150);
  observed.adopted.look();
  expect(observed.cache.size).toBe(350);
});
