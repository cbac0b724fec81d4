import { basename } from 'node:path';
import type { Clock } from '../clock.ts';
import { levelEvents } from '../events.ts';
import { FailOpen } from '../fail-open.ts';
import { type Governor, readPeakRssBytes } from '../governor/index.ts';
import { FeedFile, feedHome, Monitor, ObservationFeed, openFeedFolder, sweepFeeds } from '../observe/index.ts';

/** Looks come soon after each other first, so that a short run is seen as well, then once a second. */
const FIRST_MS = 50;
const SLOWER = 1.25;
const LONGEST_MS = 1_000;
/** When the level changes it is looked at once, unless it just was. */
const LEAST_MS = 50;
/** Of each of two pieces: at 4 KB a look, as a program without consumers has it, eight minutes. */
const MAX_BYTES = 2 * 1_048_576;
const MOST_EVENTS = 200;

export interface ProcessFeedOptions {
  readonly governor: Governor;
  readonly clock: Clock;
  /** An absolute path, or `on`: this user's own. */
  readonly folder: string;
}

/**
 * Looks at this process and writes what it sees into a file that outlives it, for `plimsoll run` and `plimsoll top`: soon after the start, then once a second, when the level
 * changes, and at the exit. Its timer keeps no process alive. What fails later is counted; the program goes on. Throws where there can be no file.
 */
export class ProcessFeed implements Disposable {
  readonly #governor: Governor;
  readonly #clock: Clock;
  readonly #failOpen = new FailOpen('auto feed');
  readonly #file: FeedFile;
  readonly #monitor: Monitor;
  readonly #feed: ObservationFeed;
  readonly #listening: Disposable;
  #everyMs = FIRST_MS;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #timer: Disposable | undefined;
  #disposed = false;
  readonly #onExit = (exitCode: number) => {
    this.#look(true);
    this.#failOpen.run(() => this.#end(exitCode), undefined);
  };

  constructor({ governor, clock, folder: given }: ProcessFeedOptions) {
    this.#governor = governor;
    this.#clock = clock;
    const folder = openFeedFolder(given === 'on' ? feedHome() : given);
    if (given === 'on') sweepFeeds(folder);
    const { pid, version: node, argv } = process;
    const program = basename(argv[1] ?? 'node');
    const header = { feed: 1, pid, program, node, startedAt: clock.wall() } as const;
    this.#file = new FeedFile({ folder, maxBytes: MAX_BYTES, header });
    this.#monitor = new Monitor({ maxEvents: MOST_EVENTS, clock });
    this.#feed = new ObservationFeed({ source: governor, maxPoints: 1, everyMs: 0, clock, monitor: this.#monitor });
    this.#listening = levelEvents.subscribe(() => this.#lookSoon());
    process.on('exit', this.#onExit);
    this.#tick();
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    process.off('exit', this.#onExit);
    this.#timer?.[Symbol.dispose]();
    this.#failOpen.watch(this.#monitor[Symbol.asyncDispose]());
    for (const part of [this.#listening, this.#feed, this.#file]) {
      this.#failOpen.run(() => part[Symbol.dispose](), undefined);
    }
  }

  #tick(): void {
    this.#look(true);
    this.#timer = this.#clock.after(this.#everyMs, () => this.#tick());
    this.#everyMs = Math.min(LONGEST_MS, this.#everyMs * SLOWER);
  }

  /** Inside the sample that changed the level, and that in a reservation, may be: at most every 50 ms. */
  #lookSoon(): void {
    if (this.#clock.now() - this.#lookedAt >= LEAST_MS) this.#look(false);
  }

  /** While all is calm the governor samples once a second: a look between would show what was. */
  #look(anew: boolean): void {
    this.#lookedAt = this.#clock.now();
    if (anew) this.#failOpen.run(() => void this.#governor.sample(), undefined);
    this.#failOpen.run(() => this.#file.write(this.#feed.look()), undefined);
  }

  #end(exitCode: number): void {
    const peakRssBytes = readPeakRssBytes();
    const ended = { at: this.#clock.wall(), exitCode, ...(peakRssBytes === undefined ? {} : { peakRssBytes }) };
    this.#file.write({ ended });
  }
}
