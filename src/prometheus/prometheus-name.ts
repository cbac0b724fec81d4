import type { MetricDefinition } from '../metrics/index.ts';

const UNITS: Readonly<Record<string, string>> = { By: 'bytes', s: 'seconds', '1': 'ratio' };

/**
 * What a metric is called in Prometheus: `plimsoll_meter_usage_bytes`. By the rules of OpenTelemetry for that (Prometheus and OpenMetrics Compatibility): dots become
 * underscores, the unit stands at the end unless it does already, and a counter ends in `_total`. So a metric that comes by way of a collector has the same name.
 */
export function prometheusName({ name, unit, type }: Pick<MetricDefinition, 'name' | 'unit' | 'type'>): string {
  const stem = name.replaceAll('.', '_');
  const suffix = UNITS[unit];
  const whole = suffix === undefined || stem.endsWith(`_${suffix}`) ? stem : `${stem}_${suffix}`;
  return type === 'counter' ? `${whole}_total` : whole;
}
