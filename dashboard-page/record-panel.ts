import type { RunRow, RunStageRow } from '../src/dashboard/run-row.ts';
import type { TrainRow } from '../src/dashboard/train-row.ts';
import type { ConsumerRow } from '../src/governor/index.ts';
import type { AlertRow } from '../src/observe/alerts.ts';
import type { MonitorEvent } from '../src/observe/monitor-events.ts';
import type { Observation } from '../src/observe/observation.ts';
import { DataTable } from './data-table.ts';
import { byId, element, setText } from './element.ts';
import { eventText } from './event-text.ts';
import { bytesText, clockText, countText, holderCountText, msText, percentText, plainWords } from './wording.ts';

const MOST_EVENTS = 120;
const MOST_PLUGINS = 50;
const SHOWN_COUNTS = 4;
const OF_RUNS: ReadonlySet<string> = new Set(['stage', 'tool', 'spill']);

/** What was given back, who holds what for whom, what runs, what is wrong, and what happened lately. */
export class RecordPanel {
  readonly #journal = journalTable();
  readonly #holders = holderTable();
  readonly #plugins = pluginTable();
  readonly #alerts = alertTable();
  readonly #events = eventTable();
  readonly #runs = new Map<
    string,
    { readonly root: HTMLElement; readonly head: HTMLElement; readonly table: DataTable<RunStageRow> }
  >();
  #kept: readonly MonitorEvent[] = [];
  readonly #pluginEvents = new Map<string, MonitorEvent<'plugin'>>();

  constructor() {
    byId('journal').append(this.#journal.root);
    byId('holders').append(this.#holders.root);
    byId('plugins').append(this.#plugins.root);
    byId('alerts').append(this.#alerts.root);
    byId('events').append(this.#events.root);
    this.showRuns([]);
  }

  show({ snapshot, alerts, events }: Observation): void {
    const holders = snapshot.consumers.filter(({ holder }) => holder !== undefined);
    this.#holders.show(holders);
    this.addEvents(events);
    this.#plugins.show(pluginRows(snapshot.consumers, this.#pluginEvents));
    this.#alerts.show([...alerts].sort((a, b) => rankOf(a) - rankOf(b)));
  }

  showJournal(rows: readonly TrainRow[]): void {
    this.#journal.show([...rows].reverse());
  }

  addEvents(events: readonly MonitorEvent[]): void {
    const known = this.#kept[0]?.number ?? 0;
    const news = events.filter(({ number }) => number > known);
    // What runs report of their stages stands in the tables of the runs.
    const added = news.filter(({ kind }) => !OF_RUNS.has(kind));
    for (const event of added) if (event.kind === 'plugin') this.#notePlugin(event);
    if (added.length === 0 && known > 0) return;
    this.#kept = [...added.toReversed(), ...this.#kept].slice(0, MOST_EVENTS);
    this.#events.show(this.#kept);
  }

  showRuns(rows: readonly RunRow[]): void {
    const home = byId('runs');
    if (rows.length === 0) return void home.replaceChildren(element('p', { class: 'none' }, 'Nothing was run yet.'));
    const known = new Set(rows.map(({ name, startedAt }) => `${name} ${startedAt}`));
    for (const [key, { root }] of this.#runs) {
      if (known.has(key)) continue;
      root.remove();
      this.#runs.delete(key);
    }
    for (const none of home.querySelectorAll('.none')) none.remove();
    for (const [i, row] of rows.entries()) {
      const key = `${row.name} ${row.startedAt}`;
      const view = this.#runs.get(key) ?? makeRun(row);
      this.#runs.set(key, view);
      if (home.children[i] !== view.root) home.insertBefore(view.root, home.children[i] ?? null);
      setText(view.head, runText(row));
      view.table.show(row.stages);
    }
  }

  /** The last of each; the one that was heard of least lately goes first. */
  #notePlugin(event: MonitorEvent<'plugin'>): void {
    this.#pluginEvents.delete(event.source);
    this.#pluginEvents.set(event.source, event);
    const [longest] = this.#pluginEvents.keys();
    if (this.#pluginEvents.size > MOST_PLUGINS) this.#pluginEvents.delete(longest!);
  }

  clear(): void {
    this.#kept = [];
    this.#pluginEvents.clear();
  }
}

function makeRun({ name }: RunRow) {
  const head = element('span', { class: 'soft' });
  const table = stageTable(name);
  const root = element('div', { class: 'run' }, element('p', {}, element('strong', {}, name), head), table.root);
  return { root, head, table };
}

function runText({ startedAt, endedAt, message, spilledBytes, stages }: RunRow): string {
  const items = stages.reduce((most, stage) => Math.max(most, stage.items), 0);
  const last = stages.reduce((at, stage) => Math.max(at, stage.lastAt), startedAt);
  return [
    endedAt === undefined ? `running since ${clockText(startedAt)}` : `done in ${msText(endedAt - startedAt)}`,
    ...(items > 0
      ? [
          `${countText(items)} items, ${countText(Math.round((items * 1_000) / Math.max(1_000, last - startedAt)))} a second`,
        ]
      : []),
    ...(spilledBytes > 0 ? [`${bytesText(spilledBytes)} on the disk`] : []),
    ...(message === undefined ? [] : [message]),
  ].join(' · ');
}

function stageTable(run: string): DataTable<RunStageRow> {
  return new DataTable({
    label: `Stages of ${run}`,
    none: 'No stage has worked yet.',
    key: ({ name }) => name,
    columns: [
      { title: 'Stage', text: ({ name }) => name },
      {
        title: 'Mode',
        isSoft: true,
        text: ({ mode, worker }) => [mode ?? 'plain', ...(worker === undefined ? [] : [worker])].join(', '),
      },
      { title: 'Items', isFigure: true, text: ({ items }) => countText(items) },
      { title: 'Bytes', isFigure: true, text: ({ bytes }) => bytesText(bytes) },
      { title: 'Time', isFigure: true, text: ({ durationMs }) => (durationMs > 0 ? msText(durationMs) : '–') },
    ],
  });
}

function journalTable(): DataTable<TrainRow> {
  return new DataTable({
    label: 'Reclaim journal, newest first',
    none: 'Nothing was asked back yet.',
    key: ({ at, why, elapsedMs }) => `${at} ${why} ${elapsedMs}`,
    columns: [
      { title: 'Time', text: ({ at }) => clockText(at) },
      { title: 'Why', text: ({ why, observed }) => (observed ? `${why} (only noted)` : why) },
      { title: 'Level', text: ({ level }) => level ?? '–', level: ({ level }) => level },
      { title: 'Strategy', isSoft: true, text: ({ strategy }) => strategy },
      { title: 'Claimed', isFigure: true, text: ({ claimedBytes }) => bytesText(claimedBytes) },
      { title: 'Released', isFigure: true, text: ({ releasedBytes }) => bytesText(releasedBytes) },
      {
        title: 'Observed',
        isFigure: true,
        text: ({ seenBytes }) => (seenBytes === undefined ? '–' : bytesText(seenBytes)),
      },
      { title: 'Took', isFigure: true, text: ({ elapsedMs }) => msText(elapsedMs) },
      { title: 'By', isSoft: true, text: ({ parts }) => partsText(parts) },
    ],
  });
}

function partsText(parts: TrainRow['parts']): string {
  const made = parts.filter(({ skipped }) => skipped === undefined);
  return [...new Set(made.map(({ part, consumer }) => consumer ?? part.replace('-', ' ')))].join(', ');
}

function holderTable(): DataTable<ConsumerRow> {
  return new DataTable({
    label: 'Caches, pools and other holders',
    none: 'No holder says anything of itself.',
    key: ({ name, kind }) => `${kind} ${name}`,
    columns: [
      { title: 'Name', text: ({ name }) => name },
      { title: 'Is', isSoft: true, text: ({ holder }) => holder?.type ?? '' },
      {
        title: 'Health',
        text: ({ holder }) => healthText(holder),
        level: ({ holder }) => HEALTH[holder?.health ?? 'ok'],
      },
      { title: 'Holds', isFigure: true, text: ({ ownBytes }) => bytesText(ownBytes) },
      { title: 'Counts', isSoft: true, text: ({ holder }) => countsText(holder?.counts ?? {}) },
    ],
  });
}

const HEALTH = { ok: 'optimal', degraded: 'high', failing: 'emergency' } as const;

function healthText(holder: ConsumerRow['holder']): string {
  return holder === undefined ? '' : holder.why === undefined ? holder.health : `${holder.health}: ${holder.why}`;
}

/** Hits first, as a part of all look-ups; then the first few others that are not 0. */
function countsText(counts: Readonly<Record<string, number>>): string {
  const { hits, misses } = counts;
  const said: string[] = [];
  if (hits !== undefined && misses !== undefined && hits + misses > 0) {
    said.push(`${percentText(hits / (hits + misses))} hits of ${countText(hits + misses)}`);
  }
  const others = Object.entries(counts).filter(([name, value]) => name !== 'hits' && name !== 'misses' && value !== 0);
  for (const [name, value] of others.slice(0, SHOWN_COUNTS))
    said.push(`${plainWords(name)} ${holderCountText(name, value)}`);
  return said.join(', ');
}

interface PluginRow {
  readonly name: string;
  readonly state: string;
  readonly level: string;
  readonly says: string;
}

function pluginRows(
  consumers: readonly ConsumerRow[],
  failed: ReadonlyMap<string, MonitorEvent<'plugin'>>,
): PluginRow[] {
  const hosts = consumers.filter(({ holder }) => holder?.type.includes('plugin') === true);
  return [
    ...hosts.map(({ name, holder, ownBytes }) => ({
      name,
      state: holder!.health,
      level: HEALTH[holder!.health],
      says: [bytesText(ownBytes), countsText(holder!.counts)].join(', '),
    })),
    ...[...failed.values()].map(({ source, what, code, failures, message }) => ({
      name: source,
      state: what,
      level: what === 'off' ? 'emergency' : 'high',
      says: `${failures} failures, last ${code}: ${message}`,
    })),
  ];
}

function pluginTable(): DataTable<PluginRow> {
  return new DataTable<PluginRow>({
    label: 'Plugins',
    none: 'No plugin is at work.',
    key: ({ name, state }) => `${name} ${state}`,
    columns: [
      { title: 'Plugin', text: ({ name }) => name },
      { title: 'State', text: ({ state }) => state, level: ({ level }) => level },
      { title: 'Says', isSoft: true, text: ({ says }) => says },
    ],
  });
}

function rankOf({ phase, severity }: AlertRow): number {
  return (phase === 'raised' ? 0 : 2) + (severity === 'critical' ? 0 : 1);
}

function alertTable(): DataTable<AlertRow> {
  return new DataTable<AlertRow>({
    label: 'Alerts, those that are raised first',
    none: 'Nobody watches for alerts.',
    key: ({ rule }) => rule,
    columns: [
      { title: 'Alert', text: ({ rule }) => plainWords(rule) },
      {
        title: 'State',
        text: ({ phase }) => phase,
        level: ({ phase, severity }) =>
          phase === 'raised' ? (severity === 'critical' ? 'emergency' : 'critical') : undefined,
      },
      { title: 'Reads', isFigure: true, text: ({ value, unit }) => (value === undefined ? '–' : inUnit(value, unit)) },
      { title: 'Raised at', isFigure: true, text: ({ raiseAt, unit }) => inUnit(raiseAt, unit) },
      { title: 'Raised', isFigure: true, text: ({ raises }) => `${raises}×` },
    ],
  });
}

function inUnit(value: number, unit: string): string {
  if (unit === 'bytes') return bytesText(value);
  if (unit === 'ratio') return percentText(value);
  if (unit === 'count') return countText(value);
  return `${countText(value)}${unit === '' ? '' : `\u00a0${unit}`}`;
}

function eventTable(): DataTable<MonitorEvent> {
  return new DataTable<MonitorEvent>({
    label: 'What happened lately, newest first',
    none: 'Nothing happened yet.',
    key: ({ number }) => String(number),
    columns: [
      { title: 'Time', text: ({ at }) => clockText(at) },
      {
        title: 'What',
        text: ({ kind }) => plainWords(kind),
        level: (event) => (event.kind === 'pressure' ? event.to : undefined),
      },
      { title: 'Who', text: ({ source }) => source },
      { title: 'How', isSoft: true, text: eventText },
    ],
  });
}
