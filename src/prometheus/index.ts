/**
 * A governor's metrics on the registry of your own `prom-client`: one snapshot for each scrape, bounded labels, names as Prometheus has them.
 * @module
 */
export {
  PROMETHEUS_METRICS_DEFAULTS,
  PrometheusMetrics,
  type PrometheusMetricsOptions,
  type PrometheusRegistryShape,
} from './prometheus-metrics.ts';
export { prometheusName } from './prometheus-name.ts';
