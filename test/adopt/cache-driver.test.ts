import { ManualClock } from 'plimsoll';
import { adopt } from 'plimsoll/adopt';
import { afterEach, describe, expect, it } from 'vitest';
import { reclaimerContract } from '../contract/reclaimer.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';
import { CACHE_KINDS } from './cache-kinds.ts';
import { catchReclaimers } from './catch-reclaimers.ts';

const KIB = 1_024;
const picture = (i: number) => Buffer.alloc(16 * KIB, i & 255);

/** An adopted cache that nobody else holds is collected: those of the contract's suite are held here. */
const kept: unknown[] = [];
afterEach(() => void kept.splice(0));

/** A turn later: whoever looks at a weak reference keeps what it points to until the turn is over. */
async function isThere(reference: WeakRef<object>): Promise<boolean> {
  await new Promise(setImmediate);
  return reference.deref() !== undefined;
}

describe.each(CACHE_KINDS)('$name', ({ name, make, byUse = true, allAtOnce = false, keeps = 0 }) => {
  const filled = (count: number, value: (i: number) => unknown = picture) => {
    const { cache, own } = make(10_000);
    for (let i = 0; i < count; i++) own.set(`key ${i}`, value(i));
    return { cache, own };
  };

  it('is counted by kind, within a percent for buffers, and followed as it grows', () => {
    const { governor, clock } = setUp();
    const { cache, own } = filled(1_000);
    using adopted = adopt(governor, cache, { name: 'pictures', clock });
    const { stats } = adopted;
    expect(stats).toMatchObject({
      entryCount: 1_000,
      counted: 'by sample',
      externalBytes: 1_000 * 16 * KIB,
      faults: 0,
    });
    expect(stats.errorShare).toBeLessThan(0.01);
    expect(stats.heapBytes / 1_000).toBeGreaterThan(150);
    expect(stats.heapBytes / 1_000).toBeLessThan(450);
    expect(governor.heldBytes).toBe(stats.bytes);
    for (let i = 1_000; i < 1_500; i++) own.set(`key ${i}`, picture(i));
    clock.advance(1_000);
    expect(adopted.stats.externalBytes).toBe(1_500 * 16 * KIB);
    expect(governor.heldBytes).toBe(adopted.stats.bytes);
  });

  it('gives back the oldest, through the ledger, when somebody needs room', () => {
    const { governor, clock } = setUp();
    const { cache, own } = filled(4_000);
    using adopted = adopt(governor, cache, { name: 'pictures', clock });
    own.get('key 0');
    const feed = governor.consumer({ name: 'feed', kind: 'external', maxBytes: Number.POSITIVE_INFINITY });
    using room = feed.tryReserve(60 * MIB);
    expect(room?.bytes).toBe(60 * MIB);
    const { stats } = adopted;
    expect(governor.heldBytes).toBeLessThanOrEqual(100 * MIB);
    expect(stats.entryCount).toBe(own.size);
    expect(stats.dropped).toBe(4_000 - own.size);
    expect(stats.droppedBytes / stats.dropped / 16 / KIB).toBeCloseTo(1, 1);
    if (allAtOnce) return expect(own.size).toBe(0);
    expect(own.size).toBeGreaterThan(2_000);
    expect(own.has('key 3999')).toBe(true);
    expect(own.has('key 1')).toBe(false);
    expect(own.has('key 0')).toBe(byUse);
  });

  it('keeps a bound, in `on` alone', () => {
    const { governor, clock } = setUp({ mode: 'observe' });
    const { cache, own } = filled(1_000);
    using adopted = adopt(governor, cache, { name: 'pictures', clock, maxBytes: 8 * MIB });
    clock.advance(3_000);
    expect(own.size).toBe(1_000);
    governor.tune({ mode: 'on' });
    clock.advance(1_000);
    expect(adopted.stats.bytes).toBeLessThanOrEqual(8 * MIB);
    expect(own.size).toBeLessThan(512);
    expect(own.size).toBeGreaterThan(allAtOnce ? -1 : 430);
  });

  it('can be used on after entries were dropped', () => {
    const { governor, clock } = setUp();
    const { cache, own } = filled(500);
    using adopted = adopt(governor, cache, { name: 'pictures', clock, maxBytes: 2 * MIB });
    for (let i = 0; i < 2_000; i++) {
      own.set(`later ${i}`, picture(i));
      if (i % 50 === 0) adopted.look();
    }
    adopted.look();
    expect(own.has('later 1999')).toBe(true);
    expect(adopted.stats.entryCount).toBe(own.size);
    expect(adopted.stats).toMatchObject({ faults: 0 });
    expect(adopted.stats.bytes).toBeLessThanOrEqual(2 * MIB);
  });

  it('is let go of, as it is', () => {
    const { governor, clock } = setUp();
    const timers = clock.pending;
    const { cache, own } = filled(100);
    const adopted = adopt(governor, cache, { name: 'pictures', clock });
    adopted[Symbol.dispose]();
    adopted[Symbol.dispose]();
    expect([governor.heldBytes, own.size, clock.pending]).toEqual([0, 100, timers]);
    expect(adopted.stats).toMatchObject({ bytes: 0, entryCount: 0 });
  });

  it('frees what it drops', async () => {
    const { governor, clock } = setUp();
    const { cache, own } = filled(0);
    using adopted = adopt(governor, cache, { name: 'pictures', clock, maxBytes: 1 });
    const dropped = (() => {
      const value = { picture: Buffer.alloc(KIB) };
      own.set('first', value);
      return new WeakRef(value);
    })();
    for (let i = 0; i < 30; i++) own.set(`key ${i}`, {});
    await new Promise(setImmediate);
    adopted.look();
    expect(own.size).toBe(keeps);
    // A collection that had begun before keeps what it has marked: the next one does not.
    for (let turn = 0; turn < 5 && (await isThere(dropped)); turn++) {
      await new Promise(setImmediate);
      globalThis.gc!();
    }
    expect(await isThere(dropped)).toBe(false);
  });

  reclaimerContract({
    name,
    fill(governor, bytes) {
      const { cache } = filled(Math.ceil(bytes / (16 * KIB)) + keeps + 1);
      kept.push(cache);
      const { governor: spied, reclaimers } = catchReclaimers(governor);
      const adopted = adopt(spied, cache, { name: 'pictures', clock: new ManualClock() });
      const consumerName = 'pictures (buffers)';
      return {
        consumerName,
        reclaimer: reclaimers.get(consumerName)!,
        pinnedBytes: keeps * Math.round(adopted.stats.externalBytes / adopted.stats.entryCount),
      };
    },
  });
});
