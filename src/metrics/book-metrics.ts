import { HOLDER_HEALTHS, MEMORY_KINDS } from '../governor/index.ts';
import type { ConsumerGroup } from './consumer-series.ts';
import type { Look, MetricPoint, MetricRow } from './metric.ts';
import { single } from './metric-points.ts';

const BY_CONSUMER = ['consumer', 'kind'] as const;

function consumers(
  { consumers: { groups } }: Look,
  value: (group: ConsumerGroup) => number | undefined,
): MetricPoint[] {
  return groups.flatMap((group) => {
    const figure = value(group);
    const { consumer, kind } = group;
    return figure === undefined ? [] : [{ labels: { consumer, kind }, value: figure }];
  });
}

function holderCounts({ consumers: { groups }, counts }: Look): MetricPoint[] {
  return groups.flatMap(({ consumer, kind, holder }) =>
    counts.flatMap((count) => {
      const value = holder?.counts[count];
      if (holder === undefined || value === undefined || !Number.isFinite(value)) return [];
      return [{ labels: { consumer, kind, holder: holder.type, count }, value }];
    }),
  );
}

/** What is reserved, by whom, and who waits. */
export const BOOK_METRICS: readonly MetricRow[] = [
  {
    name: 'plimsoll.ledger.usage',
    type: 'sum',
    unit: 'By',
    help: 'What is reserved, the runtime included.',
    labels: ['kind'],
    points: ({ snapshot }) => MEMORY_KINDS.map((kind) => ({ labels: { kind }, value: snapshot.byKind[kind] })),
  },
  {
    name: 'plimsoll.ledger.peak',
    type: 'gauge',
    unit: 'By',
    help: 'The most that was ever reserved.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.peakReservedBytes),
  },
  {
    name: 'plimsoll.ledger.available',
    type: 'sum',
    unit: 'By',
    help: 'What can still be reserved.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.availableBytes),
  },
  {
    name: 'plimsoll.consumers',
    type: 'sum',
    unit: '{consumer}',
    help: 'Consumers there are.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.consumers.length),
  },
  {
    name: 'plimsoll.consumer.usage',
    type: 'sum',
    unit: 'By',
    help: 'What a consumer has reserved, without its children; the smaller ones together as other.',
    labels: BY_CONSUMER,
    points: (look) => consumers(look, ({ ownBytes }) => ownBytes),
  },
  {
    name: 'plimsoll.consumer.limit',
    type: 'sum',
    unit: 'By',
    help: 'What a consumer may reserve, its children included; absent for those that may go up to the line.',
    labels: BY_CONSUMER,
    points: (look) => consumers(look, ({ maxBytes }) => maxBytes),
  },
  {
    name: 'plimsoll.consumer.reclaimable',
    type: 'sum',
    unit: 'By',
    help: 'What a consumer says that it could give back.',
    labels: BY_CONSUMER,
    points: (look) => consumers(look, ({ reclaimableBytes }) => reclaimableBytes),
  },
  {
    name: 'plimsoll.consumer.refusals',
    type: 'counter',
    unit: '{refusal}',
    help: 'Reservations of a consumer that were refused.',
    labels: BY_CONSUMER,
    points: (look) => consumers(look, ({ refusals }) => refusals),
  },
  {
    name: 'plimsoll.consumer.reclaimed',
    type: 'counter',
    unit: 'By',
    help: 'What the ledger went down by when a consumer was asked to give back.',
    labels: BY_CONSUMER,
    points: (look) => consumers(look, ({ releasedBytes }) => releasedBytes),
  },
  {
    name: 'plimsoll.consumer.reclaim.faults',
    type: 'counter',
    unit: '{fault}',
    help: 'Times that a consumer threw or hung when it was asked to give back.',
    labels: BY_CONSUMER,
    points: (look) => consumers(look, ({ faults }) => faults),
  },
  {
    name: 'plimsoll.holders',
    type: 'sum',
    unit: '{holder}',
    help: 'Caches, pools, plugin hosts and what else says of itself how it does, by how it does.',
    labels: ['health'],
    points: ({ snapshot }) =>
      HOLDER_HEALTHS.map((health) => ({
        labels: { health },
        value: snapshot.consumers.filter(({ holder }) => holder?.health === health).length,
      })),
  },
  {
    name: 'plimsoll.holder.value',
    type: 'gauge',
    unit: '{item}',
    help: 'What the holder behind a consumer counts, for the counts that were asked for.',
    labels: ['consumer', 'kind', 'holder', 'count'],
    points: holderCounts,
  },
  {
    name: 'plimsoll.scopes',
    type: 'sum',
    unit: '{scope}',
    help: 'Scopes that are open.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.scopeCount),
  },
  {
    name: 'plimsoll.scope.aborts',
    type: 'counter',
    unit: '{scope}',
    help: 'Scopes that were aborted so that the rest may live.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.scopeAborts),
  },
  {
    name: 'plimsoll.waiters',
    type: 'sum',
    unit: '{waiter}',
    help: 'Who waits for room.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.waiting),
  },
  {
    name: 'plimsoll.refusals',
    type: 'counter',
    unit: '{refusal}',
    help: 'Reservations that were refused, or in observe would have been.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.refusals),
  },
];
