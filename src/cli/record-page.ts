import { formatBytes } from '../bytes.ts';
import { METER_NAMES } from '../governor/index.ts';
import type { MemoryReport } from '../observe/index.ts';
import { flightPage } from './flight-page.ts';
import type { HeapProfileSummary } from './heap-profile.ts';
import { isoSeconds } from './iso-seconds.ts';
import { type Block, type Fact, formatDuration, formatShare, type Page, toneOfLevel, toneOfRatio } from './page.ts';
import type { MemoryRecord } from './record.ts';
import { runPage } from './run-page.ts';
import type { TerminationRecord } from './termination-record.ts';

const MOST_CHECKPOINTS = 40;
const MOST_FUNCTIONS = 25;

/** Pure. Throws whatever it meets in a record that is damaged. */
export function recordPage(record: MemoryRecord): Page {
  switch (record.kind) {
    case 'run':
    case 'feed':
      return runPage(record.data);
    case 'flight recording':
      return flightPage(record.data);
    case 'termination log':
      return terminationPage(record.data);
    case 'profile':
      return profilePage(record.data);
    case 'heap profile':
      return heapProfilePage(record.data);
  }
}

function terminationPage(record: TerminationRecord): Page {
  const { why, level, decidingMeter, limitBytes, reservedBytes, peakReservedBytes, ratio, meters, dump } = record;
  const facts: Fact[] = [
    { label: 'why', value: why, tone: 'bad' },
    { label: 'level', value: `${level} by ${decidingMeter}`, tone: toneOfLevel(level) },
    { label: 'the line', value: formatBytes(limitBytes) },
    { label: 'reserved', value: `${formatBytes(reservedBytes)}, at most ${formatBytes(peakReservedBytes)}` },
  ];
  if (ratio !== undefined) facts.push({ label: 'last sample', value: `${formatShare(ratio)} of its limit` });
  if (dump !== undefined) facts.push({ label: 'the whole dump', value: dump });
  const bars = METER_NAMES.flatMap((name) => {
    const bytes = meters[name];
    if (bytes === undefined || limitBytes <= 0) return [];
    const part = bytes / limitBytes;
    return [{ label: name, value: formatBytes(bytes), ratio: part, tone: toneOfRatio(part) }];
  });
  return {
    title: 'Termination log',
    about: `process ${record.pid}, ${record.takenAt}`,
    blocks: [
      { kind: 'facts', rows: facts },
      ...(bars.length === 0 ? [] : [{ kind: 'bars', title: 'Of the line, at the last sample', rows: bars } as const]),
      {
        kind: 'table',
        title: 'Who held most',
        head: ['consumer', '<kind', 'own', 'peak'],
        rows: record.largest.map(({ name, kind, ownBytes, peakBytes }) => [
          name,
          kind,
          formatBytes(ownBytes),
          formatBytes(peakBytes),
        ]),
      },
    ],
  };
}

function profilePage(report: MemoryReport): Page {
  const { total, peak, checkpoints, topConsumers, drift, cost, faults, droppedCheckpoints } = report;
  const ledger = peak.ledgerBytes === undefined ? '' : `, ledger ${formatBytes(peak.ledgerBytes)}`;
  const facts: Fact[] = [
    {
      label: 'peak',
      value: `heap ${formatBytes(peak.heapBytes)}, external ${formatBytes(peak.externalBytes)}, rss ${formatBytes(peak.rssBytes)}${ledger}`,
    },
    {
      label: 'collections',
      value: `${total.collections}, ${total.pauseMs.toFixed(1)} ms in all, the longest ${total.longestPauseMs.toFixed(1)} ms`,
    },
  ];
  if (total.allocatedBytes !== undefined) {
    const rate = total.allocatedBytesPerSecond;
    const freed = total.efficiency === undefined ? '' : `, ${formatShare(total.efficiency)} of it freed`;
    const speed = rate === undefined ? '' : `, ${formatBytes(rate)}/s`;
    facts.push({ label: 'allocated', value: `${formatBytes(total.allocatedBytes)}${speed}${freed}` });
  }
  for (const { of, driftBytes } of drift) facts.push({ label: `drift of ${of}`, value: formatBytes(driftBytes) });
  facts.push({ label: 'the profiler', value: `${cost.spentMs.toFixed(1)} ms, ${formatShare(cost.share)} of the time` });
  if (droppedCheckpoints > 0) facts.push({ label: 'without a place', value: `${droppedCheckpoints} checkpoints` });
  if (faults > 0) facts.push({ label: 'faults', value: `${faults}: ${report.lastFault ?? ''}`, tone: 'warn' });
  const shown = checkpoints.slice(-MOST_CHECKPOINTS);
  const before = checkpoints.length - shown.length;
  return {
    title: 'Profile',
    about: `${isoSeconds(report.startedAt)}, ${formatDuration(total.elapsedMs)}`,
    blocks: [
      { kind: 'facts', rows: facts },
      {
        kind: 'table',
        title: before === 0 ? 'Checkpoints' : `Checkpoints, ${before} before these`,
        head: ['checkpoint', 'at', 'heap', 'external', 'rss', 'ledger', 'allocated', 'gc'],
        rows: shown.map(({ label, atMs, heapBytes, externalBytes, rssBytes, ledgerBytes, span }) => [
          label,
          formatDuration(atMs),
          formatBytes(heapBytes),
          formatBytes(externalBytes),
          formatBytes(rssBytes),
          orDash(ledgerBytes),
          orDash(span.allocatedBytes),
          String(span.collections),
        ]),
      },
      ...heldBlock(topConsumers),
    ],
  };
}

const orDash = (bytes: number | undefined): string => (bytes === undefined ? '-' : formatBytes(bytes));

function heldBlock(top: MemoryReport['topConsumers']): Block[] {
  if (top === undefined) return [];
  const rows = top.rows.map(({ name, kind, ownBytes }) => [name, kind, formatBytes(ownBytes)]);
  const others = top.otherBytes === 0 ? [] : [['others', '', formatBytes(top.otherBytes)]];
  const title = `Held at ${top.at}: ${formatBytes(top.reservedBytes)}`;
  return [{ kind: 'table', title, head: ['consumer', '<kind', 'own'], rows: [...rows, ...others] }];
}

function heapProfilePage({ totalBytes, functions, otherBytes }: HeapProfileSummary): Page {
  const rest = functions.slice(MOST_FUNCTIONS).reduce((sum, { selfBytes }) => sum + selfBytes, otherBytes);
  const share = (bytes: number) => formatShare(totalBytes === 0 ? 0 : bytes / totalBytes);
  const rows = functions
    .slice(0, MOST_FUNCTIONS)
    .map(({ name, at, selfBytes }) => [name, shortUrl(at), formatBytes(selfBytes), share(selfBytes)]);
  const others = rest === 0 ? [] : [['others', '', formatBytes(rest), share(rest)]];
  return {
    title: 'Heap profile',
    about: `${formatBytes(totalBytes)} by sample, by the function that allocated them`,
    blocks: [{ kind: 'table', head: ['function', '<at', 'bytes', 'share'], rows: [...rows, ...others] }],
  };
}

/** The last two parts of a path: the rest is the same for all of a program. */
const shortUrl = (url: string): string => url.split('/').slice(-2).join('/');
