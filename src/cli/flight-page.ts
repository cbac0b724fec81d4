import { formatBytes } from '../bytes.ts';
import { type FlightDump, METER_NAMES, type Sample } from '../governor/index.ts';
import { isoSeconds } from './iso-seconds.ts';
import {
  type Block,
  counted,
  type Fact,
  formatDuration,
  formatShare,
  isWithoutTarget,
  type Page,
  toneOfLevel,
} from './page.ts';

const MOST_TRAINS = 8;
const MOST_HOLDERS = 12;

/** What the flight recorder wrote in the last moments. Pure. */
export function flightPage(dump: FlightDump): Page {
  const { why, cause, takenAt, pid, mode, limitBytes, level, decidingMeter, reservedBytes, peakReservedBytes } = dump;
  const [last] = dump.samples;
  const facts: Fact[] = [
    { label: 'why', value: cause === undefined ? why : `${why}: ${cause}`, tone: 'bad' },
    { label: 'level', value: `${level} by ${decidingMeter}`, tone: toneOfLevel(level) },
    { label: 'the line', value: `${formatBytes(limitBytes)}, mode ${mode}` },
    { label: 'reserved', value: `${formatBytes(reservedBytes)}, at most ${formatBytes(peakReservedBytes)}` },
  ];
  if (last !== undefined) {
    const share = `${formatShare(last.ratio)} of the limit of ${last.decidingMeter}`;
    facts.push({ label: 'last sample', value: `${share}; ${metersText(last)}` });
  }
  if (dump.truncated === true) facts.push({ label: 'left out', value: 'what found no room in the dump', tone: 'dim' });
  return {
    title: 'Flight recording',
    about: `process ${pid}, ${isoSeconds(takenAt)}`,
    blocks: [
      { kind: 'facts', rows: facts },
      ...samplesBlock(dump),
      holdersBlock(dump),
      trainsBlock(dump),
      scopesBlock(dump),
      faultsBlock(dump),
    ],
  };
}

const bytesOf = (sample: Sample, name: (typeof METER_NAMES)[number]): number => sample[`${name}Bytes`];

function metersText(sample: Sample): string {
  const there = METER_NAMES.filter((name) => bytesOf(sample, name) > 0);
  return there.map((name) => `${name} ${formatBytes(bytesOf(sample, name))}`).join(', ');
}

function samplesBlock({ samples, limitBytes }: FlightDump): Block[] {
  const rows = samples.toReversed();
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined || rows.length < 3) return [];
  const series = METER_NAMES.flatMap((name) => {
    const values = rows.map((row) => bytesOf(row, name));
    return values.some((bytes) => bytes > 0) ? [{ name, values }] : [];
  });
  const elapsedMs = Math.max(0, last.atMs - first.atMs);
  const title = `The last ${formatDuration(elapsedMs)}, ${rows.length} samples`;
  return [{ kind: 'chart', title, series, show: 'bytes', elapsedMs, limit: limitBytes }];
}

function holdersBlock({ largest }: FlightDump): Block {
  return {
    kind: 'table',
    title: 'Who held most',
    head: ['consumer', '<kind', 'own', 'with children', 'peak', 'refused'],
    rows: largest
      .slice(0, MOST_HOLDERS)
      .map(({ name, kind, ownBytes, heldBytes, peakBytes, refusals }) => [
        name,
        kind,
        formatBytes(ownBytes),
        formatBytes(heldBytes),
        formatBytes(peakBytes),
        String(refusals),
      ]),
  };
}

function trainsBlock({ trains, trainCount }: FlightDump): Block {
  return {
    kind: 'table',
    title: `Given back: ${counted(trainCount, 'train')}, the last first`,
    head: ['at', '<why', '<strategy', 'asked for', 'claimed', 'released', 'seen', 'took'],
    rows: trains
      .slice(0, MOST_TRAINS)
      .map((train) => [
        isoSeconds(train.takenAt).slice(11, 19),
        train.observed ? `${train.why}, only looked at` : train.why,
        train.strategy,
        isWithoutTarget(train.targetBytes) ? 'all there is' : formatBytes(train.targetBytes),
        formatBytes(train.claimedBytes),
        formatBytes(train.releasedBytes),
        formatBytes(train.seenBytes),
        formatDuration(train.elapsedMs),
      ]),
  };
}

function scopesBlock({ scopes = [] }: FlightDump): Block {
  return {
    kind: 'table',
    title: 'Largest scopes',
    head: ['scope', 'holds', 'peak'],
    rows: scopes.map(({ name, heldBytes, peakBytes }) => [name, formatBytes(heldBytes), formatBytes(peakBytes)]),
  };
}

function faultsBlock({ faults }: FlightDump): Block {
  return {
    kind: 'notes',
    title: 'Parts of the governor that failed',
    rows: faults.map(({ part, message, count }) => ({ text: `${part}: ${message} (${count})`, tone: 'bad' })),
  };
}
