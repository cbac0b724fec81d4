import { METER_NAMES, type MeterRow, PRESSURE_LEVELS } from '../governor/index.ts';
import type { Look, MetricPoint, MetricRow } from './metric.ts';
import { oneOf, single } from './metric-points.ts';

/** Those that can be read now. */
function meters({ snapshot }: Look, value: (meter: MeterRow) => number): MetricPoint[] {
  return snapshot.meters.flatMap((meter) => {
    const bytes = value(meter);
    return meter.off || !Number.isFinite(bytes) ? [] : [{ labels: { meter: meter.name }, value: bytes }];
  });
}

/** Of the meter that has least left; undefined while none can be read. */
function headroomBytes({ snapshot }: Look): number | undefined {
  const left = meters({ snapshot } as Look, ({ bytes, limitBytes }) => limitBytes - bytes);
  return left.length === 0 ? undefined : Math.max(0, Math.min(...left.map(({ value }) => value)));
}

function stalls({ snapshot: { psi } }: Look, values: (psi: NonNullable<Look['snapshot']['psi']>) => [number, number]) {
  if (psi === undefined) return [];
  const domain = psi.ofGroup ? 'group' : 'machine';
  const [some, full] = values(psi);
  return [
    { labels: { domain, stall: 'some' }, value: some },
    { labels: { domain, stall: 'full' }, value: full },
  ];
}

/** The line, how far it is, and what the machine says. */
export const MACHINE_METRICS: readonly MetricRow[] = [
  {
    name: 'plimsoll.limit',
    type: 'sum',
    unit: 'By',
    help: 'The true limit of this process: the smallest of configured, control groups and machine, times its share.',
    labels: [],
    points: ({ snapshot }) => single(snapshot.limitBytes),
  },
  {
    name: 'plimsoll.headroom',
    type: 'gauge',
    unit: 'By',
    help: 'What is left before the first meter reaches its limit.',
    labels: [],
    points: (look) => single(headroomBytes(look)),
  },
  {
    name: 'plimsoll.meter.usage',
    type: 'gauge',
    unit: 'By',
    help: 'What a meter reads.',
    labels: ['meter'],
    points: (look) => meters(look, ({ bytes }) => bytes),
  },
  {
    name: 'plimsoll.meter.limit',
    type: 'gauge',
    unit: 'By',
    help: 'What a meter may reach.',
    labels: ['meter'],
    points: (look) => meters(look, ({ limitBytes }) => limitBytes),
  },
  {
    name: 'plimsoll.meter.peak',
    type: 'gauge',
    unit: 'By',
    help: 'The most that a meter has read.',
    labels: ['meter'],
    points: (look) => meters(look, ({ peakBytes }) => peakBytes),
  },
  {
    name: 'plimsoll.meter.utilization',
    type: 'gauge',
    unit: '1',
    help: 'What a meter reads as a part of its limit, as pressure is judged by.',
    labels: ['meter'],
    points: (look) => meters(look, ({ ratio }) => ratio),
  },
  {
    name: 'plimsoll.meter.readable',
    type: 'gauge',
    unit: '{state}',
    help: '1 for a meter that can be read, 0 for one that failed and is tried again later.',
    labels: ['meter'],
    points: ({ snapshot }) => snapshot.meters.map(({ name, off }) => ({ labels: { meter: name }, value: off ? 0 : 1 })),
  },
  {
    name: 'plimsoll.meter.deciding',
    type: 'gauge',
    unit: '{state}',
    help: '1 for the meter that decides the pressure level, 0 for the others.',
    labels: ['meter'],
    points: ({ snapshot }) => oneOf('meter', METER_NAMES, snapshot.decidingMeter),
  },
  {
    name: 'plimsoll.pressure.level',
    type: 'gauge',
    unit: '{state}',
    help: '1 for the pressure level that holds, 0 for the others.',
    labels: ['level'],
    points: ({ snapshot }) => oneOf('level', PRESSURE_LEVELS, snapshot.level),
  },
  {
    name: 'plimsoll.psi.ratio',
    type: 'gauge',
    unit: '1',
    help: 'Part of the last ten seconds in which some, or all, tasks waited for memory, as the kernel says.',
    labels: ['domain', 'stall'],
    points: (look) => stalls(look, (psi) => [psi.someAvg10 / 100, psi.fullAvg10 / 100]),
  },
  {
    name: 'plimsoll.psi.time',
    type: 'counter',
    unit: 's',
    help: 'Time in which some, or all, tasks waited for memory, since the group or the machine came up.',
    labels: ['domain', 'stall'],
    points: (look) => stalls(look, (psi) => [psi.someTotalMs / 1000, psi.fullTotalMs / 1000]),
  },
  {
    name: 'plimsoll.drift',
    type: 'gauge',
    unit: 'By',
    help: 'Reserved minus observed, by kind and as a whole: below 0 for what is held and was not reserved.',
    labels: ['of'],
    points: ({ snapshot }) => snapshot.drift.map((row) => ({ labels: { of: row.of }, value: row.driftBytes })),
  },
];
