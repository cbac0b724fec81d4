import { ManualClock } from 'plimsoll';
import { CACHE_POLICIES, Cache } from 'plimsoll/cache';
import { describe, expect, it } from 'vitest';
import { WeightCalibration, weighBeside } from '../../src/cache/weight-calibration.ts';
import { breakable } from '../contract/broken-governor.ts';
import { MIB, setUp } from '../governor/fake-meter.ts';

/** Mulberry32 (Tommy Ettinger, public domain): the same numbers each time. */
function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('calibration', () => {
  it('knows nothing before it has looked, and all where every guess is off alike', () => {
    const calibration = new WeightCalibration({ sampleEvery: 4, apply: false });
    expect(calibration.correction).toEqual({ ratio: 1, errorShare: 1, sampleCount: 0, appliedRatio: 1 });
    expect(Array.from({ length: 8 }, () => calibration.isDue())).toEqual([0, 0, 0, 1, 0, 0, 0, 1].map(Boolean));
    for (let i = 1; i <= 10; i++) calibration.add(100 * i, 250 * i);
    expect(calibration.correction).toMatchObject({ ratio: 2.5, errorShare: 0, sampleCount: 10 });
    for (const nonsense of [0, -1, Number.NaN]) expect(calibration.add(nonsense, 5)).toBe(false);
    expect(calibration.correction.sampleCount).toBe(10);
  });

  it.each([
    ['even', (next: () => number) => 500 + 1_000 * next()],
    ['exponential', (next: () => number) => -1_000 * Math.log(1 - next())],
    [
      'log-normal',
      (next: () => number) => 1_000 * Math.exp(Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(6.283 * next())),
    ],
  ])('says an error that holds the truth nine times in ten, for %s weights', (_, weight) => {
    const next = random(11);
    const all = Array.from({ length: 20_000 }, () => ({ guess: 800 + 400 * next(), held: weight(next) }));
    const truth = all.reduce((sum, { held }) => sum + held, 0) / all.reduce((sum, { guess }) => sum + guess, 0);
    let holds = 0;
    for (let run = 0; run < 300; run++) {
      const calibration = new WeightCalibration({ sampleEvery: 1, apply: false });
      for (let i = 0; i < 100; i++) {
        const { guess, held } = all[Math.floor(next() * all.length)]!;
        calibration.add(guess, held);
      }
      const { ratio, errorShare } = calibration.correction;
      if (Math.abs(truth - ratio) <= errorShare * ratio) holds++;
    }
    expect(holds / 300).toBeGreaterThan(0.9);
  });

  it('applies what it knows well enough, and not each wavering of it', () => {
    const calibration = new WeightCalibration({ sampleEvery: 1, apply: true });
    const changes = Array.from({ length: 100 }, (_, i) => calibration.add(100, 195 + (i % 3) * 5));
    expect(changes.indexOf(true)).toBe(31);
    expect(changes.filter(Boolean)).toHaveLength(1);
    expect(calibration.appliedRatio).toBeCloseTo(2, 1);
  });

  it('charges what entries share to none of them', () => {
    const shared = Buffer.alloc(100_000);
    const [one, other] = [
      { own: 'x'.repeat(1_000), shared },
      { own: 'y', shared },
    ];
    expect(weighBeside(one, 'key', other)).toBeLessThan(2_000);
    expect(weighBeside(one, 'key', undefined)).toBeGreaterThan(100_000);
  });
});

describe('a cache that is calibrated', () => {
  const value = (i: number) => ({ id: i, text: `${'x'.repeat(2_000)}${i}` });

  it('reports how far its guess is off, and leaves the weights alone unless told', () => {
    const cache = new Cache<number, object>({ maxBytes: 10 * MIB, weigh: () => 1_000, calibrate: { sampleEvery: 8 } });
    for (let i = 0; i < 2_000; i++) cache.set(i, value(i));
    const { weightCorrection, bytes } = cache.stats;
    expect(weightCorrection!.ratio).toBeGreaterThan(1.9);
    expect(weightCorrection!.ratio).toBeLessThan(2.3);
    expect(weightCorrection!.errorShare).toBeLessThan(0.02);
    expect(weightCorrection!.appliedRatio).toBe(1);
    expect(bytes).toBe(2_000_000);
    expect(new Cache({ maxEntries: 1 }).stats.weightCorrection).toBeUndefined();
  });

  it('books what was found when it is told to, what is there included, and stays within its bound', () => {
    const { governor } = setUp();
    const cache = new Cache<number, object>({
      name: 'things',
      maxBytes: MIB,
      weigh: () => 100,
      calibrate: { sampleEvery: 8, apply: true },
      governor,
      clock: new ManualClock(),
    });
    for (let i = 0; i < 5_000; i++) {
      cache.set(i, value(i));
      expect(cache.bytes).toBeLessThanOrEqual(MIB);
    }
    const { appliedRatio } = cache.stats.weightCorrection!;
    expect(appliedRatio).toBeGreaterThan(19);
    expect(cache.size).toBeLessThan(MIB / 1_900);
    expect(cache.faults()).toEqual([]);
    const held = () => governor.snapshot().consumers.find(({ name }) => name === 'things')!;
    expect(held().heldBytes).toBeGreaterThanOrEqual(cache.bytes);
    expect(held().holder!.counts.weightRatio).toBeCloseTo(appliedRatio, 0);
    cache.clear();
    cache[Symbol.dispose]();
    expect(governor.snapshot().consumers.find(({ name }) => name === 'things')).toBeUndefined();
  });

  it('gives room back when its guess was too high', () => {
    const { governor } = setUp();
    const cache = new Cache<number, object>({
      name: 'things',
      maxBytes: 50 * MIB,
      weigh: () => 100_000,
      calibrate: { sampleEvery: 4, apply: true },
      governor,
    });
    for (let i = 0; i < 400; i++) cache.set(i, value(i));
    expect(cache.bytes).toBeLessThan(2 * MIB);
    const { heldBytes } = governor.snapshot().consumers.find(({ name }) => name === 'things')!;
    expect(heldBytes).toBeLessThan(3 * MIB);
    expect(heldBytes).toBeGreaterThanOrEqual(cache.bytes);
  });

  it.each(CACHE_POLICIES)(
    '%s hears of it when all entries weigh less: it goes on evicting by the right sums',
    (policy) => {
      const cache = new Cache<number, string>({
        maxBytes: 100_000,
        policy,
        weigh: () => 300,
        calibrate: { sampleEvery: 2, apply: true },
      });
      for (const [phase, length] of [200, 50, 20, 800].entries()) {
        for (let i = 0; i < 20_000; i++) {
          const key = Math.floor(((i * 7_919) % 1_009) ** 2 / 1_009);
          if (cache.get(key) === undefined) cache.set(key, 'v'.repeat(length + (i % 7)));
          else if (i % 5 === 0) cache.set(key + 2_000 * phase, 'v'.repeat(length));
        }
      }
      expect(cache.stats.weightCorrection!.appliedRatio).not.toBe(1);
      expect(cache.faults()).toEqual([]);
      cache.clear();
      expect(cache.bytes).toBe(0);
    },
  );

  it('an entry weighs no more than can be written down, whatever it is multiplied with', () => {
    const cache = new Cache<number, string>({
      maxBytes: 2 ** 45,
      weigh: (value) => (value === 'huge' ? 3_000_000_000 : 100),
      calibrate: { sampleEvery: 1, apply: true },
    });
    for (let i = 0; i < 500; i++) cache.set(i, `${i}`.padEnd(2_000, '.'));
    expect(cache.stats.weightCorrection!.appliedRatio).toBeGreaterThan(2);
    expect(cache.set(-1, 'huge')).toBe(false);
    expect(cache.faults()).toEqual([]);
  });

  it('goes on when the governor breaks, `weigh` throws now and then, and values are proxies that throw', () => {
    const { governor, breakIt } = breakable(setUp().governor);
    const cache = new Cache<number, object>({
      maxBytes: MIB,
      weigh: (_, key) => {
        if (key % 7 === 0) throw new Error('no');
        return 100;
      },
      calibrate: { sampleEvery: 1, apply: true },
      governor,
    });
    const trap = new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error('trap');
        },
      },
    );
    for (let i = 0; i < 300; i++) {
      if (i === 100) breakIt();
      cache.set(i, i % 5 === 0 ? trap : value(i));
    }
    expect(cache.size).toBeGreaterThan(100);
    expect(cache.faults()).toEqual([]);
  });

  it('calls `weigh` once for each value that is set, and samples what it said then', () => {
    let calls = 0;
    const cache = new Cache<number, string>({
      maxBytes: MIB,
      weigh: () => {
        calls++;
        return 100;
      },
      calibrate: { sampleEvery: 1, apply: true },
    });
    for (let i = 0; i < 300; i++) cache.set(i, 'v'.repeat(1_000));
    expect(calls).toBe(300);
    const { ratio, appliedRatio } = cache.stats.weightCorrection!;
    expect(appliedRatio).toBeGreaterThan(9);
    expect(Math.abs(ratio / appliedRatio - 1)).toBeLessThan(0.1);
  });
});
