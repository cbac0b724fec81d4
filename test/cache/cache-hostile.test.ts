import { createGovernor, ManualClock } from 'plimsoll';
import { Cache, type EvictionPolicy, type EvictionPolicyFactory } from 'plimsoll/cache';
import { SpillFolder } from 'plimsoll/spill';
import { afterEach, describe, expect, it } from 'vitest';
import { tempParents } from '../spill/temp-parent.ts';

const MIB = 1_048_576;
const parent = tempParents();
const unhandled: unknown[] = [];
const note = (cause: unknown) => void unhandled.push(cause);
const turn = () => new Promise((resolve) => setImmediate(resolve));
afterEach(() => void unhandled.splice(0));

/** Names no entry, ever. */
const namesNone: EvictionPolicyFactory = () => ({
  name: 'none',
  onInsert() {},
  onAccess() {},
  onRemove() {},
  victim: () => -1,
  resize() {},
});

describe('callbacks that answer by promises', () => {
  it.each(['policy', 'weigh'])('%s: what rejects is no unhandled rejection', async (which) => {
    process.on('unhandledRejection', note);
    try {
      const rejects = (async () => {
        throw new Error('no');
      }) as () => never;
      const methods = ['onInsert', 'onAccess', 'onUpdate', 'onRemove', 'victim', 'resize', 'onBound'];
      const policy = Object.fromEntries(methods.map((name) => [name, rejects])) as unknown as EvictionPolicy;
      const cache =
        which === 'policy'
          ? new Cache<number, string>({ maxEntries: 2, policy: () => policy })
          : new Cache<number, string>({ maxBytes: 2, weigh: rejects });
      for (let i = 0; i < 8; i++) cache.set(i % 4, cache.get(3) ?? `${i}`);
      cache.tune(which === 'policy' ? { maxEntries: 1 } : { maxBytes: 1 });
      await turn();
      await turn();
      expect(unhandled).toEqual([]);
      expect(cache.faults()).toEqual([]);
      if (which === 'policy') expect(cache.stats.policyFaults).toBeGreaterThan(8);
      else expect(cache.stats.unweighed).toBe(8);
    } finally {
      process.off('unhandledRejection', note);
    }
  });
});

describe('options of a call that are none', () => {
  const open = () => new Cache<number, string>({ maxEntries: 4, clock: new ManualClock() });

  it.each(['5', 5n, Number.NaN, null, {}, -1])(
    'a time to live of %s has passed already: nothing is stored',
    (ttlMs) => {
      const cache = open();
      expect(cache.set(1, 'a', { ttlMs } as never)).toBe(false);
      expect(cache.set(2, 'a', { idleMs: ttlMs } as never)).toBe(false);
      expect(cache.size).toBe(0);
    },
  );

  it('null is taken for none', async () => {
    const cache = open();
    expect(cache.set(1, 'a', null as never)).toBe(true);
    await expect(cache.getOrLoad(2, () => 'b', null as never)).resolves.toBe('b');
    expect([...cache.keys()]).toEqual([1, 2]);
  });
});

it('a policy that names nobody does not make many evictions quadratic', { timeout: 10_000 }, () => {
  const count = 150_000;
  const fill = () => {
    const cache = new Cache<number, number>({ maxEntries: count, policy: namesNone });
    for (let i = 0; i < count; i++) cache.set(i, i);
    return cache;
  };
  const replaced = fill();
  replaced.tune({ policy: 'lru' });
  expect(replaced.faults()).toEqual([]);
  const shrunk = fill();
  shrunk.tune({ maxEntries: 1 });
  expect(shrunk.size).toBe(1);
});

describe('tiers below', () => {
  /** A cache whose consumers' reclaimers are at hand. */
  async function open() {
    const clock = new ManualClock();
    const governor = createGovernor({ limitBytes: 64 * MIB, runtimeBytes: 0, clock, meters: [], mode: 'on' });
    const opened = new Map<string, NonNullable<Parameters<typeof governor.consumer>[0]['reclaimer']>>();
    const consumer = governor.consumer.bind(governor);
    governor.consumer = (options) => {
      opened.set(options.name, options.reclaimer!);
      return consumer(options);
    };
    const spill = await SpillFolder.open(parent(), { maxBytes: MIB, allowMemoryBacked: true });
    const cache = new Cache<string, string>({
      name: 'things',
      maxEntries: 8,
      governor,
      clock,
      tiers: { second: 'compressed', maxEntries: 8, maxBytes: MIB, maxEntryBytes: 65_536, spill, maxSpillBytes: MIB },
    });
    const request = { targetBytes: MIB, strategy: 'aggressive' } as const;
    const help = { signal: new AbortController().signal, scratch: new Uint8Array(65_536) };
    return {
      cache,
      spill,
      demote: () => opened.get('things')!.reclaimNow!({ ...request, level: 'high' }),
      toDisk: () => opened.get('things (compressed)')!.reclaim!({ ...request, level: 'critical' }, help),
    };
  }

  it('what stands on the disk is read once, however many ask for it and whatever becomes of it meanwhile', async () => {
    const { cache, spill, demote, toDisk } = await open();
    cache.set('key', 'old '.repeat(1_000));
    demote();
    await toDisk();
    expect(cache.peekTier('key')).toBe('disk');
    const asked = [cache.getAsync('key'), cache.getOrLoad('key', () => 'loaded'), cache.getAsync('key')];
    const up = asked[0]!.then(() => {
      demote();
      expect(cache.peekTier('key')).toBe('compressed');
    });
    expect(await Promise.all(asked)).toEqual(Array(3).fill('old '.repeat(1_000)));
    await up;
    expect(spill.stats.gets).toBe(1);
    expect(cache.stats).toMatchObject({ hits: 3, misses: 0 });
    expect(cache.stats.tiers).toMatchObject({ diskHits: 1, lost: 0 });
    expect(cache.get('key')).toContain('old');
    cache[Symbol.dispose]();
    await spill[Symbol.asyncDispose]();
  });

  it('a text that is too large to go down is not copied to find that out', async () => {
    const { cache, spill, demote } = await open();
    const large = 'x'.repeat(64 * MIB);
    cache.set('key', large);
    const before = process.memoryUsage().arrayBuffers;
    const from = Buffer.from;
    const copied: number[] = [];
    Buffer.from = ((...args: Parameters<typeof from>) => {
      if (typeof args[0] === 'string') copied.push((args[0] as string).length);
      return from(...args);
    }) as typeof from;
    try {
      demote();
    } finally {
      Buffer.from = from;
    }
    expect(copied).toEqual([]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MIB);
    cache[Symbol.dispose]();
    await spill[Symbol.asyncDispose]();
  });
});
