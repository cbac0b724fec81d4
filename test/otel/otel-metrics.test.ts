import { metrics as api, type Meter } from '@opentelemetry/api';
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock.ts';
import { METRIC_LABELS, METRICS } from '../../src/metrics/index.ts';
import { OTEL_ATTRIBUTES } from '../../src/otel/otel-attributes.ts';
import { OtelMetrics } from '../../src/otel/otel-metrics.ts';
import { madeConsumer, madeMeter, madeSnapshot, PlayedSource } from '../metrics/made-snapshot.ts';

const SHOWS = madeSnapshot({
  meters: [madeMeter('rss', 60.4, 100)],
  consumers: [madeConsumer('rows', 7, { refusals: 3, maxBytes: 9 }), madeConsumer('b', 2, { refusals: 1 })],
});
const HOUR = 3_600_000;

/** A provider whose reader collects when it is told to. */
class Collected implements AsyncDisposable {
  readonly #exporter: InMemoryMetricExporter;
  readonly #reader: PeriodicExportingMetricReader;
  readonly #provider: MeterProvider;
  readonly meter: Meter;

  constructor(temporality = AggregationTemporality.CUMULATIVE) {
    this.#exporter = new InMemoryMetricExporter(temporality);
    this.#reader = new PeriodicExportingMetricReader({ exporter: this.#exporter, exportIntervalMillis: HOUR });
    this.#provider = new MeterProvider({ readers: [this.#reader] });
    this.meter = this.#provider.getMeter('plimsoll');
  }

  /** By name, what the last collection has of it. */
  async take(): Promise<Map<string, MetricData>> {
    this.#exporter.reset();
    const { resourceMetrics, errors } = await this.#reader.collect();
    expect(errors).toEqual([]);
    const all = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
    return new Map(all.map((metric) => [metric.descriptor.name, metric]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#provider.shutdown();
  }
}

const points = (metric: MetricData | undefined, attribute: string) =>
  Object.fromEntries((metric?.dataPoints ?? []).map(({ attributes, value }) => [attributes[attribute], value]));

describe('on a meter of the SDK', () => {
  const made = (collected: Collected, maxConsumers = 1) => {
    const source = new PlayedSource(SHOWS);
    const clock = new ManualClock();
    return { source, exported: new OtelMetrics({ meter: collected.meter, source, maxConsumers, clock }) };
  };

  it('one collection is one snapshot; names, units and types are those of the catalogue', async () => {
    await using collected = new Collected();
    const { source } = made(collected);
    const taken = await collected.take();
    expect(source.snapshots).toBe(1);
    expect(taken.size).toBeGreaterThan(40);
    for (const { name, unit, type, help } of METRICS) {
      const metric = taken.get(name);
      if (metric === undefined) continue;
      expect(metric.descriptor).toMatchObject({ unit, description: help });
      expect(metric.dataPointType, name).toBe(type === 'gauge' ? DataPointType.GAUGE : DataPointType.SUM);
      if (metric.dataPointType === DataPointType.SUM) expect(metric.isMonotonic, name).toBe(type === 'counter');
    }
    expect(taken.get('plimsoll.limit')!.dataPoints[0]!.value).toBe(SHOWS.limitBytes);
  });

  it('attributes are namespaced and bounded, bytes whole', async () => {
    await using collected = new Collected();
    made(collected);
    const taken = await collected.take();
    expect(points(taken.get('plimsoll.consumer.usage'), 'plimsoll.consumer.name')).toEqual({ rows: 7, other: 2 });
    expect(points(taken.get('plimsoll.meter.usage'), 'plimsoll.meter.name')).toEqual({ rss: 60 });
    expect(points(taken.get('plimsoll.meter.utilization'), 'plimsoll.meter.name')).toEqual({ rss: 0.604 });
    expect(Object.keys(OTEL_ATTRIBUTES).sort()).toEqual([...METRIC_LABELS].sort());
    for (const attribute of Object.values(OTEL_ATTRIBUTES)) expect(attribute).toMatch(/^plimsoll(\.[a-z]+)+$/);
  });

  it('a consumer that is gone is told as 0, and not shown for ever as it was; its totals stay', async () => {
    await using collected = new Collected();
    const { source } = made(collected, 5);
    await collected.take();
    source.shows = madeSnapshot({ consumers: [madeConsumer('b', 2)] });
    for (let again = 0; again < 2; again++) {
      const taken = await collected.take();
      expect(points(taken.get('plimsoll.consumer.usage'), 'plimsoll.consumer.name')).toEqual({ rows: 0, b: 2 });
      expect(points(taken.get('plimsoll.consumer.limit'), 'plimsoll.consumer.name')).toEqual({ rows: 0 });
      expect(points(taken.get('plimsoll.consumer.refusals'), 'plimsoll.consumer.name')).toMatchObject({ rows: 3 });
    }
    source.shows = SHOWS;
    const back = await collected.take();
    expect(points(back.get('plimsoll.consumer.usage'), 'plimsoll.consumer.name')).toEqual({ rows: 7, b: 2 });
  });

  it('a governor that throws is counted, breaks no other instrument, and does not make consumers vanish', async () => {
    await using collected = new Collected();
    const { source, exported } = made(collected);
    collected.meter.createObservableGauge('own').addCallback((result) => result.observe(5));
    await collected.take();
    source.fault = new Error('broken on purpose');
    const taken = await collected.take();
    expect(taken.get('own')!.dataPoints[0]!.value).toBe(5);
    expect(taken.get('plimsoll.exporter.failures')!.dataPoints[0]!.value).toBe(1);
    expect(points(taken.get('plimsoll.consumer.usage'), 'plimsoll.consumer.name')).toMatchObject({ rows: 7 });
    expect(exported.stats).toMatchObject({ failures: 1, lastFailure: 'broken on purpose' });
  });

  it('with deltas, as Datadog wants them, a counter tells what it grew by', async () => {
    await using collected = new Collected(AggregationTemporality.DELTA);
    const { source } = made(collected);
    source.shows = madeSnapshot({ refusals: 5 });
    expect((await collected.take()).get('plimsoll.refusals')!.dataPoints[0]!.value).toBe(5);
    source.shows = madeSnapshot({ refusals: 7 });
    expect((await collected.take()).get('plimsoll.refusals')!.dataPoints[0]!.value).toBe(2);
  });

  it('disposing takes the callback away, twice is once', async () => {
    await using collected = new Collected();
    const { source, exported } = made(collected);
    await collected.take();
    exported[Symbol.dispose]();
    exported[Symbol.dispose]();
    await collected.take();
    expect(source.snapshots).toBe(1);
  });
});

it('on a meter of the API alone, without an SDK, it costs nothing and says nothing', () => {
  const source = new PlayedSource(SHOWS);
  using _ = new OtelMetrics({ meter: api.getMeter('plimsoll'), source, maxConsumers: 1 });
  expect(source.snapshots).toBe(0);
});

describe('options', () => {
  const source = new PlayedSource(SHOWS);
  it.each([
    [
      {},
      /`meter` to be a meter of @opentelemetry\/api 1.3 or newer, such as `metrics.getMeter\('plimsoll'\)`, got `undefined`/,
    ],
    [{ meter: { createObservableGauge() {} }, source, maxConsumers: 1 }, /`meter`/],
    [{ meter: api.getMeter('x'), source }, /`maxConsumers`/],
    [{ meter: api.getMeter('x'), maxConsumers: 1 }, /`source`/],
    [{ metre: 1 }, /did you mean `meter`/],
  ])('refuses %o', (options, message) => {
    expect(() => new OtelMetrics(options as never)).toThrow(message);
  });
});
