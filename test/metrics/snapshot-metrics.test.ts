import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock.ts';
import { type FaultEvent, faultEvents } from '../../src/events.ts';
import type { Snapshot } from '../../src/governor/index.ts';
import { METRIC_LABELS } from '../../src/metrics/metric.ts';
import { METRICS, type MetricReading, SnapshotMetrics } from '../../src/metrics/snapshot-metrics.ts';
import { madeConsumer, madeMeter, madeSnapshot, PlayedSource } from './made-snapshot.ts';

const clock = new ManualClock();
const read = (shows: Snapshot, maxConsumers = 10, counts: readonly string[] = []): MetricReading =>
  new SnapshotMetrics({ source: new PlayedSource(shows), maxConsumers, counts, clock }).read();
const values = (reading: MetricReading, name: string) => reading.get(name)!.map(({ value }) => value);
const points = (reading: MetricReading, name: string, label: string) =>
  Object.fromEntries(reading.get(name)!.map(({ labels, value }) => [(labels as Record<string, string>)[label], value]));

describe('the metrics', () => {
  it('have names of their own, none of which another stands below, a sentence each, and known labels', () => {
    const names = METRICS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, help, labels, unit } of METRICS) {
      expect(name).toMatch(/^plimsoll(\.[a-z]+)+$/);
      expect(names.filter((each) => each.startsWith(`${name}.`))).toEqual([]);
      expect(help, name).toMatch(/^[A-Z0-9].{8,}\.$/);
      expect(unit).toMatch(/^(By|s|1|\{[a-z]+\})$/);
      for (const label of labels) expect(METRIC_LABELS).toContain(label);
    }
  });

  it('have the labels that they say, and each set of them once', () => {
    const holder = { type: 'cache', health: 'ok' as const, counts: { hits: 4 } };
    const shows = madeSnapshot({
      meters: [madeMeter('rss', 1, 2), madeMeter('heap', 1, 2)],
      psi: { ofGroup: true, someAvg10: 5, fullAvg10: 1, someTotalMs: 100, fullTotalMs: 50 },
      consumers: [madeConsumer('a', 3, { maxBytes: 5, holder }), madeConsumer('b', 2)],
      drift: [{ of: 'whole', reservedBytes: 1, observedBytes: 3, driftBytes: -2, bytesPerSecond: 0, observedAtMs: 0 }],
      shed: [
        { point: 'http', asked: 5, shed: 1 },
        { point: 'http\n', asked: 1, shed: 0 },
      ],
    });
    const reading = read(shows, 1, ['hits']);
    for (const { name, labels } of METRICS) {
      const all = reading.get(name)!;
      expect(all.length, name).toBeGreaterThan(0);
      for (const point of all) expect(Object.keys(point.labels).sort(), name).toEqual([...labels].sort());
      expect(new Set(all.map((point) => JSON.stringify(point.labels))).size, name).toBe(all.length);
    }
  });

  it('headroom is that of the meter with least left, and never below 0; one that is off has no say', () => {
    const of = (...meters: Snapshot['meters'][number][]) => values(read(madeSnapshot({ meters })), 'plimsoll.headroom');
    expect(of(madeMeter('rss', 60, 100), madeMeter('heap', 30, 50))).toEqual([20]);
    expect(of(madeMeter('rss', 160, 100))).toEqual([0]);
    expect(of(madeMeter('rss', 60, 100), madeMeter('heap', 49, 50, true))).toEqual([40]);
    expect(of(madeMeter('heap', 49, 50, true))).toEqual([]);
  });

  it('a meter that is off shows nothing but that it is', () => {
    const reading = read(madeSnapshot({ meters: [madeMeter('rss', 60, 100), madeMeter('cgroup', 1, 2, true)] }));
    expect(points(reading, 'plimsoll.meter.usage', 'meter')).toEqual({ rss: 60 });
    expect(points(reading, 'plimsoll.meter.readable', 'meter')).toEqual({ rss: 1, cgroup: 0 });
  });

  it('the level is a state set', () => {
    const reading = read(madeSnapshot({ level: 'critical' }));
    const expected = { optimal: 0, moderate: 0, high: 0, critical: 1, emergency: 0 };
    expect(points(reading, 'plimsoll.pressure.level', 'level')).toEqual(expected);
  });

  it('what is no finite number is left out: a limit that is none', () => {
    const reading = read(madeSnapshot({ limitBytes: Number.POSITIVE_INFINITY, availableBytes: Number.NaN }));
    expect(values(reading, 'plimsoll.limit')).toEqual([]);
    expect(values(reading, 'plimsoll.ledger.available')).toEqual([]);
  });

  it('times are seconds, stalls parts of one', () => {
    const shows = madeSnapshot({
      collections: { count: 2, spentMs: 1_500 },
      psi: { ofGroup: false, someAvg10: 50, fullAvg10: 10, someTotalMs: 2_000, fullTotalMs: 1_000 },
    });
    const reading = read(shows);
    expect(values(reading, 'plimsoll.collection.time')).toEqual([1.5]);
    expect(points(reading, 'plimsoll.psi.ratio', 'stall')).toEqual({ some: 0.5, full: 0.1 });
    expect(points(reading, 'plimsoll.psi.time', 'stall')).toEqual({ some: 2, full: 1 });
  });

  it('counts of holders are those that were asked for, of consumers that are shown', () => {
    const holder = { type: 'cache', health: 'degraded' as const, counts: { hits: 4, misses: 1, entries: 9 } };
    const shows = madeSnapshot({ consumers: [madeConsumer('a', 2, { holder }), madeConsumer('b', 1, { holder })] });
    const reading = read(shows, 1, ['hits', 'misses', 'none']);
    expect(points(reading, 'plimsoll.holder.value', 'count')).toEqual({ hits: 4, misses: 1 });
    expect(points(reading, 'plimsoll.holders', 'health')).toEqual({ ok: 0, degraded: 2, failing: 0 });
    expect(read(shows).get('plimsoll.holder.value')).toEqual([]);
  });

  it('a name of a count that every object has by birth is no count', () => {
    const holder = { type: 'cache', health: 'ok' as const, counts: { hits: 4 } };
    const shows = madeSnapshot({ consumers: [madeConsumer('a', 2, { holder })] });
    expect(read(shows, 1, ['constructor', '__proto__']).get('plimsoll.holder.value')).toEqual([]);
  });

  it('points at which calls are turned away are bounded: who names them for requests', () => {
    const shed = Array.from({ length: 300 }, (_, n) => ({ point: `/user/${n}`, asked: 2, shed: 1 }));
    const found = points(read(madeSnapshot({ shed })), 'plimsoll.shed.asked', 'point');
    expect(Object.keys(found)).toHaveLength(51);
    expect(found).toMatchObject({ '/user/0': 2, '/user/49': 2, other: 500 });
  });

  it('a thousand consumers come to no more than the bound, by name and by the rest of each kind', () => {
    const consumers = Array.from({ length: 1_000 }, (_, n) => madeConsumer(`tenant ${n}`, n));
    const reading = read(madeSnapshot({ consumers }), 20);
    for (const [name, all] of reading) expect(all.length, name).toBeLessThanOrEqual(24);
    expect(values(reading, 'plimsoll.consumers')).toEqual([1_000]);
  });
});

describe('reading', () => {
  it('a governor that throws gives no values, is counted and published, and does not throw', () => {
    const source = new PlayedSource();
    const metrics = new SnapshotMetrics({ source, maxConsumers: 5, clock });
    const heard: FaultEvent[] = [];
    using _ = faultEvents.subscribe((event) => heard.push(event));
    expect(values(metrics.read(), 'plimsoll.limit')).toHaveLength(1);
    source.fault = new Error('broken on purpose');
    const reading = metrics.read();
    for (const { name } of METRICS) {
      const has = name.startsWith('plimsoll.exporter.') ? 1 : 0;
      expect(reading.get(name), name).toHaveLength(has);
    }
    expect(values(reading, 'plimsoll.exporter.failures')).toEqual([1]);
    expect(metrics.stats).toMatchObject({ readings: 2, failures: 1, lastFailure: 'broken on purpose' });
    expect(heard).toEqual([{ part: 'metrics', message: 'broken on purpose', off: false }]);
    source.fault = undefined;
    expect(values(metrics.read(), 'plimsoll.exporter.failures')).toEqual([1]);
  });

  it('what one figure lacks costs no other: a snapshot of another version', () => {
    const { trains: _, ...rest } = madeSnapshot();
    const metrics = new SnapshotMetrics({ source: new PlayedSource(rest as Snapshot), maxConsumers: 5, clock });
    const reading = metrics.read();
    expect(values(reading, 'plimsoll.trains')).toEqual([]);
    expect(values(reading, 'plimsoll.limit')).toHaveLength(1);
    expect(metrics.stats.failures).toBe(1);
  });

  it('a source that promises a snapshot has none, and its rejection reaches nobody', async () => {
    const source = { snapshot: () => Promise.reject(new Error('later')) as unknown as Snapshot };
    const metrics = new SnapshotMetrics({ source, maxConsumers: 5, clock });
    expect(values(metrics.read(), 'plimsoll.limit')).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(metrics.stats.failures).toBe(1);
  });

  it('its time is counted', () => {
    const ticking = new ManualClock();
    const source = new PlayedSource();
    const slow = {
      snapshot() {
        ticking.advance(2);
        return source.snapshot();
      },
    };
    const metrics = new SnapshotMetrics({ source: slow, maxConsumers: 5, clock: ticking });
    metrics.read();
    expect(values(metrics.read(), 'plimsoll.exporter.time')).toEqual([0.002]);
    expect(metrics.stats.spentMs).toBe(4);
  });

  it.each([
    [{}, /`source`/],
    [{ source: {} }, /`source`/],
    [{ source: new PlayedSource() }, /`maxConsumers` to be a whole number from 0 to 10000, got `undefined`/],
    [{ source: new PlayedSource(), maxConsumers: -1 }, /`maxConsumers`/],
    [{ source: new PlayedSource(), maxConsumers: 1, counts: 'hits' }, /`counts`/],
    [{ source: new PlayedSource(), maxConsumers: 1, counts: [''] }, /`counts`/],
    [{ source: new PlayedSource(), maxConsumers: 1, counts: new Array(41).fill('a') }, /`counts`/],
    [{ source: new PlayedSource(), maxConsumers: 1, clock: {} }, /`clock`/],
    [{ source: new PlayedSource(), maxConsumer: 1 }, /did you mean `maxConsumers`/],
  ])('refuses %o', (options, message) => {
    expect(() => new SnapshotMetrics(options as never)).toThrow(message);
    expect(() => new SnapshotMetrics(options as never)).toThrow(RangeError);
  });
});
