import { copyOptions, invalidOption } from '../invalid-option.ts';
import {
  METRICS,
  type MetricDefinition,
  type MetricPoint,
  SnapshotMetrics,
  type SnapshotMetricsOptions,
  type SnapshotMetricsStats,
} from '../metrics/index.ts';
import { otelAttributes } from './otel-attributes.ts';

/** What an instrument of `@opentelemetry/api` is made with. */
export interface OtelInstrumentShape {
  readonly description: string;
  readonly unit: string;
  /** `ValueType`: 0 for whole numbers, 1 for others. */
  readonly valueType: 0 | 1;
}

/** What a batch callback is handed. */
export interface OtelBatchResult {
  observe(instrument: never, value: number, attributes?: Record<string, string>): void;
}

type BatchCallback = (result: OtelBatchResult) => void;

/** What is used of a meter of `@opentelemetry/api`, 1.3 and newer. */
export interface OtelMeterShape {
  createObservableCounter(name: string, options: OtelInstrumentShape): unknown;
  createObservableUpDownCounter(name: string, options: OtelInstrumentShape): unknown;
  createObservableGauge(name: string, options: OtelInstrumentShape): unknown;
  addBatchObservableCallback(callback: BatchCallback, instruments: never[]): void;
  removeBatchObservableCallback(callback: BatchCallback, instruments: never[]): void;
}

export interface OtelMetricsOptions extends SnapshotMetricsOptions {
  /** Of your own `@opentelemetry/api`: `metrics.getMeter('plimsoll')`. */
  readonly meter: OtelMeterShape;
}

const OPTIONS = ['meter', 'source', 'maxConsumers', 'counts', 'clock'] as const;

const VERBS = {
  counter: 'createObservableCounter',
  sum: 'createObservableUpDownCounter',
  gauge: 'createObservableGauge',
} as const;

function checkMeter(meter: OtelMeterShape): OtelMeterShape {
  const verbs = [...Object.values(VERBS), 'addBatchObservableCallback', 'removeBatchObservableCallback'] as const;
  let isOne = typeof meter === 'object' && meter !== null;
  for (const verb of verbs) isOne &&= typeof meter[verb] === 'function';
  if (isOne) return meter;
  const expected = "a meter of @opentelemetry/api 1.3 or newer, such as `metrics.getMeter('plimsoll')`";
  throw invalidOption('meter', expected, meter);
}

/** One instrument, and what it was last told of. */
class Instrument {
  readonly definition: MetricDefinition;
  readonly handle: never;
  readonly #isWhole: boolean;
  #told = new Map<string, Record<string, string>>();

  constructor(meter: OtelMeterShape, definition: MetricDefinition) {
    const { name, type, unit, help } = definition;
    this.#isWhole = unit !== 's' && unit !== '1' && name !== 'plimsoll.holder.value';
    const valueType = this.#isWhole ? 0 : 1;
    this.definition = definition;
    this.handle = meter[VERBS[type]](name, { description: help, unit, valueType }) as never;
  }

  tell(result: OtelBatchResult, points: readonly MetricPoint[]): void {
    const told = new Map<string, Record<string, string>>();
    for (const { labels, value } of points) {
      const attributes = otelAttributes(labels);
      if (this.#canGo) told.set(Object.values(labels).join('\n'), attributes);
      result.observe(this.handle, this.#isWhole ? Math.round(value) : value, attributes);
    }
    for (const [key, attributes] of this.#told) if (!told.has(key)) result.observe(this.handle, 0, attributes);
    this.#told = told;
  }

  /** A reader of cumulative figures shows for ever what it was once told of a consumer: one that is gone is told as 0, once. Its totals may stay. */
  get #canGo(): boolean {
    return this.definition.type !== 'counter' && this.definition.labels.includes('consumer');
  }
}

/**
 * A governor's metrics as observable instruments on your meter of `@opentelemetry/api`, under names such as `plimsoll.headroom`: docs/exporters.md has all of them. One callback
 * for all, which takes one snapshot for each collection of each reader. A governor that throws leaves its metrics without values and is counted in
 * `plimsoll.exporter.failures`. Whoever made it disposes it, which takes the callback away; instruments stay, as the API has it. `RangeError`
 * (`PLIMSOLL_INVALID_OPTION`) for what is no meter.
 * @example
 * import { metrics } from '@opentelemetry/api';
 * import { createGovernor } from 'plimsoll';
 * import { OtelMetrics } from 'plimsoll/otel';
 * const exported = new OtelMetrics({ meter: metrics.getMeter('plimsoll'), source: createGovernor(), maxConsumers: 20 });
 */
export class OtelMetrics implements Disposable {
  readonly #meter: OtelMeterShape;
  readonly #metrics: SnapshotMetrics;
  readonly #instruments: readonly Instrument[];
  readonly #handles: never[];
  #disposed = false;

  constructor(given: OtelMetricsOptions) {
    const { meter, ...rest } = copyOptions('OtelMetrics', given, OPTIONS);
    this.#meter = checkMeter(meter);
    this.#metrics = new SnapshotMetrics(rest);
    this.#instruments = METRICS.map((definition) => new Instrument(meter, definition));
    this.#handles = this.#instruments.map(({ handle }) => handle);
    meter.addBatchObservableCallback(this.#observe, this.#handles);
  }

  /** What reading took, and what of it failed. */
  get stats(): SnapshotMetricsStats {
    return this.#metrics.stats;
  }

  /** Takes the callback away. Twice is once. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#meter.removeBatchObservableCallback(this.#observe, this.#handles);
  }

  readonly #observe: BatchCallback = (result) => {
    if (this.#disposed) return;
    const { failures } = this.#metrics.stats;
    const reading = this.#metrics.read();
    const failed = this.#metrics.stats.failures > failures;
    for (const instrument of this.#instruments) {
      const points = reading.get(instrument.definition.name) ?? [];
      // What cannot be read now has not gone.
      if (points.length > 0 || !failed) instrument.tell(result, points);
    }
  };
}
