import type { Clock } from '../clock.ts';
import type { Governor } from '../governor/index.ts';
import { lineServer } from '../http/index.ts';
import type { ListeningServers, WebServer } from './listening-servers.ts';
import { RecycleProgram } from './recycle-program.ts';
import type { RecycleSettings, ShedSettings } from './settings.ts';

export interface HttpSideOptions {
  readonly governor: Governor;
  readonly clock: Clock;
  readonly write: (line: string) => void;
  readonly exit: (code: number) => void;
  readonly servers: ListeningServers;
  readonly shed?: ShedSettings;
  readonly recycle?: RecycleSettings;
}

/** A test run makes servers by the thousand. */
const SWEEP_ABOVE = 64;

/** What is done for the servers of a program that knows nothing of it: they turn requests away, and are drained before a recycle. */
export class HttpSide implements Disposable {
  readonly #options: HttpSideOptions;
  readonly #recycle: RecycleProgram | undefined;
  /** Each lives as long as its server. */
  #lines: WeakRef<Disposable>[] = [];

  constructor(options: HttpSideOptions) {
    this.#options = options;
    const { recycle } = options;
    this.#recycle = recycle === undefined ? undefined : new RecycleProgram({ ...options, ...recycle });
  }

  /** Takes in a server that is about to listen. */
  note(server: WebServer): void {
    this.#recycle?.note();
    const { governor, clock, shed } = this.#options;
    if (shed === undefined) return;
    if (this.#lines.length >= SWEEP_ABOVE) this.#lines = this.#lines.filter((line) => line.deref() !== undefined);
    this.#lines.push(new WeakRef(lineServer(governor, server, { ...shed, clock })));
  }

  [Symbol.dispose](): void {
    this.#recycle?.[Symbol.dispose]();
    for (const line of this.#lines.splice(0)) line.deref()?.[Symbol.dispose]();
  }
}
