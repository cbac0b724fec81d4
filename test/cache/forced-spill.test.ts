import { createGovernor, ManualClock } from 'plimsoll';
import { Cache } from 'plimsoll/cache';
import { SpillFolder } from 'plimsoll/spill';
import { afterEach, expect, it } from 'vitest';
import { tempParents } from '../spill/temp-parent.ts';
import { press, watched } from './watched-governor.ts';

const MIB = 1_048_576;
const parent = tempParents();
const before = process.env.PLIMSOLL_FORCE_SPILL;
afterEach(() => {
  if (before === undefined) delete process.env.PLIMSOLL_FORCE_SPILL;
  else process.env.PLIMSOLL_FORCE_SPILL = before;
});

it('with spilling forced all that goes down is on the disk, also what was only to be compressed, and comes back equal', async () => {
  process.env.PLIMSOLL_FORCE_SPILL = '1';
  const clock = new ManualClock();
  const governor = watched(createGovernor({ limitBytes: 64 * MIB, runtimeBytes: 0, clock, meters: [], mode: 'on' }));
  await using spill = await SpillFolder.open(parent(), { maxBytes: 8 * MIB, allowMemoryBacked: true });
  using cache = new Cache<string, string>({
    name: 'things',
    maxBytes: 32 * MIB,
    governor,
    clock,
    tiers: { second: 'compressed', maxEntries: 1_000, maxBytes: 4 * MIB, spill, maxSpillBytes: MIB },
  });
  const text = (i: number) => `{"id":${i},"name":"somebody"}`.repeat(90);
  const noise = Array.from({ length: 900 }, (_, i) => String.fromCharCode((i * i * 31 + i * 7_919) % 251)).join('');
  for (let i = 0; i < 30; i++) cache.set(`key ${i}`, text(i));
  cache.set('noise', noise);
  await press(governor, 'things', 10 * MIB, 'high');
  for (let turn = 0; turn < 10_000 && cache.stats.tiers!.compressedCount > 0; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(cache.stats.tiers).toMatchObject({ diskCount: 31, compressedCount: 0 });
  for (let i = 0; i < 30; i++) expect(await cache.getAsync(`key ${i}`)).toBe(text(i));
  expect(await cache.getAsync('noise')).toBe(noise);
});
