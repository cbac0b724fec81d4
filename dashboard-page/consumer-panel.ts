import type { ConsumerRow } from '../src/governor/index.ts';
import type { Observation } from '../src/observe/observation.ts';
import { Chart, type ChartSeries } from './chart.ts';
import { DataTable } from './data-table.ts';
import { byId, element } from './element.ts';
import type { PointHistory } from './point-history.ts';
import { bytesText, countText, holderCountText, plainWords } from './wording.ts';

const LAYERS = 8;

/** Who holds what: stacked over time, a list, and the history of the one that was chosen. */
export class ConsumerPanel {
  readonly #history: PointHistory;
  readonly #stack: Chart;
  readonly #detail: Chart;
  readonly #list: DataTable<ConsumerRow>;
  #rows: readonly ConsumerRow[] = [];
  #chosen: string | undefined;
  /** What is shown again when the details are closed. */
  #opener: HTMLElement | undefined;

  constructor(history: PointHistory) {
    this.#history = history;
    const options = { height: 260, text: bytesText, isBytes: true };
    this.#stack = new Chart({ ...options, label: 'what consumers hold, stacked' });
    this.#detail = new Chart({ ...options, height: 180, label: 'what the chosen consumer holds' });
    byId('consumer-chart').append(this.#stack.root);
    byId('detail-chart').append(this.#detail.root);
    this.#list = new DataTable<ConsumerRow>({
      label: 'Consumers, those that hold most first',
      none: 'Nobody holds anything.',
      key: ({ name, kind }) => `${kind} ${name}`,
      columns: [
        { title: 'Consumer', make: ({ name }) => this.#button(name) },
        { title: 'Kind', isSoft: true, text: ({ kind }) => kind },
        { title: 'Holds', isFigure: true, text: ({ ownBytes }) => bytesText(ownBytes) },
        { title: 'Peak', isFigure: true, text: ({ peakBytes }) => bytesText(peakBytes) },
      ],
    });
    byId('consumers').append(this.#list.root);
    byId('detail-close').addEventListener('click', () => this.#close());
    byId('detail').addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.#close();
    });
  }

  show({ snapshot }: Observation): void {
    this.#rows = snapshot.consumers;
    this.#list.show([...snapshot.consumers].sort((a, b) => b.ownBytes - a.ownBytes));
    this.showChart();
  }

  showChart(): void {
    const history = this.#history;
    const names = history.largestConsumers(LAYERS);
    const layers = history.stack(names);
    const series: ChartSeries[] = [...names, 'all others'].map((label, i) => ({
      ...{ label, colour: i === names.length ? '--s9' : `--s${i + 1}`, isArea: true, width: 1.25 },
      value: (index) => (layers[i]![index] ?? 0) - (layers[i - 1]?.[index] ?? 0),
      ...(i < names.length && { choose: () => this.choose(label) }),
    }));
    this.#stack.show(series, [history.times(), ...layers]);
    this.#showDetail();
  }

  choose(name: string): void {
    this.#chosen = name;
    this.#opener = document.activeElement instanceof HTMLElement ? document.activeElement : undefined;
    byId('detail').hidden = false;
    this.#showDetail();
    byId('detail').focus({ preventScroll: true });
    byId('detail').scrollIntoView({ block: 'nearest' });
  }

  #close(): void {
    this.#chosen = undefined;
    byId('detail').hidden = true;
    this.#opener?.focus();
  }

  #button(name: string): HTMLElement {
    const button = element('button', { type: 'button', class: 'consumer' }, name);
    button.addEventListener('click', () => this.choose(name));
    return button;
  }

  #showDetail(): void {
    const name = this.#chosen;
    if (name === undefined) return;
    byId('detail-title').textContent = `History of ${name}`;
    const column = this.#history.column(({ consumers }) => consumers[name] ?? 0);
    this.#detail.show([{ label: name, colour: '--s1', isArea: true }], [this.#history.times(), column]);
    const row = this.#rows.find((each) => each.name === name);
    const facts = row === undefined ? [['State', 'gone']] : factsOf(row);
    byId('detail-facts').replaceChildren(
      ...facts.flatMap(([term, text]) => [element('dt', {}, term), element('dd', {}, text)]),
    );
  }
}

function factsOf(row: ConsumerRow): string[][] {
  const { kind, parent, heldBytes, ownBytes, peakBytes, maxBytes, importance, reclaimableBytes, refusals } = row;
  const { reclaim, holder } = row;
  return [
    ['Kind', kind],
    ...(parent === undefined ? [] : [['Under', parent]]),
    ['Holds', bytesText(ownBytes)],
    ...(heldBytes === ownBytes ? [] : [['With those below it', bytesText(heldBytes)]]),
    ['Peak', bytesText(peakBytes)],
    ['May hold', maxBytes === undefined ? 'up to the line' : bytesText(maxBytes)],
    ['Can give back', bytesText(reclaimableBytes)],
    ['Importance', String(importance)],
    ['Refused', countText(refusals)],
    ...(reclaim === undefined
      ? []
      : [
          ['Asked to give back', `${countText(reclaim.calls)} times`],
          ['Claimed, released', `${bytesText(reclaim.claimedBytes)}, ${bytesText(reclaim.releasedBytes)}`],
        ]),
    ...(holder === undefined
      ? []
      : [['Says it is', `${holder.type}, ${holder.health}${holder.why ? `: ${holder.why}` : ''}`]]),
    ...Object.entries(holder?.counts ?? {}).map(([name, value]) => [plainWords(name), holderCountText(name, value)]),
  ];
}
