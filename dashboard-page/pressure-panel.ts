import type uPlot from 'uplot';
import { PRESSURE_LEVELS } from '../src/governor/contract.ts';
import { Chart } from './chart.ts';
import { byId } from './element.ts';
import type { PointHistory } from './point-history.ts';
import { countText, msText, percentText } from './wording.ts';

const STRIP = 7;

/** How near to the line, how much was waited for memory, and what collections took. */
export class PressurePanel {
  readonly #history: PointHistory;
  readonly #pressure: Chart;
  readonly #collections: Chart;

  constructor(history: PointHistory) {
    this.#history = history;
    this.#pressure = new Chart({
      label: 'pressure and waiting for memory',
      height: 190,
      text: percentText,
      top: (largest) => Math.max(1, largest * 1.05),
      underlay: (plot, colour) => this.#drawLevels(plot, colour),
    });
    this.#collections = new Chart({
      label: 'pauses by collections',
      height: 190,
      text: msText,
      top: (largest) => Math.max(5, largest * 1.15),
    });
    byId('pressure-chart').append(this.#pressure.root);
    byId('collection-chart').append(this.#collections.root);
  }

  showChart(): void {
    const history = this.#history;
    const { points } = history;
    const times = history.times();
    const fullest = history.column(
      ({ meters, limitBytes }) => Math.max(0, meters.cgroup ?? meters.rss ?? 0, meters.ledger ?? 0) / limitBytes,
    );
    const waited = history.column(({ psiPercent }) => (psiPercent === undefined ? undefined : psiPercent / 100));
    const knowsPsi = points.some(({ psiPercent }) => psiPercent !== undefined);
    this.#pressure.show(
      [
        { label: 'of the line', colour: '--s1', width: 2 },
        {
          label: 'level',
          colour: '--s9',
          width: 0,
          text: (rank) => PRESSURE_LEVELS[rank] ?? '',
          value: (at) => rankAt(points[at]?.level),
        },
        ...(knowsPsi ? [{ label: 'waited for memory (PSI, 10 s)', colour: '--s5', isArea: true }] : []),
      ],
      [times, fullest, times.map(() => null), ...(knowsPsi ? [waited] : [])],
    );
    this.#collections.show(
      [
        { label: 'paused', colour: '--s2', isBar: true },
        {
          label: 'collections',
          colour: '--s9',
          width: 0,
          text: countText,
          value: (at) => points[at]?.collections ?? null,
        },
      ],
      [times, history.column(({ pauseMs }) => pauseMs), times.map(() => null)],
    );
  }

  /** A strip at the bottom in the colour of the level. */
  #drawLevels({ ctx, bbox, valToPos }: uPlot, colour: (name: string) => string): void {
    const { points } = this.#history;
    const height = STRIP * devicePixelRatio;
    const right = bbox.left + bbox.width;
    ctx.save();
    for (let first = 0; first < points.length; ) {
      let next = first + 1;
      while (next < points.length && points[next]!.level === points[first]!.level) next++;
      const from = Math.round(Math.max(bbox.left, valToPos(points[first]!.at / 1_000, 'x', true)));
      const to = next < points.length ? Math.round(valToPos(points[next]!.at / 1_000, 'x', true)) : right;
      ctx.fillStyle = colour(`--${points[first]!.level}`);
      ctx.fillRect(from, bbox.top + bbox.height - height, Math.max(1, Math.min(to, right) - from), height);
      first = next;
    }
    ctx.restore();
  }
}

function rankAt(level: (typeof PRESSURE_LEVELS)[number] | undefined): number | null {
  return level === undefined ? null : PRESSURE_LEVELS.indexOf(level);
}
