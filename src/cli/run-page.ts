import { formatBytes } from '../bytes.ts';
import { METER_NAMES, PRESSURE_LEVELS } from '../governor/index.ts';
import type { MonitorEvent } from '../observe/index.ts';
import { isoSeconds } from './iso-seconds.ts';
import {
  type Block,
  type Cell,
  counted,
  type Fact,
  formatDuration,
  formatShare,
  isWithoutTarget,
  type Page,
  toneOfLevel,
  toneOfRatio,
} from './page.ts';
import type { RunEnding } from './run-ending.ts';
import type { ProcessReport, RunReport } from './run-report.ts';
import { whyNoSuspects } from './suspects.ts';

const MOST_EVENTS = 8;
const MOST_PROCESSES = 10;

/** What a run came to, or a process that left a feed. Pure. */
export function runPage(report: RunReport): Page {
  const { kind, command, startedAt, elapsedMs, ending, processes, heapFlags } = report;
  const [main, ...others] = processes;
  const about = `${isoSeconds(startedAt)}, ${formatDuration(elapsedMs)}`;
  const name = command.join(' ');
  const whose = main === undefined ? '' : ` (process ${main.pid})`;
  const title = kind === 'feed' ? `feed of ${name}${whose}` : `plimsoll run: ${name}`;
  const end = ending === undefined ? [] : [endingNote(ending)];
  if (main === undefined) {
    const rows = [...end, { text: `Nothing was looked at: ${whyNothing(report)}.`, tone: 'warn' as const }];
    return { title, about, blocks: [{ kind: 'notes', rows: [...rows, ...watchNotes(report)] }] };
  }
  const blocks: Block[] = [
    { kind: 'facts', rows: [...endFacts(report, main), ...factsOf(main, heapFlags)] },
    peaksBlock(main),
    ...timeline(main),
    consumersBlock(main),
    suspectsBlock(main),
    eventsBlock(main.events),
    { kind: 'notes', title: 'To know', rows: [...notesOf(main, kind), ...watchNotes(report)] },
    othersBlock(others),
  ];
  return { title, about, blocks: blocks.filter((block) => !('rows' in block) || block.rows.length > 0) };
}

function whyNothing({ kind, notWatched }: RunReport): string {
  if (kind === 'feed') return 'there is no look in it';
  return notWatched ?? 'it was no program of Node, it ended before it began, or PLIMSOLL is off';
}

/** What is missing from the report. */
function watchNotes({ leftOut = 0, faults = 0 }: RunReport): Cell[] {
  const notes: Cell[] = [];
  if (leftOut > 0)
    notes.push({ text: `Processes that were not looked at, as there were too many: ${leftOut}.`, tone: 'warn' });
  if (faults > 0) {
    notes.push({
      text: `What was seen could not be read, shown or reported ${counted(faults, 'time')}.`,
      tone: 'warn',
    });
  }
  return notes;
}

const endingNote = ({ why, outOfMemory }: RunEnding): Cell => ({
  text: why,
  tone: outOfMemory === undefined ? 'plain' : 'bad',
});

function endFacts({ kind, ending }: RunReport, main: ProcessReport): Fact[] {
  if (ending !== undefined) {
    const { exitCode, outOfMemory, why } = ending;
    const tone = outOfMemory !== undefined ? 'bad' : exitCode === 0 ? 'good' : 'warn';
    return [{ label: 'ended', value: withoutSubject(why), tone }];
  }
  if (kind !== 'feed') return [];
  if (main.exitCode !== undefined) return [{ label: 'ended', value: `with exit code ${main.exitCode}` }];
  const value = 'not known: it runs yet, or was ended from outside; the figures are those of the last look';
  return [{ label: 'ended', value, tone: 'dim' }];
}

/** Behind the word `ended`: "It ended with exit code 3." is "with exit code 3" there. */
const withoutSubject = (why: string): string =>
  why.replace(/^It (?:was )?ended ([^.]*)\.( .+)?$/, (_all, how: string, more?: string) =>
    more === undefined ? how : `${how}.${more}`,
  );

function factsOf(main: ProcessReport, heapFlags: readonly string[]): Fact[] {
  const { pid, program, node, limitBytes, limitFrom, peakLevel, collections, elapsedMs, peakRssBytes } = main;
  const { count, pauseMs, longestMs, freedBytes } = collections;
  const freed = freedBytes === undefined ? '' : `, ${formatBytes(Math.max(0, freedBytes))} freed`;
  const share = elapsedMs > 0 ? ` (${formatShare(pauseMs / elapsedMs)} of the time)` : '';
  const facts: Fact[] = [
    { label: 'process', value: `${program} (${pid}), node ${node}, ${counted(main.looks, 'look')}` },
    { label: 'the line', value: `${formatBytes(limitBytes)} (${limitFrom})` },
    { label: 'highest level', value: levelsText(main), tone: toneOfLevel(peakLevel) },
    {
      label: 'collections',
      value: `${count}, ${pauseMs.toFixed(1)} ms in all${share}, the longest ${longestMs.toFixed(1)} ms${freed}`,
    },
  ];
  if (peakRssBytes !== undefined) {
    facts.push({ label: 'in RAM at most', value: `${formatBytes(peakRssBytes)}, pages of files among it` });
  }
  if (heapFlags.length > 0) facts.push({ label: 'flags put in', value: heapFlags.join(' ') });
  if (main.trains.count > 0) facts.push({ label: 'given back', value: trainsText(main) });
  if (main.refusals > 0) facts.push({ label: 'refused', value: String(main.refusals), tone: 'warn' });
  return facts;
}

function trainsText({ mode, trains: { count, releasedBytes, seenBytes } }: ProcessReport): string {
  if (mode === 'observe') return `nothing, as it only observed: ${counted(count, 'train')} would have run`;
  return `${formatBytes(releasedBytes)} by the books, ${formatBytes(seenBytes)} by the meter, in ${counted(count, 'train')}`;
}

function levelsText({ peakLevel, levels }: ProcessReport): string {
  const times = PRESSURE_LEVELS.flatMap((level) => {
    const ms = levels[level] ?? 0;
    return level === 'optimal' || ms === 0 ? [] : [`${level} for ${formatDuration(ms)}`];
  });
  return times.length === 0 ? peakLevel : `${peakLevel} (${times.join(', ')})`;
}

function peaksBlock({ meters, thresholds }: ProcessReport): Block {
  const known = METER_NAMES.flatMap((name) => meters.find((meter) => meter.name === name) ?? []);
  return {
    kind: 'bars',
    title: 'Peaks against the line',
    rows: known.map(({ name, peakBytes, limitBytes }) => ({
      label: name,
      value: `${formatBytes(peakBytes)} of ${formatBytes(limitBytes)}`,
      ratio: limitBytes > 0 ? peakBytes / limitBytes : 0,
      tone: toneOfRatio(limitBytes > 0 ? peakBytes / limitBytes : 0, thresholds),
    })),
  };
}

/** Looks come at unequal distances; the picture has equal ones. */
const COLUMNS = 120;

function timeline({ points, limitBytes }: ProcessReport): Block[] {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || points.length < 3 || last.at <= first.at) return [];
  const columns = Math.min(COLUMNS, points.length * 2);
  const elapsedMs = last.at - first.at;
  const at = (index: number) => first.at + (index / (columns - 1)) * elapsedMs;
  const spread = <T>(of: (point: (typeof points)[number]) => T): T[] => {
    let next = 0;
    return Array.from({ length: columns }, (_, index) => {
      while (next + 1 < points.length && points[next + 1]!.at <= at(index)) next++;
      return of(points[next]!);
    });
  };
  const series = (['rss', 'cgroup', 'heap', 'external', 'ledger'] as const).flatMap((name) => {
    const values = spread(({ meters }) => meters[name]);
    return values.some((value) => value !== undefined) ? [{ name, values }] : [];
  });
  return [{ kind: 'chart', title: 'Over time', series, show: 'bytes', elapsedMs, limit: limitBytes }];
}

function consumersBlock({ consumers }: ProcessReport): Block {
  const told = consumers.filter(({ name }) => name !== 'runtime');
  return {
    kind: 'table',
    title: 'Consumers at the last look',
    head: ['consumer', '<kind', 'holds', 'peak'],
    rows: told.map(({ name, kind, ownBytes, peakBytes }) => [
      name,
      kind,
      formatBytes(ownBytes),
      formatBytes(peakBytes),
    ]),
  };
}

function suspectsBlock({ suspects, points }: ProcessReport): Block {
  const title = 'Suspected leaks';
  if (suspects.length === 0) return { kind: 'notes', title, rows: [{ text: whyNoSuspects(points), tone: 'dim' }] };
  return {
    kind: 'notes',
    title,
    rows: suspects.map(({ name, grownBytes, bytesPerSecond, how }) => ({
      text: `${name} grew by ${formatBytes(grownBytes)}, ${formatBytes(bytesPerSecond)}/s: ${how}`,
      tone: 'warn',
    })),
  };
}

/** The last eight, as a line each. */
export function eventsBlock(events: readonly MonitorEvent[]): Block {
  return {
    kind: 'table',
    title: 'What happened last',
    head: ['at', '<what', '<'],
    rows: events.slice(-MOST_EVENTS).map((event) => [isoSeconds(event.at).slice(11, 19), event.kind, eventText(event)]),
  };
}

function eventText(event: MonitorEvent): string {
  switch (event.kind) {
    case 'pressure':
      return `${event.from} to ${event.to} by ${event.meter}, ${formatBytes(event.bytes)} of ${formatBytes(event.limitBytes)}`;
    case 'reclaim': {
      const would = event.observed === true ? ', only looked at' : '';
      const { source, releasedBytes, targetBytes } = event;
      const wanted = isWithoutTarget(targetBytes) ? 'wanted as much as there is' : `${formatBytes(targetBytes)} wanted`;
      return `${source}: ${formatBytes(releasedBytes)} released, ${wanted}${would}`;
    }
    case 'refused':
      return `${event.source}: ${formatBytes(event.requestedBytes)}, ${event.reason}`;
    case 'leak':
      return `${event.what}, ${event.count} so far`;
    default:
      return 'message' in event && event.message !== undefined ? `${event.source}: ${event.message}` : event.source;
  }
}

function notesOf({ warnings, faults, exitCode }: ProcessReport, kind: RunReport['kind']): Cell[] {
  return [
    ...warnings.map((text) => ({ text, tone: 'warn' as const })),
    ...faults.map((text) => ({ text: `a part of the governor failed: ${text}`, tone: 'bad' as const })),
    ...(exitCode === undefined && kind === 'run'
      ? [
          {
            text: 'It did not come to its end by itself: the figures are those of the last look.',
            tone: 'dim' as const,
          },
        ]
      : []),
  ];
}

function othersBlock(others: readonly ProcessReport[]): Block {
  return {
    kind: 'table',
    title: `Other processes (${others.length})`,
    head: ['program', 'pid', 'rss peak', 'heap peak', 'collections', 'level'],
    rows: others.slice(0, MOST_PROCESSES).map(({ program, pid, meters, collections, peakLevel }) => {
      const peak = (name: string) => formatBytes(meters.find((meter) => meter.name === name)?.peakBytes ?? 0);
      const level = { text: peakLevel, tone: toneOfLevel(peakLevel) };
      return [program, String(pid), peak('rss'), peak('heap'), String(collections.count), level];
    }),
  };
}
