import { formatBytes } from '../bytes.ts';
import { formatShare, toneOfLevel } from './page.ts';
import { FOOT, renderLine, sparkline } from './render.ts';
import type { RunRecorder } from './run-recorder.ts';
import { columnsOf, hasColour, type Screen } from './screen.ts';

const LEAST_ROWS = 8;
const SPARKS = 12;

/** One line at the foot of the terminal that says how the program does, while it writes above. Dispose it: the terminal is then as it was. */
export class LiveLine implements Disposable {
  readonly #screen: Screen;
  #rows = 0;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  draw(main: RunRecorder): void {
    const { stderr, env } = this.#screen;
    const { rows = 0 } = stderr;
    if (main.last === undefined || rows < LEAST_ROWS || env.TERM === 'dumb') return;
    if (rows !== this.#rows) {
      if (this.#rows > 0) stderr.write(FOOT.close(this.#rows));
      stderr.write(FOOT.open(rows));
      this.#rows = rows;
    }
    stderr.write(FOOT.draw(rows, lineOf(main, columnsOf(stderr) - 1, hasColour(stderr, env))));
  }

  [Symbol.dispose](): void {
    if (this.#rows > 0) this.#screen.stderr.write(FOOT.close(this.#rows));
    this.#rows = 0;
  }
}

function lineOf(main: RunRecorder, width: number, colour: boolean): string {
  const { snapshot } = main.last!;
  const meter = (name: string) => snapshot.meters.find((each) => each.name === name);
  const [rss, heap] = [meter('rss'), meter('heap')];
  const values = main.points.slice(-SPARKS).map(({ meters }) => meters.rss);
  const room =
    rss === undefined
      ? ''
      : `rss ${formatBytes(rss.bytes)} of ${formatBytes(rss.limitBytes)} (${formatShare(rss.ratio)})`;
  const rest = [
    room,
    heap === undefined ? '' : `heap ${formatBytes(heap.bytes)}`,
    `${main.collections} collections`,
    sparkline({ name: 'rss', values }, SPARKS),
  ];
  return renderLine(toneOfLevel(snapshot.level), snapshot.level, rest.filter((each) => each !== '').join('  '), {
    width,
    colour,
  });
}
