import { type Clock, systemClock } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import { FailOpen } from '../fail-open.ts';
import type { Snapshot } from '../governor/index.ts';
import { checkName, checkWhole, copyOptions, invalidOption } from '../invalid-option.ts';
import { shortText } from '../short-text.ts';
import { ACTION_METRICS } from './action-metrics.ts';
import { BOOK_METRICS } from './book-metrics.ts';
import { ConsumerSeries } from './consumer-series.ts';
import { MACHINE_METRICS } from './machine-metrics.ts';
import type { Look, MetricDefinition, MetricPoint, MetricRow } from './metric.ts';
import { single } from './metric-points.ts';

/** Whoever gives the one picture of memory: a `Governor` does. */
export interface MetricsSource {
  snapshot(): Snapshot;
}

export interface SnapshotMetricsOptions {
  readonly source: MetricsSource;
  /**
   * How many consumers have series of their own, 0 to 10,000: the largest. The rest are shown together as `other`, one for each kind of memory. Required: names are
   * yours, and each costs whoever stores it.
   */
  readonly maxConsumers: number;
  /** Which counts of holders are shown (`plimsoll.holder.value`), such as `hits` and `misses` of a cache: at most 40 names. Default none. */
  readonly counts?: readonly string[];
  readonly clock?: Clock;
}

export const SNAPSHOT_METRICS_DEFAULTS = { counts: [] as readonly string[] } as const;

export interface SnapshotMetricsStats {
  readonly readings: number;
  /** Readings in which the snapshot, or something in it, could not be read. */
  readonly failures: number;
  readonly lastFailure?: string;
  readonly spentMs: number;
}

/** The points of every metric, by its name. A metric of which nothing is known now has none. */
export type MetricReading = ReadonlyMap<string, readonly MetricPoint[]>;

const FROM_SNAPSHOT = [...MACHINE_METRICS, ...BOOK_METRICS, ...ACTION_METRICS];

type Own = MetricDefinition & { of(stats: SnapshotMetricsStats): number };

const OWN: readonly Own[] = [
  {
    name: 'plimsoll.exporter.readings',
    type: 'counter',
    unit: '{reading}',
    help: 'Times that these metrics were read.',
    labels: [],
    of: ({ readings }) => readings,
  },
  {
    name: 'plimsoll.exporter.failures',
    type: 'counter',
    unit: '{reading}',
    help: 'Times that some or all of them could not be read.',
    labels: [],
    of: ({ failures }) => failures,
  },
  {
    name: 'plimsoll.exporter.time',
    type: 'counter',
    unit: 's',
    help: 'Time that reading them took, the last time not included.',
    labels: [],
    of: ({ spentMs }) => spentMs / 1000,
  },
];

/** Every metric there is, in the order in which they are shown. */
export const METRICS: readonly MetricDefinition[] = [...FROM_SNAPSHOT, ...OWN].map(
  ({ name, type, unit, help, labels }) => ({ name, type, unit, help, labels }),
);

const OPTIONS = ['source', 'maxConsumers', 'counts', 'clock'] as const;
const MOST_CONSUMERS = 10_000;
const MOST_COUNTS = 40;

/**
 * A governor's snapshot as metrics: named figures with unit and labels, which exporters put into the words of their world. `plimsoll/prometheus` and `plimsoll/otel` stand
 * on it, and so can one of your own. Reading never throws: what cannot be read has no points and is counted. A reading takes one snapshot, and 0.7 ms of the processor in all
 * with ten consumers, 6 ms with a thousand (`npm run bench -- exporters`); what is kept between readings is five numbers and a key for each living consumer.
 * @example
 * import { createGovernor } from 'plimsoll';
 * import { SnapshotMetrics } from 'plimsoll/metrics';
 * const metrics = new SnapshotMetrics({ source: createGovernor(), maxConsumers: 20 });
 * for (const [name, points] of metrics.read()) for (const { labels, value } of points) console.log(name, labels, value);
 */
export class SnapshotMetrics {
  readonly #source: MetricsSource;
  readonly #counts: readonly string[];
  readonly #clock: Clock;
  readonly #consumers: ConsumerSeries;
  readonly #failOpen = new FailOpen('metrics');
  #readings = 0;
  #failures = 0;
  #spentMs = 0;
  #lastFailure: string | undefined;

  constructor(given: SnapshotMetricsOptions) {
    const options = copyOptions('SnapshotMetrics', given, OPTIONS);
    const { source, counts = SNAPSHOT_METRICS_DEFAULTS.counts, clock = systemClock } = options;
    if (typeof source?.snapshot !== 'function') {
      throw invalidOption('source', 'something with `snapshot()`, such as a governor', source);
    }
    if (!Array.isArray(counts) || counts.length > MOST_COUNTS) {
      throw invalidOption('counts', `a list of at most ${MOST_COUNTS} names`, counts);
    }
    if (typeof clock?.now !== 'function') throw invalidOption('clock', 'a clock', clock);
    this.#source = source;
    this.#counts = [...new Set(counts.map((name) => checkName(name, 'counts')))];
    this.#clock = clock;
    this.#consumers = new ConsumerSeries(checkWhole('maxConsumers', options.maxConsumers, 0, MOST_CONSUMERS));
  }

  read(): MetricReading {
    const startedAt = this.#clock.now();
    const reading = new Map<string, readonly MetricPoint[]>();
    const causes: unknown[] = [];
    const look = this.#look(causes);
    for (const row of FROM_SNAPSHOT) reading.set(row.name, look === undefined ? [] : pointsOf(row, look, causes));
    this.#readings++;
    if (causes.length > 0) this.#fail(causes[0]);
    for (const own of OWN) reading.set(own.name, single(own.of(this.stats)));
    this.#spentMs += this.#clock.now() - startedAt;
    return reading;
  }

  get stats(): SnapshotMetricsStats {
    return {
      ...{ readings: this.#readings, failures: this.#failures, spentMs: this.#spentMs },
      ...(this.#lastFailure === undefined ? {} : { lastFailure: this.#lastFailure }),
    };
  }

  #look(causes: unknown[]): Look | undefined {
    try {
      const snapshot = this.#source.snapshot();
      this.#failOpen.watch(snapshot);
      this.#consumers.update(snapshot.consumers);
      return { snapshot, consumers: this.#consumers, counts: this.#counts };
    } catch (cause) {
      causes.push(cause);
      return undefined;
    }
  }

  #fail(cause: unknown): void {
    this.#failures++;
    this.#lastFailure = shortText(describeCause(cause));
    this.#failOpen.note(cause);
  }
}

function pointsOf(row: MetricRow, look: Look, causes: unknown[]): MetricPoint[] {
  try {
    return row.points(look).filter(({ value }) => Number.isFinite(value));
  } catch (cause) {
    causes.push(cause);
    return [];
  }
}
