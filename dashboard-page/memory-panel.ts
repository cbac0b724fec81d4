import type uPlot from 'uplot';
import type { MeterName, PressureThresholds } from '../src/governor/index.ts';
import type { Observation } from '../src/observe/observation.ts';
import { Chart, type ChartSeries } from './chart.ts';
import { DataTable } from './data-table.ts';
import { byId, element, setText, svgElement } from './element.ts';
import type { PointHistory } from './point-history.ts';
import { bytesText, percentText, signedBytesText } from './wording.ts';

const LEVELS = ['moderate', 'high', 'critical', 'emergency'] as const;

const METERS: readonly (readonly [MeterName, string])[] = [
  ['cgroup', '--s5'],
  ['rss', '--s1'],
  ['heap', '--s2'],
  ['external', '--s3'],
  ['ledger', '--s4'],
];
const BAR_WIDTH = 1_000;

interface MeterView {
  readonly root: HTMLElement;
  readonly fill: SVGElement;
  /** Where the levels begin. */
  readonly ticks: readonly SVGElement[];
  readonly bar: SVGElement;
  readonly share: HTMLElement;
  readonly figure: HTMLElement;
}

/** The meters over time against the line, now, and how far the books are off. */
export class MemoryPanel {
  readonly #history: PointHistory;
  readonly #chart: Chart;
  readonly #meters = new Map<string, MeterView>();
  readonly #drift: DataTable<Observation['snapshot']['drift'][number]>;
  #isZoomed = false;
  /** Where the levels begin, as parts of the limit. */
  #bands: readonly (readonly [number, string])[] = [];

  constructor(history: PointHistory) {
    this.#history = history;
    this.#chart = new Chart({
      label: 'memory against the line',
      height: 300,
      text: bytesText,
      isBytes: true,
      top: (largest) => this.#top(largest),
      underlay: (plot, colour) => this.#drawBands(plot, colour),
      overlay: (plot, colour) => this.#nameBands(plot, colour),
      marginRight: 74,
    });
    byId('memory-chart').append(this.#chart.root);
    const scale = byId('scale');
    scale.addEventListener('click', () => {
      this.#isZoomed = !this.#isZoomed;
      scale.setAttribute('aria-pressed', String(this.#isZoomed));
      this.showChart();
    });
    this.#drift = new DataTable({
      label: 'Drift: what is reserved less what is observed',
      none: 'Nothing to compare yet.',
      key: ({ of }) => of,
      columns: [
        { title: 'Kind', text: ({ of }) => of },
        { title: 'Reserved', isFigure: true, text: ({ reservedBytes }) => bytesText(reservedBytes) },
        { title: 'Observed', isFigure: true, text: ({ observedBytes }) => bytesText(observedBytes) },
        { title: 'Drift', isFigure: true, text: ({ driftBytes }) => signedBytesText(driftBytes) },
      ],
    });
    byId('drift').append(this.#drift.root);
  }

  show({ snapshot }: Observation): void {
    this.#bands = bandsOf(snapshot.thresholds);
    for (const { name, bytes, limitBytes, ratio, off } of snapshot.meters) {
      const view = this.#meters.get(name) ?? this.#makeMeter(name);
      const said = off ? 'not readable' : `${bytesText(bytes)} of ${bytesText(limitBytes)}`;
      setText(view.share, off ? '' : percentText(ratio));
      setText(view.figure, off ? 'unreadable' : bytesText(bytes));
      view.root.title = `${name}: ${said}`;
      view.fill.setAttribute('width', String(Math.round(Math.min(1, off ? 0 : ratio) * BAR_WIDTH)));
      view.bar.setAttribute('aria-label', `${name}: ${said}`);
      view.root.dataset.level = this.#levelOf(ratio);
      for (const [i, [from]] of this.#bands.entries()) placeTick(view.ticks[i]!, from);
    }
    this.#drift.show(snapshot.drift);
    this.showChart();
  }

  showChart(): void {
    const history = this.#history;
    const present = METERS.filter(([name]) => history.points.some(({ meters }) => meters[name] !== undefined));
    const series: ChartSeries[] = present.map(([label, colour]) => ({
      label,
      colour,
      width: label === 'ledger' ? 1.5 : 2,
      isDashed: label === 'ledger',
    }));
    const columns = present.map(([name]) => history.column(({ meters }) => meters[name]));
    series.push({ label: 'the line', colour: '--emergency', width: 2 });
    columns.push(history.column(({ limitBytes }) => limitBytes));
    this.#chart.show(series, [history.times(), ...columns]);
  }

  #top(largest: number): number {
    if (!this.#isZoomed) return largest * 1.05;
    let most = 1;
    for (const { meters } of this.#history.points) most = Math.max(most, ...Object.values(meters));
    return most * 1.1;
  }

  #drawBands({ ctx, bbox, valToPos }: uPlot, colour: (name: string) => string): void {
    const limit = this.#history.last?.limitBytes;
    if (limit === undefined) return;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const [i, [from, level]] of this.#bands.entries()) {
      const low = valToPos(from * limit, 'y', true);
      const high = valToPos((this.#bands[i + 1]?.[0] ?? 1) * limit, 'y', true);
      ctx.fillStyle = colour(`--band-${level}`);
      ctx.fillRect(bbox.left, high, bbox.width, low - high);
    }
    ctx.restore();
  }

  /** In the margin, where no line crosses them. */
  #nameBands({ ctx, bbox, valToPos }: uPlot, colour: (name: string) => string): void {
    const limit = this.#history.last?.limitBytes;
    if (limit === undefined) return;
    ctx.save();
    ctx.font = `${Math.round(11 * devicePixelRatio)}px system-ui, sans-serif`;
    ctx.textBaseline = 'middle';
    ctx.textAlign = 'left';
    for (const [i, [from, level]] of this.#bands.entries()) {
      const low = valToPos(from * limit, 'y', true);
      const high = valToPos((this.#bands[i + 1]?.[0] ?? 1) * limit, 'y', true);
      const middle = (low + high) / 2;
      if (middle < bbox.top || middle > bbox.top + bbox.height) continue;
      ctx.fillStyle = colour(`--${level}`);
      ctx.fillText(level, bbox.left + bbox.width + 6 * devicePixelRatio, middle);
    }
    ctx.restore();
  }

  #makeMeter(name: string): MeterView {
    const fill = svgElement('rect', { class: 'fill', height: 10, width: 0 });
    const ticks = LEVELS.map(() =>
      svgElement('line', { class: 'tick', y1: 0, y2: 10, 'vector-effect': 'non-scaling-stroke' }),
    );
    const back = svgElement('rect', { class: 'back', width: BAR_WIDTH, height: 10 });
    const bar = svgElement(
      'svg',
      { class: 'bar', role: 'img', viewBox: `0 0 ${BAR_WIDTH} 10`, preserveAspectRatio: 'none' },
      back,
      fill,
      ...ticks,
    );
    const share = element('span', { class: 'figure' });
    const figure = element('span', { class: 'figure' });
    const root = element('div', { class: 'meter' }, element('span', {}, name), bar, share, figure);
    byId('meters').append(root);
    const view = { root, fill, ticks, bar, share, figure };
    this.#meters.set(name, view);
    return view;
  }

  #levelOf(ratio: number): string {
    return this.#bands.findLast(([from]) => ratio >= from)?.[1] ?? 'optimal';
  }
}

function bandsOf(thresholds: PressureThresholds): [number, string][] {
  return LEVELS.map((level) => [thresholds[level], level]);
}

function placeTick(tick: SVGElement, at: number): void {
  for (const side of ['x1', 'x2']) tick.setAttribute(side, String(at * BAR_WIDTH));
}
