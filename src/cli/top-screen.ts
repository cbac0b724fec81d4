import { SCREEN } from './render.ts';
import type { Outlet } from './screen.ts';

const DEFAULT_ROWS = 24;
const INTERRUPT = '\x03';
const ENDS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** The whole terminal, drawn over and over; `q` and the usual signals end it. Dispose it: what stood there before is back. */
export class TopScreen implements Disposable {
  readonly #outlet: Outlet;
  readonly #onEnd: () => void;
  readonly #hasKeys: boolean;
  readonly #onKey = (key: Buffer): void => {
    const text = key.toString('latin1');
    if (text === INTERRUPT || text.toLowerCase() === 'q') this.#onEnd();
  };

  constructor(outlet: Outlet, onEnd: () => void) {
    this.#outlet = outlet;
    this.#onEnd = onEnd;
    outlet.write(SCREEN.open + SCREEN.hideCursor);
    for (const signal of ENDS) process.on(signal, onEnd);
    const { stdin } = process;
    this.#hasKeys = stdin.isTTY === true;
    if (!this.#hasKeys) return;
    stdin.setRawMode(true);
    stdin.on('data', this.#onKey);
    stdin.resume();
  }

  /** As much of the text as there are rows. */
  draw(text: string): void {
    const rows = this.#outlet.rows || DEFAULT_ROWS;
    const lines = text
      .trimEnd()
      .split('\n')
      .slice(0, rows - 1);
    this.#outlet.write(
      `${SCREEN.home}${lines.map((line) => `${line}${SCREEN.endLine}\r\n`).join('')}${SCREEN.endPage}`,
    );
  }

  [Symbol.dispose](): void {
    for (const signal of ENDS) process.off(signal, this.#onEnd);
    if (this.#hasKeys) {
      process.stdin.off('data', this.#onKey);
      process.stdin.setRawMode(false);
      process.stdin.pause();
    }
    this.#outlet.write(SCREEN.showCursor + SCREEN.close);
  }
}
