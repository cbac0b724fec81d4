/**
 * Inside: a registry of prom-client takes anything with a name and `get()`, which is all that a metric is to it. Ours give what a reading has and keep nothing: gauges of
 * prom-client would have to be emptied before each scrape, and its counters can only be added to. So prom-client is not loaded here, whichever version the registry is of.
 *
 * A registry asks all its metrics in one go. The first that is asked takes a reading, and the others are given theirs of it, each once: one snapshot for a scrape.
 */
import { type Clock, systemClock } from '../clock.ts';
import { copyOptions, invalidOption } from '../invalid-option.ts';
import {
  METRICS,
  type MetricDefinition,
  type MetricPoint,
  type MetricReading,
  SnapshotMetrics,
  type SnapshotMetricsOptions,
  type SnapshotMetricsStats,
} from '../metrics/index.ts';
import { prometheusName } from './prometheus-name.ts';

/** What a registry of prom-client is given: as one of its own metrics, from version 14 on. */
interface PrometheusMetric {
  /** A registry of OpenMetrics takes `_total` away from it. */
  name: string;
  readonly help: string;
  readonly type: unknown;
  /** How a cluster puts the figures of its workers together. */
  readonly aggregator: unknown;
  get(): Promise<{ readonly name: string; readonly help: string; readonly values: readonly unknown[] }>;
  reset(): void;
}

/** What is used of a registry of prom-client, 14 and newer. */
export interface PrometheusRegistryShape {
  registerMetric(metric: never): void;
  getSingleMetric(name: string): unknown;
  removeSingleMetric(name: string): void;
}

export interface PrometheusMetricsOptions extends SnapshotMetricsOptions {
  /** Of your own `prom-client`: its `register`, or a `new Registry()`. */
  readonly registry: PrometheusRegistryShape;
  /** Stands before every name: letters, digits and underscores, at most 60. For a second governor on one registry. Default none. */
  readonly prefix?: string;
}

export const PROMETHEUS_METRICS_DEFAULTS = { prefix: '' } as const;

const OWN_OPTIONS = ['registry', 'prefix'] as const;
const TAKEN_OPTIONS = ['source', 'maxConsumers', 'counts', 'clock'] as const;
const PREFIX = /^(?:[a-zA-Z_][a-zA-Z0-9_]{0,59})?$/;
/** How long one reading may be handed out, to a caller that waits between one metric and the next. */
const FRESH_MS = 100;

function checkRegistry(registry: PrometheusRegistryShape): PrometheusRegistryShape {
  const verbs = ['registerMetric', 'getSingleMetric', 'removeSingleMetric'] as const;
  let isOne = typeof registry === 'object' && registry !== null;
  for (const verb of verbs) isOne &&= typeof registry[verb] === 'function';
  if (isOne) return registry;
  throw invalidOption(
    'registry',
    'a registry of prom-client (npm install prom-client), such as its `register`',
    registry,
  );
}

function checkPrefix(prefix: string): string {
  if (typeof prefix === 'string' && PREFIX.test(prefix)) return prefix;
  throw invalidOption('prefix', 'letters, digits and underscores, at most 60, no digit first', prefix);
}

/**
 * A governor's metrics on your registry of `prom-client`, under names such as `plimsoll_headroom_bytes`: docs/exporters.md has all of them. Each scrape takes one snapshot. A
 * governor that throws leaves its metrics without values, is counted in `plimsoll_exporter_failures_total`, and harms no other metric of the registry. Whoever made it
 * disposes it, which takes its metrics off the registry. `RangeError` (`PLIMSOLL_INVALID_OPTION`) for what is no registry and for one that has metrics of these names.
 * @example
 * import { createGovernor } from 'plimsoll';
 * import { PrometheusMetrics } from 'plimsoll/prometheus';
 * import { register } from 'prom-client';
 * const metrics = new PrometheusMetrics({ registry: register, source: createGovernor(), maxConsumers: 20 });
 */
export class PrometheusMetrics implements Disposable {
  readonly #registry: PrometheusRegistryShape;
  readonly #metrics: SnapshotMetrics;
  readonly #clock: Clock;
  readonly #registered = new Map<string, PrometheusMetric>();
  #reading: MetricReading | undefined;
  #readAt = 0;
  /** Who has been given what this reading says of it. */
  readonly #served = new Set<PrometheusMetric>();

  constructor(given: PrometheusMetricsOptions) {
    const options = copyOptions('PrometheusMetrics', given, [...OWN_OPTIONS, ...TAKEN_OPTIONS]);
    const { registry, prefix = PROMETHEUS_METRICS_DEFAULTS.prefix, clock = systemClock, ...rest } = options;
    this.#registry = checkRegistry(registry);
    this.#metrics = new SnapshotMetrics({ ...rest, clock });
    this.#clock = clock;
    this.#register(checkPrefix(prefix));
  }

  /** What reading took, and what of it failed. */
  get stats(): SnapshotMetricsStats {
    return this.#metrics.stats;
  }

  /** Takes its metrics off the registry, those that somebody else has put in their place excepted. Twice is once. */
  [Symbol.dispose](): void {
    for (const [name, metric] of this.#registered) {
      if (this.#registry.getSingleMetric(name) === metric) this.#registry.removeSingleMetric(name);
    }
    this.#registered.clear();
    this.#forget();
  }

  #register(prefix: string): void {
    const metrics = METRICS.map((definition) => this.#metricOf(definition, prefix + prometheusName(definition)));
    const taken = metrics.find(({ name }) => this.#registry.getSingleMetric(name) !== undefined);
    if (taken !== undefined) {
      throw invalidOption('registry', 'one without metrics of these names, or `prefix` another', taken.name);
    }
    try {
      for (const metric of metrics) {
        this.#registered.set(metric.name, metric);
        this.#registry.registerMetric(metric as never);
      }
    } catch (cause) {
      this[Symbol.dispose]();
      throw cause;
    }
  }

  #metricOf(definition: MetricDefinition, name: string): PrometheusMetric {
    const type = definition.type === 'counter' ? 'counter' : 'gauge';
    const aggregator = aggregatorOf(definition);
    const metric: PrometheusMetric = {
      ...{ name, help: definition.help, type, aggregator },
      get: async () => ({
        ...{ name: metric.name, help: definition.help, type, aggregator },
        values: this.#pointsOf(metric, definition.name).map(({ labels, value }) => ({ labels, value })),
      }),
      reset: () => {},
    };
    return metric;
  }

  #pointsOf(metric: PrometheusMetric, name: string): readonly MetricPoint[] {
    const now = this.#clock.now();
    if (this.#reading === undefined || this.#served.has(metric) || now - this.#readAt > FRESH_MS) {
      this.#forget();
      this.#reading = this.#metrics.read();
      this.#readAt = now;
    }
    const points = this.#reading.get(name) ?? [];
    this.#served.add(metric);
    if (this.#served.size === METRICS.length) this.#forget();
    return points;
  }

  #forget(): void {
    this.#reading = undefined;
    this.#served.clear();
  }
}

/** In a cluster: totals and what adds up are added; of the rest what is worst is told. */
function aggregatorOf({ name, type }: MetricDefinition): string {
  if (type !== 'gauge') return 'sum';
  return name === 'plimsoll.headroom' || name === 'plimsoll.acting' ? 'min' : 'max';
}
