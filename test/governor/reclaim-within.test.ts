/** `governor.reclaim({ within })`: one branch gives back, and nobody else. */
import type { Governor } from 'plimsoll';
import { expect, it } from 'vitest';
import { MIB, setUp } from './fake-meter.ts';

const begin = () => {
  const collections: string[] = [];
  const { governor, rss } = setUp({ limitBytes: 1_000 * MIB, trim: false, collect: (type) => collections.push(type) });
  rss.bytes = 40 * MIB;
  return { governor, collections };
};

/** Holds `bytes`, and gives back what it is asked for. */
function holder(governor: Governor, name: string, parent?: ReturnType<Governor['consumer']>) {
  const consumer = governor.consumer({
    name,
    kind: 'external',
    maxBytes: 100 * MIB,
    ...(parent && { parent }),
    reclaimer: {
      reclaimableBytes: () => held.bytes,
      reclaimNow: ({ targetBytes }) => {
        const bytes = Math.min(held.bytes, targetBytes);
        held.shrink(bytes);
        return bytes;
      },
    },
  });
  const held = consumer.reserve(40 * MIB);
  return { consumer, held };
}

it.each(['basic', 'aggressive', 'smart'] as const)(
  'asks nobody outside the branch, and by %s still collects for the whole',
  async (strategy) => {
    const { governor, collections } = begin();
    const branch = governor.consumer({ name: 'branch', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
    const [inside, outside] = [holder(governor, 'inside', branch), holder(governor, 'outside')];
    const report = await governor.reclaim({ strategy, targetBytes: 500 * MIB, within: branch });
    expect(inside.held.bytes).toBe(0);
    expect(outside.held.bytes).toBe(40 * MIB);
    expect(report).toMatchObject({ claimedBytes: 40 * MIB, releasedBytes: 40 * MIB, decidingMeter: 'rss' });
    expect(report.parts.flatMap(({ consumer }) => consumer ?? [])).toEqual(['inside']);
    expect(collections).toEqual([strategy === 'basic' ? 'minor' : 'full']);
  },
);

it('takes consumers of this governor, and no others', async () => {
  const { governor } = begin();
  const stranger = begin().governor.consumer({ name: 'stranger', kind: 'heap', maxBytes: MIB });
  await expect(governor.reclaim({ within: stranger })).rejects.toMatchObject({ code: 'PLIMSOLL_INVALID_OPTION' });
  const gone = governor.consumer({ name: 'gone', kind: 'heap', maxBytes: MIB });
  gone[Symbol.dispose]();
  await expect(governor.reclaim({ within: gone })).rejects.toMatchObject({ code: 'PLIMSOLL_DISPOSED' });
});
