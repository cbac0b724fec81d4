import * as current from 'prom-client';
import * as older from 'prom-client-14';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock.ts';
import { createGovernor } from '../../src/governor/index.ts';
import { METRICS } from '../../src/metrics/index.ts';
import { PrometheusMetrics, type PrometheusRegistryShape } from '../../src/prometheus/prometheus-metrics.ts';
import { prometheusName } from '../../src/prometheus/prometheus-name.ts';
import { breakable } from '../contract/broken-governor.ts';
import { madeConsumer, madeMeter, madeSnapshot, PlayedSource } from '../metrics/made-snapshot.ts';

const SHOWS = madeSnapshot({
  meters: [madeMeter('rss', 60, 100)],
  consumers: [madeConsumer('say "hi"\\', 7, { refusals: 3 }), madeConsumer('b', 2, { refusals: 1 })],
});

/** Lines with values, of a text as Prometheus has it. */
const samples = (text: string, prefix = 'plimsoll_') => text.split('\n').filter((line) => line.startsWith(prefix));

describe('names', () => {
  it('are those that OpenTelemetry gives its metrics in Prometheus', () => {
    const named = (name: string, unit: string, type: string) => prometheusName({ name, unit, type } as never);
    expect(named('plimsoll.limit', 'By', 'sum')).toBe('plimsoll_limit_bytes');
    expect(named('plimsoll.psi.ratio', '1', 'gauge')).toBe('plimsoll_psi_ratio');
    expect(named('plimsoll.psi.time', 's', 'counter')).toBe('plimsoll_psi_time_seconds_total');
    expect(named('plimsoll.refusals', '{refusal}', 'counter')).toBe('plimsoll_refusals_total');
    expect(named('plimsoll.pressure.level', '{state}', 'gauge')).toBe('plimsoll_pressure_level');
  });

  it('keep to what promtool asks for: no counter without _total, no other with an ending that means something', () => {
    for (const definition of METRICS) {
      const name = prometheusName(definition);
      expect(name).toMatch(/^[a-z][a-z_]*[a-z]$/);
      if (definition.type === 'counter') expect(name).toMatch(/_total$/);
      else expect(name).not.toMatch(/_(total|count|sum|bucket)$/);
      if (definition.unit === 'By') expect(name).toMatch(/_bytes(_total)?$/);
      if (definition.unit === 's') expect(name).toMatch(/_seconds(_total)?$/);
    }
  });
});

describe.each([
  ['prom-client 15', current],
  ['prom-client 14', older as unknown as typeof current],
])('on a registry of %s', (_version, client) => {
  const made = (more: object = {}) => {
    const source = new PlayedSource(SHOWS);
    const registry = new client.Registry();
    const clock = new ManualClock();
    const metrics = new PrometheusMetrics({ registry, source, maxConsumers: 1, clock, ...more });
    return { source, registry, clock, metrics };
  };

  it('one scrape is one snapshot, and the next another', async () => {
    const { source, registry } = made();
    expect(samples(await registry.metrics())).toContain('plimsoll_meter_usage_bytes{meter="rss"} 60');
    expect(source.snapshots).toBe(1);
    source.shows = madeSnapshot({ meters: [madeMeter('rss', 70, 100)] });
    const text = await registry.metrics();
    expect(samples(text)).toContain('plimsoll_meter_usage_bytes{meter="rss"} 70');
    expect(samples(text).filter((line) => line.startsWith('plimsoll_consumer_usage_bytes'))).toEqual([
      'plimsoll_consumer_usage_bytes{consumer="runtime",kind="heap"} 0',
      'plimsoll_consumer_usage_bytes{consumer="other",kind="heap"} 0',
    ]);
    expect(source.snapshots).toBe(2);
  });

  it('two scrapes at a time, as text and as JSON, are two', async () => {
    const { source, registry } = made();
    const [text, json] = await Promise.all([registry.metrics(), registry.getMetricsAsJSON()]);
    expect(samples(text).length).toBeGreaterThan(30);
    expect(json).toHaveLength(METRICS.length);
    expect(source.snapshots).toBe(2);
  });

  it('a metric that is asked for alone leaves nothing old behind for the next scrape', async () => {
    const { source, registry, clock } = made();
    await registry.getSingleMetricAsString('plimsoll_limit_bytes');
    clock.advance(101);
    source.shows = madeSnapshot({ meters: [madeMeter('rss', 70, 100)] });
    expect(samples(await registry.metrics())).toContain('plimsoll_meter_usage_bytes{meter="rss"} 70');
  });

  it('labels are escaped, the rest is together, totals are counters', async () => {
    const { registry } = made();
    const text = await registry.metrics();
    expect(text).toContain('# TYPE plimsoll_consumer_refusals_total counter\n');
    expect(text).toContain('# TYPE plimsoll_limit_bytes gauge\n');
    expect(samples(text).filter((line) => line.startsWith('plimsoll_consumer_refusals_total'))).toEqual([
      'plimsoll_consumer_refusals_total{consumer="say \\"hi\\"\\\\",kind="heap"} 3',
      'plimsoll_consumer_refusals_total{consumer="other",kind="heap"} 1',
    ]);
  });

  it('a governor that throws does not break the scrape of the others', async () => {
    const { registry, source, metrics } = made();
    new client.Counter({ name: 'requests_total', help: 'h', registers: [registry] }).inc(5);
    source.fault = new Error('broken on purpose');
    const text = await registry.metrics();
    expect(text).toContain('requests_total 5');
    expect(samples(text)).toEqual([
      'plimsoll_exporter_readings_total 1',
      'plimsoll_exporter_failures_total 1',
      'plimsoll_exporter_time_seconds_total 0',
    ]);
    expect(metrics.stats).toMatchObject({ failures: 1, lastFailure: 'broken on purpose' });
  });

  it('disposing takes its metrics off, those of others stay, twice is once', async () => {
    const { registry, metrics } = made();
    new client.Gauge({ name: 'own', help: 'h', registers: [registry] }).set(1);
    registry.removeSingleMetric('plimsoll_limit_bytes');
    new client.Gauge({ name: 'plimsoll_limit_bytes', help: 'somebody else’s', registers: [registry] }).set(2);
    metrics[Symbol.dispose]();
    metrics[Symbol.dispose]();
    const left = (await registry.getMetricsAsJSON()).map(({ name }) => name);
    expect(left.sort()).toEqual(['own', 'plimsoll_limit_bytes']);
  });

  it('a second governor on one registry needs a prefix, and leaves nothing of itself where it has none', async () => {
    const { registry, source } = made();
    expect(() => new PrometheusMetrics({ registry, source, maxConsumers: 1 })).toThrow(
      /`registry` to be one without metrics of these names, or `prefix` another, got `plimsoll_limit_bytes`/,
    );
    expect(await registry.getMetricsAsJSON()).toHaveLength(METRICS.length);
    using _ = new PrometheusMetrics({ registry, source, maxConsumers: 1, prefix: 'batch_' });
    expect(samples(await registry.metrics(), 'batch_plimsoll_limit_bytes')).toHaveLength(1);
  });

  it('one of two registries that are merged is told the same', async () => {
    const { registry } = made();
    const merged = client.Registry.merge([registry, new client.Registry()]);
    expect(samples(await merged.metrics())).toContain('plimsoll_meter_usage_bytes{meter="rss"} 60');
  });

  it('workers of a cluster are put together: bytes added, headroom the least', async () => {
    const workers = [made(), made()];
    workers[1]!.source.shows = madeSnapshot({ meters: [madeMeter('rss', 90, 100)] });
    const all = await Promise.all(workers.map(({ registry }) => registry.getMetricsAsJSON()));
    const text = await client.AggregatorRegistry.aggregate(JSON.parse(JSON.stringify(all)) as object[]).metrics();
    expect(samples(text)).toContain(`plimsoll_limit_bytes ${2 * SHOWS.limitBytes}`);
    expect(samples(text)).toContain('plimsoll_headroom_bytes 10');
    expect(samples(text)).toContain('plimsoll_meter_usage_bytes{meter="rss"} 90');
  });

  it('resetting the metrics of a registry resets nothing of the governor’s', async () => {
    const { registry } = made();
    registry.resetMetrics();
    expect(samples(await registry.metrics())).toContain(`plimsoll_limit_bytes ${SHOWS.limitBytes}`);
  });
});

it('an OpenMetrics registry has its counters without a second ending, and can be left', async () => {
  const registry = new current.Registry();
  registry.setContentType(current.openMetricsContentType as never);
  const metrics = new PrometheusMetrics({ registry, source: new PlayedSource(SHOWS), maxConsumers: 5 });
  for (let scrape = 0; scrape < 2; scrape++) {
    const text = await registry.metrics();
    expect(text).toContain('# TYPE plimsoll_trains counter\nplimsoll_trains_total 0\n');
    expect(text).not.toContain('_total_total');
  }
  metrics[Symbol.dispose]();
  expect(registry.getMetricsAsArray()).toEqual([]);
});

it('a metric that is asked for again shows what is now', async () => {
  const source = new PlayedSource(SHOWS);
  const registry = new current.Registry();
  using _ = new PrometheusMetrics({ registry, source, maxConsumers: 5, clock: new ManualClock() });
  await registry.getSingleMetricAsString('plimsoll_refusals_total');
  source.shows = madeSnapshot({ refusals: 8 });
  expect(await registry.getSingleMetricAsString('plimsoll_refusals_total')).toContain('plimsoll_refusals_total 8');
});

it('a caller that waits between one metric and the next is served from one snapshot, for a tenth of a second', async () => {
  const source = new PlayedSource(SHOWS);
  const clock = new ManualClock();
  const registry = new current.Registry();
  using _ = new PrometheusMetrics({ registry, source, maxConsumers: 5, clock });
  for (const { name } of METRICS.slice(0, 10).map((each) => ({ name: prometheusName(each) }))) {
    await registry.getSingleMetricAsString(name);
    clock.advance(25);
  }
  expect(source.snapshots).toBe(2);
});

it('a governor of the library that breaks, or is disposed, is scraped on: what it shows, and what it does not', async () => {
  const whole = createGovernor({ limitBytes: 2 ** 28, runtimeBytes: 0, clock: new ManualClock(), meters: [] });
  const { governor, breakIt } = breakable(whole);
  const registry = new current.Registry();
  using metrics = new PrometheusMetrics({ registry, source: governor, maxConsumers: 5 });
  whole.consumer({ name: 'rows', kind: 'heap', maxBytes: 500 }).reserve(100);
  expect(samples(await registry.metrics())).toContain('plimsoll_consumer_usage_bytes{consumer="rows",kind="heap"} 100');
  whole[Symbol.dispose]();
  expect(samples(await registry.metrics())).toContain('plimsoll_exporter_failures_total 0');
  breakIt();
  expect(samples(await registry.metrics())).toHaveLength(3);
  expect(metrics.stats).toMatchObject({ readings: 3, failures: 1, lastFailure: 'broken on purpose' });
});

it('a registry that gives up half way is left as it was', () => {
  const registry = new current.Registry();
  const register = registry.registerMetric.bind(registry);
  let left = 10;
  registry.registerMetric = (metric) => {
    if (left-- === 0) throw new Error('no more');
    register(metric);
  };
  const source = new PlayedSource(SHOWS);
  expect(() => new PrometheusMetrics({ registry, source, maxConsumers: 1 })).toThrow('no more');
  expect(registry.getMetricsAsArray()).toEqual([]);
});

describe('options', () => {
  const source = new PlayedSource(SHOWS);
  it.each([
    [
      {},
      /`registry` to be a registry of prom-client \(npm install prom-client\), such as its `register`, got `undefined`/,
    ],
    [{ registry: new Map() }, /`registry`/],
    [{ registry: new current.Registry(), source }, /`maxConsumers`/],
    [{ registry: new current.Registry(), source, maxConsumers: 1, prefix: '1' }, /`prefix`/],
    [{ registry: new current.Registry(), source, maxConsumers: 1, prefix: 'a-' }, /`prefix`/],
    [{ registry: new current.Registry(), source, maxConsumers: 1, prefix: 'a'.repeat(61) }, /`prefix`/],
    [{ registry: new current.Registry(), source, maxConsumers: 1, regestry: 1 }, /did you mean `registry`/],
  ])('refuses %o', (options, message) => {
    expect(() => new PrometheusMetrics(options as never)).toThrow(message);
    const { registry } = options as { registry?: PrometheusRegistryShape };
    if (registry instanceof current.Registry) expect(registry.getMetricsAsArray()).toEqual([]);
  });
});
