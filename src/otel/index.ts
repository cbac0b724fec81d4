/**
 * A governor's metrics as observable instruments on the meter of your own `@opentelemetry/api`: one snapshot for each collection, bounded attributes.
 * @module
 */
export { OTEL_ATTRIBUTES } from './otel-attributes.ts';
export {
  type OtelBatchResult,
  type OtelInstrumentShape,
  type OtelMeterShape,
  OtelMetrics,
  type OtelMetricsOptions,
} from './otel-metrics.ts';
