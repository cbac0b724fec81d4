import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { createGovernor, type Governor, ManualClock, type PressureLevel } from 'plimsoll';
import { Cache, type CacheOptions, type TierOptions } from 'plimsoll/cache';
import { isSpillForced, nodeSpillFs, SpillFolder, type SpillFs } from 'plimsoll/spill';
import { afterEach, describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { reclaimerContract } from '../contract/reclaimer.ts';
import { tempParents } from '../spill/temp-parent.ts';
import { press, reclaimerOf, watched } from './watched-governor.ts';

const KIB = 1_024;
const MIB = 1_048_576;
const parent = tempParents();
const folders: SpillFolder[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await folder[Symbol.asyncDispose]();
});
const openFolder = async (fs: SpillFs = nodeSpillFs) => {
  const folder = await SpillFolder.open(parent(), { maxBytes: 8 * MIB, allowMemoryBacked: true, fs });
  folders.push(folder);
  return folder;
};

/** Of about 2.5 KiB, and about a sixth of it compressed. */
const text = (i: number) =>
  Array.from({ length: 64 }, (_, j) => `{"id":${i * j},"name":"user ${(i * 7919 + j * 31) % 997}","ok":true}`).join('');

function open<V = string>(tiers: Partial<TierOptions<V>> = {}, options: Partial<CacheOptions<string, V>> = {}) {
  const clock = new ManualClock();
  const governor = createGovernor({ limitBytes: 64 * MIB, runtimeBytes: 0, clock, meters: [], mode: 'on' });
  const cache = new Cache<string, V>({
    name: 'things',
    maxBytes: 32 * MIB,
    governor,
    clock,
    tiers: { second: 'compressed', maxEntries: 1_000, maxBytes: 4 * MIB, ...tiers },
    ...options,
  });
  return { cache, clock, governor };
}

const fill = (cache: Cache<string, string>, count: number) => {
  for (let i = 0; i < count; i++) cache.set(`key ${i}`, text(i));
};

function openWatched(tiers: Partial<TierOptions<string>> = {}, options: Partial<CacheOptions<string, string>> = {}) {
  const clock = new ManualClock();
  const governor = watched(createGovernor({ limitBytes: 64 * MIB, runtimeBytes: 0, clock, meters: [], mode: 'on' }));
  const cache = new Cache<string, string>({
    name: 'things',
    maxBytes: 32 * MIB,
    governor,
    clock,
    tiers: { second: 'compressed', maxEntries: 1_000, maxBytes: 4 * MIB, ...tiers },
    ...options,
  });
  return { cache, clock, governor };
}

const held = (governor: Governor, name: string) =>
  governor.snapshot().consumers.find((row) => row.name === name)?.heldBytes ?? 0;

describe('tiers', () => {
  it('compress the coldest under pressure, and give them back equal when they are asked for', async () => {
    const { cache, governor } = openWatched();
    fill(cache, 100);
    cache.get('key 0');
    await press(governor, 'things', 100 * KIB, 'high');
    expect(cache.peekTier('key 0')).toBe('strong');
    expect(cache.peekTier('key 1')).toBe('compressed');
    expect(cache.peekTier('key 99')).toBe('strong');
    expect(cache.has('key 1')).toBe(false);
    const { tiers } = cache.stats;
    expect(tiers!.compressedCount).toBeGreaterThan(40);
    expect(tiers!.uncompressedBytes / tiers!.compressedBytes).toBeGreaterThan(3);
    expect(held(governor, 'things (compressed)')).toBeGreaterThanOrEqual(tiers!.compressedBytes);
    expect(held(governor, 'things (tiers)')).toBeGreaterThanOrEqual(tiers!.indexBytes);
    for (let i = 0; i < 100; i++) expect(cache.get(`key ${i}`)).toBe(text(i));
    expect(cache.peekTier('key 1')).toBe('strong');
    expect(cache.stats).toMatchObject({
      hits: 101,
      misses: 0,
      tiers: { compressedCount: 0, compressedBytes: 0, indexBytes: 0 },
    });
    expect(cache.faults()).toEqual([]);
  });

  it('drop at emergency, and nothing goes down', async () => {
    const { cache, governor } = openWatched();
    fill(cache, 50);
    await press(governor, 'things', 100 * KIB, 'emergency');
    expect(cache.stats).toMatchObject({ tiers: { demoted: 0, compressedCount: 0 } });
    expect(cache.stats.removals.reclaimed).toBeGreaterThan(10);
  });

  it('compress for a few milliseconds at once, and with waiting as long as it takes: where trains run nothing is dropped', async () => {
    // Each look at it takes half a millisecond.
    class BusyClock extends ManualClock {
      looks = 0;
      override now(): number {
        return ++this.looks / 2;
      }
    }
    const { cache, governor } = openWatched({}, { clock: new BusyClock() });
    fill(cache, 100);
    const reclaimer = reclaimerOf(governor, 'things');
    const request = { targetBytes: 10 * MIB, level: 'high', strategy: 'basic' } as const;
    expect(reclaimer.reclaimNow!(request)).toBeGreaterThan(0);
    expect(cache.size).toBeGreaterThan(50);
    await reclaimer.reclaim!(request, { signal: new AbortController().signal, scratch: new Uint8Array(65_536) });
    expect(cache.stats).toMatchObject({ entryCount: 0, tiers: { compressedCount: 100, dropped: 0 } });
    expect(cache.stats.removals.reclaimed).toBe(0);
    fill(cache, 100);
    expect(reclaimer.reclaimNow!({ ...request, level: 'optimal' })).toBeGreaterThan(0);
    expect(cache.size).toBe(0);
    expect(cache.stats.removals.reclaimed).toBeGreaterThan(50);
  });

  it('write to the disk at critical; `get` misses what is there, `getAsync` and `getOrLoad` have it', async () => {
    const spill = await openFolder();
    const { cache, governor } = openWatched({ spill, maxSpillBytes: MIB });
    fill(cache, 20);
    await press(governor, 'things', 10 * MIB, 'critical');
    for (let i = 0; i < 100_000 && cache.stats.tiers!.compressedCount > 0; i++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(cache.stats).toMatchObject({ entryCount: 0, tiers: { diskCount: 20, compressedBytes: 0 } });
    expect(cache.peekTier('key 3')).toBe('disk');
    expect(cache.get('key 3')).toBeUndefined();
    expect(await cache.getAsync('key 3')).toBe(text(3));
    expect(cache.peekTier('key 3')).toBe('strong');
    const loader = () => Promise.reject(new Error('nobody should load it'));
    const both = await Promise.all([cache.getOrLoad('key 4', loader), cache.getOrLoad('key 4', loader)]);
    expect(both).toEqual([text(4), text(4)]);
    expect(cache.stats.tiers).toMatchObject({ diskHits: 2, diskCount: 18, spilled: 20 });
    expect(cache.stats).toMatchObject({ hits: 2, misses: 1, loads: 1, loadsShared: 1 });
    expect(spill.stats.recordCount).toBe(18);
    cache[Symbol.dispose]();
    expect(spill.stats.recordCount).toBe(0);
  });

  it('give back with waiting where there is a disk: compressed bytes go there', async () => {
    const spill = await openFolder();
    const { cache, governor } = openWatched({ spill, maxSpillBytes: MIB });
    fill(cache, 40);
    await press(governor, 'things', 10 * MIB, 'high');
    expect(cache.stats.tiers).toMatchObject({ compressedCount: 40, diskCount: 0 });
    await press(governor, 'things (compressed)', 10 * KIB, 'high');
    const { diskCount, dropped } = cache.stats.tiers!;
    expect(diskCount).toBeGreaterThan(5);
    expect(dropped).toBe(0);
    await press(governor, 'things (compressed)', 10 * MIB, 'emergency');
    expect(cache.stats.tiers).toMatchObject({ compressedCount: 0, diskCount });
  });

  it('stay within their bounds: entries, compressed bytes, bytes on the disk', async () => {
    const spill = await openFolder();
    const { cache, governor } = openWatched({ spill, maxSpillBytes: 10 * KIB, maxBytes: 8 * KIB, maxEntries: 30 });
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 50; i++) cache.set(`key ${round} ${i}`, text(i));
      await press(governor, 'things', 10 * MIB, round % 2 === 0 ? 'high' : 'critical');
      const { tiers } = cache.stats;
      expect(tiers!.compressedBytes).toBeLessThanOrEqual(16 * KIB);
      expect(tiers!.diskBytes).toBeLessThanOrEqual(10 * KIB);
      expect(tiers!.weakCount + tiers!.compressedCount + tiers!.diskCount).toBeLessThanOrEqual(30);
      await new Promise((r) => setImmediate(r));
    }
    expect(cache.stats.tiers!.dropped).toBeGreaterThan(100);
  });

  it('miss what was lost, cut short or changed on the disk: never an error, never another value', async () => {
    const spill = await openFolder();
    const { cache, governor } = openWatched({ spill, maxSpillBytes: MIB });
    fill(cache, 30);
    await press(governor, 'things', 10 * MIB, 'high');
    await press(governor, 'things (compressed)', 10 * MIB, 'high');
    expect(cache.stats.tiers).toMatchObject({ diskCount: 30 });
    const [name] = readdirSync(spill.dir).filter((each) => each.startsWith('segment'));
    const path = join(spill.dir, name!);
    const bytes = readFileSync(path);
    for (let at = 100; at < bytes.length; at += 1_200) bytes[at]! ^= 1;
    writeFileSync(path, bytes);
    truncateSync(path, bytes.length - 1_000);
    let found = 0;
    for (let i = 0; i < 30; i++) {
      const value = await cache.getAsync(`key ${i}`);
      if (value === undefined) continue;
      found++;
      expect(value).toBe(text(i));
    }
    expect(found).toBeGreaterThan(0);
    expect(cache.stats.tiers!.lost).toBeGreaterThan(3);
    expect(cache.stats.tiers!.lost + found).toBe(30);
  });

  it('that cannot write any more drop instead, try again later, and the cache goes on', async () => {
    let broken = true;
    const fs: SpillFs = {
      ...nodeSpillFs,
      open: (path, flags, mode) =>
        broken && path.includes('segment')
          ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }))
          : nodeSpillFs.open(path, flags, mode),
    };
    const { cache, clock, governor } = openWatched({ spill: await openFolder(fs), maxSpillBytes: MIB });
    fill(cache, 10);
    await press(governor, 'things', 10 * MIB, 'high');
    await press(governor, 'things (compressed)', 10 * MIB, 'high');
    // Where spilling is forced, two try at once.
    const spillFailures = isSpillForced() ? 2 : 1;
    expect(cache.stats.tiers).toMatchObject({ diskCount: 0, spillFailures, compressedCount: 0, dropped: 10 });
    const holder = () => governor.snapshot().consumers.find(({ name }) => name === 'things')!.holder!;
    expect(holder()).toMatchObject({ health: 'degraded', why: 'nothing can be written to the spill folder' });
    expect(holder().counts).toMatchObject({ compressedCount: 0, spillFailures, loads: 0 });
    broken = false;
    clock.advance(10_000);
    fill(cache, 10);
    await press(governor, 'things', 10 * MIB, 'high');
    await press(governor, 'things (compressed)', 10 * MIB, 'high');
    expect(cache.stats.tiers).toMatchObject({ diskCount: 10 });
  });

  it('stale after change: what is set or deleted while it is read from or written to the disk stays so', async () => {
    const spill = await openFolder();
    const { cache, governor } = openWatched({ spill, maxSpillBytes: MIB });
    fill(cache, 4);
    await press(governor, 'things', 10 * MIB, 'high');
    const writing = press(governor, 'things (compressed)', 10 * MIB, 'high');
    cache.set('key 0', 'new');
    cache.delete('key 1');
    await writing;
    expect([cache.get('key 0'), await cache.getAsync('key 1')]).toEqual(['new', undefined]);
    const reading = [cache.getAsync('key 2'), cache.getAsync('key 3')];
    cache.set('key 2', 'new');
    cache.delete('key 3');
    expect(await Promise.all(reading)).toEqual(['new', undefined]);
    expect(cache.get('key 2')).toBe('new');
    expect(spill.stats.recordCount).toBe(0);
  });

  it('take names of up to 107 characters: there is room for what the consumers add', () => {
    expect(() => open({}, { name: 'n'.repeat(107) })).not.toThrow();
    expect(() => open({}, { name: 'n'.repeat(108) })).toThrow('a name of at most 107 characters');
  });

  it('keep the times of what goes down: it expires there, and what comes up lives no longer', async () => {
    const { cache, clock, governor } = openWatched({}, { ttlMs: 1_000 });
    fill(cache, 10);
    await press(governor, 'things', 10 * MIB, 'high');
    clock.advance(900);
    expect(cache.get('key 0')).toBe(text(0));
    clock.advance(99);
    expect(cache.peekTier('key 0')).toBe('strong');
    clock.advance(1);
    expect([cache.get('key 0'), cache.get('key 1')]).toEqual([undefined, undefined]);
    clock.advance(200);
    expect(cache.stats.tiers).toMatchObject({ compressedCount: 0, expired: 9, indexBytes: 0 });
    // The governor's own.
    expect([cache.size, clock.pending]).toEqual([0, 1]);
  });

  it('hold objects weakly when asked to: the very same come back, and what was collected is a miss', async () => {
    const clock = new ManualClock();
    const governor = watched(createGovernor({ limitBytes: 64 * MIB, runtimeBytes: 0, clock, meters: [], mode: 'on' }));
    const cache = new Cache<string, object | number>({
      name: 'things',
      maxEntries: 100,
      weigh: () => 1_000,
      governor,
      clock,
      tiers: { second: 'weak', maxEntries: 100 },
    });
    const kept = { still: 'held' };
    cache.set('kept', kept);
    cache.set('number', 5);
    (() => {
      for (let i = 0; i < 10; i++) cache.set(`gone ${i}`, { value: 'x'.repeat(100) + i });
    })();
    await press(governor, 'things', 10 * MIB, 'high');
    expect(cache.peekTier('kept')).toBe('weak');
    expect(cache.peekTier('number')).toBeUndefined();
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      globalThis.gc!();
    }
    expect(cache.get('kept')).toBe(kept);
    expect(cache.get('gone 0')).toBeUndefined();
    expect(cache.stats.tiers).toMatchObject({ weakHits: 1, collected: 1 });
  });

  it('pass what they cannot pack by: too small, too large, no text, a codec that throws', async () => {
    const codec = {
      encode: () => {
        throw new Error('no');
      },
      decode: () => ({}),
    };
    const { cache, governor } = open<unknown>({ codec, maxEntryBytes: 100_000 });
    const values = { small: 'x', large: 'x'.repeat(200_000), object: { a: 1 }, right: 'x'.repeat(5_000) };
    for (const [key, value] of Object.entries(values)) cache.set(key, value);
    using _room = governor
      .consumer({ name: 'others', kind: 'heap', maxBytes: 64 * MIB })
      .reserve(governor.availableBytes + 150_000);
    expect(cache.get('right')).toBe(values.right);
    for (const key of ['small', 'large', 'object']) expect(cache.peekTier(key)).not.toBe('compressed');
  });

  it('name what is wrong with their options', () => {
    const wrong = (tiers: object) => () => new Cache({ maxEntries: 1, tiers: tiers as TierOptions<unknown> });
    expect(wrong({ second: 'third', maxEntries: 1 })).toThrow('`second`');
    expect(wrong({ second: 'compressed', maxEntries: 1 })).toThrow('`maxBytes`');
    expect(wrong({ second: 'weak' })).toThrow('`maxEntries`');
    expect(wrong({ second: 'compressed', maxEntries: 1, maxBytes: 1, spill: {} })).toThrow('`spill`');
    expect(wrong({ second: 'compressed', maxEntries: 1, maxBytes: 1, codec: {} })).toThrow('`codec`');
    expect(wrong({ second: 'weak', maxEntries: 1, maxbytes: 1 })).toThrow('did you mean `maxBytes`');
  });

  it('go on without a governor that breaks', async () => {
    const clock = new ManualClock();
    const { governor, breakIt } = breakable(
      createGovernor({ limitBytes: 64 * MIB, runtimeBytes: 0, clock, meters: [], mode: 'on' }),
    );
    const cache = new Cache<string, string>({
      maxBytes: MIB,
      governor,
      clock,
      tiers: { second: 'compressed', maxEntries: 10, maxBytes: MIB },
    });
    cache.set('a', text(1));
    breakIt();
    cache.set('b', text(2));
    expect([cache.get('a'), cache.get('b')]).toEqual([text(1), text(2)]);
    cache[Symbol.dispose]();
  });

  it('are a map with the strong one, whatever is set, asked, deleted and pressed in whatever order', async () => {
    const step = fc.record({
      do: fc.constantFrom(
        'set',
        'set',
        'get',
        'getAsync',
        'delete',
        'press',
        'press compressed',
        'wait',
      ) as fc.Arbitrary<string>,
      key: fc.nat(12),
      level: fc.constantFrom('moderate', 'high', 'critical', 'emergency') as fc.Arbitrary<PressureLevel>,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const spill = await openFolder();
        const { cache, governor } = openWatched({ spill, maxSpillBytes: 20 * KIB, maxBytes: 10 * KIB, maxEntries: 20 });
        const plain = new Map<string, string>();
        const waiting: Promise<unknown>[] = [];
        let count = 0;
        for (const { do: what, key: number, level } of steps) {
          const key = `key ${number}`;
          if (what === 'set') {
            const value = text(++count);
            cache.set(key, value);
            plain.set(key, value);
          } else if (what === 'get') {
            const value = cache.get(key);
            if (value !== undefined) expect(value).toBe(plain.get(key));
          } else if (what === 'getAsync') {
            const value = await cache.getAsync(key);
            if (value !== undefined) expect(value).toBe(plain.get(key));
          } else if (what === 'delete') {
            cache.delete(key);
            plain.delete(key);
          } else if (what === 'wait') await new Promise((r) => setImmediate(r));
          else waiting.push(press(governor, what === 'press' ? 'things' : 'things (compressed)', 20 * KIB, level));
          for (const each of plain.keys()) {
            const value = cache.peek(each);
            if (value !== undefined) expect(value).toBe(plain.get(each));
          }
          expect(cache.faults()).toEqual([]);
        }
        await Promise.all(waiting);
        for (let i = 0; i <= 12; i++) {
          const value = await cache.getAsync(`key ${i}`);
          if (value !== undefined) expect(value).toBe(plain.get(`key ${i}`));
        }
        const { compressedCount, diskCount } = cache.stats.tiers!;
        expect(compressedCount + diskCount).toBe(0);
        expect(cache.stats.tiers).toMatchObject({ compressedBytes: 0, indexBytes: 0, diskBytes: 0, lost: 0 });
        cache[Symbol.dispose]();
      }),
      { numRuns: 40 },
    );
  });
});

describe('as reclaimers', () => {
  const fillTo = async (governor: Governor, bytes: number, consumerName: string, spill?: SpillFolder) => {
    watched(governor);
    const cache = new Cache<number, string>({
      name: 'things',
      maxBytes: 8 * MIB,
      governor,
      // A busy machine does not end it early.
      clock: new ManualClock(),
      tiers: {
        second: 'compressed',
        maxEntries: 100_000,
        maxBytes: 8 * MIB,
        ...(spill && { spill, maxSpillBytes: 8 * MIB }),
      },
    });
    const isStrong = consumerName === 'things';
    for (let i = 0; held(governor, consumerName) < bytes * 1.1; i++) {
      cache.set(i, isStrong ? text(i) : Buffer.from(noise(i)).toString('base64'));
      if (!isStrong) await press(governor, 'things', MIB, 'high');
    }
    return { consumerName, reclaimer: reclaimerOf(governor, consumerName) };
  };
  reclaimerContract({ name: 'a cache with tiers', fill: (governor, bytes) => fillTo(governor, bytes, 'things') });
  reclaimerContract({
    name: 'the compressed tier',
    bytes: MIB / 4,
    fill: (governor, bytes) => fillTo(governor, bytes, 'things (compressed)'),
  });
  reclaimerContract({
    name: 'the compressed tier before a disk',
    bytes: MIB / 4,
    fill: async (governor, bytes) => fillTo(governor, bytes, 'things (compressed)', await openFolder()),
  });
});

/** Bytes without a pattern. */
function noise(seed: number): Uint8Array {
  let x = seed + 1;
  return Uint8Array.from({ length: 12_000 }, () => {
    x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d) + 1;
    return x & 255;
  });
}
