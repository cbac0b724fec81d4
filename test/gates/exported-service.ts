/**
 * A service as a user would write it, with its memory on `/metrics` and on OTLP, run by the gate `exporters` from what is built. It holds memory under awkward names, refuses,
 * gives back and turns calls away. `/break` breaks its governor's snapshots.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { metrics as api } from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { type Consumer, createGovernor, type Reservation } from 'plimsoll';
import { OtelMetrics } from 'plimsoll/otel';
import { PrometheusMetrics } from 'plimsoll/prometheus';
import { Counter, collectDefaultMetrics, Registry } from 'prom-client';

const MIB = 2 ** 20;
const NAMES = [
  'say "hi"',
  'back\\slash',
  'two\nlines',
  'emoji 🚢',
  'half \ud800',
  'other',
  'twin',
  'twin',
  '{a="b"} 1',
  'ñ',
];

const governor = createGovernor({ limitBytes: 512 * MIB, mode: 'on' });
let isBroken = false;
const source = {
  snapshot() {
    if (isBroken) throw new Error('broken on purpose');
    return governor.snapshot();
  },
};

const held: (Consumer | Reservation)[] = [];
for (const [index, name] of [...NAMES, ...Array.from({ length: 50 }, (_, n) => `tenant ${n}`)].entries()) {
  const consumer = governor.consumer({ name, kind: index % 2 === 0 ? 'heap' : 'external', maxBytes: MIB });
  held.push(consumer, consumer.reserve(1_024 * (100 - index)));
  consumer.tryReserve(2 * MIB);
}
const report = (type: string, counts: Readonly<Record<string, number>>) => () => ({
  type,
  health: 'ok' as const,
  counts,
});
let hits = 0;
const cache = governor.consumer({
  name: 'cache',
  kind: 'heap',
  maxBytes: 16 * MIB,
  report: () => report('cache', { hits: ++hits, misses: 1 })(),
  reclaimer: {
    reclaimableBytes: () => 4 * MIB,
    reclaimNow: () => {
      kept.shrink(MIB);
      return 2 * MIB;
    },
  },
});
const kept = cache.reserve(8 * MIB);
const plugins = report('plugin host', { running: 1, failures: 0, off: 0 });
const host = governor.consumer({ name: 'plugins', kind: 'wasm', maxBytes: 8 * MIB, report: plugins });
held.push(host, host.reserve(2 * MIB));
for (let call = 0; call < 10; call++) governor.shouldShed('http.accept');
await governor.reclaim({ targetBytes: MIB });

const registry = new Registry();
collectDefaultMetrics({ register: registry });
const requests = new Counter({ name: 'requests_total', help: 'Requests.', registers: [registry] });
const options = { source, maxConsumers: 20, counts: ['hits', 'misses', 'running', 'failures', 'off'] };
using _prometheus = new PrometheusMetrics({ registry, ...options });

const exporter = new OTLPMetricExporter({ url: process.env.OTLP_URL! });
const provider = new MeterProvider({
  readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 500, exportTimeoutMillis: 400 })],
});
api.setGlobalMeterProvider(provider);
using _otel = new OtelMetrics({ meter: api.getMeter('plimsoll'), ...options });

const server = createServer(async (request, response) => {
  requests.inc();
  if (request.url === '/break') isBroken = true;
  response.setHeader('content-type', registry.contentType);
  response.end(await registry.metrics());
});
server.listen(0, '127.0.0.1', () => console.log(`listening on ${(server.address() as AddressInfo).port}`));
await new Promise((resolve) => process.once('SIGTERM', resolve));
server.close();
server.closeAllConnections();
await provider.shutdown();
