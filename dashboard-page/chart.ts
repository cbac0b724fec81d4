import uPlot from 'uplot';
import { element, setText } from './element.ts';
import { clockText } from './wording.ts';

export interface ChartSeries {
  readonly label: string;
  /** The name of a colour of the style sheet: `--s1`. */
  readonly colour: string;
  /** Drawn as an area down to the next series, or to 0. */
  readonly isArea?: boolean;
  readonly isBar?: boolean;
  readonly isDashed?: boolean;
  readonly width?: number;
  /** What the legend and the table say where that is not what is drawn, as in a stack. */
  readonly value?: (index: number) => number | null;
  readonly text?: (value: number) => string;
  /** Called by a click on its name. */
  readonly choose?: () => void;
}

export interface ChartOptions {
  readonly label: string;
  readonly height: number;
  readonly text: (value: number) => string;
  /** From 0 to what it gives; the largest value is handed in. */
  readonly top?: (largest: number) => number;
  /** Drawn under the series. */
  readonly underlay?: (plot: uPlot, colour: (name: string) => string) => void;
  /** Drawn over them. */
  readonly overlay?: (plot: uPlot, colour: (name: string) => string) => void;
  /** Room to the right of the series, pixels. Default 8. */
  readonly marginRight?: number;
  /** Steps between the values of the axis: powers of two for bytes. */
  readonly isBytes?: boolean;
}

const TABLE_ROWS = 12;
const BYTE_STEPS = Array.from({ length: 46 }, (_, i) => 2 ** i);

/** A chart of uPlot with a legend that follows the pointer, a table for who does not see it, and the colours of the page in light and dark. */
export class Chart {
  readonly root = element('div', { class: 'chart' });
  readonly #options: ChartOptions;
  readonly #canvas = element('div', { class: 'canvas', role: 'img' });
  readonly #legend = element('ul', { class: 'legend' });
  readonly #head = element('tr');
  readonly #rows = element('tbody');
  readonly #details: HTMLDetailsElement;
  #series: readonly ChartSeries[] = [];
  #data: uPlot.AlignedData = [[]];
  #values: HTMLElement[] = [];
  #plot: uPlot | undefined;

  constructor(options: ChartOptions) {
    this.#options = options;
    const table = element('table', {}, element('thead', {}, this.#head), this.#rows);
    const region = { class: 'rows', role: 'region', tabindex: 0, 'aria-label': `${options.label}, as a table` };
    this.#details = element('details', {}, element('summary', {}, 'As a table'), element('div', region, table));
    this.#details.addEventListener('toggle', () => this.#fillTable());
    this.root.append(this.#canvas, this.#legend, this.#details);
    new ResizeObserver(() => this.#resize()).observe(this.#canvas);
    window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#redraw());
  }

  /** Shows columns: times in seconds, then one for each series. */
  show(series: readonly ChartSeries[], data: readonly (readonly (number | null)[])[]): void {
    const isSame =
      series.length === this.#series.length && series.every(({ label }, i) => label === this.#series[i]!.label);
    this.#series = series;
    this.#data = data as unknown as uPlot.AlignedData;
    if (!isSame) this.#makeLegend();
    if (this.#plot === undefined || !isSame) this.#redraw();
    else this.#plot.setData(this.#data);
    this.#fillLegend(null);
    if (this.#details.open) this.#fillTable();
  }

  #redraw(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
    const width = this.#canvas.clientWidth;
    if (width === 0 || this.#series.length === 0) return;
    this.#plot = new uPlot(this.#plotOptions(width), this.#data, this.#canvas);
  }

  #resize(): void {
    const width = this.#canvas.clientWidth;
    if (width === 0) return;
    if (this.#plot === undefined) this.#redraw();
    else if (this.#plot.width !== width) this.#plot.setSize({ width, height: this.#options.height });
  }

  #plotOptions(width: number): uPlot.Options {
    const { height, text, top, underlay, overlay, marginRight = 8, isBytes } = this.#options;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const areas = this.#series.flatMap(({ isArea }, i) => (isArea === true ? [i + 1] : []));
    const axis = { stroke: colour('--soft'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } };
    return {
      width,
      height,
      legend: { show: false },
      padding: [10, marginRight, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: 'page' }, points: { size: 6 } },
      scales: {
        x: { time: true },
        y: { range: (_plot, _min, max) => [0, Math.max(top?.(max ?? 0) ?? (max ?? 0) * 1.08, 1e-6)] },
      },
      axes: [
        { ...axis, values: (_plot, splits) => splits.map((at) => clockText(at * 1_000)), space: 74, size: 28 },
        {
          ...axis,
          values: (_plot, splits) => splits.map(text),
          size: 74,
          ...(isBytes === true && { incrs: BYTE_STEPS }),
        },
      ],
      series: [{}, ...this.#series.map((series) => drawn(series, colour))],
      // Each area of a stack ends where the one below it begins.
      bands: areas.slice(1).map((upper, i) => ({ series: [upper, areas[i]!] })),
      hooks: {
        drawClear: [(plot) => underlay?.(plot, colour)],
        draw: [(plot) => overlay?.(plot, colour)],
        setCursor: [(plot) => this.#fillLegend(plot.cursor.idx ?? null)],
      },
    };
  }

  #makeLegend(): void {
    this.#values = [];
    const items = this.#series.map(({ label, colour, isArea, isBar, choose }) => {
      const swatch = element('span', { class: isArea === true || isBar === true ? 'swatch' : 'swatch line' });
      swatch.style.background = `var(${colour})`;
      const value = element('b');
      this.#values.push(value);
      if (choose === undefined) return element('li', {}, swatch, element('span', {}, label), value);
      const button = element('button', { type: 'button' }, swatch, element('span', {}, label), value);
      button.addEventListener('click', () => this.#series.find((each) => each.label === label)?.choose?.());
      return element('li', {}, button);
    });
    this.#legend.replaceChildren(...items);
    const heads = this.#series.map(({ label }) => element('th', { scope: 'col', class: 'n' }, label));
    this.#head.replaceChildren(element('th', { scope: 'col' }, 'Time'), ...heads);
  }

  /** At a point, or at the last. */
  #fillLegend(index: number | null): void {
    const last = (this.#data[0]?.length ?? 0) - 1;
    for (const [i, target] of this.#values.entries()) setText(target, this.#say(i, index ?? last));
    if (last < 0) return;
    const said = this.#series.map(({ label }, i) => `${label} ${this.#say(i, last)}`).join(', ');
    this.#canvas.setAttribute('aria-label', `Chart: ${this.#options.label}. Now: ${said}`);
  }

  #say(i: number, index: number): string {
    const series = this.#series[i]!;
    const value = series.value === undefined ? this.#data[i + 1]?.[index] : series.value(index);
    return value === null || value === undefined ? '–' : (series.text ?? this.#options.text)(value);
  }

  /** About a dozen points, evenly spread, the newest first. */
  #fillTable(): void {
    const times = this.#data[0] as ArrayLike<number>;
    const step = Math.max(1, Math.ceil(times.length / TABLE_ROWS));
    const lines: HTMLElement[] = [];
    for (let at = times.length - 1; at >= 0; at -= step) {
      const cells = this.#series.map((_, i) => element('td', { class: 'n' }, this.#say(i, at)));
      lines.push(element('tr', {}, element('th', { scope: 'row' }, clockText(times[at]! * 1_000)), ...cells));
    }
    this.#rows.replaceChildren(...lines);
  }
}

function drawn(series: ChartSeries, colour: (name: string) => string): uPlot.Series {
  const stroke = colour(series.colour);
  const { isArea, isBar, isDashed, width = 1.75, label } = series;
  return {
    label,
    stroke,
    width: isBar === true ? 0 : width,
    points: { show: false },
    ...(isArea === true || isBar === true ? { fill: isBar === true ? stroke : faded(stroke) } : {}),
    ...(isDashed === true ? { dash: [6, 4] } : {}),
    ...(isBar === true ? { paths: uPlot.paths.bars!({ size: [0.9, 18, 2] }) } : {}),
  };
}

function faded(colour: string): string {
  return `${colour}55`;
}
