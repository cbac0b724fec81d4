// One scrape or collection, many times over: time for each, and what it leaves for the collector.
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { createGovernor } from 'plimsoll';
import { SnapshotMetrics } from 'plimsoll/metrics';
import { OtelMetrics } from 'plimsoll/otel';
import { PrometheusMetrics } from 'plimsoll/prometheus';
import { collectDefaultMetrics, Registry } from 'prom-client';

const [name, consumers, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
/** So few that they fit into the young generation that the process is started with: nothing is collected while bytes are counted. */
const MEASURED = name === 'a scrape, all by name' ? 1 : 4;

const source = createGovernor({ limitBytes: 4e9 });
for (let i = 0; i < consumers; i++)
  source.consumer({ name: `holder ${i}`, kind: 'heap', maxBytes: 1e6 }).reserve(1024 + i);

function scraped(maxConsumers) {
  const registry = new Registry();
  new PrometheusMetrics({ registry, source, maxConsumers });
  return () => registry.metrics();
}

const OPERATIONS = {
  'a snapshot': () => () => source.snapshot(),
  'reading it as metrics': () => {
    const metrics = new SnapshotMetrics({ source, maxConsumers: 20 });
    return () => metrics.read();
  },
  'a scrape, 20 by name': () => scraped(20),
  'a scrape, all by name': () => scraped(1_000),
  'a collection, 20 by name': () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
    const meter = new MeterProvider({ readers: [reader] }).getMeter('plimsoll');
    new OtelMetrics({ meter, source, maxConsumers: 20 });
    return () => reader.collect();
  },
  'a scrape of prom-client’s own metrics of Node, for comparison': () => {
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    return () => registry.metrics();
  },
};

const act = OPERATIONS[name]();
for (let i = 0; i < Math.max(MEASURED, count / 4); i++) await act();
globalThis.gc();
const before = process.memoryUsage().heapUsed;
for (let i = 0; i < MEASURED; i++) await act();
const allocatedBytes = (process.memoryUsage().heapUsed - before) / MEASURED;
const startedAt = process.cpuUsage();
for (let i = 0; i < count; i++) await act();
const { user, system } = process.cpuUsage(startedAt);
console.log(JSON.stringify({ usEach: (user + system) / count, allocatedBytes }));
process.exit();
