import type { MetricLabel, MetricPoint } from '../metrics/index.ts';

/** What the labels are called: with a namespace, as OpenTelemetry's conventions want attributes that are nobody else's. */
export const OTEL_ATTRIBUTES: Readonly<Record<MetricLabel, string>> = {
  breaker: 'plimsoll.breaker.state',
  consumer: 'plimsoll.consumer.name',
  count: 'plimsoll.holder.count',
  domain: 'plimsoll.psi.domain',
  health: 'plimsoll.holder.health',
  holder: 'plimsoll.holder.type',
  kind: 'plimsoll.memory.kind',
  level: 'plimsoll.pressure.level',
  limit_from: 'plimsoll.limit.source',
  meter: 'plimsoll.meter.name',
  mode: 'plimsoll.mode',
  of: 'plimsoll.drift.kind',
  point: 'plimsoll.shed.point',
  stall: 'plimsoll.psi.stall',
  strategy: 'plimsoll.strategy',
};

export function otelAttributes(labels: MetricPoint['labels']): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const [label, value] of Object.entries(labels)) attributes[OTEL_ATTRIBUTES[label as MetricLabel]] = value;
  return attributes;
}
