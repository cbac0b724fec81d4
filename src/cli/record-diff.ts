import { formatBytes } from '../bytes.ts';
import { METER_NAMES } from '../governor/index.ts';
import { type Cell, formatDuration, formatShare, type Page, type Tone } from './page.ts';
import type { MemoryRecord } from './record.ts';
import type { RunReport } from './run-report.ts';

export type FigureUnit = 'bytes' | 'ms' | 'count';

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: FigureUnit;
}

/** One figure of both records; absent in one that does not have it. */
export interface FigureChange {
  readonly name: string;
  readonly unit: FigureUnit;
  readonly a?: number;
  readonly b?: number;
  /** `b` minus `a`, and that by `a`; absent where there is none. */
  readonly change?: number;
  readonly ratio?: number;
}

/** Plain data. */
export interface RecordDiff {
  readonly kind: 'diff';
  readonly version: 1;
  /** Of what both are. */
  readonly of: MemoryRecord['kind'];
  readonly a: string;
  readonly b: string;
  readonly rows: readonly FigureChange[];
}

/** What is said in a colour: ten percent. */
const TELLING = 0.1;

/** Two records of one kind, figure by figure; `a` and `b` are their names. Pure. */
export function diffRecords(a: MemoryRecord, b: MemoryRecord, names: readonly [string, string]): RecordDiff {
  const [before, after] = [figuresOf(a), figuresOf(b)];
  const order = new Map([...before, ...after].map((figure) => [figure.name, figure]));
  const valueIn = (figures: readonly Figure[], name: string) => figures.find((each) => each.name === name)?.value;
  const rows = [...order.values()].map(({ name, unit }): FigureChange => {
    const [one, two] = [valueIn(before, name), valueIn(after, name)];
    const change = one === undefined || two === undefined ? undefined : two - one;
    return {
      name,
      unit,
      ...(one === undefined ? {} : { a: one }),
      ...(two === undefined ? {} : { b: two }),
      ...(change === undefined ? {} : { change }),
      ...(change === undefined || one === undefined || one === 0 ? {} : { ratio: change / Math.abs(one) }),
    };
  });
  return { kind: 'diff', version: 1, of: a.kind, a: names[0], b: names[1], rows };
}

/** Pure. */
export function diffPage({ of, a, b, rows }: RecordDiff): Page {
  return {
    title: `Two of one kind: ${of}`,
    about: `A ${a}, B ${b}`,
    blocks: [
      {
        kind: 'table',
        head: ['figure', 'A', 'B', 'change', ''],
        rows: rows.map((row) => {
          const tone = toneOf(row);
          return [
            row.name,
            shown(row.a, row.unit),
            shown(row.b, row.unit),
            cell(row.change === undefined ? '-' : signed(row.change, row.unit), tone),
            cell(row.ratio === undefined ? '' : `${row.ratio > 0 ? '+' : ''}${formatShare(row.ratio)}`, tone),
          ];
        }),
      },
    ],
  };
}

const cell = (text: string, tone: Tone): Cell => ({ text, tone });

function toneOf({ ratio = 0, unit }: FigureChange): Tone {
  if (unit === 'count' || Math.abs(ratio) < TELLING) return 'plain';
  return ratio > 0 ? 'warn' : 'good';
}

function shown(value: number | undefined, unit: FigureUnit): string {
  if (value === undefined) return '-';
  if (unit === 'bytes') return formatBytes(value);
  return unit === 'ms' ? formatDuration(value) : String(Math.round(value * 100) / 100);
}

function signed(change: number, unit: FigureUnit): string {
  const text = unit === 'ms' && change < 0 ? `-${formatDuration(-change)}` : shown(change, unit);
  return change > 0 ? `+${text}` : text;
}

const bytes = (name: string, value: number): Figure => ({ name, value, unit: 'bytes' });
const ms = (name: string, value: number): Figure => ({ name, value, unit: 'ms' });
const count = (name: string, value: number): Figure => ({ name, value, unit: 'count' });
const known = (name: string, value: number | undefined): Figure[] => (value === undefined ? [] : [bytes(name, value)]);

/** What can be compared of a record. Pure. */
export function figuresOf(record: MemoryRecord): readonly Figure[] {
  switch (record.kind) {
    case 'run':
    case 'feed':
      return runFigures(record.data);
    case 'flight recording': {
      const { data } = record;
      const [last] = data.samples;
      return [
        bytes('reserved', data.reservedBytes),
        bytes('reserved at most', data.peakReservedBytes),
        ...(last === undefined ? [] : METER_NAMES.map((name) => bytes(`${name}, last sample`, last[`${name}Bytes`]))),
        count('trains', data.trainCount),
        ...data.largest.map(({ name, ownBytes }) => bytes(`held by ${name}`, ownBytes)),
      ];
    }
    case 'termination log': {
      const { reservedBytes, peakReservedBytes, meters, largest } = record.data;
      return [
        bytes('reserved', reservedBytes),
        bytes('reserved at most', peakReservedBytes),
        ...METER_NAMES.flatMap((name) => known(`${name}, last sample`, meters[name])),
        ...largest.map(({ name, ownBytes }) => bytes(`held by ${name}`, ownBytes)),
      ];
    }
    case 'profile': {
      const { peak, total } = record.data;
      return [
        ms('took', total.elapsedMs),
        bytes('heap at most', peak.heapBytes),
        bytes('external at most', peak.externalBytes),
        bytes('rss at most', peak.rssBytes),
        ...known('ledger at most', peak.ledgerBytes),
        bytes('heap growth', total.heapGrowthBytes),
        ...known('allocated', total.allocatedBytes),
        ...known('freed', total.freedBytes),
        count('collections', total.collections),
        ms('pauses', total.pauseMs),
        ms('longest pause', total.longestPauseMs),
      ];
    }
    case 'heap profile': {
      const { totalBytes, functions } = record.data;
      return [
        bytes('all', totalBytes),
        ...functions.map(({ name, at, selfBytes }) => bytes(`${name} ${at}`.trim(), selfBytes)),
      ];
    }
  }
}

function runFigures({ elapsedMs, processes }: RunReport): Figure[] {
  const [main] = processes;
  const took = ms('took', elapsedMs);
  if (main === undefined) return [took];
  const { meters, collections, peakRssBytes, consumers, refusals, trains, suspects } = main;
  return [
    took,
    ...meters.map(({ name, peakBytes }) => bytes(`${name} at most`, peakBytes)),
    ...known('in RAM at most', peakRssBytes),
    count('collections', collections.count),
    ms('pauses', collections.pauseMs),
    ms('longest pause', collections.longestMs),
    ...known('freed by collections', collections.freedBytes),
    count('trains', trains.count),
    count('refused', refusals),
    count('suspected leaks', suspects.length),
    ...consumers.map(({ name, peakBytes }) => bytes(`peak of ${name}`, peakBytes)),
    count('processes', processes.length),
  ];
}
