import { describe, expect, it } from 'vitest';
import { Trend } from '../../src/governor/trend.ts';
import { Random } from '../simulation/random.ts';
import { MIB } from './fake-meter.ts';

const LIMIT = 256 * MIB;

interface Seen {
  /** Greatest and least growth it showed, bytes per second. */
  readonly most: number;
  readonly least: number;
  readonly last: number;
  /** Shortest time to the line it predicted. */
  readonly soonestMs: number;
  /** The longest it said "falling" without a break. */
  readonly fallingMs: number;
  readonly trend: Trend;
}

/** Shows a meter whose bytes are a function of the seconds, from `fromMs` to `toMs`; what it says after `lookMs` counts. */
function watch(
  bytes: (s: number) => number,
  { toMs = 60_000, everyMs = 50, lookMs = 0, trend = new Trend() } = {},
): Seen {
  let most = Number.NEGATIVE_INFINITY;
  let least = Number.POSITIVE_INFINITY;
  let soonestMs = Number.POSITIVE_INFINITY;
  let fallingMs = 0;
  let fallingSince: number | undefined;
  for (let at = 0; at <= toMs; at += everyMs) {
    trend.note(at, bytes(at / 1_000), LIMIT);
    if (trend.isFalling(at)) fallingMs = Math.max(fallingMs, at - (fallingSince ??= at));
    else fallingSince = undefined;
    if (at < lookMs) continue;
    most = Math.max(most, trend.bytesPerSecond);
    least = Math.min(least, trend.bytesPerSecond);
    soonestMs = Math.min(soonestMs, trend.timeToLineMs(at) ?? Number.POSITIVE_INFINITY);
  }
  return { most, least, last: trend.bytesPerSecond, soonestMs, fallingMs, trend };
}

/** Up by `amplitude` in `periodS`, then down at once, as a heap between collections. */
const saw = (baseMib: number, amplitudeMib: number, periodS: number) => (s: number) =>
  (baseMib + amplitudeMib * ((s % periodS) / periodS)) * MIB;

describe('a ramp', () => {
  it.each([20, 50, 250, 1_000])('sampled every %i ms is seen with its slope and its time to the line', (everyMs) => {
    const { trend, last, fallingMs } = watch((s) => (40 + 10 * s) * MIB, { toMs: 10_000, everyMs });
    expect(last / MIB).toBeCloseTo(10, 6);
    expect(trend.timeToLineMs(10_000)).toBeCloseTo(11_600, 3);
    expect(trend.timeToLineMs(12_000)).toBeCloseTo(9_600, 3);
    expect(trend.timeToLineMs(99_000)).toBe(0);
    expect(trend.row(10_000)).toEqual({ bytesPerSecond: last, falling: false, timeToLineMs: trend.timeToLineMs() });
    expect(fallingMs).toBe(0);
  });

  it('is seen within two seconds of its beginning', () => {
    const { most } = watch((s) => (40 + 20 * s) * MIB, { toMs: 2_000, everyMs: 250 });
    expect(most / MIB).toBeCloseTo(20, 6);
  });

  it('after a minute of peace is seen in time', () => {
    const random = new Random(3);
    const { soonestMs } = watch((s) => (100 + 2 * random.next() + Math.max(0, s - 60) * 15) * MIB, { toMs: 66_000 });
    // It reaches the line 10.4 s after it begins: 4.4 s are left.
    expect(soonestMs).toBeGreaterThan(3_500);
    expect(soonestMs).toBeLessThan(5_500);
  });

  it('past the line has no time left; slow ones are not predicted further than ten minutes', () => {
    const { trend } = watch((s) => (250 + 10 * s) * MIB, { toMs: 5_000 });
    expect(trend.timeToLineMs()).toBe(0);
    expect(watch((s) => 10 * MIB + s * 1_024).trend.timeToLineMs()).toBeUndefined();
    expect(new Trend().row()).toEqual({ bytesPerSecond: 0, falling: false });
  });

  it('that goes down is negative, falling, and has no time to the line', () => {
    const { trend, last } = watch((s) => (250 - 20 * s) * MIB, { toMs: 8_000 });
    expect(last / MIB).toBeCloseTo(-20, 6);
    expect(trend.row()).toEqual({ bytesPerSecond: last, falling: true });
    // What was seen three seconds ago says nothing of now.
    expect(trend.isFalling(11_000)).toBe(false);
  });

  it('that goes down slowly is not called falling: waiting for it would last too long', () => {
    for (const everyMs of [20, 250, 1_000]) expect(watch((s) => (250 - 2 * s) * MIB, { everyMs }).fallingMs).toBe(0);
  });

  it('is no longer called falling as soon as it rises', () => {
    for (const heights of [
      [200, 100, 101],
      [200, 201, 100],
      [150, 200, 190],
    ]) {
      const trend = new Trend();
      for (const [i, mib] of heights.entries()) trend.note(i * 50, mib * MIB, LIMIT);
      expect(trend.isFalling()).toBe(false);
    }
    const trend = new Trend();
    for (const [i, mib] of [200, 150, 150.1].entries()) trend.note(i * 50, mib * MIB, LIMIT);
    expect(trend.isFalling()).toBe(true);
  });

  it('readings microseconds apart are one step: what they differ by is no rise and no fall', () => {
    const trend = new Trend();
    trend.note(0, 100 * MIB, LIMIT);
    trend.note(50, 100 * MIB, LIMIT);
    for (let i = 1; i <= 100; i++) trend.note(50 + i / 1_000, (100 - i / 10) * MIB, LIMIT);
    expect(trend.isFalling()).toBe(false);
    for (let i = 1; i <= 100; i++) trend.note(51 + i / 1_000, (100 + i / 10) * MIB, LIMIT);
    expect(trend.lastRisePerMs).toBe(0);
    trend.note(60, 111 * MIB, LIMIT);
    expect(trend.lastRisePerMs / MIB).toBeCloseTo(1.1, 9);
  });
});

describe('the sawtooth of garbage collection', () => {
  it.each([0.3, 1, 2, 3.7])('with a period of %f s does not look like growth, nor like falling for ever', (periodS) => {
    for (const everyMs of [20, 50, 250]) {
      const { most, least, soonestMs, fallingMs } = watch(saw(120, 80, periodS), { everyMs, lookMs: 40_000 });
      expect([most / MIB, least / MIB, soonestMs]).toEqual([0, 0, Number.POSITIVE_INFINITY]);
      // Teeth of 300 ms seen four times a second are stairs that go down.
      expect(fallingMs).toBeLessThanOrEqual(periodS < 4 * 0.25 ? 1_000 : 2 * everyMs);
    }
  });

  it.each([6, 9, 14])(
    'with a period of %f s, longer than the window, is known after it was seen a few times',
    (periodS) => {
      for (const everyMs of [20, 250, 1_000]) {
        const { most, soonestMs, fallingMs } = watch(saw(120, 80, periodS), { everyMs, toMs: 120_000, lookMs: 50_000 });
        expect([most / MIB, soonestMs]).toEqual([0, Number.POSITIVE_INFINITY]);
        expect(fallingMs).toBeLessThanOrEqual(2 * everyMs);
      }
    },
  );

  it('on a leak shows the leak, not the teeth', () => {
    const teeth = saw(40, 40, 1.3);
    const { most, last, soonestMs } = watch((s) => teeth(s) + 4 * MIB * s, { toMs: 30_000, lookMs: 8_000 });
    expect(last / MIB).toBeGreaterThan(2.5);
    expect(most / MIB).toBeLessThan(7);
    // The tops reach the line after 44 s; the last top was at 30.
    expect(soonestMs).toBeGreaterThan(8_000);
    expect(soonestMs).toBeLessThan(40_000);
  });

  it('on a slow leak shows the leak too when the teeth are longer than the window of what is steep', () => {
    const teeth = saw(40, 60, 4);
    const { soonestMs, last } = watch((s) => teeth(s) + 1.5 * MIB * s, { toMs: 80_000, lookMs: 60_000 });
    expect(last / MIB).toBeGreaterThan(1);
    expect(last / MIB).toBeLessThan(2);
    // The tops reach the line after 104 s.
    expect(soonestMs).toBeGreaterThan(15_000);
    expect(soonestMs).toBeLessThan(60_000);
  });

  it('a leak that has ended is over when all is quiet, however large the teeth were', () => {
    const teeth = saw(40, 60, 4);
    const { trend } = watch((s) => (s < 60 ? teeth(s) + 1.5 * MIB * s : 160 * MIB), { toMs: 67_000 });
    expect(trend.bytesPerSecond).toBe(0);
  });

  it('that breaks out past its old tops is growth again', () => {
    const teeth = saw(60, 60, 8);
    const { soonestMs, last } = watch((s) => (s < 64 ? teeth(s) : (60 + 7.5 * (s - 64)) * MIB), {
      toMs: 76_000,
      lookMs: 50_000,
    });
    expect(last / MIB).toBeCloseTo(7.5, 1);
    // 150 MiB at the end: 106 MiB are left.
    expect(soonestMs).toBeGreaterThan(13_000);
    expect(soonestMs).toBeLessThan(15_000);
  });

  it('what fell because bytes were given back is no tooth: after a restart the next climb is growth', () => {
    const climb = (s: number) => (100 + 6 * (s % 18)) * MIB;
    const trained = new Trend();
    const taught = (s: number) => {
      if (s > 0 && s % 18 === 0) trained.restart();
      return climb(s);
    };
    expect(watch(taught, { toMs: 88_000, trend: trained }).last / MIB).toBeCloseTo(6, 3);
    expect(watch(climb, { toMs: 88_000 }).last).toBe(0);
  });
});

describe('what is no trend', () => {
  it('noise', () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = new Random(seed);
      const { most, least, soonestMs } = watch(() => (150 + 6 * random.next()) * MIB, { everyMs: 100, lookMs: 5_000 });
      expect(most / MIB).toBeLessThan(1);
      expect(least / MIB).toBeGreaterThan(-1);
      expect(soonestMs).toBeGreaterThan(100_000);
    }
  });

  it.each([80, -80])('a step of %i MiB', (step) => {
    for (const everyMs of [20, 50, 250]) {
      const { most, least, fallingMs } = watch((s) => (120 + (s < 20 ? 0 : step)) * MIB, { everyMs });
      expect([most, least]).toEqual([0, 0]);
      expect(fallingMs).toBeLessThanOrEqual(2 * everyMs);
    }
  });

  it('one reading that is far off', () => {
    for (const off of [100, -100]) {
      const { most, least, fallingMs } = watch((s) => (120 + (s === 20 ? off : 0)) * MIB, { everyMs: 250 });
      expect([most, least, fallingMs]).toEqual([0, 0, 0]);
    }
  });
});

describe('a clock that jumps', () => {
  it.each([
    ['back by an hour', -3_600_000],
    ['ahead by a day', 86_400_000],
  ])('%s begins anew', (_, jumpMs) => {
    const { trend } = watch((s) => (40 + 10 * s) * MIB, { toMs: 10_000 });
    const at = 10_000 + jumpMs;
    trend.note(at, 140 * MIB, LIMIT);
    expect(trend.row(at)).toEqual({ bytesPerSecond: 0, falling: false });
    for (let ms = 250; ms <= 5_000; ms += 250) trend.note(at + ms, (140 + ms / 100) * MIB, LIMIT);
    expect(trend.bytesPerSecond / MIB).toBeCloseTo(10, 6);
  });

  it('that stands, or is no number, gives numbers', () => {
    const trend = new Trend();
    for (let i = 0; i < 100; i++) trend.note(7, i * MIB, LIMIT);
    trend.note(Number.NaN, 5 * MIB, LIMIT);
    trend.note(8, 5 * MIB, LIMIT);
    expect(trend.row(Number.NaN)).toEqual({ bytesPerSecond: 0, falling: false });
    expect(trend.lastRisePerMs).toBe(0);
  });
});
