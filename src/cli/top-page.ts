import { formatBytes } from '../bytes.ts';
import type { Observation } from '../observe/index.ts';
import {
  type Block,
  counted,
  type Fact,
  formatDuration,
  formatShare,
  type Page,
  toneOfLevel,
  toneOfRatio,
} from './page.ts';
import { eventsBlock } from './run-page.ts';
import type { RunRecorder } from './run-recorder.ts';

const MOST_CONSUMERS = 10;
const CHART_POINTS = 60;

/** What a process holds now, and what went before. Pure: of what was recorded. */
export function topPage(look: Observation, recorder: RunRecorder, program: string): Page {
  const { snapshot, pid, number } = look;
  const alerts = look.alerts.filter(({ phase }) => phase === 'raised');
  return {
    title: `plimsoll top: ${program}`,
    about: `process ${pid}, look ${number}`,
    blocks: [
      { kind: 'facts', rows: factsOf(look, recorder) },
      metersBlock(look),
      historyBlock(recorder, snapshot.limitBytes),
      consumersBlock(look),
      {
        kind: 'notes',
        title: 'Alerts',
        rows: alerts.map(({ rule, message, severity }) => ({
          text: `${rule}: ${message}`,
          tone: severity === 'critical' ? 'bad' : 'warn',
        })),
      },
      eventsBlock(recorder.events),
      { kind: 'notes', title: 'To know', rows: snapshot.warnings.map((text) => ({ text, tone: 'warn' })) },
    ],
  };
}

function factsOf({ snapshot, collections }: Observation, recorder: RunRecorder): Fact[] {
  const { level, decidingMeter, limitBytes, limitFrom, mode, acting, trains, psi, waiting, refusals } = snapshot;
  const facts: Fact[] = [
    { label: 'level', value: `${level} by ${decidingMeter}`, tone: toneOfLevel(level) },
    {
      label: 'the line',
      value: `${formatBytes(limitBytes)} (${limitFrom}), mode ${mode}${acting ? '' : ', switched off by a fault'}`,
    },
    {
      label: 'collections',
      value: `${collections.count} since the last look, ${collections.pauseMs.toFixed(1)} ms; ${recorder.collections} in all`,
    },
  ];
  if (trains.count > 0) {
    const running = trains.running ? ', one runs' : '';
    const count = counted(trains.count, 'train');
    const bytes = `${formatBytes(trains.releasedBytes)} by the books, ${formatBytes(trains.seenBytes)} by the meter`;
    const gave = `${bytes}, in ${count}, ${formatDuration(trains.spentMs)}${running}`;
    const none = `nothing, as it only observes: ${count} would have run`;
    facts.push({ label: 'given back', value: mode === 'observe' ? none : gave });
  }
  if (psi !== undefined) {
    facts.push({ label: 'waited for memory', value: `${formatShare(psi.someAvg10 / 100)} of the last ten seconds` });
  }
  if (waiting > 0 || refusals > 0) {
    facts.push({ label: 'reservations', value: `${waiting} waiting, ${refusals} refused`, tone: 'warn' });
  }
  return facts;
}

function metersBlock({ snapshot }: Observation): Block {
  return {
    kind: 'bars',
    title: 'Meters against the line',
    rows: snapshot.meters
      .filter(({ off }) => !off)
      .map(({ name, bytes, limitBytes, ratio }) => ({
        label: name,
        value: `${formatBytes(bytes)} of ${formatBytes(limitBytes)}`,
        ratio,
        tone: toneOfRatio(ratio, snapshot.thresholds),
      })),
  };
}

function historyBlock({ points }: RunRecorder, limit: number): Block {
  const shown = points.slice(-CHART_POINTS);
  const [first, last] = [shown[0], shown.at(-1)];
  const elapsedMs = first === undefined || last === undefined ? 0 : last.at - first.at;
  const series = (['rss', 'cgroup', 'heap', 'ledger'] as const).flatMap((name) => {
    const values = shown.map(({ meters }) => meters[name]);
    return values.some((value) => value !== undefined) ? [{ name, values }] : [];
  });
  const title = `The last ${formatDuration(elapsedMs)}`;
  return { kind: 'chart', title, series: shown.length < 2 ? [] : series, show: 'bytes', elapsedMs, limit };
}

function consumersBlock({ snapshot }: Observation): Block {
  const { consumers, reservedBytes, limitBytes } = snapshot;
  const held = consumers.toSorted((a, b) => b.ownBytes - a.ownBytes);
  const share = formatShare(limitBytes > 0 ? reservedBytes / limitBytes : 0);
  return {
    kind: 'table',
    title: `Consumers: ${consumers.length} ${consumers.length === 1 ? 'holds' : 'hold'} ${formatBytes(reservedBytes)}, ${share} of the line`,
    head: ['consumer', '<kind', 'own', 'peak', 'at most', 'to be had', 'refused'],
    rows: held
      .slice(0, MOST_CONSUMERS)
      .map(({ name, kind, ownBytes, peakBytes, maxBytes, reclaimableBytes, refusals }) => [
        name,
        kind,
        formatBytes(ownBytes),
        formatBytes(peakBytes),
        maxBytes === undefined ? '-' : formatBytes(maxBytes),
        formatBytes(reclaimableBytes),
        String(refusals),
      ]),
  };
}
