import { CIRCUIT_STATES } from '../circuit-breaker.ts';
import { labelText, OTHER } from './consumer-series.ts';
import type { Look, MetricPoint, MetricRow } from './metric.ts';
import { oneOf, single } from './metric-points.ts';

/** Points that have series of their own. */
const MOST_POINTS = 50;

/** The first in the order of the snapshot, in which points never go: no total moves from one to another. */
function shed({ snapshot }: Look, of: 'asked' | 'shed'): MetricPoint[] {
  const sums = new Map<string, number>();
  for (const row of snapshot.shed) {
    const name = labelText(row.point);
    const point = sums.has(name) || sums.size < MOST_POINTS ? name : OTHER;
    sums.set(point, (sums.get(point) ?? 0) + row[of]);
  }
  return [...sums].map(([point, value]) => ({ labels: { point }, value }));
}

/** What is done about it, what that costs, and how the governor itself does. */
export const ACTION_METRICS: readonly MetricRow[] = [
  {
    name: 'plimsoll.trains',
    type: 'counter',
    unit: '{train}',
    help: 'Trains of giving back: reclaim, collection, trim.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.trains.count),
  },
  {
    name: 'plimsoll.train.time',
    type: 'counter',
    unit: 's',
    help: 'Time that trains took.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.trains.spentMs / 1000),
  },
  {
    name: 'plimsoll.train.running',
    type: 'gauge',
    unit: '{state}',
    help: '1 while a train runs.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.trains.running ? 1 : 0),
  },
  {
    name: 'plimsoll.train.released',
    type: 'counter',
    unit: 'By',
    help: 'What the ledger went down by in trains.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.trains.releasedBytes),
  },
  {
    name: 'plimsoll.train.observed',
    type: 'counter',
    unit: 'By',
    help: 'What the deciding meters went down by in trains.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.trains.seenBytes),
  },
  {
    name: 'plimsoll.reclaim.calls',
    type: 'counter',
    unit: '{call}',
    help: 'Calls to consumers to give back, in trains and outside.',
    labels: [],
    points: ({ consumers }) => single(consumers.all.calls),
  },
  {
    name: 'plimsoll.reclaim.claimed',
    type: 'counter',
    unit: 'By',
    help: 'What consumers said they gave back.',
    labels: [],
    points: ({ consumers }) => single(consumers.all.claimedBytes),
  },
  {
    name: 'plimsoll.reclaim.released',
    type: 'counter',
    unit: 'By',
    help: 'What the ledger went down by when consumers were asked to give back.',
    labels: [],
    points: ({ consumers }) => single(consumers.all.releasedBytes),
  },
  {
    name: 'plimsoll.collections',
    type: 'counter',
    unit: '{collection}',
    help: 'Collections that the governor asked for; those that V8 makes by itself are not in it.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.collections.count),
  },
  {
    name: 'plimsoll.collection.time',
    type: 'counter',
    unit: 's',
    help: 'Time that the collections took which the governor asked for.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.collections.spentMs / 1000),
  },
  {
    name: 'plimsoll.trims',
    type: 'counter',
    unit: '{trim}',
    help: 'Times that freed memory was given back to the system.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.trims.count),
  },
  {
    name: 'plimsoll.trim.time',
    type: 'counter',
    unit: 's',
    help: 'Time that giving freed memory back to the system took.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.trims.spentMs / 1000),
  },
  {
    name: 'plimsoll.shed.asked',
    type: 'counter',
    unit: '{call}',
    help: 'Calls that came to a point at which calls may be turned away; beyond fifty points the rest as other.',
    labels: ['point'],
    points: (look) => shed(look, 'asked'),
  },
  {
    name: 'plimsoll.shed.refused',
    type: 'counter',
    unit: '{call}',
    help: 'Calls that were turned away there.',
    labels: ['point'],
    points: (look) => shed(look, 'shed'),
  },
  {
    name: 'plimsoll.breaker.state',
    type: 'gauge',
    unit: '{state}',
    help: '1 for the state of the breaker that turns all away, 0 for the others.',
    labels: ['breaker'],
    points: ({ snapshot }) => oneOf('breaker', CIRCUIT_STATES, snapshot.breaker.state),
  },
  {
    name: 'plimsoll.breaker.openings',
    type: 'counter',
    unit: '{opening}',
    help: 'Times that the breaker opened.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.breaker.openings),
  },
  {
    name: 'plimsoll.samples',
    type: 'counter',
    unit: '{sample}',
    help: 'Times that the meters were read.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.samples.count),
  },
  {
    name: 'plimsoll.sample.time',
    type: 'counter',
    unit: 's',
    help: 'Time that reading the meters took.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.samples.spentMs / 1000),
  },
  {
    name: 'plimsoll.faults',
    type: 'counter',
    unit: '{fault}',
    help: 'Faults inside the governor; the service goes on.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.faults.reduce((sum, { count }) => sum + count, 0)),
  },
  {
    name: 'plimsoll.parts.off',
    type: 'sum',
    unit: '{part}',
    help: 'Parts of the governor that are switched off by a fault.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.faults.filter(({ off }) => off).length),
  },
  {
    name: 'plimsoll.acting',
    type: 'gauge',
    unit: '{state}',
    help: '0 once a fault inside the governor has switched action off.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.acting ? 1 : 0),
  },
  {
    name: 'plimsoll.warnings',
    type: 'sum',
    unit: '{warning}',
    help: 'What stands between this process and its limit, such as a heap limit that does not fit it.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.warnings.length),
  },
  {
    name: 'plimsoll.info',
    type: 'gauge',
    unit: '{state}',
    help: '1: how the governor is set, in the labels.',
    labels: ['mode', 'strategy', 'limit_from'],
    points: ({ snapshot: { mode, strategy, limitFrom } }) => [
      { labels: { mode, strategy, limit_from: limitFrom }, value: 1 },
    ],
  },
];
